"""Moving data: slices, views, gathers and scatters, and the arithmetic on shapes that drives them."""
import numpy as np
from onnx import helper

from .draft import FLOATS, INTS

ANY = FLOATS + INTS[:4] + (np.bool_,)
END = np.iinfo(np.int64).max


def any_type(d):
    return ANY if d.chance(0.25) else (np.float32,)


def slice_(d):
    x = d.tensor(any_type(d), low=1)
    axes = sorted(d.rng.choice(x.rank, d.int(1, min(2, x.rank)), replace=False).tolist())
    starts, ends, steps = [], [], []
    for a in axes:
        n = x.shape[a]
        step = 1 if d.opset < 10 or d.chance(0.7) else d.choice([2, 3, -1, -2])
        bounds = [0, 1, n - 1, n, n + 3, -1, -2, -n, -n - 2, END]
        start, end = d.choice(bounds[:-1]), d.choice(bounds)
        if step < 0 and (d.chance(0.5) or end == END):  # ONNX Runtime takes the largest end for "to the front"
            start, end = -1, d.choice([-END - 1, -n - 1, 0])
        starts.append(start), ends.append(end), steps.append(step)
    if d.opset < 10:
        return d.add("Slice", [x], {"starts": starts, "ends": ends, "axes": axes})
    if d.chance(0.3):
        axes = [a - x.rank for a in axes]
    inputs = [x, d.ints(starts), d.ints(ends), d.ints(axes)]
    if any(s != 1 for s in steps) or d.chance(0.3):
        inputs.append(d.ints(steps))
    return d.add("Slice", inputs)


def slice_by_shape(d):
    """Bounds that come from another value's shape."""
    x = d.tensor(np.float32, low=2)
    if d.opset < 10:
        return None
    axis = d.int(0, x.rank - 1)
    size = shape_number(d, d.tensor(np.float32, low=1))
    if size is None:
        return None
    bounds = [d.ints([d.choice([0, 1, -9, -2])]), size]
    if d.chance(0.3):
        bounds = [d.add("Neg", [size]) or size, d.ints([END])]
    return d.add("Slice", [x] + bounds + [d.ints([axis])])


def concat(d):
    x = d.tensor(any_type(d), low=1)
    axis = d.int(0, x.rank - 1)

    def fits(v):
        return v.dtype == x.dtype and v.rank == x.rank and all(
            a == b for i, (a, b) in enumerate(zip(v.shape, x.shape)) if i != axis)

    def make():
        shape = list(x.shape)
        shape[axis] = d.choice([1, 2, 3]) if d.chance(0.95) else 0
        return d.constant(d.noise(shape, x.dtype))
    parts = [x] + [d.pick(fits, make) for _ in range(d.choice([0, 1, 1, 1, 2, 3]))]
    d.rng.shuffle(parts)
    return d.add("Concat", parts, {"axis": axis - x.rank if d.opset >= 11 and d.chance(0.3) else axis})


def split(d):
    x = d.tensor(any_type(d), low=1)
    axis = d.int(0, x.rank - 1)
    n = x.shape[axis]
    parts = d.choice([p for p in (1, 2, 3, 4) if p <= max(1, n)])
    cuts = sorted(d.rng.integers(0, n + 1, parts - 1).tolist())
    sizes = [b - a for a, b in zip([0] + cuts, cuts + [n])]
    if parts > 1 and d.chance(0.4) and (n % parts == 0 or d.opset >= 18):
        return d.add("Split", [x], {"axis": axis, "num_outputs": parts if d.opset >= 18 else None}, parts)
    if d.opset < 13:
        return d.add("Split", [x], {"axis": axis, "split": sizes}, parts)
    return d.add("Split", [x, d.ints(sizes)], {"axis": axis}, parts)


def transpose(d):
    x = d.tensor(any_type(d), low=1)
    perm = d.rng.permutation(x.rank).tolist()
    y = d.add("Transpose", [x], {"perm": perm} if d.chance(0.9) else {})
    if y is not None and d.chance(0.2):
        relu = d.add("Relu", [y]) if y.dtype == np.float32 else y
        return d.add("Transpose", [relu], {"perm": np.argsort(perm).tolist()}) if relu else y
    return y


def reshape(d):
    x = d.tensor(any_type(d))
    size = x.value.size
    factors, rest = [], size
    while rest > 1 and len(factors) < 4:
        f = d.choice([k for k in (1, 2, 3, 4, 5, 6, 7, 8) if rest % k == 0])
        factors.append(f)
        rest //= f
    factors.append(rest)
    d.rng.shuffle(factors)
    if d.chance(0.5) and size > 0:
        factors[d.int(0, len(factors) - 1)] = -1
    for i in range(min(len(factors), x.rank)):
        if factors[i] == x.shape[i] and size > 0 and d.chance(0.5):
            factors[i] = 0
    return d.add("Reshape", [x, d.ints(factors)], {"allowzero": 1} if d.opset >= 14 and d.chance(0.1) else {})


def flatten(d):
    x = d.tensor(any_type(d))
    return d.add("Flatten", [x], {"axis": d.int(-x.rank if d.opset >= 11 else 0, x.rank)} if d.chance(0.8) else {})


def axes_arg(d, op, x, axes):
    if d.opset < 13:
        return d.add(op, [x], {"axes": [a % max(1, x.rank + (len(axes) if op == "Unsqueeze" else 0)) for a in axes]
                               if d.opset < 11 else axes})
    return d.add(op, [x, d.ints(axes)])


def squeeze(d):
    ones = [v for v in d.visible() if v.is_tensor and 1 in v.shape]
    if ones and d.chance(0.6):
        x = d.choice(ones)
        axes = [i for i, n in enumerate(x.shape) if n == 1]
        if d.chance(0.3):
            return d.add("Squeeze", [x])
        return axes_arg(d, "Squeeze", x, axes[:d.int(1, len(axes))])
    x = d.tensor(any_type(d), high=4)
    axes = d.choice([[0], [x.rank], [-1], [0, x.rank + 1], [1] if x.rank else [0]])
    return axes_arg(d, "Unsqueeze", x, axes)


def expand(d):
    x = d.tensor(any_type(d))
    target = [d.int(2, 4) if n == 1 and d.chance(0.7) else (n if d.chance(0.6) else 1) for n in x.shape]
    if d.chance(0.3):
        target = [d.int(1, 3)] + target
    if d.chance(0.3):
        return d.add("Tile", [x, d.ints([d.int(0 if d.chance(0.1) else 1, 3) for _ in x.shape])])
    return d.add("Expand", [x, d.ints(target)])


def pad(d):
    x = d.tensor(np.float32 if d.opset < 11 or d.chance(0.8) else FLOATS + (np.int32, np.int64, np.uint8), low=1)
    mode = d.choice(["constant", "constant", "reflect", "edge"] + (["wrap"] if d.opset >= 19 else []))
    pads = [d.choice([0, 0, 1, 2, 3]) for _ in range(2 * x.rank)]
    if mode == "constant" and d.chance(0.2):
        pads[d.int(0, len(pads) - 1)] = -1
    if d.opset < 11:
        return d.add("Pad", [x], {"pads": pads, "mode": mode, "value": float(d.choice([0.0, 1.5]))})
    inputs = [x]
    if d.opset >= 18 and d.chance(0.3):
        axes = sorted(d.rng.choice(x.rank, d.int(1, x.rank), replace=False).tolist())
        pads = [d.int(0, 2) for _ in range(2 * len(axes))]
        value = d.constant(np.asarray(2, x.dtype)) if mode == "constant" else None
        return d.add("Pad", [x, d.ints(pads), value, d.ints(axes)], {"mode": mode})
    inputs.append(d.ints(pads))
    if mode == "constant" and d.chance(0.5):
        inputs.append(d.constant(np.asarray(d.choice([0, 1, 3]), x.dtype)))
    return d.add("Pad", inputs, {"mode": mode})


def gather(d):
    x = d.tensor(any_type(d), low=1)
    if x.value.size == 0:
        return None
    op = d.choice(["Gather", "Gather", "GatherElements", "GatherND"])
    axis = d.int(0, x.rank - 1)
    low = -x.shape[axis] if d.opset >= 11 else 0
    if op == "Gather":
        shape = d.choice([[], [1], [3], [2, 2], [0]] if d.chance(0.3) else [[], [2]])
        kind = d.choice([np.int64, np.int32])
        return d.add(op, [x, d.constant(d.rng.integers(low, x.shape[axis], shape).astype(kind))],
                     {"axis": axis} if d.chance(0.8) else {})
    if op == "GatherElements":
        shape = [d.int(1, n) for n in x.shape]
        return d.add(op, [x, d.ints(d.rng.integers(low, x.shape[axis], shape))], {"axis": axis})
    batch = d.int(0, min(1, x.rank - 1)) if d.opset >= 12 else 0
    depth = d.int(1, x.rank - batch)
    lead = list(x.shape[:batch]) + d.choice([[2], [1, 3], []])
    index = np.stack([d.rng.integers(0, x.shape[batch + i], lead) for i in range(depth)], axis=-1)
    return d.add(op, [x, d.ints(index)], {"batch_dims": batch} if batch else {})


def scatter(d):
    x = d.tensor((np.float32,) if d.chance(0.8) else FLOATS + (np.int32, np.int64), low=1)
    if x.value.size == 0:
        return None
    reduction = d.choice(["none", "add", "mul"] + (["max", "min"] if d.opset >= 18 else [])) if d.opset >= 16 else None
    axis = d.int(0, x.rank - 1)
    if d.chance(0.5):
        shape = [d.int(1, n) for n in x.shape]
        if reduction in (None, "none"):  # an element written twice has no one value
            shape[axis] = 1
        index = d.ints(d.rng.integers(0, x.shape[axis], shape))
        op = "ScatterElements" if d.opset >= 11 else "Scatter"
        return d.add(op, [x, index, d.constant(d.noise(shape, x.dtype))], {"axis": axis, "reduction": reduction})
    depth = d.int(1, x.rank)
    count = d.int(1, 3) if reduction not in (None, "none") else 1
    index = np.stack([d.rng.integers(0, x.shape[i], [count]) for i in range(depth)], axis=-1)
    updates = d.constant(d.noise([count] + list(x.shape[depth:]), x.dtype))
    return d.add("ScatterND", [x, d.ints(index), updates], {"reduction": reduction})


def select(d):
    x = d.tensor(any_type(d), low=1)
    op = d.choice(["Compress", "NonZero", "Unique", "OneHot", "EyeLike", "Trilu", "ReverseSequence"])
    axis = d.int(0, x.rank - 1)
    if op == "Compress":
        return d.add(op, [x, d.constant(d.noise([x.shape[axis]], np.bool_))], {"axis": axis})
    if op == "NonZero":
        return d.add(op, [x])
    if op == "Unique":
        return d.add(op, [x], {"sorted": d.int(0, 1), "axis": axis if d.chance(0.4) else None},
                     [True] + [d.chance(0.3) for _ in range(3)])
    if op == "OneHot":
        index = d.tensor((np.int64, np.int32, np.uint8))
        return d.add(op, [index, d.ints([5]) if d.chance(0.5) else d.constant(np.int64(5)),
                          d.constant(np.float32([0.0, 1.0]))], {"axis": d.int(-1, index.rank)})
    if op == "EyeLike":
        x = d.tensor(np.float32, low=2, high=2)
        return d.add(op, [x], {"k": d.int(-1, 2)})
    if op == "Trilu":
        x = d.tensor(np.float32, low=2)
        return d.add(op, [x] + ([d.constant(np.int64(d.int(-2, 2)))] if d.chance(0.5) else []), {"upper": d.int(0, 1)})
    x = d.tensor(np.float32, low=2)
    if x.value.size:
        lengths = d.ints(d.rng.integers(1, x.shape[0] + 1, x.shape[1]))
        return d.add(op, [x, lengths], {"time_axis": 0, "batch_axis": 1})
    return None


def shape_number(d, x):
    """i64[1] computed from the shape of x."""
    shape = d.add("Shape", [x], {"start": d.int(0, 1)} if d.opset >= 15 and d.chance(0.3) and x.rank > 1 else {})
    if shape is None or shape.shape[0] == 0:
        return None
    at = d.int(0, shape.shape[0] - 1)
    number = d.add("Gather", [shape, d.ints([at]) if d.chance(0.7) else d.ints([at - shape.shape[0]])])
    for _ in range(d.choice([0, 0, 1, 2])):
        if number is None:
            return None
        op = d.choice(["Add", "Sub", "Mul", "Div", "Max", "Min", "Mod"])
        if op in ("Max", "Min") and d.opset < 12 or op == "Mod" and d.opset < 10:
            continue
        number = d.add(op, [number, d.ints([d.choice([1, 2, 3, -2] if op in ("Add", "Sub", "Div") else [1, 2, 3])])])
    return number


def shape_arithmetic(d):
    x = d.tensor(np.float32, low=1, high=4)
    number = shape_number(d, x)
    if number is None:
        return None
    use = d.choice(["reshape", "reshape", "expand", "fill", "range", "value", "tile", "slice", "resize"])
    if use == "reshape" and x.value.size:  # a computed 0 would copy a dim
        flat = d.add("Concat", [d.ints([-1]), d.add("Gather", [d.add("Shape", [x]), d.ints([x.rank - 1])])], {"axis": 0})
        return d.add("Reshape", [x, flat]) if flat else None
    if use == "expand" and x.value.size:
        return d.add("Expand", [d.constant(d.noise([1], np.float32)), number])
    if use == "fill":
        value = helper.make_tensor("value", 1, [1], [0.5])
        target = d.add("Concat", [number, d.ints([2])], {"axis": 0})
        return d.add("ConstantOfShape", [target], {"value": value} if d.chance(0.7) else {}) if target else None
    if use == "range" and d.opset >= 11:
        end = d.add("Squeeze", [number] if d.opset < 13 else [number, d.ints([0])])
        start = d.constant(np.int64(d.choice([0, 1, 9])))
        return d.add("Range", [start, end, d.constant(np.int64(d.choice([1, 2, -1])))]) if end else None
    if use == "tile":
        return d.add("Tile", [d.constant(d.noise([2], np.float32)), number])
    if use == "slice":
        return slice_by_shape(d)
    real = d.add("Cast", [number], {"to": 1})
    return d.add("Mul", [real, x]) if real else None


FAMILY = {"slice": (slice_, 5), "slice_by_shape": (slice_by_shape, 2), "concat": (concat, 4), "split": (split, 3),
          "transpose": (transpose, 4), "reshape": (reshape, 4), "flatten": (flatten, 1), "squeeze": (squeeze, 3),
          "expand": (expand, 3), "pad": (pad, 4), "gather": (gather, 4), "scatter": (scatter, 3), "select": (select, 3),
          "shape_arithmetic": (shape_arithmetic, 5)}
