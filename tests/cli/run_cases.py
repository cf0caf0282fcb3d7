#!/usr/bin/env python3
"""Runs the command-line cases of one folder: CASE.sh with what it must print and return.

  run_cases.py --cases tests/cli/convert --bin build/release/bin [--only CASE] [--update]

Each case runs under bash in a scratch folder of its own that holds the small models of
make_cli_models, with the executables first on PATH and protobuf_bytes.py within Python's reach. CASE.stdout and CASE.stderr hold the expected
text line by line, `*` standing for any characters; a missing file expects nothing on stdout and
does not look at stderr. CASE.exit holds the exit code, 0 when missing. --update rewrites what is
there to what was found: read the diff.
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile


def matches(pattern, line):
    parts = [re.escape(p) for p in pattern.split("*")]
    return re.fullmatch(".*".join(parts), line) is not None


def differs(expected, found):
    want, have = expected.splitlines(), found.splitlines()
    for i in range(max(len(want), len(have))):
        a = want[i] if i < len(want) else None
        b = have[i] if i < len(have) else None
        if a is None or b is None or not matches(a, b):
            return f"line {i + 1}: expected {a!r}, found {b!r}"
    return None


def read(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def run_case(script, options):
    stem = script[:-3]
    env = dict(os.environ, PATH=options.bin + os.pathsep + os.environ["PATH"], NO_COLOR="1", COLUMNS="200", LC_ALL="C.UTF-8",
               CASES=os.path.abspath(options.cases), PYTHONPATH=os.path.dirname(os.path.abspath(__file__)),
               PYTHONDONTWRITEBYTECODE="1")
    for name in ("MNN_CPU_ISA",):
        env.pop(name, None)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([os.path.join(options.bin, "make_cli_models"), scratch], check=True, stdout=subprocess.DEVNULL)
        try:
            done = subprocess.run(["bash", "-eu", os.path.abspath(script)], cwd=scratch, env=env, capture_output=True,
                                  text=True, timeout=120, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return ["no end within 120 s"]
    problems = []
    code = int(read(stem + ".exit") or "0")
    if done.returncode != code:
        problems.append(f"exit code: expected {code}, found {done.returncode}")
    if options.update:
        for ending, text in ((".stdout", done.stdout), (".stderr", done.stderr)):
            if text and (ending == ".stdout" or done.returncode != 0):
                with open(stem + ending, "w", encoding="utf-8") as file:
                    file.write(text)
        if done.returncode != 0:
            with open(stem + ".exit", "w", encoding="utf-8") as file:
                file.write(f"{done.returncode}\n")
        return []
    problem = differs(read(stem + ".stdout") or "", done.stdout)
    if problem:
        problems.append("stdout " + problem)
    expected = read(stem + ".stderr")
    problem = differs(expected, done.stderr) if expected is not None else None
    if problem:
        problems.append("stderr " + problem)
    if problems:
        problems.append("stderr was: " + done.stderr.strip()[-2000:])
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="*")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    options.bin = os.path.abspath(options.bin)
    scripts = sorted(f for f in os.listdir(options.cases) if f.endswith(".sh") and fnmatch.fnmatch(f[:-3], options.only))
    if not scripts:
        sys.exit(f"error: no case in {options.cases}")
    failed = 0
    for script in scripts:
        problems = run_case(os.path.join(options.cases, script), options)
        print(("FAILED " if problems else "ok     ") + script[:-3])
        for problem in problems:
            print("       " + problem)
        failed += bool(problems)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
