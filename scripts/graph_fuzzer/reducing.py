"""Reductions, orders and running sums."""
import numpy as np

from .draft import FLOATS

REDUCE = "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp".split()


def reduce(d):
    op = d.choice(REDUCE)
    types = (np.float32,) if d.chance(0.8) else FLOATS + (np.int32, np.int64)
    x = d.tensor(types)
    if x.value.size == 0 and op == "ReduceMean":  # the mean of nothing is undefined
        return None
    if op == "ReduceLogSum":
        x = d.add("Abs", [x]) or x
    axes = None
    if x.rank and d.chance(0.85):
        axes = sorted(d.rng.choice(x.rank, d.int(1, x.rank), replace=False).tolist())
        if d.opset >= 11 and d.chance(0.3):
            axes = [a - x.rank for a in axes]
    attributes = {"keepdims": d.int(0, 1) if d.chance(0.8) else None}
    if d.opset < (13 if op == "ReduceSum" else 18):
        attributes["axes"] = axes
        return d.add(op, [x], attributes)
    if d.chance(0.1):
        attributes["noop_with_empty_axes"] = 1
    if axes is None and d.chance(0.3):
        axes = []
    return d.add(op, [x] + ([d.ints(axes)] if axes is not None else []), attributes)


def arg(d):
    x = d.tensor((np.float32,) if d.chance(0.8) else FLOATS + (np.int32,), low=1)
    attributes = {"axis": d.int(0, x.rank - 1), "keepdims": d.int(0, 1)}
    if d.opset >= 12 and d.chance(0.3):
        attributes["select_last_index"] = 1
    return d.add(d.choice(["ArgMax", "ArgMin"]), [x], attributes)


def top_k(d):
    x = d.tensor((np.float32,) if d.chance(0.8) else (np.float32, np.float64, np.int64, np.int32), low=1)
    axis = d.int(0, x.rank - 1)
    k = d.int(0 if d.chance(0.05) else 1, max(1, x.shape[axis]))
    outputs = [True, d.chance(0.6)]
    if d.opset < 10:
        return d.add("TopK", [x], {"axis": axis, "k": k}, outputs)
    attributes = {"axis": axis}
    if d.opset >= 11 and d.chance(0.4):
        attributes["largest"] = 0
    return d.add("TopK", [x, d.ints([k])], attributes, outputs)


def cumulate(d):
    x = d.tensor((np.float32,) if d.chance(0.7) else (np.float32, np.float64, np.int32, np.int64), low=1)
    axis = d.constant(np.asarray(d.int(-x.rank, x.rank - 1), d.choice([np.int64, np.int32])))
    return d.add("CumSum", [x, axis], {"exclusive": d.int(0, 1), "reverse": d.int(0, 1)})


def suppress(d):
    n, classes = d.int(1, 8), d.int(1, 2)
    corner = d.rng.uniform(0, 1, [1, n, 2])
    boxes = np.concatenate([corner, corner + d.rng.uniform(0.1, 0.6, [1, n, 2])], -1).astype(np.float32)
    inputs = [d.constant(boxes), d.input([1, classes, n], np.float32), d.ints([d.int(1, 4)]),
              d.constant(np.float32([0.5])), d.constant(np.float32([0.1]))]
    return d.add("NonMaxSuppression", inputs[:d.int(3, 5)], {"center_point_box": d.int(0, 1)})


FAMILY = {"reduce": (reduce, 7), "arg": (arg, 2), "top_k": (top_k, 2), "cumulate": (cumulate, 2), "suppress": (suppress, 1)}
