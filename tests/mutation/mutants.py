#!/usr/bin/env python3
"""Mutants of the library, all in one build and chosen at run time. See docs/testing.md.

    mutants.py WORK sample    candidates from libclang's syntax trees; WORK/mutants.json is the sample
    mutants.py WORK build     WORK/unit: the unit tests with the mutated headers
    mutants.py WORK record    which test reaches which mutant
    mutants.py WORK run       each mutant with the tests that reach it, until one fails; resumes
    mutants.py WORK alone     each that was not killed, compiled into the header's own test: what the
                              compiler evaluates, and static assertions
    mutants.py WORK report    the table, and the survivors that are not in survivors.md

Needs python3-clang-14 (the python3 of Debian), clang, and what the unit tests need.
"""
import argparse, collections, concurrent.futures, hashlib, json, os, pathlib, re, resource, shutil
import subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = ROOT / "include" / "amct_distill"
FOLDERS = {"core": 40, "reflect": 30, "text": 50, "wire": 40, "config": 20, "graph": 30, "plan": 50,
           "quant": 70, "student": 50, "distill": 60, "deploy": 50, "onnx": 90}
# What the compiler alone evaluates: tests/compile_fail and unit/config/static_config.cpp are its tests.
COMPILED_ONLY = {"config/static_config.hpp", "plan/static_select.hpp", "core/fixed_string.hpp"}
ONNX_TESTS = "/usr/share/libonnx-testdata/data"
PROGRAMS = {"onnx_layers": [], "onnx_zoo": [],
            "onnx_nodes": [ONNX_TESTS, "--expected", str(ROOT / "tests/conformance/onnx_refused.txt")]}
FLAGS = ["-std=c++20", "-w", "-Wno-narrowing", "-ferror-limit=0", "-isystem", "/usr/include/eigen3",
         "-I", str(ROOT / "tests"), "-DAMCT_DISTILL_SCALAR_LOOPS", "-D_GLIBCXX_ASSERTIONS",
         f'-DAMCT_DISTILL_GOLDEN_DIR="{ROOT}/tests/golden"', f'-DAMCT_DISTILL_SOURCE_DIR="{ROOT}"',
         f'-DAMCT_DISTILL_PROTOC="{shutil.which("protoc")}"']
SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "/",
         "/": "*", "%": "*", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "&&": "||", "||": "&&",
         "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=", "&=": "|=", "<<=": ">>=", ">>=": "<<="}
KIND = {**dict.fromkeys(["<", "<=", ">", ">=", "==", "!="], "comparison"),
        **dict.fromkeys(["&&", "||"], "condition")}
COMMUTE = {"min", "max", "swap", "equal", "gcd", "lcm"}


def candidates(source):
    """Mutants (file, begin, end, kind, new text) in the headers that a source file includes."""
    from clang import cindex
    K = cindex.CursorKind
    from_id = K.from_id

    def known(number):  # the bindings do not know concepts
        try:
            return from_id(number)
        except ValueError:
            return K.UNEXPOSED_DECL
    K.from_id = staticmethod(known)
    unit = cindex.Index.create().parse(str(source), args=FLAGS + ["-I", str(ROOT / "include")])
    texts, found = {}, set()

    def text_of(name):
        if name not in texts:
            texts[name] = pathlib.Path(name).read_bytes()
        return texts[name]

    def add(name, begin, end, kind, new):
        old = text_of(name)[begin:end]
        if b"//" not in old and len(old) < 400:
            found.add((os.path.relpath(name, INCLUDE), begin, end, kind, new))

    def extent(c):
        return c.extent.start.offset, c.extent.end.offset

    def raw(name, begin, end):
        return text_of(name)[begin:end].decode()

    def has_lambda(c):
        return re.search(r"\[[&=\]]|\[this", raw(c.location.file.name, *extent(c))) is not None

    scopes = {K.NAMESPACE, K.CLASS_DECL, K.STRUCT_DECL, K.CLASS_TEMPLATE,
              K.CLASS_TEMPLATE_PARTIAL_SPECIALIZATION}
    functions = {K.FUNCTION_DECL, K.CXX_METHOD, K.FUNCTION_TEMPLATE, K.CONSTRUCTOR, K.DESTRUCTOR,
                 K.CONVERSION_FUNCTION}

    def outside(c, name):
        for k in c.get_children():
            if k.kind in scopes:
                outside(k, name)
            elif k.kind in functions:
                head = raw(name, *extent(k))
                if "consteval" in head.split("{")[0]:
                    continue
                for body in k.get_children():
                    if body.kind == K.COMPOUND_STMT:
                        inside_one(body, name)
            elif k.kind == K.FIELD_DECL:
                initializer(k, name)

    def initializer(c, name):
        if "constexpr" in raw(name, *extent(c)).split("=")[0].split("{")[0]:
            return
        for k in c.get_children():
            begin = k.extent.start.offset
            if begin > c.location.offset and "[" not in raw(name, c.location.offset, begin):
                inside_one(k, name)

    def statement(k, name):
        begin, end = extent(k)
        if k.kind in (K.CALL_EXPR, K.UNARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR, K.BREAK_STMT,
                      K.CONTINUE_STMT, K.BINARY_OPERATOR, K.UNEXPOSED_EXPR):
            after = text_of(name)[end:end + 1]
            if after == b";" and not has_lambda(k):
                add(name, begin, end + 1, "statement", "")

    def condition(k, name):
        if k.kind != K.DECL_STMT and not has_lambda(k):
            begin, end = extent(k)
            add(name, begin, end, "condition", f"!({raw(name, begin, end)})")

    def inside_one(c, name):
        if c.kind in (K.STATIC_ASSERT, K.UNEXPOSED_DECL, K.ENUM_DECL, K.TYPE_ALIAS_DECL, K.TYPEDEF_DECL,
                      K.CXX_UNARY_EXPR):
            return
        if c.kind in scopes:
            return outside(c, name)
        if c.kind == K.VAR_DECL:
            return initializer(c, name)
        kids = list(c.get_children())
        begin, end = extent(c)
        if end <= begin:
            return
        if c.kind == K.IF_STMT and kids:
            head = raw(name, begin, kids[0].extent.start.offset)
            if "constexpr" in head:
                kids = kids[1:]
            elif kids[0].kind != K.DECL_STMT:
                condition(kids[0], name)
            elif len(kids) > 2 and raw(name, *extent(kids[0])).endswith(";"):
                condition(kids[1], name)
        elif c.kind == K.WHILE_STMT and kids and kids[0].kind != K.VAR_DECL:
            condition(kids[0], name)
        elif c.kind == K.CASE_STMT:
            kids = kids[1:]
        elif c.kind in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR) and len(kids) == 2:
            left, right = extent(kids[0])[1], extent(kids[1])[0]
            op = raw(name, left, right).strip()
            if op in SWAPS and not has_lambda(c):
                new = raw(name, begin, left) + " " + SWAPS[op] + " " + raw(name, right, end)
                add(name, begin, end, KIND.get(op, "arithmetic"), new)
        elif c.kind == K.UNARY_OPERATOR:
            old = raw(name, begin, end)
            for a, b in (("++", "--"), ("--", "++")):
                if old.startswith(a):
                    add(name, begin, end, "arithmetic", b + old[2:])
            if old.startswith("!"):
                add(name, begin, end, "condition", old[1:].strip())
        elif c.kind in (K.INTEGER_LITERAL, K.FLOATING_LITERAL, K.CHARACTER_LITERAL,
                        K.CXX_BOOL_LITERAL_EXPR):
            old = raw(name, begin, end)
            before, after = raw(name, begin - 1, begin), raw(name, end, end + 1)
            if not (before == "<" and after in ">,"):
                if c.kind == K.CXX_BOOL_LITERAL_EXPR:
                    add(name, begin, end, "constant", {"true": "false", "false": "true"}.get(old, old))
                elif c.kind == K.CHARACTER_LITERAL:
                    add(name, begin, end, "constant", f"static_cast<decltype({old})>({old} + 1)")
                else:
                    add(name, begin, end, "constant", f"({old} + 1)")
                    add(name, begin, end, "constant", f"({old} - 1)")
        elif c.kind == K.CALL_EXPR and not has_lambda(c):
            given = [a for a in c.get_arguments() if a is not None and extent(a)[1] > extent(a)[0]]
            callee = c.spelling or ""
            if callee not in COMMUTE and not callee.startswith("operator"):
                for a, b in zip(given, given[1:]):
                    (ab, ae), (bb, be) = extent(a), extent(b)
                    same = a.type.get_canonical().spelling == b.type.get_canonical().spelling
                    if same and begin <= ab < ae < bb < be <= end and raw(name, ab, ae) != raw(name, bb, be) \
                            and "dependent" not in a.type.spelling and raw(name, ae, bb).strip() == ",":
                        add(name, begin, end, "swap", raw(name, begin, ab) + raw(name, bb, be) + ", " +
                            raw(name, ab, ae) + raw(name, be, end))
        for k in kids:
            if c.kind == K.COMPOUND_STMT:
                statement(k, name)
            inside_one(k, name)

    for c in unit.cursor.get_children():
        name = c.location.file.name if c.location.file else ""
        path = os.path.relpath(name, INCLUDE) if name else ".."
        if path.split("/")[0] in FOLDERS and path not in COMPILED_ONLY:
            if c.kind in scopes:
                outside(c, os.path.realpath(name))
    return found


def sample(work, seed, scale):
    found, texts, seen = set(), {}, collections.Counter()
    for source in ("src/amct_distill.cpp", "src/onnx.cpp"):
        found |= candidates(ROOT / source)

    def lot(c):  # of the line's text, so that a header's change moves only the mutants of the changed lines
        path, begin, end, kind, new = c
        if path not in texts:
            texts[path] = (INCLUDE / path).read_bytes()
        text = texts[path]
        line = text[text.rfind(b"\n", 0, begin) + 1:text.find(b"\n", end)].split()
        key = repr((seed, path, line, kind, text[begin:end].split(), new.split()))
        seen[key] += 1
        return hashlib.sha256(f"{key} {seen[key]}".encode()).digest()

    mutants = []
    for folder, count in FOLDERS.items():
        kinds = collections.defaultdict(list)
        for c in sorted(c for c in found if c[0].startswith(folder + "/")):
            kinds[c[3]].append((lot(c), c))
        for group in kinds.values():
            group.sort()
        total = sum(map(len, kinds.values()))
        chosen = []
        while len(chosen) < count * scale and any(kinds.values()):  # as many of each kind, while there are
            for kind in sorted(kinds):
                if kinds[kind]:
                    chosen.append(kinds[kind].pop()[1])
        print(f"{folder}: {total} candidates, {min(len(chosen), int(count * scale))} sampled")
        mutants += chosen[:int(count * scale)]
    out = []
    for number, (path, begin, end, kind, new) in enumerate(mutants):
        text = (INCLUDE / path).read_bytes()
        out.append({"number": number, "file": path, "begin": begin, "end": end, "kind": kind, "new": new,
                    "old": text[begin:end].decode(), "line": text.count(b"\n", 0, begin) + 1,
                    "last": text.count(b"\n", 0, end) + 1, "builds": True})
    carry(work, out)
    save(work, out)
    # The rest of the steps take the headers as they are now: they may be edited meanwhile.
    shutil.rmtree(work / "sampled", ignore_errors=True)
    shutil.copytree(ROOT / "include", work / "sampled")


def carry(work, new):
    """Results of an earlier sample stay, of mutants whose header has not changed."""
    if not (work / "mutants.json").exists() or not (work / "sampled").exists():
        return
    same = {p for p in {m["file"] for m in new} if (sampled(work) / p).exists() and
            (sampled(work) / p).read_bytes() == (INCLUDE / p).read_bytes()}
    where = {(m["file"], m["begin"], m["end"], m["new"]): str(m["number"]) for m in load(work)}
    for name in ("results.json", "alone.json"):
        if (work / name).exists():
            old = json.loads((work / name).read_text())
            kept = {str(m["number"]): old.get(where.get((m["file"], m["begin"], m["end"], m["new"])))
                    for m in new if m["file"] in same}
            (work / name).write_text(json.dumps({n: r for n, r in kept.items() if r}, indent=1))


def sampled(work):
    return work / "sampled" / "amct_distill"


def load(work):
    return json.loads((work / "mutants.json").read_text())


def save(work, mutants):
    (work / "mutants.json").write_text(json.dumps(mutants, indent=1))


def mutated(text, mutants):
    """The header's text with the mutants in it, chosen at run time; lines stay where they are."""
    def ask(m):
        return f"!__builtin_is_constant_evaluated() && ::amct_mutation::on<{m['number']}>()"

    def rewrite(begin, end, inner):
        out, at = "", begin
        while inner:
            first = min(inner, key=lambda m: (m["begin"], -m["end"], m["kind"] != "statement"))
            rest = [m for m in inner if m is not first]
            within = [m for m in rest if first["begin"] <= m["begin"] and m["end"] <= first["end"]]
            inner = [m for m in rest if m not in within]
            old = rewrite(first["begin"], first["end"], within)
            out += text[at:first["begin"]].decode()
            if first["kind"] == "statement":
                out += f"if (!({ask(first)})) {{ {old} }}"
            else:
                new = " ".join(first["new"].split("\n"))
                as_bool = "static_cast<bool>" if first["kind"] == "condition" else ""
                out += f"(({ask(first)}) ? {as_bool}({new}) : {as_bool}({old}))"
            at = first["end"]
        return out + text[at:end].decode()

    return rewrite(0, len(text), mutants)


def write_headers(work, mutants):
    by_file = collections.defaultdict(list)
    for m in mutants:
        if m["builds"]:
            by_file[m["file"]].append(m)
    for header in sampled(work).rglob("*.hpp"):
        path = str(header.relative_to(sampled(work)))
        new = mutated(header.read_bytes(), by_file.get(path, []))
        target = work / "include" / "amct_distill" / path
        if not target.exists() or target.read_text() != new:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(new)


def compile_one(work, source, out, *more):
    compiled = ["-DAMCT_DISTILL_COMPILED", "-DAMCT_DISTILL_COMPILED_ONNX"]
    compiled = compiled[:{"outside": 0, "library": 0, "onnx_library": 1}.get(out.stem, 2)]
    run = ["clang++", "-O0", *FLAGS, *compiled, "-I", str(work / "include"), str(source), "-o", str(out), *more]
    return subprocess.run(run, capture_output=True, text=True)


def precompile(work):
    """What is not ours, once."""
    header, out = work / "outside.hpp", work / "outside.pch"
    if not out.exists():
        found = collections.Counter()
        for path in [*sampled(work).rglob("*.hpp"), *(ROOT / "tests/unit").rglob("*.cpp")]:
            found.update(set(re.findall(r"#include (<[a-z_]+>)", path.read_text())))
        header.write_text(f'#include "{HERE}/mutant.hpp"\n#include <Eigen/Core>\n#include "support/catch.hpp"\n' +
                          "".join(f"#include {name}\n" for name, count in found.items() if count > 4))
        done = compile_one(work, header, out, "-x", "c++-header")
        if done.returncode:
            sys.exit(done.stderr)
    return ["-include-pch", str(out), "-c"]


def blamed(work, mutants, messages):
    """The mutants at the lines of the errors, else of what led there."""
    place = re.compile(re.escape(str(work / "include" / "amct_distill")) + r"/([^:]+):(\d+):\d+: ")
    bad, here = set(), []

    def settle():
        for after in (0, 3):  # lines: a call is blamed for its arguments
            for path, line in here:
                hit = [m["number"] for m in mutants if m["builds"] and m["file"] == path
                       and m["line"] - after <= line <= m["last"]]
                if hit:
                    bad.update(hit)
                    return
    for text in messages.splitlines():
        if " error: " in text:
            settle()
            here = []
        if found := place.match(text):
            here.append((os.path.normpath(found[1]), int(found[2])))
    settle()
    return bad


def units(folders):
    """The translation units: the compiled library's two, the unit tests of a folder as one, and what tests
    onnx/ beside them, of which each program is a test."""
    yield "library", ROOT / "src" / "amct_distill.cpp"
    yield "onnx_library", ROOT / "src" / "onnx.cpp"
    for folder in folders:
        yield folder, sorted((ROOT / "tests" / "unit" / folder).rglob("*.cpp"))
    yield "onnx_files", sorted((ROOT / "tests" / "onnx_files").glob("*.cpp"))
    for name in PROGRAMS:
        yield name, [ROOT / "tests" / "conformance" / f"{name}.cpp"]


def as_test(name):
    given = ", ".join(f'const_cast<char*>("{text}")' for text in (name, *PROGRAMS[name]))
    return (f'#undef main\nTEST_CASE("program: {name}") {{\n    char* given[] = {{{given}, nullptr}};\n'
            f'    CHECK(main_of_{name}({1 + len(PROGRAMS[name])}, given) == 0);\n}}\n')


def build(work, only):
    mutants = load(work)
    objects = work / "objects"
    objects.mkdir(exist_ok=True)
    precompiled = precompile(work)
    todo = {}
    for name, source in units(FOLDERS):
        if isinstance(source, list):
            unity = objects / f"unit_{name}.cpp"
            text = "".join(f'#include "{s}"\n' for s in source)
            if name in PROGRAMS:
                text = f"#define main main_of_{name}\n" + text + as_test(name)
            unity.write_text('#include "support/definitions.cpp"\n' + text)
            source = unity
        if not only or name in only:
            todo[name] = source
    while todo:
        write_headers(work, mutants)
        failed = {}
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
            # The library first, alone while a mutant in it does not compile.
            now = {n: todo[n] for n in todo if "library" in n} or todo
            jobs = {pool.submit(compile_one, work, s, objects / f"{n}.o", *precompiled): n
                    for n, s in now.items()}
            for job in concurrent.futures.as_completed(jobs):
                done = job.result()
                print(time.strftime("%H:%M:%S"), jobs[job], "ok" if done.returncode == 0 else "errors", flush=True)
                if done.returncode:
                    failed[jobs[job]] = done.stderr
        bad = set().union(*(blamed(work, mutants, text) for text in failed.values()))
        for name, text in failed.items():
            (work / f"{name}.log").write_text(text)  # of the last try
        if failed and not bad:
            sys.exit(f"not because of a mutant: {work}/{next(iter(failed))}.log")
        print("left out:", [(m["file"], m["line"], m["kind"], m["old"]) for m in mutants if m["number"] in bad])
        for m in mutants:
            m["builds"] &= m["number"] not in bad
        save(work, mutants)
        # Those that were compiled already still have what was left out, which they may: it is not asked for.
        todo = {n: todo[n] for n in todo if n in failed or n not in now}
    for name, source in (("main", ROOT / "tests/support/main.cpp"),
                         ("golden", ROOT / "tests/support/golden.cpp"),
                         ("listener", HERE / "listener.cpp")):
        if not (objects / f"{name}.o").exists():
            done = compile_one(work, source, objects / f"{name}.o", "-c")
            if done.returncode:
                sys.exit(done.stderr)
    names = ["listener", "main", "golden", *(n for n, _ in units(FOLDERS))]
    subprocess.run(["clang++", *(str(objects / f"{n}.o") for n in names), "-pthread", "-o",
                    str(work / "unit.new")], check=True)
    os.replace(work / "unit.new", work / "unit")


def in_program(work):
    names = subprocess.run(["nm", "-C", str(work / "unit")], capture_output=True, text=True).stdout
    return {int(n) for n in re.findall(r"amct_mutation::on<(\d+)>", names)}


def environment(work, **more):
    (work / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(work / "tmp"), **more}


def name_file(path, names):
    """A file of tests for the option -f."""
    path.write_text("".join(name.replace("\\", "\\\\").replace(",", "\\,") + "\n" for name in names))


def record(work):
    """In a few programs beside each other, each of which has every so many-th test."""
    listed = subprocess.run([str(work / "unit"), "--list-test-names-only",
                             *os.environ.get("TESTS", "~[.]").split("|")], capture_output=True, text=True).stdout
    names, jobs = listed.splitlines(), int(os.environ.get("JOBS", "2"))
    running = []
    for k in range(jobs):
        out = work / f"reached_{k}.txt"
        out.unlink(missing_ok=True)
        name_file(work / f"tests_of_{k}.txt", names[k::jobs])
        running.append((out, subprocess.Popen([str(work / "unit"), "-f", str(work / f"tests_of_{k}.txt")], cwd=work,
                                              env=environment(work, AMCT_MUTANT_RECORD=str(out)))))
    for _, one in running:
        one.wait()
    (work / "reached.txt").write_text("".join(out.read_text() for out, _ in running if out.exists()))
    print(f"{len(reached(work))} of {len(names)} tests recorded")


def reached(work):
    tests = {}
    for line in (work / "reached.txt").read_text().splitlines():
        name, failed, took, numbers = line.split("\t")
        tests[name] = (int(failed), float(took), set(map(int, numbers.split())))
    return tests


def limits(seconds):
    def set_limits():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return set_limits


def run_one(work, number, tests, longest):
    """How the mutant was killed, or that it was not."""
    rest = sorted((took, name) for name, (failed, took, numbers) in tests.items()
                  if number in numbers and not failed and took <= longest)
    if not rest:
        return "not reached"
    while rest:
        part = [t for t in rest if t[0] <= max(0.02, 8 * rest[0][0])]
        rest = rest[len(part):]
        names = work / f"tests_{number}.txt"
        name_file(names, [name for _, name in part])
        seconds = int(3 + 5 * sum(took for took, _ in part))
        try:
            done = subprocess.run([str(work / "unit"), "-f", str(names), "-a"], cwd=work, text=True,
                                  env=environment(work, AMCT_MUTANT=str(number)), preexec_fn=limits(seconds),
                                  capture_output=True, timeout=60 + 3 * seconds, errors="replace")
        except subprocess.TimeoutExpired:
            return "killed: waits"
        finally:
            names.unlink(missing_ok=True)
        if "No test" in done.stdout:
            return "no tests: " + done.stdout
        if done.returncode:
            found = re.findall(r"^(\S+/tests/\S+:\d+): FAILED", done.stdout, re.M)
            where = os.path.relpath(found[0], ROOT) if found else part[0][1]
            return f"killed: {where if done.returncode > 0 else f'signal {-done.returncode}, {part[0][1]}'}"
    return "survived"


def run(work, only, again, longest):
    mutants, tests, path = load(work), reached(work), work / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    folders = set(only or FOLDERS)

    def is_left(m):
        result = results.get(str(m["number"]))
        return result is None or again and not result.startswith("killed") and not is_equivalent(m)
    todo = [m for m in mutants if m["builds"] and m["file"].split("/")[0] in folders and is_left(m)]
    todo.sort(key=lambda m: m["file"].startswith("quant/"))  # whose tests take longest
    present = in_program(work)

    def one(m):
        if m["number"] not in present:
            return "not in the program"
        return run_one(work, m["number"], tests, longest)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        jobs = {pool.submit(one, m): m for m in todo}
        for job in concurrent.futures.as_completed(jobs):
            m = jobs[job]
            results[str(m["number"])] = job.result()
            path.write_text(json.dumps(results, indent=1))
            if not job.result().startswith("killed"):
                print(f"{m['number']} {m['file']}:{m['line']} {m['kind']}: {m['old']!r} -> {m['new']!r}: "
                      f"{job.result()}", flush=True)
    shutil.rmtree(work / "tmp", ignore_errors=True)


def tests_of(path):
    """The header's own unit test, else those of its folder."""
    folder, stem = path.split("/")[0], pathlib.Path(path).stem.removesuffix("-inl")
    own = ROOT / "tests" / "unit" / folder / f"{stem}.cpp"
    if path == "config/field_numbers.hpp":  # the numbers are compared with those of protoc
        return [ROOT / "tests" / "unit" / name for name in ("config/record.cpp", "config/extended.cpp",
                                                            "config/messages.cpp", "wire/reader.cpp")]
    return [own] if own.exists() else sorted((ROOT / "tests" / "unit" / folder).glob("*.cpp"))


def alone_one(work, m, precompiled):
    place = work / f"alone_{m['number']}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(work / "sampled", place / "include")
    text = (sampled(work) / m["file"]).read_bytes()
    (place / "include" / "amct_distill" / m["file"]).write_bytes(
        text[:m["begin"]] + (m["new"] or ";").encode() + text[m["end"]:])
    try:
        for source in tests_of(m["file"]):
            run = ["clang++", "-O0", *FLAGS, "-I", str(place / "include"), *precompiled, str(source), "-o",
                   str(place / "test.o")]
            done = subprocess.run(run, capture_output=True, text=True)
            if done.returncode:
                error = next((l for l in done.stderr.splitlines() if "error:" in l), "")
                name = os.path.relpath(source, ROOT)
                if "static" in error or "constant expression" in error:
                    return f"killed: {name} does not compile"
                return f"no mutant: {error}"
            subprocess.run(["clang++", str(place / "test.o"), str(work / "objects/main.o"),
                            str(work / "objects/golden.o"), "-pthread", "-o", str(place / "test")], check=True)
            try:
                done = subprocess.run([str(place / "test"), "-a"], cwd=work, env=environment(work), timeout=900,
                                      capture_output=True, preexec_fn=limits(30))
            except subprocess.TimeoutExpired:
                return "killed: waits"
            if done.returncode:
                return f"killed: {os.path.relpath(source, ROOT)}, alone"
        return "survived"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def alone(work, only):
    mutants, path = load(work), work / "alone.json"
    results = all_results(work)
    todo = [m for m in mutants if m["builds"] and results.get(str(m["number"]), "killed")[:6] != "killed" and
            m["file"].split("/")[0] in set(only or FOLDERS) and not is_equivalent(m)]
    precompiled = precompile(work)
    tried = json.loads(path.read_text()) if path.exists() else {}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        jobs = {pool.submit(alone_one, work, m, precompiled): m for m in todo}
        for job in concurrent.futures.as_completed(jobs):
            m = jobs[job]
            tried[str(m["number"])] = job.result()
            path.write_text(json.dumps(tried, indent=1))
            print(f"{m['number']} {m['file']}:{m['line']} {m['old']!r} -> {m['new']!r}: {job.result()}", flush=True)


def all_results(work):
    results = json.loads((work / "results.json").read_text())
    if (work / "alone.json").exists():
        tried = json.loads((work / "alone.json").read_text())
        results.update({n: r for n, r in tried.items() if not results.get(n, "").startswith("killed") and
                        (r.startswith(("killed", "no mutant")) or results.get(n) == "not in the program")})
    return results


def judged():
    """survivors.md: lines `file | line | old | new | why`."""
    out = {}
    for line in (HERE / "survivors.md").read_text().splitlines() if (HERE / "survivors.md").exists() else []:
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)]
        if len(cells) >= 6 and ".hpp" in cells[1]:
            out[cells[1].split(":")[0], cells[2].strip("`"), cells[3].strip("`")] = cells[4]
    return out


def short(text):
    return " ".join(text.split())


def is_equivalent(m):
    return judged().get((m["file"], short(m["old"]), short(m["new"])), "").startswith("equivalent")


def report(work):
    mutants, results = load(work), all_results(work)
    known = judged()
    rows = collections.defaultdict(collections.Counter)
    print("| folder | sampled | killed | equivalent | survived | score |\n|---|---|---|---|---|---|")
    left = []
    for m in mutants:
        result = results.get(str(m["number"]))
        if not m["builds"] or result is None or result.startswith("no mutant"):
            no_mutant = not m["builds"] or result is not None
            rows[m["file"].split("/")[0]]["stillborn" if no_mutant else "not run"] += 1
            continue
        row = rows[m["file"].split("/")[0]]
        row["sampled"] += 1
        why = known.get((m["file"], short(m["old"]), short(m["new"])))
        if result.startswith("killed"):
            row["killed"] += 1
        elif why and why.startswith("equivalent"):
            row["equivalent"] += 1
        else:
            row["survived"] += 1
            left.append((m, result))
    total = collections.Counter()
    for folder in FOLDERS:
        total += rows[folder]
    for folder, row in [*((f, rows[f]) for f in FOLDERS), ("all", total)]:
        score = 100 * row["killed"] / max(1, row["sampled"] - row["equivalent"])
        print(f"| {folder} | {row['sampled']} | {row['killed']} | {row['equivalent']} | {row['survived']} | "
              f"{score:.1f} % |")
    print(f"\nnot counted: {total['stillborn']} that do not compile, {total['not run']} that were not run\n")
    for m, result in left:
        print(f"| {m['file']}:{m['line']} | `{short(m['old'])}` | `{short(m['new'])}` | {result} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("step", choices=["sample", "build", "record", "run", "alone", "report"])
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sample")
    parser.add_argument("--only", nargs="*", help="build: units; run: folders")
    parser.add_argument("--again", action="store_true", help="run: survivors too, but for those judged equivalent")
    parser.add_argument("--longest", type=float, default=1e9, help="run: no tests that took more seconds")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    work = args.work.resolve()
    if args.step == "sample":
        sample(work, args.seed, args.scale)
    elif args.step == "build":
        build(work, args.only)
    elif args.step == "record":
        record(work)
    elif args.step == "run":
        run(work, args.only, args.again, args.longest)
    elif args.step == "alone":
        alone(work, args.only)
    else:
        report(work)


if __name__ == "__main__":
    main()
