// Pooling.
#include <algorithm>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

std::vector<int64_t> spatial_ints(Call& c, std::string_view name, size_t spatial) {
  std::vector<int64_t> list = c.ints(name);
  if (list.size() == 1) list.assign(spatial, list[0]);
  if (list.size() != spatial) c.fail(invalid("argument '" + std::string(name) + "' does not fit"));
  list.resize(spatial, 1);
  return list;
}

// How many dims are pooled, by the operator's name: "…2d".
size_t spatial_of(const Call& c) {
  const size_t d = c.op().find_first_of("123");
  return d == std::string::npos ? 2 : static_cast<size_t>(c.op()[d] - '0');
}

struct Window {
  size_t spatial;
  std::vector<int64_t> kernel, stride, padding;
  bool ceil;
};
Window window_of(Call& c) {
  const size_t n = spatial_of(c);
  Window w{
      n, spatial_ints(c, "kernel_size", n), {}, spatial_ints(c, "padding", n), c.flag("ceil_mode")};
  w.stride = c.none("stride") || c.ints("stride").empty() ? w.kernel : spatial_ints(c, "stride", n);
  return w;
}

Call::Attributes attributes_of(const Window& w) {
  std::vector<int64_t> pads = w.padding;
  pads.insert(pads.end(), w.padding.begin(), w.padding.end());
  return {{"ceil_mode", int64_t{w.ceil}},
          {"kernel_shape", w.kernel},
          {"pads", pads},
          {"strides", w.stride}};
}

// With a batch dim in front, if there is none.
ValueId batched_input(Call& c, size_t spatial, bool& added) {
  const ValueId x = c.tensor("self");
  added = c.rank(x) == spatial + 1;
  if (!added && c.rank(x) != spatial + 2) c.fail(invalid("the input's rank does not fit"));
  return added ? c.expand_dims(x, {0}) : x;
}

void max_pool(Call& c) {
  const Window w = window_of(c);
  bool added = false;
  const ValueId x = batched_input(c, w.spatial, added);
  Call::Attributes attributes = attributes_of(w);
  attributes["dilations"] = spatial_ints(c, "dilation", w.spatial);
  const bool indices = c.call.row->schema.results.size() > 1;
  std::vector<ValueId> y = c.emit_n("MaxPool", {x}, indices ? 2 : 1, attributes);
  if (added) y[0] = c.squeeze(y[0], {0});
  c.give(y[0]);
  if (!indices || !c.status.ok()) return;
  // ONNX counts places in the whole tensor, PyTorch in one channel.
  std::vector<IntArg> sizes = c.sizes(x);
  ValueId plane = c.number(1, DType::kI64);
  for (size_t i = 2; i < sizes.size(); ++i) plane = c.binary("Mul", plane, c.value_of(sizes[i]));
  ValueId place = c.binary("Mod", y[1], plane);
  c.give(added ? c.squeeze(place, {0}) : place);
}

void avg_pool(Call& c) {
  const Window w = window_of(c);
  bool added = false;
  const ValueId x = batched_input(c, w.spatial, added);
  Call::Attributes attributes = attributes_of(w);
  const bool divides = c.has_param("divisor_override") && !c.none("divisor_override");
  attributes["count_include_pad"] = int64_t{divides || c.flag("count_include_pad")};
  ValueId y = c.emit("AveragePool", {x}, attributes);
  if (divides) {
    double cells = 1;
    for (const int64_t k : w.kernel) cells *= static_cast<double>(k);
    if (w.ceil) return c.refuse("divisor_override with ceil_mode is not supported");
    y = c.binary("Mul", y, c.number(cells / c.real("divisor_override"), c.dtype_of(y)));
  }
  c.give(added ? c.squeeze(y, {0}) : y);
}

// Windows [floor(i * n / out), ceil((i + 1) * n / out)): the rows of an averaging matrix [n, out].
ValueId averaging_matrix(Call& c, int64_t n, int64_t out, DType type) {
  std::vector<float> rows(static_cast<size_t>(n * out), 0);
  for (int64_t i = 0; i < out; ++i) {
    const int64_t begin = i * n / out, end = ((i + 1) * n + out - 1) / out;
    for (int64_t k = begin; k < end; ++k) {
      rows[static_cast<size_t>(k * out + i)] = 1.0f / static_cast<float>(end - begin);
    }
  }
  return c.cast(c.add_constant(Tensor::of<float>({n, out}, rows)), type);
}

struct Target {
  std::vector<int64_t> out;  // per spatial dim, -1: as the input
  bool ones = true;
};
Target target_of(Call& c, size_t spatial) {
  Target t;
  const Arg& a = c.arg("output_size");
  if (const ListArg* list = a.get<ListArg>()) {
    for (const Arg& item : *list) {
      const IntArg* n = item.get<IntArg>();
      if (n != nullptr && !n->known()) c.refuse("an output size that is known at run time only");
      t.out.push_back(n == nullptr ? -1 : n->value);
    }
  }
  if (t.out.size() == 1) t.out.assign(spatial, t.out[0]);
  if (t.out.size() != spatial) c.fail(invalid("argument 'output_size' does not fit"));
  t.out.resize(spatial, 1);
  for (const int64_t n : t.out) t.ones &= n == 1;
  return t;
}

// Whether one window fits all: the sizes divide.
bool divides_evenly(Call& c, ValueId x, const Target& t, Window& w) {
  w = {t.out.size(), {}, {}, std::vector<int64_t>(t.out.size(), 0), false};
  for (size_t i = 0; i < t.out.size(); ++i) {
    const int64_t n = t.out[i] == -1 ? 1 : c.known_dim(x, i + 2);
    const int64_t out = t.out[i] == -1 ? 1 : t.out[i];
    if (out < 1 || n % out != 0 || n == 0) return false;
    w.kernel.push_back(n / out);
  }
  w.stride = w.kernel;
  return true;
}

// `global` and `pool`: the operators for one window and for equal ones; `uneven` does one axis.
template <typename Uneven>
void adaptive_pool(Call& c, std::string_view global, std::string_view pool, Uneven uneven) {
  const size_t spatial = spatial_of(c);
  bool added = false;
  ValueId y = batched_input(c, spatial, added);
  const Target t = target_of(c, spatial);
  if (!c.status.ok()) return;
  Window w;
  if (t.ones) {
    y = c.unary(global, y);
  } else if (divides_evenly(c, y, t, w)) {
    y = c.emit(pool, {y}, attributes_of(w));
  } else {
    for (size_t i = 0; i < spatial && c.status.ok(); ++i) {
      if (t.out[i] != -1) y = uneven(c, y, static_cast<int64_t>(i + 2), t.out[i]);
    }
    if (!c.status.ok()) return;
  }
  c.give(added ? c.squeeze(y, {0}) : y);
}

// Uneven windows: a product with the averages along the axis.
ValueId uneven_average(Call& c, ValueId x, int64_t axis, int64_t out) {
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  constexpr int64_t kMost = int64_t{1} << 24;
  if (out < 1 || n < 1 || n > kMost / out) {
    c.fail(invalid("bad output size"));
    return x;
  }
  const auto last = static_cast<int64_t>(c.rank(x)) - 1;
  const ValueId y =
      c.binary("MatMul", c.swap_axes(x, axis, last), averaging_matrix(c, n, out, c.dtype_of(x)));
  return c.swap_axes(y, axis, last);
}

// Uneven windows: the maximum of each, one beside the other.
ValueId uneven_max(Call& c, ValueId x, int64_t axis, int64_t out) {
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  constexpr int64_t kMost = 1 << 12;
  if (out < 1 || out > kMost || n < 1) {
    c.fail(invalid("bad output size"));
    return x;
  }
  std::vector<ValueId> parts;
  for (int64_t i = 0; i < out; ++i) {
    const ValueId part =
        c.slice(x, axis, IntArg{i * n / out}, IntArg{((i + 1) * n + out - 1) / out});
    parts.push_back(c.reduce("ReduceMax", part, {axis}, true));
  }
  return c.concat(parts, axis);
}

void adaptive_avg_pool(Call& c) {
  adaptive_pool(c, "GlobalAveragePool", "AveragePool", uneven_average);
}
void adaptive_max_pool(Call& c) { adaptive_pool(c, "GlobalMaxPool", "MaxPool", uneven_max); }

// Each element at its place in the larger image, which is 0 elsewhere.
void max_unpool(Call& c) {
  const ValueId x = c.tensor("self"), at = c.tensor("indices");
  const std::vector<IntArg> size = c.int_args("output_size");
  const size_t rank = c.rank(x);
  if (!c.status.ok()) return;
  if (rank <= size.size() || size.empty()) return c.fail(invalid("argument 'self' does not fit"));
  const size_t outer = rank - size.size();
  std::vector<IntArg> shape;
  for (size_t i = 0; i < outer; ++i) shape.push_back(c.size(x, i));
  std::vector<IntArg> row = shape;
  shape.insert(shape.end(), size.begin(), size.end());
  row.push_back(IntArg{-1});
  const ValueId none = c.filled(shape, c.number(0, c.dtype_of(x)));
  const ValueId y = c.emit("ScatterElements", {c.view(none, row), c.view(at, row), c.view(x, row)},
                           {{"axis", static_cast<int64_t>(outer)}});
  c.give(c.emit("Reshape", {y, c.list_of(shape)}));
}

}  // namespace

std::vector<RowText> pool_rows() {
  return {
      {"max_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0, int[1] "
       "dilation=1, bool ceil_mode=False) -> Tensor",
       "MaxPool", max_pool},
      {"max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] "
       "dilation=1, bool ceil_mode=False) -> Tensor",
       "MaxPool", max_pool},
      {"max_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] "
       "dilation=1, bool ceil_mode=False) -> Tensor",
       "MaxPool", max_pool},
      {"max_pool1d_with_indices(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] "
       "padding=0, int[1] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
       "MaxPool", max_pool},
      {"max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] "
       "padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
       "MaxPool", max_pool},
      {"max_pool3d_with_indices(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] "
       "padding=0, int[3] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
       "MaxPool", max_pool},
      {"avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0, bool "
       "ceil_mode=False, bool count_include_pad=True) -> Tensor",
       "AveragePool", avg_pool},
      {"avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool "
       "ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor",
       "AveragePool", avg_pool},
      {"avg_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, bool "
       "ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor",
       "AveragePool", avg_pool},
      {"adaptive_avg_pool1d(Tensor self, int[1] output_size) -> Tensor", "GlobalAveragePool",
       adaptive_avg_pool},
      {"adaptive_avg_pool2d(Tensor self, int?[2] output_size) -> Tensor", "GlobalAveragePool",
       adaptive_avg_pool},
      {"_adaptive_avg_pool2d(Tensor self, int?[2] output_size) -> Tensor", "GlobalAveragePool",
       adaptive_avg_pool},
      {"adaptive_avg_pool3d(Tensor self, int?[3] output_size) -> Tensor", "GlobalAveragePool",
       adaptive_avg_pool},
      {"_adaptive_avg_pool3d(Tensor self, int?[3] output_size) -> Tensor", "GlobalAveragePool",
       adaptive_avg_pool},
      {"adaptive_max_pool1d(Tensor self, int[1] output_size) -> (Tensor, Tensor)", "GlobalMaxPool",
       adaptive_max_pool},
      {"adaptive_max_pool2d(Tensor self, int?[2] output_size) -> (Tensor, Tensor)", "GlobalMaxPool",
       adaptive_max_pool},
      {"adaptive_max_pool3d(Tensor self, int?[3] output_size) -> (Tensor, Tensor)", "GlobalMaxPool",
       adaptive_max_pool},
      {"max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> Tensor",
       "ScatterElements", max_unpool},
      {"max_unpool3d(Tensor self, Tensor indices, SymInt[3] output_size, int[3] stride, int[3] "
       "padding) -> Tensor",
       "ScatterElements", max_unpool},
  };
}

}  // namespace mnn::torch
