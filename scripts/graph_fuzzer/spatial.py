"""Convolution, pooling, normalization of images, resizing and sampling."""
import numpy as np

from .draft import FLOATS


def image(d, spatial=None, dtypes=(np.float32,), channels=None):
    """[N, C, spatial…], a new input where there is none."""
    def accept(v):
        return (v.dtype in dtypes and v.rank >= 3 and (spatial is None or v.rank == spatial + 2) and
                v.value.size > 0 and (channels is None or v.shape[1] % channels == 0))

    def make():
        rank = d.choice([1, 2, 2, 2, 2, 3]) if spatial is None else spatial
        c = d.choice([1, 2, 3, 4, 6, 8]) if channels is None else channels * d.int(1, 3)
        sizes = [d.choice(["s", 4, 5, 6, 7, 8, 9]) for _ in range(rank)]
        return d.input([d.choice([1, 1, "n", 2]), c] + sizes, d.choice(list(dtypes)))
    return d.pick(accept, make)


def window(d, rank, sizes, dilate=True):
    """kernel_shape and the attributes that go with it. The window fits into the input: what ONNX Runtime makes of one
    that does not is no model to follow."""
    kernel = [min(d.choice([1, 2, 3, 3, 5]), max(1, n)) for n in sizes]
    attributes = {}
    if d.chance(0.5):
        attributes["strides"] = [d.choice([1, 2, 2, 3]) for _ in range(rank)]
    if dilate and d.chance(0.25):
        attributes["dilations"] = [d.choice([1, 2]) if 2 * k - 1 <= n else 1 for k, n in zip(kernel, sizes)]
    # ONNX Runtime pads a dilated window to the size of a plain one.
    if "dilations" not in attributes and d.chance(0.2):
        attributes["auto_pad"] = d.choice(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    if attributes.get("auto_pad", "NOTSET") == "NOTSET" and d.chance(0.6):
        if d.chance(0.6):
            attributes["pads"] = [(k - 1) // 2 for k in kernel] * 2
        else:
            attributes["pads"] = [d.int(0, max(0, k - 1)) for k in kernel * 2]
    return kernel, attributes


def conv(d):
    x = image(d, dtypes=FLOATS if d.chance(0.15) else (np.float32,))
    rank, c = x.rank - 2, x.shape[1]
    group = d.choice([1, 1, 1, c, 2 if c % 2 == 0 else 1])
    out = group * d.choice([1, 1, 2, 3]) if group > 1 else d.choice([1, 2, 3, 5, 8, 16, 17])
    kernel, attributes = window(d, rank, x.shape[2:])
    attributes["group"] = group if group > 1 or d.chance(0.3) else None
    attributes["kernel_shape"] = kernel if d.chance(0.7) else None
    shape = [out, c // group] + kernel
    weights = d.weights(shape, x.dtype)
    if d.chance(0.08):
        weights = d.pick(lambda v: v.dtype == x.dtype and list(v.shape) == shape,
                         lambda: d.input(shape, x.dtype))
    bias = [d.weights([out], x.dtype)] if d.chance(0.6) else []
    return d.add("Conv", [x, weights] + bias, attributes)


def conv_transpose(d):
    x = image(d, dtypes=(np.float32,))
    rank, c = x.rank - 2, x.shape[1]
    group = d.choice([1, 1, c, 2 if c % 2 == 0 else 1])
    out = d.choice([1, 2, 3, 4])
    kernel, attributes = window(d, rank, x.shape[2:])
    strides = attributes.get("strides", [1] * rank)
    if any(k < s for k, s in zip(kernel, strides)):  # ONNX Runtime then makes less than input * stride
        attributes.pop("auto_pad", None)
    attributes["group"] = group
    if d.chance(0.3):
        attributes["output_padding"] = [d.int(0, max(0, s - 1)) for s in strides]
    if d.chance(0.15):
        attributes.pop("pads", None)
        attributes.pop("auto_pad", None)
        attributes["output_shape"] = [n * s + d.int(0, s - 1) for n, s in zip(x.shape[2:], strides)]
    weights = d.weights([c, out] + kernel, x.dtype)
    bias = [d.weights([out * group], x.dtype)] if d.chance(0.5) else []
    return d.add("ConvTranspose", [x, weights] + bias, attributes)


def pool(d):
    # What a window with NaN in it has for its largest element is open.
    op = d.choice(["MaxPool", "MaxPool", "AveragePool", "AveragePool", "LpPool"][2 * d.root.odd:])
    x = image(d, dtypes=FLOATS if op == "MaxPool" and d.chance(0.2) else (np.float32,))
    dilate = op == "MaxPool" and d.opset >= 10 or d.opset >= 19
    kernel, attributes = window(d, x.rank - 2, x.shape[2:], dilate)
    attributes["kernel_shape"] = kernel
    # With SAME padding, which says the size itself, ONNX Runtime infers one size and makes another.
    same = attributes.get("auto_pad", "NOTSET").startswith("SAME")
    if d.opset >= 10 and op != "LpPool" and not same and d.chance(0.3):
        attributes["ceil_mode"] = 1
    if op == "AveragePool" and d.chance(0.4):
        attributes["count_include_pad"] = 1
    if op == "LpPool" and d.chance(0.5):
        attributes["p"] = d.choice([1, 2, 3])
    outputs = [True]
    # Indices of an input: those of numbers computed twice would hang on the last bit.
    if op == "MaxPool" and d.opset >= 8 and any(x is v for v, _ in d.inputs) and d.chance(0.5):
        outputs = [True, True]
        attributes["storage_order"] = d.int(0, 1)
    return d.add(op, [x], attributes, outputs)


def global_pool(d):
    op = d.choice(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
    return d.add(op, [image(d, dtypes=(np.float32,))])


def batch_norm(d):
    x = d.pick(lambda v: v.dtype == np.float32 and v.rank >= 2 and v.value.size, lambda: image(d))
    c = [x.shape[1]]
    parameters = [d.weights(c), d.weights(c), d.weights(c), d.constant(np.abs(d.noise(c, np.float32)) + np.float32(0.5))]
    attributes = {"epsilon": d.choice([1e-5, 1e-3])} if d.chance(0.5) else {}
    return d.add("BatchNormalization", [x] + parameters, attributes)


def instance_norm(d):
    x = image(d)
    c = x.shape[1]
    op = d.choice(["InstanceNormalization", "LRN", "GroupNormalization", "MeanVarianceNormalization"])
    if op == "InstanceNormalization":
        return d.add(op, [x, d.weights([c]), d.weights([c])], {"epsilon": 1e-3})
    if op == "LRN":
        return d.add(op, [x], {"size": d.choice([1, 3, 5, 4]), "alpha": 0.01, "beta": 0.75, "bias": 1.0})
    if op == "GroupNormalization":
        groups = d.choice([g for g in (1, 2, 3, 4, c) if c % g == 0])
        n = c if d.opset >= 21 else groups
        return d.add(op, [x, d.weights([n]), d.weights([n])], {"num_groups": groups, "epsilon": 1e-3})
    # Of elements that are all equal ONNX Runtime makes 0/0, ONNX adds an epsilon: not of computed ones.
    x = d.input([d.int(1, 2), d.int(1, 4), 5, "s"], np.float32)
    return d.add(op, [x], {"axes": d.choice([[0, 2, 3], [0, 1, 2, 3]])} if d.chance(0.6) else {})


def resize(d):
    x = image(d, dtypes=(np.float32, np.float16, np.uint8) if d.chance(0.1) else (np.float32,))
    rank = x.rank
    # Between bytes ONNX Runtime truncates, PyTorch and mnn round.
    mode = d.choice(["nearest", "nearest", "linear", "linear", "cubic"] if x.dtype != np.uint8 else ["nearest"])
    if d.opset < 10:
        scales = [1.0, 1.0] + [float(d.choice([1.0, 2.0, 1.5, 3.0])) for _ in range(rank - 2)]
        mode = mode if mode != "cubic" else "linear"
        if d.opset < 9:
            return d.add("Upsample", [x], {"mode": mode, "scales": scales})
        return d.add("Upsample", [x, d.constant(np.float32(scales))], {"mode": mode})
    factors = [float(d.choice([1.0, 2.0, 0.5, 1.5, 0.75, 3.0])) for _ in range(rank - 2)]
    scales = np.float32([1.0, 1.0] + factors)
    whole = all(float(n * f).is_integer() for n, f in zip(x.shape[2:], factors))
    if d.opset == 10:
        return d.add("Resize", [x, d.constant(scales)], {"mode": mode if mode != "cubic" else "linear"})
    attributes = {"mode": mode}
    if d.chance(0.7):
        attributes["coordinate_transformation_mode"] = d.choice(
            ["half_pixel", "asymmetric", "half_pixel_symmetric"] +
            # With scales whose results are no whole numbers ONNX Runtime differs from the ONNX node tests.
            ["align_corners", "pytorch_half_pixel"] * whole)
    if mode == "nearest" and d.chance(0.6):
        # Where the coordinates are whole numbers, float errors of ONNX Runtime decide; not so with these factors.
        exact = whole and all(f in (0.5, 1.0, 2.0) for f in factors)
        attributes["nearest_mode"] = d.choice(["round_prefer_floor", "round_prefer_ceil"] + ["floor", "ceil"] * exact)
    if mode == "cubic" and d.chance(0.5):
        attributes["cubic_coeff_a"] = d.choice([-0.5, -0.75])
    if mode == "cubic" and d.chance(0.3):
        attributes["exclude_outside"] = 1
    # Filtered to a single element by PyTorch's rule ONNX Runtime differs from the ONNX reference.
    pytorch = attributes.get("coordinate_transformation_mode") == "pytorch_half_pixel"
    if d.opset >= 18 and mode != "nearest" and not pytorch and d.chance(0.3):
        attributes["antialias"] = 1
    sizes = [max(1, int(np.floor(n * f))) for n, f in zip(x.shape[2:], factors)]
    empty = d.constant(np.zeros(0, np.float32)) if d.opset < 13 or d.chance(0.5) else None
    if d.opset >= 18 and d.chance(0.3):
        attributes["axes"] = list(range(2, rank))
        # With both ONNX Runtime filters axes that keep their size.
        if d.chance(0.3) and not attributes.get("antialias"):
            attributes["keep_aspect_ratio_policy"] = d.choice(["not_larger", "not_smaller", "stretch"])
        return d.add("Resize", [x, empty, None, d.ints(sizes)], attributes)
    if d.chance(0.5):
        return d.add("Resize", [x, empty, empty if d.opset < 13 else None, d.ints(list(x.shape[:2]) + sizes)],
                     attributes)
    return d.add("Resize", [x, empty, d.constant(scales)], attributes)


def sample(d):
    op = d.choice(["GridSample", "GridSample", "RoiAlign", "Col2Im", "CenterCropPad", "AffineGrid", "MaxUnpool"])
    if op == "GridSample":
        x = image(d, 2)
        grid = d.constant((d.rng.uniform(-1.2, 1.2, [x.shape[0], d.int(1, 5), d.int(1, 5), 2])).astype(np.float32))
        mode = d.choice(["bilinear", "nearest", "bicubic"] if d.opset < 20 else ["linear", "nearest", "cubic"])
        return d.add(op, [x, grid], {"mode": mode, "padding_mode": d.choice(["zeros", "border", "reflection"]),
                                     "align_corners": d.int(0, 1)})
    if op == "RoiAlign":
        x = image(d, 2)
        rois = d.constant(np.float32([[0, 0, 3, 3], [1, 1, 4, 3]])[:d.int(1, 2)])
        index = d.ints(d.rng.integers(0, x.shape[0], rois.shape[0]))
        return d.add(op, [x, rois, index], {"output_height": 2, "output_width": d.int(1, 3),
                                            "sampling_ratio": d.int(0, 2), "mode": "avg"})
    if op == "Col2Im":
        block, size = [2, 2], [4, 5]
        x = d.input([1, 8, 12])
        return d.add(op, [x, d.ints(size), d.ints(block)])
    if op == "CenterCropPad":
        x = image(d)
        return d.add(op, [x, d.ints([d.int(1, 9), d.int(1, 9)])], {"axes": [-2, -1] if x.rank > 3 else [0, 2]})
    if op == "AffineGrid":
        theta = d.input(["n", 2, 3], np.float32)
        return d.add(op, [theta, d.ints([theta.shape[0], 1, 3, 4])], {"align_corners": d.int(0, 1)})
    x = d.constant(d.noise([1, 1, 2, 2], np.float32))
    return d.add(op, [x, d.ints([[[[0, 3], [8, 10]]]])], {"kernel_shape": [2, 2], "strides": [2, 2]})


def rearrange(d):
    op = d.choice(["DepthToSpace", "SpaceToDepth"])
    b = 2
    if op == "DepthToSpace":
        x = image(d, 2, channels=b * b)
        return d.add(op, [x], {"blocksize": b, "mode": d.choice(["DCR", "CRD"]) if d.opset >= 11 else None})
    x = d.pick(lambda v: v.dtype == np.float32 and v.rank == 4 and v.shape[2] % b == 0 and v.shape[3] % b == 0,
               lambda: d.input([1, d.int(1, 3), 4, 6], np.float32))
    return d.add(op, [x], {"blocksize": b})


FAMILY = {"conv": (conv, 8), "conv_transpose": (conv_transpose, 3), "pool": (pool, 5), "global_pool": (global_pool, 2),
          "batch_norm": (batch_norm, 3), "instance_norm": (instance_norm, 3), "resize": (resize, 5), "sample": (sample, 3),
          "rearrange": (rearrange, 2)}
