#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which branches of the headers the tests take.

    cmake --preset coverage && cmake --build --preset coverage
    tests/coverage/coverage.py build/coverage            # runs the tests, prints a table, writes branches.txt
    tests/coverage/coverage.py build/coverage '^text: '  # runs these, and counts what others took before

Needs clang 19 and its llvm-profdata and llvm-cov (Debian: clang-19 libclang-rt-19-dev llvm-19; clang 14's fail on
these headers). A branch is a condition's way in the source: it is taken when any instantiation in any program
takes it. What only an assertion has is not counted, nor what the compiler writes (`= default`).
"""
import collections
import json
import os
import subprocess
import sys

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
HEADERS = os.path.join(SOURCE, "include", "amct_distill", "")


def programs(build):
    for directory, _, files in os.walk(build):
        for name in sorted(files):
            path = os.path.join(directory, name)
            if os.path.islink(path) or "." in name or "CMakeFiles" in directory:
                continue
            if os.access(path, os.X_OK):
                yield path


def branches_of(program, profile):
    """(file, line, column, end) -> how often it was true, and false."""
    shown = subprocess.run(["llvm-cov-19", "export", program, f"-instr-profile={profile}"], capture_output=True)
    if shown.returncode != 0:
        return {}  # a program without coverage
    out = {}
    for function in json.loads(shown.stdout)["data"][0]["functions"]:
        for line, column, end_line, end_column, taken, not_taken, file, *_ in function.get("branches", []):
            path = os.path.normpath(function["filenames"][file])
            if path.startswith(HEADERS):
                counts = out.setdefault((path[len(HEADERS):], line, column, end_line, end_column), [0, 0])
                counts[0] += taken
                counts[1] += not_taken
    return out


# What runs a compiler or a browser takes no branch of these programs.
OTHERS = "^(hygiene|readme|docs|compile|compile_fail|compiled|install|single header|page: in)"


def main(build, only=None):
    build = os.path.realpath(build)
    raw = os.path.join(build, "profiles")
    os.makedirs(raw, exist_ok=True)
    for old in os.listdir(raw) if only is None else []:
        os.remove(os.path.join(raw, old))
    subprocess.run(["ctest", "--test-dir", build, "-j", str(os.cpu_count()), "--quiet", "-E", OTHERS,
                    *(["-R", only] if only else [])],
                   env={**os.environ, "LLVM_PROFILE_FILE": os.path.join(raw, "%m.profraw")})
    profile = os.path.join(build, "tests.profdata")
    subprocess.run(["llvm-profdata-19", "merge", "-o", profile, *(os.path.join(raw, f) for f in os.listdir(raw))],
                   check=True)
    branches = {}
    for program in programs(build):
        for where, counts in branches_of(program, profile).items():
            all_counts = branches.setdefault(where, [0, 0])
            all_counts[0] += counts[0]
            all_counts[1] += counts[1]

    total, missed = collections.Counter(), collections.Counter()
    with open(os.path.join(build, "branches.txt"), "w") as listing:
        for (file, line, column, end_line, end_column), counts in sorted(branches.items()):
            text = open(HEADERS + file).read().split("\n")[line - 1]
            if "assert(" in text or "= default" in text:
                continue
            folder = file.split("/")[0]
            total[folder] += 2
            never = [way for way, count in zip(("true", "false"), counts) if count == 0]
            missed[folder] += len(never)
            if never:
                condition = text[column - 1:end_column - 1] if line == end_line else text[column - 1:]
                print(f"{file}:{line}: never {' nor '.join(never)}: {condition}", file=listing)
    print(f"{'folder':10} {'ways':>6} {'never':>6}  taken")
    for folder in [*sorted(total), None]:
        ways, never = (total[folder], missed[folder]) if folder else (total.total(), missed.total())
        print(f"{folder or 'all':10} {ways:6} {never:6}  {100 * (1 - never / ways):.1f} %")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
