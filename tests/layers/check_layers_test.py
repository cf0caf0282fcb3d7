#!/usr/bin/env python3
"""Holds the judge of check_layers.py against includes that must be refused and such that must not."""
import sys

from check_layers import judge

REFUSED = [
    ("libruntime/core/graph.h", "libruntime/lower/grid.h"),
    ("libruntime/lower/post_op.cc", "libruntime/kernels/conv.h"),
    ("libruntime/lower/expression.cc", "libruntime/backends/cpu/lowering.h"),
    ("libruntime/lower/node_view.h", "libruntime/compile/backend.h"),
    ("libruntime/kernels/gemm.h", "libruntime/lower/post_op.h"),
    ("libruntime/kernels/isa/activation.h", "vector"),
    ("libconvert/passes/pads.cc", "libruntime/lower/geometry.h"),
]
TAKEN = [
    ("libruntime/lower/grid.h", "libruntime/core/graph.h"),
    ("libruntime/kernels/isa/activation.h", "libruntime/lower/epilogue.h"),
    ("libruntime/kernels/conv.h", "libruntime/lower/geometry.h"),
    ("libruntime/backends/cpu/matrix.h", "libruntime/lower/post_op.h"),
]


def main():
    wrong = [f"{path}: {header} was taken" for path, header in REFUSED if judge(path, header) is None]
    wrong += [f"{path}: {header} was refused: {judge(path, header)}" for path, header in TAKEN if judge(path, header)]
    print("\n".join(wrong) if wrong else f"{len(REFUSED) + len(TAKEN)} includes judged")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
