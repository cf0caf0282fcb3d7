#!/usr/bin/env python3
"""Checks that files named in comments and in the manual exist: check_citations.py REPOSITORY

Paths from the repository's root anywhere in sources and documents, names of sources and headers in comments, and the
targets of links between documents.
"""
import os
import re
import sys

ROOTED = re.compile(r"(?<![\w/.-])((?:apps|docs|libconvert|libquant|libruntime|scripts|tests|third_party)/[\w./-]+"
                    r"\.(?:cc|fbs|h|json|md|proto|py|sh|txt))\b")
NAMED = re.compile(r"//.*?(?<![\w/.<\"-])((?:\w+/)*\w+\.(?:cc|h))\b")
LINK = re.compile(r"\]\(([\w./-]+\.md)\)")


def files_of(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("build", "quickstart", "__pycache__")]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root)


def main():
    root = sys.argv[1]
    files = sorted(files_of(root))
    known = set(files)
    suffixes = {"/".join(f.split("/")[i:]) for f in files for i in range(f.count("/") + 1)}
    problems = []
    for path in files:
        if not path.endswith((".cc", ".h", ".md", ".py", ".sh", "CMakeLists.txt")) or path.endswith("check_citations.py"):
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                missing = [name for name in ROOTED.findall(line) if name not in known]
                if path.endswith((".cc", ".h")):
                    missing += [name for name in NAMED.findall(line) if name not in suffixes]
                if path.endswith(".md"):
                    folder = os.path.dirname(path)
                    missing += [name for name in LINK.findall(line)
                                if os.path.normpath(os.path.join(folder, name)) not in known]
                problems += [f"{path}:{number}: there is no {name}" for name in missing]
    print("\n".join(problems) if problems else f"{len(files)} files")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
