"""Pieces of the networks people have: what the fusing passes look for."""
import numpy as np

from .spatial import image


def activation(d, x):
    kind = d.choice(["Relu", "Clip", "Sigmoid", "HardSwish", "swish", "LeakyRelu", "Tanh", "gelu", "mish", "hard"])
    if x is None:
        return None
    if kind == "Clip":
        if d.opset < 11:
            return d.add("Clip", [x], {"min": 0.0, "max": 6.0})
        return d.add("Clip", [x, d.constant(np.float32(0)), d.constant(np.float32(6))])
    if kind == "swish":
        gate = d.add("Sigmoid", [x])
        return d.add("Mul", [x, gate]) if gate else None
    if kind == "gelu":
        y = d.add("Erf", [d.add("Div", [x, d.constant(np.float32(np.sqrt(2)))])]) if d.opset >= 9 else None
        y = d.add("Add", [y, d.constant(np.float32(1))]) if y else None
        y = d.add("Mul", [x, y]) if y else None
        return d.add("Mul", [y, d.constant(np.float32(0.5))]) if y else d.add("Relu", [x])
    if kind == "mish":
        y = d.add("Tanh", [d.add("Softplus", [x])])
        return d.add("Mul", [x, y]) if y else None
    if kind == "hard":
        y = d.add("HardSigmoid", [x], {"alpha": 1 / 6, "beta": 0.5})
        return d.add("Mul", [x, y]) if y else None
    if kind == "HardSwish" and d.opset < 14:
        kind = "Relu"
    return d.add(kind, [x])


def conv_block(d, x=None, channels=None, stride=None):
    x = x or image(d, 2)
    if x is None:
        return None
    c = x.shape[1]
    depthwise = c > 1 and d.chance(0.25)
    out = c if depthwise else channels or d.choice([4, 8, 8, 16])
    k = d.choice([1, 3, 3, 5])
    attributes = {"kernel_shape": [k, k], "pads": [k // 2] * 4, "group": c if depthwise else 1,
                  "strides": [stride or d.choice([1, 1, 2])] * 2}
    inputs = [x, d.weights([out, 1 if depthwise else c, k, k])]
    if d.chance(0.5):
        inputs.append(d.weights([out]))
    y = d.add("Conv", inputs, attributes)
    if y is not None and d.chance(0.5):
        spread = d.constant((np.abs(d.noise([out], np.float32)) + np.float32(0.5)))
        y = d.add("BatchNormalization", [y, d.weights([out], scale=1.0), d.weights([out]), d.weights([out]), spread]) or y
    if y is not None and d.chance(0.1):
        y = d.add("Mul", [y, d.weights([out, 1, 1], scale=1.0)]) or y
    return activation(d, y) if y is not None and d.chance(0.8) else y


def residual(d):
    x = image(d, 2)
    y = conv_block(d, x, x.shape[1], 1) if x is not None else None
    if y is None:
        return None
    if y.shape != x.shape:
        return y
    z = d.add("Add", [x, y] if d.chance(0.5) else [y, x])
    return activation(d, z) if z is not None and d.chance(0.6) else z


def squeeze_excite(d):
    x = image(d, 2)
    if x is None:
        return None
    y = d.add("GlobalAveragePool", [x])
    c = x.shape[1]
    y = d.add("Conv", [y, d.weights([2, c, 1, 1]), d.weights([2])]) if y else None
    y = activation(d, y)
    y = d.add("Conv", [y, d.weights([c, 2, 1, 1])]) if y else None
    y = d.add(d.choice(["Sigmoid", "HardSigmoid"]), [y]) if y else None
    return d.add("Mul", [x, y]) if y else None


def mlp(d):
    x = d.tensor(np.float32, low=2, high=3)
    n = d.choice([4, 8, 16])
    y = d.add("MatMul", [x, d.weights([x.shape[-1], n])])
    y = d.add("Add", [y, d.weights([n])]) if y else None
    y = activation(d, y)
    if y is not None and d.chance(0.4):
        y = d.add("MatMul", [y, d.weights([n, x.shape[-1]])])
        y = d.add("Add", [x, y]) if y else None
    return y


def norm_spelled_out(d):
    x = d.tensor(np.float32, low=2)
    if x.value.size == 0:  # the mean of nothing is undefined
        return None

    def mean(v):
        if d.opset < 18:
            return d.add("ReduceMean", [v], {"axes": [-1] if d.opset >= 11 else [v.rank - 1]})
        return d.add("ReduceMean", [v, d.ints([-1])])
    m = mean(x)
    centred = d.add("Sub", [x, m]) if m else None
    square = d.add("Pow", [centred, d.constant(np.float32(2))]) if centred else None
    variance = mean(square) if square else None
    spread = d.add("Sqrt", [d.add("Add", [variance, d.constant(np.float32(1e-5))])]) if variance else None
    y = d.add("Div", [centred, spread]) if spread else None
    y = d.add("Mul", [y, d.weights([x.shape[-1]])]) if y else None
    return d.add("Add", [y, d.weights([x.shape[-1]])]) if y else None


def channels_last(d):
    """What converters from channels-last frameworks leave: a network between Transposes."""
    x = d.pick(lambda v: v.dtype == np.float32 and v.rank == 4 and v.value.size,
               lambda: d.input([1, "s", 6, d.choice([1, 3, 4])], np.float32))
    y = d.add("Transpose", [x], {"perm": [0, 3, 1, 2]})
    y = conv_block(d, y) if y else None
    y = d.add("Transpose", [y], {"perm": [0, 2, 3, 1]}) if y else None
    if y is not None and d.chance(0.5):
        y = d.add("Add", [y, d.weights([y.shape[-1]])])
    return y


def branches(d):
    x = image(d, 2)
    parts = [conv_block(d, x, None, 1) for _ in range(d.int(2, 3))] if x is not None else []
    parts = [p for p in parts if p is not None and p.shape[2:] == x.shape[2:]]
    return d.add("Concat", parts, {"axis": 1}) if parts else None


def head(d):
    x = image(d, 2)
    if x is None:
        return None
    y = d.add("GlobalAveragePool", [x])
    y = d.add("Flatten", [y]) if y else None
    y = d.add("Gemm", [y, d.weights([5, y.shape[1]]), d.weights([5])], {"transB": 1}) if y else None
    return d.add("Softmax", [y], {"axis": 1}) if y is not None and d.chance(0.5) else y


FAMILY = {"conv_block": (conv_block, 6), "residual": (residual, 4), "squeeze_excite": (squeeze_excite, 2), "mlp": (mlp, 4),
          "norm_spelled_out": (norm_spelled_out, 2), "channels_last": (channels_last, 3), "branches": (branches, 2),
          "head": (head, 3)}
