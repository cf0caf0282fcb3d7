// Tensors made from nothing, and casts.
#include <cmath>
#include <limits>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// A 0-d value of the argument, whatever number it is.
ValueId scalar(Call& c, std::string_view name, DType type) {
  const Arg& a = c.arg(name);
  if (type == DType::kBool) {
    if (const BoolArg* b = a.get<BoolArg>(); b != nullptr && b->known()) {
      return c.add_constant(Tensor::scalar(b->value));
    }
    return c.cast(c.tensor(name), DType::kBool);
  }
  return c.as(name, type);
}

ValueId constant(Call& c, double value, DType type) {
  return type == DType::kBool ? c.add_constant(Tensor::scalar(value != 0)) : c.number(value, type);
}

// Zeros, ones, or what memory holds (zeros as well as anything).
void fill_sizes(Call& c) {
  const DType type = c.dtype("dtype", DType::kF32);
  const double value = c.form() == "ones" ? 1 : 0;
  c.give(c.filled(c.int_args("size"), constant(c, value, type)));
}
void fill_like(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype("dtype", c.dtype_of(x));
  c.give(c.filled(c.sizes(x), constant(c, c.form() == "ones" ? 1 : 0, type)));
}
void fill_new(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype("dtype", c.dtype_of(x));
  c.give(c.filled(c.int_args("size"), constant(c, c.form() == "ones" ? 1 : 0, type)));
}

void full(Call& c) {
  const DType usual = c.promoted({"fill_value"});
  c.give(c.filled(c.int_args("size"), scalar(c, "fill_value", c.dtype("dtype", usual))));
}
void full_like(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype("dtype", c.dtype_of(x));
  c.give(c.filled(c.sizes(x), scalar(c, "fill_value", type)));
}
void new_full(Call& c) {
  const DType type = c.dtype("dtype", c.dtype_of(c.tensor("self")));
  c.give(c.filled(c.int_args("size"), scalar(c, "fill_value", type)));
}
// In place these are fill_ and zero_.
void fill(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.filled(c.sizes(x), scalar(c, "value", c.dtype_of(x))));
}
void zero(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.filled(c.sizes(x), constant(c, 0, c.dtype_of(x))));
}
// `src` in the shape and type of self.
void copy(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.expand(c.as("src", c.dtype_of(x)), c.list_of(c.sizes(x))));
}

void scalar_tensor(Call& c) { c.give(scalar(c, "s", c.dtype("dtype", DType::kF32))); }

void arange(Call& c) {
  std::vector<std::string_view> names = {"end"};
  for (const std::string_view name : {"start", "step"}) {
    if (c.has_param(name)) names.push_back(name);
  }
  DType inner = c.promoted(names);
  if (inner == DType::kBool) inner = DType::kI64;
  const DType type = c.dtype("dtype", inner);
  // Numbers are counted in their own type, then cast.
  const DType with =
      kind_of(inner) == TypeKind::kFloat && type != DType::kF64 ? DType::kF32 : inner;
  const auto operand = [&](std::string_view name, double fallback) {
    return c.has_param(name) ? c.as(name, with) : c.number(fallback, with);
  };
  const ValueId y = c.emit("Range", {operand("start", 0), operand("end", 0), operand("step", 1)});
  c.give(c.cast(y, type));
}

// start + i * (end - start) / (steps - 1), from the end in the second half, as PyTorch does.
void linspace(Call& c) {
  const DType type = c.dtype("dtype", DType::kF32);
  const double start = c.real("start"), end = c.real("end");
  const int64_t steps = c.integer("steps");
  constexpr int64_t kMost = int64_t{1} << 26;
  if (steps < 0 || steps > kMost) return c.fail(invalid("bad number of steps"));
  std::vector<double> values(static_cast<size_t>(steps));
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  for (int64_t i = 0; i < steps; ++i) {
    const bool first = i < steps / 2 || steps == 1;
    double v = first ? start + step * static_cast<double>(i)
                     : end - step * static_cast<double>(steps - 1 - i);
    if (c.op() == "aten::logspace") v = std::pow(c.real("base"), v);
    values[static_cast<size_t>(i)] = v;
  }
  const Tensor table = Tensor::of<double>({steps}, values);
  c.give(c.cast(c.add_constant(table), type));
}

void eye(Call& c) {
  const DType type = c.dtype("dtype", DType::kF32);
  const IntArg rows = c.int_arg("n"), columns = c.has_param("m") ? c.int_arg("m") : rows;
  const ValueId zeros = c.filled({rows, columns}, constant(c, 0, DType::kF32));
  c.give(c.cast(c.emit("EyeLike", {zeros}), type));
}

// Casts. To the type it has: nothing.
void to(Call& c) {
  const Arg& a = c.arg("self");
  const TensorArg* z = a.get<TensorArg>();
  if (z != nullptr && z->complex) return c.give(a);
  const ValueId x = c.tensor("self");
  DType type = c.dtype_of(x);
  if (c.has_param("dtype")) type = c.dtype("dtype", type);
  if (c.has_param("other")) type = c.dtype_of(c.tensor("other"));
  c.give(c.cast(x, type));
}
void to_bool(Call& c) { c.give(c.cast(c.tensor("self"), DType::kBool)); }
void to_half(Call& c) { c.give(c.cast(c.tensor("self"), DType::kF16)); }
void to_float(Call& c) { c.give(c.cast(c.tensor("self"), DType::kF32)); }
void to_double(Call& c) { c.give(c.cast(c.tensor("self"), DType::kF64)); }
void to_int(Call& c) { c.give(c.cast(c.tensor("self"), DType::kI32)); }
void to_long(Call& c) { c.give(c.cast(c.tensor("self"), DType::kI64)); }

// Random numbers: other ones than PyTorch's.
void random_sizes(Call& c) {
  const DType type = c.dtype("dtype", DType::kF32);
  const ValueId shape = c.filled(c.int_args("size"), constant(c, 0, type));
  c.give(c.emit(c.form(), {shape}, {{"dtype", static_cast<int64_t>(type)}}));
}
void random_like(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype("dtype", c.dtype_of(x));
  c.give(c.emit(c.form(), {x}, {{"dtype", static_cast<int64_t>(type)}}));
}
// A random order: that of random keys.
void random_order(Call& c) {
  const IntArg n = c.int_arg("n");
  const ValueId keys = c.emit("RandomUniformLike", {c.filled({n}, constant(c, 0, DType::kF32))},
                              {{"dtype", static_cast<int64_t>(DType::kF32)}});
  const std::vector<ValueId> y = c.emit_n("TopK", {keys, c.list_of({n})}, 2);
  c.give(c.cast(y[1], c.dtype("dtype", DType::kI64)));
}
void bernoulli(Call& c) {
  ValueId p = c.tensor("self");
  if (c.has_param("p")) p = c.filled(c.sizes(p), c.as("p", c.dtype_of(p)));
  c.give(c.emit("Bernoulli", {p}));
}

void window(Call& c) {
  const bool periodic = !c.has_param("periodic") || c.flag("periodic");
  const ValueId n = c.value_of(c.int_arg("window_length"));
  const DType type = c.dtype("dtype", DType::kF32);
  // ONNX's Hamming window has the coefficients 25/46 and 21/46, PyTorch's 0.54 and 0.46.
  if (c.form() == "HannWindow, Mul, Add") {
    const ValueId hann = c.emit("HannWindow", {n}, {{"periodic", int64_t{periodic}}});
    const ValueId y = c.binary("Add", c.binary("Mul", hann, c.number(0.92, DType::kF32)),
                               c.number(0.08, DType::kF32));
    return c.give(c.cast(y, type));
  }
  c.give(c.cast(c.emit(c.form(), {n}, {{"periodic", int64_t{periodic}}}), type));
}

}  // namespace

#define MNN_FACTORY \
  "*, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
#define MNN_LIKE MNN_FACTORY ", MemoryFormat? memory_format=None"

std::vector<RowText> create_rows() {
  return {
      {"zeros(int[] size, " MNN_FACTORY ") -> Tensor", "constant", fill_sizes},
      {"ones(int[] size, " MNN_FACTORY ") -> Tensor", "ones", fill_sizes},
      {"empty.memory_format(int[] size, " MNN_LIKE ") -> Tensor", "constant", fill_sizes},
      {"empty_strided(int[] size, int[] stride, " MNN_FACTORY ") -> Tensor", "constant",
       fill_sizes},
      {"empty_permuted(int[] size, int[] physical_layout, " MNN_FACTORY ") -> Tensor", "constant",
       fill_sizes},
      {"zeros_like(Tensor self, " MNN_LIKE ") -> Tensor", "Expand", fill_like},
      {"ones_like(Tensor self, " MNN_LIKE ") -> Tensor", "ones", fill_like},
      {"empty_like(Tensor self, " MNN_LIKE ") -> Tensor", "Expand", fill_like},
      {"new_zeros(Tensor self, int[] size, " MNN_FACTORY ") -> Tensor", "Expand", fill_new},
      {"new_ones(Tensor self, int[] size, " MNN_FACTORY ") -> Tensor", "ones", fill_new},
      {"new_empty(Tensor self, int[] size, " MNN_FACTORY ") -> Tensor", "Expand", fill_new},
      {"new_empty_strided(Tensor self, int[] size, int[] stride, " MNN_FACTORY ") -> Tensor",
       "Expand", fill_new},
      {"full(int[] size, Scalar fill_value, " MNN_FACTORY ") -> Tensor", "Expand", full},
      {"full_like(Tensor self, Scalar fill_value, " MNN_LIKE ") -> Tensor", "Expand", full_like},
      {"new_full(Tensor self, int[] size, Scalar fill_value, " MNN_FACTORY ") -> Tensor", "Expand",
       new_full},
      {"fill.Scalar(Tensor self, Scalar value) -> Tensor", "Expand", fill},
      {"fill.Tensor(Tensor self, Tensor value) -> Tensor", "Expand", fill},
      {"zero(Tensor self) -> Tensor", "Expand", zero},
      {"copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", "Expand", copy},
      {"scalar_tensor(Scalar s, " MNN_FACTORY ") -> Tensor", "constant", scalar_tensor},
      {"arange(Scalar end, " MNN_FACTORY ") -> Tensor", "Range", arange},
      {"arange.start(Scalar start, Scalar end, " MNN_FACTORY ") -> Tensor", "Range", arange},
      {"arange.start_step(Scalar start, Scalar end, Scalar step=1, " MNN_FACTORY ") -> Tensor",
       "Range", arange},
      {"linspace(Scalar start, Scalar end, int steps, " MNN_FACTORY ") -> Tensor", "constant",
       linspace},
      {"logspace(Scalar start, Scalar end, int steps, float base=10.0, " MNN_FACTORY ") -> Tensor",
       "constant", linspace},
      {"eye(int n, " MNN_FACTORY ") -> Tensor", "EyeLike", eye},
      {"eye.m(int n, int m, " MNN_FACTORY ") -> Tensor", "EyeLike", eye},
      {"to.dtype(Tensor(a) self, ScalarType dtype, bool non_blocking=False, bool copy=False, "
       "MemoryFormat? memory_format=None) -> Tensor(a)",
       "Cast", to},
      {"to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? "
       "device=None, bool? pin_memory=None, bool non_blocking=False, bool copy=False, "
       "MemoryFormat? memory_format=None) -> Tensor(a)",
       "Cast", to},
      {"to.device(Tensor(a) self, Device device, ScalarType dtype, bool non_blocking=False, bool "
       "copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
       "Cast", to},
      {"to.other(Tensor(a) self, Tensor other, bool non_blocking=False, bool copy=False, "
       "MemoryFormat? memory_format=None) -> Tensor(a)",
       "Cast", to},
      {"to.prim_Device(Tensor(a) self, Device? device, ScalarType? dtype=None, bool "
       "non_blocking=False, bool copy=False) -> Tensor(a)",
       "Cast", to},
      {"to.prim_dtype(Tensor(a) self, ScalarType? dtype=None, bool non_blocking=False, bool "
       "copy=False) -> Tensor(a)",
       "Cast", to},
      {"_to_copy(Tensor self, " MNN_FACTORY ", bool non_blocking=False, MemoryFormat? "
       "memory_format=None) -> Tensor",
       "Cast", to},
      {"type_as(Tensor self, Tensor other) -> Tensor", "Cast", to},
      {"_cast_Float(Tensor self, bool non_blocking=False) -> Tensor", "Cast", to_float},
      {"_cast_Long(Tensor self, bool non_blocking=False) -> Tensor", "Cast", to_long},
      {"_cast_Int(Tensor self, bool non_blocking=False) -> Tensor", "Cast", to_int},
      {"bool(Tensor self) -> Tensor", "Cast", to_bool},
      {"half(Tensor self) -> Tensor", "Cast", to_half},
      {"float(Tensor self) -> Tensor", "Cast", to_float},
      {"double(Tensor self) -> Tensor", "Cast", to_double},
      {"int(Tensor self) -> Tensor", "Cast", to_int},
      {"long(Tensor self) -> Tensor", "Cast", to_long},
      {"rand(int[] size, " MNN_FACTORY ") -> Tensor", "RandomUniformLike", random_sizes},
      {"randn(int[] size, " MNN_FACTORY ") -> Tensor", "RandomNormalLike", random_sizes},
      {"rand_like(Tensor self, " MNN_LIKE ") -> Tensor", "RandomUniformLike", random_like},
      {"randn_like(Tensor self, " MNN_LIKE ") -> Tensor", "RandomNormalLike", random_like},
      {"randperm(int n, " MNN_FACTORY ") -> Tensor", "RandomUniformLike, TopK", random_order},
      {"bernoulli(Tensor self, *, Generator? generator=None) -> Tensor", "Bernoulli", bernoulli},
      {"bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor", "Bernoulli",
       bernoulli},
      {"hann_window(int window_length, " MNN_FACTORY ") -> Tensor", "HannWindow", window},
      {"hann_window.periodic(int window_length, bool periodic, " MNN_FACTORY ") -> Tensor",
       "HannWindow", window},
      {"hamming_window(int window_length, " MNN_FACTORY ") -> Tensor", "HannWindow, Mul, Add",
       window},
      {"hamming_window.periodic(int window_length, bool periodic, " MNN_FACTORY ") -> Tensor",
       "HannWindow, Mul, Add", window},
      {"blackman_window(int window_length, " MNN_FACTORY ") -> Tensor", "BlackmanWindow", window},
      {"blackman_window.periodic(int window_length, bool periodic, " MNN_FACTORY ") -> Tensor",
       "BlackmanWindow", window},
  };
}

#undef MNN_LIKE
#undef MNN_FACTORY

}  // namespace mnn::torch
