#!/usr/bin/env python3
"""Writes tests/data/torch/aten_cases.jsonl: calls of ATen operators with PyTorch's results.

  make_aten_cases.py OUT.jsonl

Made with PyTorch 1.13.1 (Debian 12's python3-torch); operators younger than that are computed from older ones, by their
definition in the call's `same`. One case a line:
  {"op": "aten::add", "overload": "Tensor", "args": […], "kwargs": {…}, "results": […]}
A tensor is {"dtype": "f32", "dims": [2, 3], "data": […]}, another dtype {"dtype": "i64"}. Of a quantized one the data
are the numbers its codes stand for, with "codes", their type, "scale" and "zero_point" (and "axis"); packed weights
are the list of their parts.
"""
import json
import sys

import torch

aten = torch.ops.aten
torch.manual_seed(20)
NAMES = {torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.int64: "i64", torch.int32: "i32",
         torch.int16: "i16", torch.int8: "i8", torch.uint8: "u8", torch.bool: "bool",
         torch.quint8: "u8", torch.qint8: "i8"}
cases = []


def T(*dims):
    return (torch.randn(*dims) * 8).round() / 8 if dims else torch.tensor(0.625)


def P(*dims):  # positive
    return T(*dims).abs() + 0.25


def U(*dims):  # in (-1, 1)
    return (torch.rand(*dims) * 1.75 - 0.875)


def I(*dims, low=-5, high=6):
    return torch.randint(low, high, dims)


def N(*values, dtype=torch.int64):
    return torch.tensor(values, dtype=dtype)


def B(*dims):
    return torch.rand(*dims) > 0.5


def number(x):
    if isinstance(x, float) and (x != x or x in (float("inf"), float("-inf"))):
        return str(x)
    return x


class Packed:
    """Packed weights and the parts they are made of, as the table of operators takes them."""

    def __init__(self, weights, *parts):
        self.weights, self.parts = weights, parts


def text(x):
    if isinstance(x, Packed):
        return [text(part) for part in x.parts]
    if isinstance(x, torch.Tensor):
        x = x.detach()
        if x.is_quantized:
            t = text(x.dequantize())
            t["codes"] = NAMES[x.dtype]
            if x.qscheme() == torch.per_tensor_affine:
                t["scale"], t["zero_point"] = x.q_scale(), x.q_zero_point()
            else:
                t["scale"], t["zero_point"] = x.q_per_channel_scales().tolist(), x.q_per_channel_zero_points().tolist()
                t["axis"] = x.q_per_channel_axis()
            return t
        if x.is_complex():
            t = text(torch.view_as_real(x.resolve_conj()).contiguous())
            t["complex"] = True
            return t
        return {"dtype": NAMES[x.dtype], "dims": list(x.shape), "data": [number(v) for v in x.flatten().tolist()]}
    if isinstance(x, torch.dtype):
        return {"dtype": NAMES[x]}
    if isinstance(x, (list, tuple)):
        return [text(v) for v in x]
    return number(x)


def case(name, *args, same=None, keep=None, **kwargs):
    """`same` computes what an operator this PyTorch lacks does; `keep`: how many results are compared."""
    op, _, overload = name.partition(".")
    space, _, short = op.rpartition("::")
    if same is None:
        packet = getattr(getattr(torch.ops, space or "aten"), short)
        f = getattr(packet, overload or "default")
        results = f(*[a.weights if isinstance(a, Packed) else a for a in args], **kwargs)
    else:
        results = same(*args, **kwargs)
    flat = results if isinstance(results, tuple) else (results,)
    flat = list(flat)[:keep]
    cases.append({"op": op if space else "aten::" + op, "overload": overload or "default", "args": text(args), "kwargs": {k: text(v) for k, v in kwargs.items()},
                  "results": text(flat)})


F = torch.nn.functional
for op in "abs neg sign cos sin tanh sigmoid atan asinh erf exp expm1 ceil floor round trunc relu cosh sinh tan exp2 square frac selu silu mish hardswish hardsigmoid relu6 log_sigmoid erfc deg2rad rad2deg".split():
    case(op, T(2, 5))
for op in "acos asin atanh".split():
    case(op, U(2, 5))
for op in "log log10 log1p log2 sqrt rsqrt reciprocal".split():
    case(op, P(2, 5))
case("log1p", torch.tensor([1e-7, 0.5, -0.5, 100.0]))
case("expm1", torch.tensor([1e-7, 0.5, -0.5, 5.0, -3.0]))
case("acosh", P(2, 3) + 1)
for op in "abs sqrt exp mean".split():
    case(op, I(2, 3).abs() if op != "mean" else T(2, 3))
for op in "add sub rsub".split():
    case(op + ".Tensor", T(2, 3), T(3))
    case(op + ".Tensor", T(2, 3), T(2, 1), alpha=2)
    case(op + ".Scalar", T(2, 3), 1.5)
    case(op + ".Scalar", I(2, 3), 2, 3)
case("add.Tensor", I(2, 3), T(1))
case("add.Tensor", I(3), T())
case("mul.Tensor", I(2, 3), T(3))
case("mul.Scalar", T(2, 3), 3)
case("mul.Tensor", B(4), B(4))
case("div.Tensor", T(2, 3), P(3))
case("div.Tensor", I(2, 3), N(2, 3, 4))
case("div.Scalar", I(2, 3), 2)
for mode in (None, "floor", "trunc"):
    case("div.Tensor_mode", T(2, 3), P(3), rounding_mode=mode)
    case("div.Scalar_mode", I(2, 3), 2, rounding_mode=mode)
case("div.Tensor_mode", I(2, 3), N(2, -3, 4), rounding_mode="floor")
case("floor_divide", I(2, 3), N(2, -3, 4), same=lambda a, b: torch.div(a, b, rounding_mode="floor"))
case("remainder.Tensor", I(2, 3), N(2, -3, 4))
case("remainder.Tensor", T(2, 3), T(3) + 0.0625)
case("remainder.Scalar", T(2, 3), -1.5)
case("fmod.Tensor", T(2, 3), T(3) + 0.0625)
case("fmod.Scalar", I(2, 3), 3)
case("pow.Tensor_Tensor", P(2, 3), T(3))
case("pow.Tensor_Scalar", T(2, 3), 2)
case("pow.Scalar", 2.0, T(2, 3))
case("maximum", T(2, 3), T(3))
case("minimum", I(2, 3), N(0, 1, 2))
case("fmax", torch.tensor([1.0, float("nan"), 2.0]), torch.tensor([0.5, 1.0, float("nan")]))
case("clamp", T(2, 3), -0.5, 0.5)
case("clamp", I(2, 3), min=-1)
case("clamp.Tensor", T(2, 3), T(3) - 1, T(3).abs() + 1)
case("clamp_min", T(2, 3), 0.25)
case("clamp_max", T(2, 3), 0.25)
case("atan2", torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0, 0.0, 2.0, -2.0]), torch.tensor([1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 0.0, 0.0]))
case("lerp.Scalar", T(2, 3), T(2, 3), 0.25)
case("addcmul", T(2, 3), T(2, 3), T(3), value=0.5)
case("addcdiv", T(2, 3), T(2, 3), P(3), value=0.5)
case("logit", torch.rand(4) * 0.8 + 0.1)
case("logit", torch.tensor([0.0, 0.5, 1.0]), 0.01)
case("nan_to_num", torch.tensor([1.0, float("nan"), float("inf"), float("-inf")]), 0.5, 9.0, -9.0)
case("logaddexp", T(4), T(4))
case("xlogy.Tensor", torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 3.0, 4.0]))
case("elu", T(2, 3))
case("elu", T(2, 3), 1.5, 2.0, 0.5)
case("celu", T(2, 3), 0.75)
case("leaky_relu", T(2, 3), 0.2)
case("hardtanh", T(2, 3), -0.5, 0.75)
case("prelu", T(2, 3, 2), P(3))
case("gelu", T(2, 3))
case("gelu", T(2, 3), approximate="tanh")
case("softplus", T(2, 3), 2, 1.0)
case("softshrink", T(2, 5), 0.5)
case("hardshrink", T(2, 5), 0.5)
case("threshold", T(2, 5), 0.25, 9.0)
case("glu", T(2, 6))
case("_softmax", T(2, 3, 2), 1, False)
case("_log_softmax", T(2, 3), -1, False)
case("softmax.int", T(2, 3), -1)
case("log_softmax.int", T(2, 3), 0)
case("softmax.int", I(2, 3), -1, torch.float32)
case("native_dropout", T(2, 3), 0.5, False)
case("dropout", T(2, 3), 0.5, False)
for op in "eq ne lt le gt ge".split():
    case(op + ".Tensor", I(2, 4, low=0, high=3), I(4, low=0, high=3))
    case(op + ".Scalar", T(2, 4), 0.25)
for op in "logical_and logical_or logical_xor".split():
    case(op, B(4), I(4, low=0, high=2))
case("logical_not", I(4, low=0, high=2))
for op in "bitwise_and bitwise_or bitwise_xor".split():
    case(op + ".Tensor", I(4, low=0, high=16), I(4, low=0, high=16))
    case(op + ".Tensor", B(4), B(4))
    case(op + ".Scalar", I(4, low=0, high=16), 6)
case("bitwise_not", I(4))
case("bitwise_not", B(4))
case("where.self", B(2, 3), T(2, 3), T(3))
case("masked_fill.Scalar", T(2, 3), B(3), -1.5)
case("masked_fill.Tensor", T(2, 3), B(2, 3), T())
special = torch.tensor([1.0, float("nan"), float("inf"), float("-inf")])
for op in "isnan isinf isfinite isposinf isneginf".split():
    case(op, special)
case("isnan", I(3))
case("sum", T(2, 3))
case("sum.dim_IntList", T(2, 3, 2), [0, -1], True)
case("sum.dim_IntList", I(2, 3), [1])
case("sum.dim_IntList", B(2, 3), [1], dtype=torch.float32)
case("prod", T(2, 3))
case("prod.dim_int", T(2, 3), 1)
case("mean.dim", T(2, 3, 2), [1], False)
case("amax", T(2, 3), [1])
case("amin", T(2, 3), [0], True)
case("max", T(2, 3))
case("min", I(2, 3))
case("max.dim", T(2, 4), 1)
case("min.dim", T(2, 4), 0, True)
case("any", B(2, 3))
case("any.dim", I(2, 3, low=0, high=2), 1)
case("any.dims", B(2, 3, 2), [0, 2], same=lambda x, d: x.sum(d) > 0)
case("all", B(2, 3))
case("all.dim", B(2, 3), 0)
case("argmax", T(2, 5), 1)
case("argmax", T(2, 5))
case("argmin", T(2, 5), 0, True)
case("cumsum", T(2, 4), 1)
case("cumsum", I(2, 4), 0)
case("cumprod", T(2, 4), 1)
case("var.correction", T(2, 5), [1], correction=1)
case("var.correction", T(2, 5), [0, 1], correction=0, keepdim=True)
case("var.dim", T(2, 5), [1], True)
case("std.dim", T(2, 5), [1], False)
case("var_mean.correction", T(2, 5), [1], correction=1)
case("logsumexp", T(2, 5), [1])
for p in (2, 1, float("inf"), 0, 3):
    case("linalg_vector_norm", T(2, 5), p, [1])
case("topk", torch.arange(10).float().flip(0).reshape(2, 5) * 0.5, 3)
case("sort", torch.tensor([[3.0, 1.0, 2.0], [0.5, 0.75, 0.25]]), 1, True)
case("argsort", torch.tensor([[3.0, 1.0, 2.0], [0.5, 0.75, 0.25]]), 1)
case("median.dim", T(2, 5), 1)
case("alias", T(2, 3))
case("clone", T(2, 3))
case("view", T(2, 6), [3, -1])
case("_unsafe_view", T(2, 6), [4, 3])
case("reshape", T(2, 6), [-1])
case("flatten.using_ints", T(2, 3, 2), 1, 2)
case("unflatten.int", T(2, 6), 1, [2, 3], same=lambda x, d, s: x.reshape(2, 2, 3))
case("expand", T(1, 3), [2, -1])
case("expand", T(3), [2, 3])
case("permute", T(2, 3, 4), [2, 0, 1])
case("transpose.int", T(2, 3, 4), 0, -1)
case("t", T(2, 3))
case("squeeze.dim", T(2, 1, 3), 1)
case("squeeze.dim", T(2, 1, 3), 0)
case("squeeze.dims", T(1, 1, 3), [0, 1], same=lambda x, d: x.reshape(3))
case("squeeze", T(1, 2, 1))
case("unsqueeze", T(2, 3), -1)
case("select.int", T(2, 3), 1, -1)
case("slice.Tensor", T(6, 2), 0, 1, -1, 2)
case("slice.Tensor", T(6, 2), 0, -3, 9223372036854775807)
case("narrow", T(6, 2), 0, 1, 3)
case("split.Tensor", T(5, 2), 2, same=lambda x, n: list(torch.split(x, n)))
case("split_with_sizes", T(5, 2), [1, 4], same=lambda x, s: list(torch.split(x, s)))
case("chunk", T(5, 2), 3, same=lambda x, n: list(torch.chunk(x, n)))
case("unbind.int", T(2, 3), same=lambda x: list(torch.unbind(x)))
cases[-1]["results"] = [cases[-1]["results"][0]]
case("diagonal", T(3, 4), 1)
case("diagonal", T(2, 3, 3), 0, 1, 2)
case("unfold", T(7), 0, 3, 2)
case("as_strided", T(2, 3), [2, 2], [1, 2], 1)
case("cat", [T(2, 3), T(1, 3)])
case("cat", [T(2, 3), I(2, 1)], 1)
case("stack", [T(2), T(2)], 1)
case("repeat", T(2, 3), [2, 1, 2])
case("repeat_interleave.self_int", T(2, 3), 2, 1)
case("flip", T(2, 3), [0, 1])
case("roll", T(2, 4), [1, -1], [0, 1])
case("roll", T(2, 4), [3])
case("constant_pad_nd", T(2, 3), [1, 2, 0, 1], 0.5)
case("reflection_pad1d", T(2, 4), [1, 2])
case("reflection_pad2d", T(1, 3, 4), [1, 2, 1, 0])
case("reflection_pad3d", T(1, 1, 3, 3, 3), [1, 1, 0, 1, 1, 0])
case("replication_pad2d", T(1, 3, 4), [1, 2, 1, 0])
case("replication_pad3d", T(1, 1, 2, 2, 2), [1, 1, 0, 1, 1, 0])
case("pixel_shuffle", T(1, 8, 2, 2), 2)
case("pixel_unshuffle", T(1, 2, 4, 4), 2)
case("channel_shuffle", T(1, 6, 2), 3)
case("tril", T(3, 4), 1)
case("triu", T(3, 4))
case("col2im", T(1, 8, 4), [4, 4], [2, 2], [1, 1], [0, 0], [2, 2])
case("im2col", T(1, 2, 4, 4), [2, 2], [1, 1], [1, 1], [2, 2])
case("full", [2, 3], 1.5)
case("full_like", T(2, 3), 2)
case("zeros", [2, 3])
case("ones", [2], dtype=torch.int64)
case("new_zeros", T(2), [3])
case("fill.Scalar", T(2, 3), 4)
case("copy", T(2, 3), I(3))
case("scalar_tensor", 1.25)
case("arange", 5)
case("arange.start_step", 1, 8, 3)
case("arange.start_step", 0.5, 2.0, 0.5)
case("linspace", 0.0, 1.0, 5)
case("eye", 3)
case("_to_copy", T(2, 3), dtype=torch.int32)
case("to.dtype", I(2, 3), torch.float32)
case("index_select", T(3, 4), 1, N(2, 0))
case("gather", T(3, 4), 1, N(2, 0, 1).reshape(3, 1))
case("nonzero", torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
case("masked_select", T(2, 3), torch.tensor([[True, False, True], [False, True, False]]))
case("index.Tensor", T(3, 4), [N(2, 0)])
case("index.Tensor", T(3, 4), [None, N(2, 0, -1)])
case("index.Tensor", T(3, 4, 2), [N(2, 0), N(1, 3)])
case("index.Tensor", T(3, 4, 2), [N(2, 0), None, N(1, 0)])
case("index.Tensor", T(3, 4), [torch.tensor([True, False, True])])
case("index.Tensor", T(2, 3, 4), [None, N(2, 0).reshape(2, 1), N(1, 3)])
case("index_put", T(3, 4), [N(2, 0)], T(4))
case("index_put", T(3, 4), [N(2, 2), N(1, 1)], T(2), True)
case("index_put", T(3, 4), [None, N(1, 3)], T(3, 2))
case("index_put", T(2, 3), [torch.tensor([[True, False, True], [False, True, False]])], T())
case("masked_scatter", T(2, 3), torch.tensor([[True, False, True], [False, True, False]]), T(6))
case("scatter.src", T(3, 4), 1, N(1, 2, 0).reshape(3, 1), T(3, 1))
case("scatter.value", T(3, 4), 0, N(0, 2, 1, 0).reshape(1, 4), 9.0)
case("scatter_add", T(3, 4), 0, N(0, 2, 1, 0).reshape(1, 4), T(1, 4))
case("scatter_reduce.two", T(3, 4), 0, N(0, 2, 1, 0).reshape(1, 4), T(1, 4), "amax")
case("select_scatter", T(3, 4), T(4), 0, 1)
case("slice_scatter", T(4, 3), T(2, 3), 0, 1, 4, 2)
case("index_add", T(3, 4), 0, N(2, 0), T(2, 4))
case("one_hot", N(0, 2, 1), 3)
case("matmul", T(2, 3, 4), T(4, 2))
case("mm", T(2, 3), T(3, 4))
case("bmm", T(2, 2, 3), T(2, 3, 2))
case("mv", T(2, 3), T(3))
case("dot", T(3), T(3))
case("linear", T(2, 3), T(4, 3), T(4))
case("linear", T(2, 2, 3), T(4, 3))
case("addmm", T(4), T(2, 3), T(3, 4), beta=0.5, alpha=2)
case("baddbmm", T(2, 2, 2), T(2, 2, 3), T(2, 3, 2))
case("outer", T(3), T(2))
case("einsum", "bi,bj->bij", [T(2, 3), T(2, 2)], same=lambda e, t: torch.einsum(e, *t))
case("_cdist_forward", T(2, 3), T(4, 3), 2.0, None)
case("_cdist_forward", T(2, 3), T(4, 3), 1.0, None)
case("_pdist_forward", T(4, 3), 2.0)
case("cosine_similarity", T(2, 4), T(2, 4), 1)
case("_weight_norm", T(3, 4), P(3, 1), 0)


def sdpa(q, k, v, mask=None, p=0.0, causal=False, scale=None):
    s = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    if mask is not None:
        s = s.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else s + mask
    return s.softmax(-1) @ v


case("scaled_dot_product_attention", T(1, 2, 3, 4), T(1, 2, 5, 4), T(1, 2, 5, 4), same=sdpa)
case("scaled_dot_product_attention", T(1, 2, 3, 4), T(1, 2, 3, 4), T(1, 2, 3, 4), None, 0.0, True, same=sdpa)
case("scaled_dot_product_attention", T(2, 3, 4), T(2, 5, 4), T(2, 5, 4), T(3, 5), 0.0, False, scale=0.25, same=sdpa)
case("convolution", T(1, 2, 5, 5), T(3, 2, 3, 3), T(3), [2, 2], [1, 1], [1, 1], False, [0, 0], 1)
case("convolution", T(1, 4, 3), T(4, 2, 3), None, [2], [1], [1], True, [1], 2)
case("conv1d", T(1, 2, 7), T(3, 2, 3), T(3), 1, 1)
case("conv2d", T(1, 4, 4, 4), T(4, 1, 3, 3), None, [1, 1], [1, 1], [1, 1], 4)
case("conv2d.padding", T(1, 2, 4, 4), T(3, 2, 2, 3), None, [1, 1], "same")
case("conv3d", T(1, 1, 3, 3, 3), T(2, 1, 2, 2, 2))
case("conv_transpose2d.input", T(1, 2, 3, 3), T(2, 3, 2, 2), T(3), [2, 2])
case("max_pool2d", T(1, 2, 5, 5), [3, 3], [2, 2], [1, 1])
case("max_pool2d", T(1, 2, 6, 6), [3, 3], [2, 2], [0, 0], [1, 1], True)
case("max_pool2d_with_indices", T(2, 2, 4, 4), [2, 2])
case("max_pool3d_with_indices", T(1, 1, 4, 4, 4), [2, 2, 2])
case("avg_pool1d", T(1, 2, 6), [2])
case("avg_pool2d", T(1, 2, 5, 5), [3, 3], [2, 2], [1, 1])
case("avg_pool2d", T(1, 2, 5, 5), [3, 3], [2, 2], [1, 1], False, False)
case("avg_pool2d", T(1, 2, 4, 4), [2, 2], [2, 2], [0, 0], False, True, 3)
case("avg_pool3d", T(1, 1, 4, 4, 4), [2, 2, 2])
case("adaptive_avg_pool1d", T(1, 2, 5), [2])
case("_adaptive_avg_pool2d", T(1, 2, 4, 6), [2, 3])
case("adaptive_avg_pool2d", T(1, 2, 5, 7), [1, 1])
case("adaptive_avg_pool2d", T(1, 2, 5, 7), [2, 3])
case("_adaptive_avg_pool3d", T(1, 1, 4, 4, 4), [2, 2, 2])
case("adaptive_max_pool2d", T(1, 2, 5, 7), [2, 3], keep=1)
case("native_layer_norm", T(2, 3, 4), [4], P(4), T(4), 1e-5)
case("layer_norm", T(2, 3, 4), [3, 4])
case("native_group_norm", T(2, 4, 3), P(4), T(4), 2, 4, 3, 2, 1e-5)
case("group_norm", T(2, 4, 3), 2)
case("instance_norm", T(2, 3, 4), P(3), T(3), None, None, True, 0.1, 1e-5, False)
case("batch_norm", T(2, 3, 4), P(3), T(3), T(3), P(3), False, 0.1, 1e-5, False)
case("native_batch_norm", T(2, 3, 4), P(3), T(3), T(3), P(3), False, 0.1, 1e-5, keep=1)
legit = lambda x, w, b, m, v, mo, e: F.batch_norm(x, m, v, w, b, False, mo, e)
case("_native_batch_norm_legit_no_training", T(2, 3, 4), P(3), T(3), T(3), P(3), 0.1, 1e-5, same=legit)
case("_native_batch_norm_legit", T(2, 3, 4), P(3), T(3), T(3), P(3), False, 0.1, 1e-5,
     same=lambda x, w, b, m, v, t, mo, e: legit(x, w, b, m, v, mo, e))
case("_native_batch_norm_legit.no_stats", T(2, 3, 4), P(3), T(3), True, 0.1, 1e-5,
     same=lambda x, w, b, t, mo, e: F.batch_norm(x, None, None, w, b, True, mo, e))
case("rms_norm", T(2, 4), [4], P(4), 1e-5, same=lambda x, s, w, e: x * torch.rsqrt(x.pow(2).mean(-1, True) + e) * w)
case("upsample_nearest2d", T(1, 1, 2, 3), [4, 6])
case("upsample_nearest2d.vec", T(1, 1, 2, 3), None, [2.0, 2.0])
case("upsample_bilinear2d.vec", T(1, 1, 2, 3), [4, 5], False, None)
case("upsample_bilinear2d.vec", T(1, 1, 2, 3), [4, 5], True, None)
case("upsample_bilinear2d", T(1, 1, 3, 3), [1, 1], False)
case("upsample_bicubic2d.vec", T(1, 1, 3, 3), [6, 5], False, None)
case("upsample_linear1d", T(1, 1, 4), [7], True)
case("grid_sampler_2d", T(1, 1, 3, 3), U(1, 2, 2, 2), 0, 0, False)
case("grid_sampler_2d", T(1, 1, 3, 3), U(1, 2, 2, 2), 1, 1, True)
lstm = torch.nn.LSTM(3, 2, 2, bidirectional=True)
case("lstm.input", T(4, 1, 3), [T(4, 1, 2), T(4, 1, 2)], [w.detach() for w in lstm._flat_weights], True, 2, 0.0, False, True, False)
gru = torch.nn.GRU(3, 2, 1, batch_first=True)
case("gru.input", T(2, 4, 3), T(1, 2, 2), [w.detach() for w in gru._flat_weights], True, 1, 0.0, False, False, True)
rnn = torch.nn.RNN(3, 2, 1, bias=False, nonlinearity="relu")
case("rnn_relu.input", T(4, 1, 3), T(1, 1, 2), [w.detach() for w in rnn._flat_weights], False, 1, 0.0, False, False, False)
projected = torch.nn.LSTM(3, 4, 1, proj_size=2)
case("lstm.input", T(3, 1, 3), [T(1, 1, 2), T(1, 1, 4)], [w.detach() for w in projected._flat_weights], True, 1, 0.0, False, False, False)
c = torch.nn.LSTMCell(3, 2)
case("lstm_cell", T(1, 3), [T(1, 2), T(1, 2)], c.weight_ih.detach(), c.weight_hh.detach(), c.bias_ih.detach(), c.bias_hh.detach())
c = torch.nn.GRUCell(3, 2)
case("gru_cell", T(1, 3), T(1, 2), c.weight_ih.detach(), c.weight_hh.detach(), c.bias_ih.detach(), c.bias_hh.detach())
case("embedding", T(5, 3), N(4, 0, 1).reshape(1, 3))
for mode in (0, 1, 2):
    case("_embedding_bag", T(5, 3), N(4, 0, 1, 1, 2), N(0, 2, 2), False, mode, keep=1)
case("view_as_real", torch.view_as_complex(T(3, 2)))
case("_fft_r2c", T(2, 8), [1], 0, True)
case("_fft_c2c", torch.view_as_complex(T(8, 2)), [0], 2, False)
case("_fft_c2r", torch.view_as_complex(T(5, 2)), [0], 2, 8)
case("fft_rfft", T(8))
case("fft_irfft", torch.view_as_complex(T(5, 2)), 8)
case("abs", torch.view_as_complex(T(4, 2)))
case("angle", torch.view_as_complex(T(4, 2)))
case("mul.Tensor", torch.view_as_complex(T(4, 2)), torch.view_as_complex(T(4, 2)))
case("stft", T(1, 16), 8, 4, None, torch.hann_window(8), False, True, True)
case("sym_size.int", T(2, 3), 1, same=lambda x, d: x.shape[d])
case("sym_numel", T(2, 3), same=lambda x: x.numel())
case("sym_stride.int", T(2, 3), 0, same=lambda x, d: x.stride(d))
case("sym_storage_offset", T(2, 3), same=lambda x: 0)
case("_local_scalar_dense", torch.tensor(3), same=lambda x: x)

case("swapaxes", T(2, 3, 4), 0, -1)
case("special_softmax", T(2, 3), 1)
case("isin.Tensor_Tensor", I(2, 4), N(1, 2, 3))
case("tril_indices", 3, 4, 1)
case("triu_indices", 3, 3)
case("resize", T(2, 3), [2, 2], same=lambda x, s: x.flatten()[:4].reshape(2, 2))
case("sym_is_contiguous", T(2, 3), same=lambda x: True)
case("istft", torch.stft(T(2, 24), 8, 4, window=torch.hann_window(8), return_complex=True), 8, 4, None, torch.hann_window(8))
case("add.Tensor", torch.view_as_complex(T(4, 2)), torch.view_as_complex(T(4, 2)), alpha=2)
case("unsqueeze", torch.view_as_complex(T(4, 2)), -1)
case("slice.Tensor", torch.view_as_complex(T(4, 2)), 0, 1, 3)
E = 4
mha = [T(3 * E, E), T(3 * E), T(E, E), T(E)]
x = T(2, 3, E)
case("_native_multi_head_attention", x, x, x, E, 2, *mha, None, True, True)
case("_native_multi_head_attention", T(2, 3, E), T(2, 3, E), T(2, 3, E), E, 2, *mha, None, False, keep=1)
rest = [P(E), T(E), P(E), T(E), T(6, E), T(6), T(E, 6), T(E)]
case("_transformer_encoder_layer_fwd", x, E, 2, *mha, True, False, 1e-5, *rest)
case("_transformer_encoder_layer_fwd", x, E, 2, *mha, False, True, 1e-5, *rest)
# What these hold is not said: dims and type count.
case("empty.memory_format", [2, 3])
case("empty_strided", [2, 3], [3, 1])
case("empty_like", T(2, 3), dtype=torch.int32)
case("rand", [2, 3])
case("randn", [2, 3])
case("randperm", 5)
for one in cases[-6:]:
    one["results"][0]["data"] = None

torch.backends.quantized.engine = "qnnpack"


def Q(*dims, scale=0.0625, zero_point=120, codes=torch.quint8):
    return torch.quantize_per_tensor(T(*dims), scale, zero_point, codes)


def packed_conv(dims, groups=1, transposed=False, per_channel=False, bias=True, old=None):
    n = len(dims) - 2
    w = T(*dims) / 4
    scales = P(dims[0]) / 64
    w = (torch.quantize_per_channel(w, scales, torch.zeros(dims[0], dtype=torch.int64), 0, torch.qint8) if per_channel
         else torch.quantize_per_tensor(w, 0.015625, 0, torch.qint8))
    b = T(dims[1] * groups if transposed else dims[0]) if bias else None
    geometry = [[2] * n, [1] * n] + ([[0] * n] if transposed else []) + [[1] * n]
    ops = torch.ops.quantized
    prepack = getattr(ops, f"conv_transpose{n}d_prepack" if transposed else f"conv{n}d_prepack")
    return Packed(prepack(w, b, *geometry, groups), w, b, [2] * n, [1] * n, [1] * n, [0] * n, groups, transposed)


def packed_linear(rows, columns, codes=True):
    w, b = torch.quantize_per_tensor(T(rows, columns) / 4, 0.015625, 0, torch.qint8), T(rows)
    return Packed(torch.ops.quantized.linear_prepack(w, b), w, b)


case("quantize_per_tensor", T(2, 5), 0.03, 100, torch.quint8)
case("quantize_per_tensor.tensor_qparams", T(2, 5), torch.tensor(0.03), torch.tensor(-3), torch.qint8)
case("quantize_per_channel", T(2, 5), torch.tensor([0.03, 0.05]), torch.tensor([1, -2]), 0, torch.qint8)
case("dequantize.self", Q(2, 5))
case("dequantize.tensors", [Q(2, 5), Q(3)], same=lambda ts: [t.dequantize() for t in ts])
case("int_repr", Q(2, 5))
case("q_scale", Q(2))
case("q_zero_point", Q(2))
# Operators on floats keep the grid, or have their own.
for op in "relu sigmoid tanh hardsigmoid".split():
    case(op, Q(2, 5))
case("max_pool2d", Q(1, 2, 4, 4), [2, 2])
case("flatten.using_ints", Q(2, 3, 2), 1)
case("hardtanh", Q(2, 5), -0.5, 1)
case("mean.dim", Q(2, 4, 4), [1, 2])
for relu in ("", "_relu"):
    case(f"quantized::conv1d{relu}", Q(1, 2, 7), packed_conv([4, 2, 3]), 0.05, 110)
    case(f"quantized::conv2d{relu}.new", Q(1, 2, 7, 5), packed_conv([4, 2, 3, 3], per_channel=True), 0.05, 110)
    case(f"quantized::conv2d{relu}", Q(1, 4, 7, 5), packed_conv([4, 1, 3, 3], groups=4, bias=False), [2, 2], [1, 1], [1, 1], 4, 0.05, 110)
    case(f"quantized::linear{relu}", Q(3, 6), packed_linear(4, 6), 0.05, 110)
    case(f"quantized::linear{relu}_dynamic", T(3, 6), packed_linear(4, 6))
    case(f"quantized::add{relu}", Q(2, 5), Q(2, 5, scale=0.03), 0.05, 110)
    case(f"quantized::mul{relu}", Q(2, 5), Q(2, 5, scale=0.03), 0.05, 110)
    for b in (0.5, -20.0, 20.0):
        case(f"quantized::add{relu}.Scalar", Q(2, 5), b)
    for b in (0.5, -0.75):
        case(f"quantized::mul{relu}.Scalar", Q(2, 5), b)
    case(f"quantized::add_scalar{relu}", Q(2, 5), 0.5)
    case(f"quantized::mul_scalar{relu}", Q(2, 5), 0.0)
    case(f"quantized::cat{relu}", [Q(2, 5), Q(2, 3, scale=0.03)], 1, 0.05, 110)
    for rank in (1, 2, 3):
        case(f"quantized::batch_norm{rank}d{relu}", Q(2, 3, *[2] * rank), P(3), T(3), T(3), P(3), 1e-5, 0.05, 110)
    case(f"quantized::batch_norm{relu}", Q(2, 3, 2, 2), P(3), T(3), T(3), P(3), 1e-5, 0.05, 110)
case("quantized::cat", [Q(2, 5), Q(2, 3)], 1, None, None)
case("quantized::conv_transpose1d", Q(1, 2, 7), packed_conv([2, 3, 4], transposed=True), 0.05, 110)
case("quantized::conv_transpose2d", Q(1, 2, 4, 3), packed_conv([2, 3, 4, 4], transposed=True), 0.05, 110)
case("quantized::matmul", Q(3, 4), Q(4, 2), 0.05, 110)
case("quantized::layer_norm", Q(2, 6), [6], P(6), T(6), 1e-5, 0.05, 110)
case("quantized::group_norm", Q(2, 4, 3), 2, P(4), T(4), 1e-5, 0.05, 110)
case("quantized::instance_norm", Q(2, 4, 3), P(4), T(4), 1e-5, 0.05, 110)
case("quantized::hardswish", Q(2, 5), 0.05, 110)
case("quantized::leaky_relu", Q(2, 5), 0.2, False, 0.05, 110)
case("quantized::elu", Q(2, 5), 0.05, 110, 0.5)
case("quantized::celu", Q(2, 5), 0.05, 110, 0.5)
case("quantized::prelu", Q(2, 3, 4), Q(3), 0.05, 110)
case("quantized::sigmoid", Q(2, 5), 1 / 256, 0)
case("quantized::softmax", Q(2, 5), 1, 1 / 256, 0)
case("quantized::dropout", Q(2, 5), 0.0625, 120, same=lambda x, s, z: x)
case("quantized::relu6", Q(2, 5))
case("quantized::clamp", Q(2, 5), -0.5, 1.0)
case("quantized::threshold", Q(2, 5), 0.25, 0.5)
case("quantized::max_pool1d", Q(1, 2, 6), [2], [2], [0], [1], False)
case("quantized::max_pool2d", Q(1, 2, 6, 4), [2, 2], [2, 2], [0, 0], [1, 1], False)
table = torch.quantize_per_channel(T(5, 8), P(5) / 64, P(5) * 8, 0, torch.quint8)
table = Packed(torch.ops.quantized.embedding_bag_prepack(table), table.dequantize())
case("quantized::embedding_byte", table, N(4, 0, 1))
case("quantized::embedding_bag_byte", table, N(4, 0, 1, 1, 2), N(0, 2, 4))
case("quantized::embedding_bag_byte", table, N(4, 0, 1, 1, 2, 3).reshape(2, 3))
for low, high in ((-0.5, 1.0), (None, None)):
    w, b = T(4, 2, 3, 3), T(4)
    context = torch.ops.prepacked.conv2d_clamp_prepack(w, b, [2, 2], [1, 1], [1, 1], 1, low, high)
    case("prepacked::conv2d_clamp_run", T(1, 2, 7, 5), Packed(context, w, b, [2, 2], [1, 1], [1, 1], [0, 0], 1, False, low, high))
    w, b = T(2, 3, 4, 4), T(3)
    context = torch.ops.prepacked.conv2d_transpose_clamp_prepack(w, b, [2, 2], [1, 1], [0, 0], [1, 1], 1, low, high)
    case("prepacked::conv2d_transpose_clamp_run", T(1, 2, 4, 3), Packed(context, w, b, [2, 2], [1, 1], [1, 1], [0, 0], 1, True, low, high))
    w, b = T(4, 6), T(4)
    context = torch.ops.prepacked.linear_clamp_prepack(w, b, low, high)
    case("prepacked::linear_clamp_run", T(3, 6), Packed(context, w, b, low, high))

ties = torch.tensor([[3.0, 1.0, 3.0, 2.0], [0.5, 2.0, 2.0, 0.5], [1.0, 1.0, 0.0, 4.0]])
case("kthvalue", T(3, 5), 2)
case("kthvalue", T(3, 5), 3, 0, True)
case("mode", ties, keep=1)
case("mode", ties, 0, True, keep=1)
case("mode", torch.tensor([4, 2, 2, 4, 2]))
case("cummax", ties, 1)
case("cummax", I(3, 4), 0)
case("cummin", ties, 0)
case("cummin", T(2, 3, 4), 1)
case("logcumsumexp", T(2, 5), 1)
case("_unique", ties, True, True)
case("_unique2", ties, True, True, True)
case("_unique2", I(6), True, True, True)
case("unique_dim", torch.tensor([[1, 2, 1], [0, 2, 0]]), 1, True, True, True)
case("unique_consecutive", N(1, 1, 2, 2, 2, 1, 3), True, True)
case("unique_consecutive", N(1, 1, 2, 2, 2, 2).reshape(3, 2), True, True)
case("unique_consecutive", torch.tensor([[1, 1, 2], [1, 1, 2], [1, 0, 2]]), True, True, 0)
pooled, places = F.max_pool2d(T(1, 2, 4, 6), 2, return_indices=True)
case("max_unpool2d", pooled, places, [4, 6])
case("max_unpool2d", pooled[0], places[0], [5, 6])
pooled, places = F.max_pool3d(T(1, 2, 4, 4, 2), 2, return_indices=True)
case("max_unpool3d", pooled, places, [4, 4, 2], [2, 2, 2], [0, 0, 0])

case("_adaptive_avg_pool2d_backward", T(1, 2, 3, 2), T(1, 2, 7, 5))
case("avg_pool2d_backward", T(1, 2, 3, 4), T(1, 2, 6, 7), [3, 2], [2, 2], [1, 1], False, True, None)
case("avg_pool2d_backward", T(1, 2, 4, 4), T(1, 2, 6, 7), [3, 2], [2, 2], [1, 0], True, False, None)
case("avg_pool2d_backward", T(2, 3, 3), T(2, 6, 6), [2, 2], [], [0, 0], False, True, 3)
image = T(1, 2, 5, 6)
pooled, places = F.max_pool2d(image, 3, 2, 1, return_indices=True)
case("max_pool2d_with_indices_backward", T(*pooled.shape), image, [3, 3], [2, 2], [1, 1], [1, 1], False, places)
case("embedding_dense_backward", T(2, 3, 4), N(4, 0, 1, 1, 2, 4).reshape(2, 3), 6, -1, False)
case("embedding_dense_backward", T(5, 4), N(4, 0, 1, 1, 2), 6, 1, False)
x, dy, w, b = T(2, 3, 4), T(2, 3, 4), T(3, 4), T(3, 4)
_, mean, rstd = aten.native_layer_norm(x, [3, 4], w, b, 1e-5)
case("native_layer_norm_backward", dy, x, [3, 4], mean, rstd, w, b, [True, True, True])
_, mean, rstd = aten.native_layer_norm(x, [4], None, None, 1e-5)
case("native_layer_norm_backward", dy, x, [4], mean, rstd, None, None, [True, False, False], keep=1)
x, dy, w, b = T(2, 4, 3, 2), T(2, 4, 3, 2), T(4), T(4)
_, mean, rstd = aten.native_group_norm(x, w, b, 2, 4, 6, 2, 1e-5)
case("native_group_norm_backward", dy, x, mean, rstd, w, 2, 4, 6, 2, [True, True, True])
case("native_group_norm_backward", dy, x, mean, rstd, None, 2, 4, 6, 2, [True, False, False], keep=1)
for shape, weight, stride, pad, dilation, transposed, out_pad, groups in (
        ((2, 4, 7, 6), (6, 2, 3, 2), [2, 2], [1, 0], [1, 1], False, [0, 0], 2),
        ((1, 3, 9), (4, 3, 3), [3], [2], [2], False, [0], 1),
        ((2, 4, 4, 3), (4, 3, 3, 2), [2, 1], [1, 0], [1, 1], True, [1, 0], 2)):
    x, w = T(*shape), T(*weight)
    y = aten.convolution(x, w, None, stride, pad, dilation, transposed, out_pad, groups)
    case("convolution_backward", T(*y.shape), x, w, [y.shape[1]], stride, pad, dilation, transposed, out_pad, groups, [True, True, True])

case("where", torch.tensor([[True, False, True], [False, False, True]]))
case("nonzero_numpy", N(0, 3, 0, 2))

with open(sys.argv[1], "w") as out:
    for one in cases:
        out.write(json.dumps(one) + "\n")
print(len(cases), "cases,", len({(c["op"], c["overload"]) for c in cases}), "overloads")
