"""Operators that work element by element, with broadcasting and every type that ONNX allows."""
import numpy as np
from .draft import FLOATS, INTS, MICROSOFT, elem_type

UNARY = ("Relu LeakyRelu ThresholdedRelu Elu Selu Celu HardSigmoid HardSwish Sigmoid Tanh Softplus Softsign Erf Exp Log "
         "Sqrt Reciprocal Abs Neg Floor Ceil Round Sign Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Gelu Mish "
         "Swish Identity IsNaN IsInf Not BitwiseNot Shrink").split()
PARAMETERS = {"LeakyRelu": ["alpha"], "ThresholdedRelu": ["alpha"], "Elu": ["alpha"], "Celu": ["alpha"],
              "HardSigmoid": ["alpha", "beta"], "Selu": ["alpha", "gamma"], "Shrink": ["lambd", "bias"],
              "Swish": ["alpha"]}
POSITIVE = {"Log", "Sqrt", "Reciprocal", "Acosh"}
SMALL = {"Exp", "Sinh", "Cosh", "Asin", "Acos", "Atanh", "Tan"}


def unary(d):
    op = d.choice(UNARY)
    types = {"Not": (np.bool_,), "BitwiseNot": INTS, "Abs": FLOATS + INTS, "Neg": FLOATS + (np.int32, np.int64, np.int8),
             "Sign": FLOATS + INTS, "Relu": FLOATS + (np.int32, np.int8), "Identity": FLOATS + INTS + (np.bool_,)}
    x = d.tensor(types.get(op, FLOATS))
    if op in POSITIVE and not d.root.odd:
        x = d.add("Abs", [x]) or x
    if op in SMALL and not d.root.odd:
        x = d.add("Tanh", [x]) or x
    attributes = {}
    for name in PARAMETERS.get(op, []):
        if d.chance(0.6):
            attributes[name] = float(d.choice([0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 1.702]))
    if op == "Gelu" and d.chance(0.5):
        attributes["approximate"] = "tanh"
    if op == "IsInf" and d.chance(0.5):
        attributes[d.choice(["detect_negative", "detect_positive"])] = 0
    return d.add(op, [x], attributes)


def partner(d, x):
    """A tensor of x's type that broadcasts with it."""
    def fits(v):
        if v.dtype != x.dtype:
            return False
        try:
            return np.broadcast_shapes(v.shape, x.shape) is not None
        except ValueError:
            return False

    def make():
        rank = d.int(0, x.rank)
        shape = [1 if d.chance(0.3) else n for n in x.shape[x.rank - rank:]]
        if d.chance(0.1):
            shape = [d.int(1, 2)] + [1] * (x.rank - len(shape)) + shape
        return d.constant(d.noise(shape, x.dtype))
    return d.pick(fits, make)


def binary(d):
    group = d.choice(["arithmetic"] * 5 + ["compare", "compare", "logic", "shift", "bitwise", "mod", "pow", "prelu"])
    if group == "logic":
        x = d.tensor(np.bool_)
        return d.add(d.choice(["And", "Or", "Xor", "Equal"]), [x, partner(d, x)])
    if group == "shift":
        x = d.tensor((np.uint8, np.uint16, np.uint32, np.uint64))
        return d.add("BitShift", [x, d.constant(d.rng.integers(0, 8, x.shape).astype(x.dtype))],
                     {"direction": d.choice(["LEFT", "RIGHT"])})
    if group == "bitwise":
        x = d.tensor(INTS)
        return d.add(d.choice(["BitwiseAnd", "BitwiseOr", "BitwiseXor"]), [x, partner(d, x)])
    if group == "compare":
        x = d.tensor(FLOATS + (np.int32, np.int64))
        return d.add(d.choice(["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"]), [x, partner(d, x)])
    if group == "mod":
        x = d.tensor(FLOATS + (np.int32, np.int64, np.int8))
        y = d.constant(d.choice([1, 2, 3, 5]) * np.ones([1] * d.int(0, x.rank), x.dtype))
        return d.add("Mod", [x, y], {"fmod": 1} if x.dtype in FLOATS or d.chance(0.3) else {})
    if group == "pow":
        x = d.tensor(FLOATS)
        y = d.constant(np.asarray(d.choice([2.0, 0.5, 3.0, -1.0, 1.0, 0.0, 1.5, -0.5]), x.dtype))
        x = x if d.chance(0.3) else d.add("Abs", [x]) or x
        return d.add("Pow", [x, y])
    if group == "prelu":
        x = d.tensor((np.float32, np.float16), low=1)
        slope = [n if d.chance(0.5) else 1 for n in x.shape[1:]]
        return d.add("PRelu", [x, d.constant(d.noise(slope, x.dtype))])
    x = d.tensor(FLOATS * 3 + (np.int32, np.int64))
    op = d.choice(["Add", "Sub", "Mul", "Div"])
    y = partner(d, x)
    if op == "Div" and not d.root.odd and y is not None:
        if y.constant:
            y = d.constant(np.where(y.value == 0, np.ones((), y.dtype), y.value).astype(y.dtype))
        elif x.dtype in FLOATS:
            one = d.constant(np.asarray(1, x.dtype))
            y = d.add("Add", [d.add("Abs", [y]) or one, one]) or one
        else:
            return None
    return d.add(op, [x, y] if d.chance(0.7) or op in ("Sub", "Div") else [y, x])


def variadic(d):
    op = d.choice(["Sum", "Max", "Min", "Mean"])
    x = d.tensor(FLOATS if op in ("Sum", "Mean") else FLOATS + (np.int32, np.int64))
    count = d.choice([1, 2, 3, 3, 4, 7]) if d.chance(0.93) else d.choice([33, 34, 40, 65])
    return d.add(op, [x] + [partner(d, x) for _ in range(count - 1)])


def where(d):
    x = d.tensor(FLOATS + (np.int64, np.int32, np.bool_))
    condition = d.pick(lambda v: v.dtype == np.bool_ and v.rank <= x.rank and
                       all(a in (1, b) for a, b in zip(v.shape[::-1], x.shape[::-1])),
                       lambda: d.constant(d.noise([1 if d.chance(0.2) else n for n in x.shape], np.bool_)))
    return d.add("Where", [condition, x, partner(d, x)])


def clip(d):
    low, high = sorted(d.choice([(-1.0, 1.0), (0.0, 6.0), (-0.5, 0.25), (0.0, 0.0), (2.0, 3.0)]))
    if d.opset < 11:
        attributes = {"min": low} if d.chance(0.2) else {"min": low, "max": high}
        return d.add("Clip", [d.tensor(np.float32)], attributes)
    x = d.tensor(FLOATS + (np.int32, np.int64, np.int8, np.uint8) if d.opset >= 12 else (np.float32,))
    if x.dtype not in FLOATS:
        low, high = (max(0, int(low)), int(high) + 2)
    bounds = [d.constant(np.asarray(b, x.dtype)) if d.chance(0.85) else None for b in (low, high)]
    if d.chance(0.1):
        computed = d.pick(lambda v: v.dtype == x.dtype and v.rank == 0)
        bounds[d.int(0, 1)] = computed
    while bounds and bounds[-1] is None:
        bounds.pop()
    return d.add("Clip", [x] + bounds)


def cast(d):
    x = d.tensor(FLOATS + INTS[:4] + (np.bool_,))
    to = d.choice([np.float32] * 4 + [np.float16, np.float64, np.int32, np.int64, np.bool_, np.int8, np.uint8])
    if x.dtype in FLOATS and np.dtype(to).kind in "iu":
        # Fractions next to a whole number would decide by an error of the last place.
        x = d.add("Round", [x]) if d.opset >= 11 and d.chance(0.5) else x
        if x is None or (x.value.size and (np.abs(x.value).max() > 100 or (np.dtype(to).kind == "u" and x.value.min() < 0))):
            return None
    if d.opset >= 15 and d.chance(0.1):
        like = d.pick(lambda v: v.dtype == to)
        if like:
            return d.add("CastLike", [x, like])
    return d.add("Cast", [x], {"to": elem_type(to)})


def dropout(d):
    x = d.tensor(FLOATS)
    if d.opset < 12:
        return d.add("Dropout", [x], {"ratio": 0.5}, [True])
    return d.add("Dropout", [x, d.constant(np.float32(0.5))] if d.chance(0.5) else [x], {}, [True, d.chance(0.4)])


def contrib(d):
    x = d.tensor(np.float32, low=1)
    op = d.choice(["Gelu", "QuickGelu", "FastGelu", "BiasGelu", "FusedMatMul"])
    if op == "BiasGelu":
        return d.add(op, [x, d.weights([x.shape[-1]])], {}, 1, MICROSOFT)
    if op == "FusedMatMul":
        x = d.tensor(np.float32, low=2)
        y = d.weights([x.shape[-1], d.int(1, 5)])
        return d.add(op, [x, y], {"alpha": float(d.choice([1.0, 0.5]))}, 1, MICROSOFT)
    return d.add(op, [x], {"alpha": 1.702} if op == "QuickGelu" else {}, 1, MICROSOFT)


FAMILY = {"unary": (unary, 8), "binary": (binary, 8), "variadic": (variadic, 2), "where": (where, 2), "clip": (clip, 2),
          "cast": (cast, 4), "dropout": (dropout, 1), "contrib": (contrib, 1)}
