"""Matrix products, normalization over features, attention, recurrent layers, quantized arithmetic."""
import numpy as np

from .draft import FLOATS, MICROSOFT


def matmul(d):
    x = d.tensor(FLOATS if d.chance(0.2) else np.float32, low=1, high=5)
    k = x.shape[-1]
    shape = d.choice([[k, d.int(1, 9)], [k, 16], [k, 17], [k], list(x.shape[:-2]) + [k, d.int(1, 6)]])
    if x.rank >= 3 and d.chance(0.2):
        shape = [1] * (x.rank - 2) + [k, 3]
    y = d.pick(lambda v: v.dtype == x.dtype and v.rank >= 2 and v.shape[-2] == k and v is not x,
               lambda: d.weights(shape, x.dtype)) if d.chance(0.4) else d.weights(shape, x.dtype)
    return d.add("MatMul", [x, y])


def gemm(d):
    a_turned, b_turned = d.int(0, 1), d.int(0, 1)
    x = d.tensor(FLOATS if d.chance(0.2) else np.float32, low=2, high=2)
    m, k = x.shape[::-1] if a_turned else x.shape
    n = d.choice([1, 2, 5, 8, 16, 19])
    w = d.weights([n, k] if b_turned else [k, n], x.dtype)
    attributes = {"transA": a_turned or None, "transB": b_turned or None}
    if d.chance(0.4):
        attributes["alpha"], attributes["beta"] = float(d.choice([0.5, 1.0, 2.0])), float(d.choice([0.0, 0.5, 1.0]))
    inputs = [x, w]
    if d.opset < 11 or d.chance(0.7):
        inputs.append(d.weights(d.choice([[n], [1, n], [1], [m, 1], [m, n], []] if d.opset >= 7 else [[n]]), x.dtype))
    return d.add("Gemm", inputs, attributes)


def einsum(d):
    equation, ranks = d.choice([("ij,jk->ik", None), ("bij,bjk->bik", None), ("bhid,bhjd->bhij", None), ("ij->ji", None),
                                ("ii->i", None), ("i,j->ij", None), ("bij,jk", None), ("...ij,...jk->...ik", None)])
    sizes = {c: d.int(1, 4) for c in "bijkhd"}
    inputs = []
    for term in equation.split("->")[0].split(","):
        shape = [2] * term.count("...") + [sizes[c] for c in term.replace("...", "")]
        inputs.append(d.pick(lambda v, shape=shape: v.dtype == np.float32 and list(v.shape) == shape,
                             lambda shape=shape: d.input(shape, np.float32)))
    return d.add("Einsum", inputs, {"equation": equation})


def softmax(d):
    x = d.tensor(FLOATS if d.chance(0.2) else np.float32, low=1)
    op = d.choice(["Softmax", "Softmax", "LogSoftmax", "Hardmax"])
    return d.add(op, [x], {"axis": d.int(-x.rank if d.opset >= 11 else 0, x.rank - 1)} if d.chance(0.8) else {})


def layer_norm(d):
    x = d.tensor(np.float32, low=1)
    op = d.choice(["LayerNormalization", "LayerNormalization", "LpNormalization", "RMSNormalization",
                   "SkipLayerNormalization", "SimplifiedLayerNormalization"])
    if op == "LpNormalization":
        return d.add(op, [x], {"axis": d.int(0, x.rank - 1), "p": d.int(1, 2)})
    if op == "SkipLayerNormalization":
        x = d.tensor(np.float32, low=3, high=3)
        n = [x.shape[-1]]
        return d.add(op, [x, x, d.weights(n), d.weights(n)], {"epsilon": 1e-5}, 1, MICROSOFT)
    axis = d.choice([-1, -1, x.rank - 1, d.int(0, x.rank - 1)])
    shape = list(x.shape[axis:])
    inputs = [x, d.weights(shape)]
    if op == "LayerNormalization" and d.chance(0.7):
        inputs.append(d.weights(shape))
    outputs = [True]
    if op == "LayerNormalization" and d.chance(0.15):
        outputs = [True, True, True]
    return d.add(op, inputs, {"axis": axis, "epsilon": d.choice([1e-5, 1e-2])}, outputs)


def attention(d):
    if d.opset >= 23 and d.chance(0.5):
        b, heads, length, size = d.int(1, 2), d.choice([1, 2, 4]), d.int(1, 5), 4
        if d.chance(0.5):
            q, k, v = (d.input([b, heads, length, size], np.float32) for _ in range(3))
            attributes = {}
        else:
            q, k, v = (d.input([b, length, heads * size], np.float32) for _ in range(3))
            attributes = {"q_num_heads": heads, "kv_num_heads": heads}
        if d.chance(0.4):
            attributes["is_causal"] = 1
        if d.chance(0.3):
            attributes["scale"] = 0.3
        if d.chance(0.3):
            attributes["softcap"] = 2.0
        inputs = [q, k, v]
        if d.chance(0.4) and "is_causal" not in attributes:
            inputs.append(d.constant(d.noise([length, length], np.float32 if d.chance(0.6) else np.bool_)))
        return d.add("Attention", inputs, attributes)
    if d.chance(0.3):
        b, length, heads = d.int(1, 2), d.int(1, 5), 2
        q, k, v = (d.input([b, length, heads * 4], np.float32) for _ in range(3))
        return d.add("MultiHeadAttention", [q, k, v], {"num_heads": heads}, 1, MICROSOFT)
    # Spelled out: projections, heads, scores.
    x = d.tensor(np.float32, low=3, high=3)
    b, length, width = x.shape
    heads = d.choice([h for h in (1, 2, 4) if width % h == 0])
    parts = []
    for _ in range(3):
        y = d.add("MatMul", [x, d.weights([width, width])])
        y = d.add("Add", [y, d.weights([width])]) if y else None
        y = d.add("Reshape", [y, d.ints([0, -1, heads, width // heads])]) if y else None
        parts.append(d.add("Transpose", [y], {"perm": [0, 2, 1, 3]}) if y else None)
    if any(p is None for p in parts):
        return None
    turned = d.add("Transpose", [parts[1]], {"perm": [0, 1, 3, 2]})
    scores = d.add("MatMul", [parts[0], turned])
    scores = d.add("Div", [scores, d.constant(np.float32(np.sqrt(width // heads)))]) if scores else None
    weights = d.add("Softmax", [scores], {"axis": 3}) if scores else None
    mixed = d.add("MatMul", [weights, parts[2]]) if weights else None
    mixed = d.add("Transpose", [mixed], {"perm": [0, 2, 1, 3]}) if mixed else None
    return d.add("Reshape", [mixed, d.ints([0, -1, width])]) if mixed else None


def rotary(d):
    if d.opset < 23:
        return None
    x = d.input([d.int(1, 2), 2, 3, 4], np.float32)
    tables = [d.weights([x.shape[0], 3, 2]) for _ in range(2)]
    return d.add("RotaryEmbedding", [x] + tables, {"interleaved": d.int(0, 1)})


def recurrent(d):
    op, gates = d.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    x = d.pick(lambda v: v.dtype == np.float32 and v.rank == 3 and v.value.size,
               lambda: d.input([d.choice(["t", 1, 4]), d.choice([1, "n", 3]), d.choice([2, 3, 5])], np.float32))
    hidden = d.choice([1, 2, 3, 4, 8])
    direction = d.choice(["forward", "forward", "reverse", "bidirectional"])
    both = 2 if direction == "bidirectional" else 1
    length, batch, size = x.shape
    w, r = d.weights([both, gates * hidden, size]), d.weights([both, gates * hidden, hidden])
    inputs = [x, w, r]
    attributes = {"hidden_size": hidden, "direction": direction if direction != "forward" or d.chance(0.3) else None}
    states = [d.constant(d.noise([both, batch, hidden], np.float32)) for _ in range(2 if op == "LSTM" else 1)]
    extra = [d.weights([both, 2 * gates * hidden]) if d.chance(0.7) else None,
             d.constant(d.rng.integers(1, length + 1, batch).astype(np.int32)) if d.chance(0.25) else None]
    extra += states if d.chance(0.4) else []
    if op == "LSTM" and len(extra) == 4 and d.chance(0.4):
        extra.append(d.weights([both, 3 * hidden]))
    while extra and extra[-1] is None:
        extra.pop()
    if d.chance(0.15):
        attributes["clip"] = 0.5
    if op == "GRU" and d.chance(0.5):
        attributes["linear_before_reset"] = 1
    if d.chance(0.15):
        attributes["activations"] = (["Sigmoid", "Tanh", "Tanh"] if op == "LSTM" else
                                     ["HardSigmoid", "Tanh"] if op == "GRU" else [d.choice(["Relu", "Tanh"])]) * both
    outputs = [d.chance(0.8) for _ in range(3 if op == "LSTM" else 2)]
    if not any(outputs):
        outputs[0] = True
    while not outputs[-1]:
        outputs.pop()
    return d.add(op, inputs + extra, attributes, outputs)


def quantize(d):
    """A Q/DQ pair, as quantized models carry them."""
    x = d.tensor(np.float32)
    kind = d.choice([np.uint8, np.int8])
    axis = None
    if x.rank >= 2 and d.opset >= 13 and d.chance(0.3):
        axis = d.int(0, x.rank - 1)
    shape = [] if axis is None else [x.shape[axis]]
    scale = d.constant(d.rng.uniform(0.01, 0.1, shape).astype(np.float32))
    zero = d.constant((d.rng.integers(100, 140, shape) if kind == np.uint8 else d.rng.integers(-9, 9, shape)).astype(kind))
    attributes = {"axis": axis} if axis is not None else {}
    q = d.add("QuantizeLinear", [x, scale, zero], attributes)
    if q is None or d.chance(0.1):
        return q
    return d.add("DequantizeLinear", [q, scale, zero], attributes)


def dequantize_weights(d):
    """A product with weights stored as bytes behind DequantizeLinear."""
    x = d.tensor(np.float32, low=2, high=3)
    k, n = x.shape[-1], d.int(1, 8)
    w = d.constant(d.rng.integers(-90, 90, [k, n]).astype(np.int8))
    per_axis = d.opset >= 13 and d.chance(0.5)
    shape = [n] if per_axis else []
    scale = d.constant(d.rng.uniform(0.005, 0.02, shape).astype(np.float32))
    zero = d.constant(np.zeros(shape, np.int8))
    real = d.add("DequantizeLinear", [w, scale, zero], {"axis": 1} if per_axis else {})
    return d.add("MatMul", [x, real]) if real else None


def integer(d):
    op = d.choice(["MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv", "DynamicQuantizeLinear",
                   "DynamicQuantizeLinear"])
    byte = lambda shape, kind=np.uint8: d.constant(
        d.rng.integers(0 if kind == np.uint8 else -90, 90, shape).astype(kind))
    number = lambda low, high: d.constant(np.float32(d.rng.uniform(low, high)))
    zero = lambda kind=np.uint8: d.constant(np.asarray(d.int(0, 9), kind))
    if op == "DynamicQuantizeLinear":
        made = d.add(op, [d.tensor(np.float32, low=1)], {}, 3)
        if made and d.chance(0.7):
            return d.add("DequantizeLinear", [made[0], made[1], made[2]])
        return made
    if op == "MatMulInteger":
        x = d.tensor((np.uint8, np.int8), low=2, high=3)
        return d.add(op, [x, byte([x.shape[-1], d.int(1, 7)], np.int8)] + ([zero(x.dtype)] if d.chance(0.5) else []))
    kind = d.choice([np.uint8, np.int8])
    if op == "ConvInteger":
        x = d.input([1, 2, 5, 5], np.uint8)
        return d.add(op, [x, byte([3, 2, 3, 3], np.uint8), zero()], {"pads": [1, 1, 1, 1]})
    if op == "QLinearMatMul":
        x = d.tensor(np.uint8, low=2, high=2)
        return d.add(op, [x, number(0.01, 0.05), zero(), byte([x.shape[-1], 5], kind), number(0.01, 0.05), zero(kind),
                          number(0.05, 0.2), zero()])
    x = d.input([1, 2, 6, 6], np.uint8)
    w, out = byte([3, 2, 3, 3], kind), 3
    bias = [d.constant(d.rng.integers(-90, 90, out).astype(np.int32))] if d.chance(0.5) else []
    return d.add(op, [x, number(0.01, 0.05), zero(), w, number(0.01, 0.05), d.constant(np.asarray(0, kind)),
                      number(0.05, 0.2), zero()] + bias, {"pads": [1, 1, 1, 1]})


FAMILY = {"matmul": (matmul, 6), "gemm": (gemm, 4), "einsum": (einsum, 2), "softmax": (softmax, 3),
          "layer_norm": (layer_norm, 3), "attention": (attention, 3), "rotary": (rotary, 1), "recurrent": (recurrent, 4),
          "quantize": (quantize, 3), "dequantize_weights": (dequantize_weights, 1), "integer": (integer, 3)}
