#!/usr/bin/env python3
"""Checks that includes point one way: core <- convert, core <- runtime <- quant, all <- flows <- apps;
within the runtime core <- lower <- kernels, backends.

  check_layers.py REPOSITORY

libconvert and libquant never include each other; core and runtime include neither, nor protobuf or
onnx headers; heavy headers stay in the few files that may have them.
"""
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')

# Folder -> prefixes of our own headers it may include, the longest folder winning.
ALLOWED = {
    "libruntime/core": ["libruntime/core/"],
    "libruntime/report": ["libruntime/core/", "libruntime/report/"],
    "libruntime/lower": ["libruntime/core/", "libruntime/lower/"],
    "libruntime/kernels": ["libruntime/core/", "libruntime/kernels/", "libruntime/lower/element_op.h",
                           "libruntime/lower/epilogue.h", "libruntime/lower/geometry.h"],
    "libruntime/compile": ["libruntime/core/", "libruntime/compile/", "libruntime/process_limits.h"],
    "libruntime/backends": ["libruntime/core/", "libruntime/compile/", "libruntime/lower/",
                            "libruntime/kernels/", "libruntime/backends/", "libruntime/thread_pool.h"],
    "libruntime": ["libruntime/"],
    "libconvert/passes": ["libruntime/core/", "libconvert/passes/", "libconvert/convert.h"],
    "libconvert": ["libruntime/core/", "libconvert/"],
    "libconvert/frontends": ["libruntime/core/", "libconvert/convert.h", "libconvert/sniff.h",
                             "libconvert/frontends/common/"],
    "libquant/weights": ["libruntime/", "libquant/types.h", "libquant/weights/"],
    "libquant/measure": ["libruntime/", "libquant/types.h", "libquant/plan.h", "libquant/annotate.h",
                         "libquant/weights/", "libquant/measure/"],
    "libquant/calibrate": ["libruntime/", "libquant/types.h", "libquant/plan.h", "libquant/annotate.h",
                           "libquant/measure/", "libquant/calibrate/"],
    "libquant/search": ["libruntime/", "libquant/types.h", "libquant/plan.h", "libquant/annotate.h",
                        "libquant/bias.h", "libquant/weights/", "libquant/measure/", "libquant/calibrate/",
                        "libquant/search/"],
    "libquant": ["libruntime/", "libquant/"],
    "apps/flows": ["libruntime/", "libconvert/", "libquant/", "apps/flows/"],
    "apps": ["libruntime/", "libconvert/", "libquant/", "apps/"],
}
# A front end has its own folder besides, and never another front end's.
FRONTENDS = "libconvert/frontends"
# Heavy or foreign header -> where it may be included.
CONFINED = {
    r"google/protobuf/": ["libconvert/frontends/caffe/", "libconvert/frontends/onnx/", "libconvert/frontends/tensorflow/",
                          "libconvert/frontends/common/proto_text.cc", "tests/"],
    r"caffe\.pb\.h": ["libconvert/frontends/caffe/", "tests/"],
    r"onnx_model\.pb\.h": ["libconvert/frontends/onnx/", "libconvert/exporters/onnx/", "tests/"],
    r"tensorflow\.pb\.h": ["libconvert/frontends/tensorflow/", "tests/"],
    r"onnx/": ["tests/convert/"],
    r"CLI/": ["apps/"],
    r"spdlog/": ["apps/common/terminal.cc"],
    r"flatbuffers/": ["libruntime/core/io/", "libconvert/frontends/tflite/", "tests/"],
    r"mnn_generated\.h": ["libruntime/core/io/", "tests/"],
    r"tflite_generated\.h": ["libconvert/frontends/tflite/", "tests/"],
    r"openssl/": ["libruntime/core/io/"],
    r"nlohmann/json\.hpp": ["apps/", "libquant/report/", "libconvert/report/", "libconvert/frontends/torch/json.h",
                            "libruntime/core/io/", "libruntime/report/",
                            "tests/"],
}
# Kernels compiled per instruction set must not instantiate shared templates.
PLAIN_KERNELS = "libruntime/kernels/isa/"
STANDARD_CONTAINERS = {"vector", "string", "algorithm", "map", "memory", "functional", "iostream"}


def sources(root):
    for top in ("libruntime", "libconvert", "libquant", "apps", "tests"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if name.endswith((".h", ".cc", ".inc")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def judge(path, header):
    own = header.split("/")[0] in ("libruntime", "libconvert", "libquant", "apps")
    if own:
        layer = max((f for f in ALLOWED if path.startswith(f + "/")), key=len, default=None)
        allowed = ALLOWED.get(layer, [])
        if layer == FRONTENDS:
            allowed = allowed + [os.path.dirname(path) + "/"]
        if layer and not any(header.startswith(p) for p in allowed):
            return f"{layer} must not include it"
    for pattern, places in CONFINED.items():
        if re.match(pattern, header) and not any(path.startswith(p) for p in places):
            return "it belongs in " + (", ".join(places) or "no file of ours")
    if path.startswith(PLAIN_KERNELS) and header in STANDARD_CONTAINERS:
        return "a kernel's templates would be shared between instruction sets"
    return None


def main():
    root = sys.argv[1]
    problems, files = [], 0
    for path in sources(root):
        files += 1
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                match = INCLUDE.match(line)
                reason = judge(path, match.group(1)) if match else None
                if reason:
                    problems.append(f"{path}:{number}: {match.group(1)}: {reason}")
    if files < 50:
        problems.append(f"only {files} files were found under {root}")
    print("\n".join(problems) if problems else f"{files} files, all includes point the right way")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
