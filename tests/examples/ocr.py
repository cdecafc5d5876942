# SPDX-License-Identifier: Apache-2.0
"""ocr.py COUNT_ERRORS DRAW_LINES FONTS SCRATCH: lines are read as they are, and drawn the same again."""
import pathlib
import shutil
import struct
import subprocess
import sys


def npy(path, shape, values):
    head = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    data = struct.pack(f"<{len(values)}f", *values)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)


def outputs(path, lines, steps):
    """Classes: 0 nothing new, 1 to 3 are a, b, c, 4 is a blank."""
    values = []
    for line in lines:
        for step in range(steps):
            best = " abc_".index(line[step]) if step < len(line) else 0
            values += [0.75 if k == best else 0.0625 for k in range(5)]
    npy(path, (len(lines), steps, 5), values)


def main(count_errors, draw_lines, fonts, scratch):
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    (scratch / "keys.txt").write_text("a\nb\nc")  # as the real one: no end of line after the last
    (scratch / "texts.txt").write_text("ab c\naab\n")
    outputs(scratch / "right.npy", ["aab__c", "a abb "], 6)
    outputs(scratch / "wrong.npy", ["_ba_ c_", "aaab"], 7)
    arguments = [count_errors, scratch / "keys.txt", scratch / "texts.txt"]
    found = subprocess.run([*arguments, f"right={scratch}/right.npy", f"wrong={scratch}/wrong.npy"],
                           capture_output=True, check=True, text=True).stdout
    rows = [line.split() for line in found.splitlines()]
    assert rows[1] == "right 0 (0.00 %) 7 2 of 2".split(), rows
    assert rows[2] == "wrong 3 (42.86 %) 7 0 of 2 ab c > ba c".split(), rows
    outputs(scratch / "few.npy", ["a"], 6)
    bad = subprocess.run([*arguments, f"few={scratch}/few.npy"], capture_output=True, text=True)
    assert bad.returncode == 1 and "expected [2, steps, 5], found [1, 6, 5]" in bad.stderr, bad
    if not (fonts / "DejaVuSerif-Bold.ttf").exists():
        print(f"ok, but nothing was drawn: no fonts in {fonts}. Debian: apt install fonts-dejavu-core")
        return
    drawn = {}
    for name, seed in (("one", 2), ("again", 2), ("other", 1)):
        subprocess.run([draw_lines, fonts, str(seed), "4", scratch / name], check=True, capture_output=True)
        files = sorted((scratch / name).iterdir())
        assert [f.name for f in files] == ["000.png", "001.png", "002.png", "003.png"], files
        drawn[name] = [f.read_bytes() for f in files] + [(scratch / f"{name}.txt").read_bytes()]
    assert drawn["one"] == drawn["again"] and drawn["one"][-1].count(b"\n") == 4
    assert drawn["one"] != drawn["other"]
    print("ok: lines are read, and drawn the same again")


main(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]))
