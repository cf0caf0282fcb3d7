// Gradients that an export may keep (those of the core set of ATen), by their definitions.
#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// Whether result i of "bool[3] output_mask" is wanted.
bool wanted(Call& c, size_t i) {
  const ListArg* list = c.arg("output_mask").get<ListArg>();
  const BoolArg* flag = list != nullptr && i < list->size() ? (*list)[i].get<BoolArg>() : nullptr;
  if (flag == nullptr || !flag->known()) {
    c.fail(invalid("argument 'output_mask' does not fit"));
    return false;
  }
  return flag->value;
}
void give_if(Call& c, size_t i, const std::function<ValueId()>& make) {
  if (!wanted(c, i)) return c.give(Arg());
  c.give(make());
}

std::vector<int64_t> axes_from(int64_t first, size_t rank) {
  std::vector<int64_t> axes;
  for (int64_t a = first; a < static_cast<int64_t>(rank); ++a) axes.push_back(a);
  return axes;
}

// [outputs, inputs]: what share of each output comes from each input of a pooling along one axis.
Tensor shares(int64_t outputs, int64_t inputs,
              const std::function<std::pair<int64_t, int64_t>(int64_t)>& window,
              const std::function<double(int64_t)>& divisor) {
  Tensor t = *Tensor::allocate(DType::kF32, {outputs, inputs});
  std::fill_n(t.data<float>(), t.elements(), 0.0f);
  for (int64_t o = 0; o < outputs; ++o) {
    const auto [first, end] = window(o);
    for (int64_t i = std::max<int64_t>(first, 0); i < std::min(end, inputs); ++i) {
      t.data<float>()[o * inputs + i] = static_cast<float>(1 / divisor(o));
    }
  }
  return t;
}

// rows^T @ grad @ columns
ValueId spread(Call& c, ValueId grad, const Tensor& rows, const Tensor& columns) {
  const DType type = c.dtype_of(grad);
  const ValueId r = c.transpose(c.cast(c.add_constant(rows), type), {1, 0});
  const ValueId k = c.cast(c.add_constant(columns), type);
  return c.binary("MatMul", r, c.binary("MatMul", grad, k));
}

// Height and width of a tensor, which must be known.
std::array<int64_t, 2> image_dims(Call& c, ValueId x) {
  const size_t rank = c.rank(x);
  if (rank < 2) c.fail(invalid("expected an image"));
  if (!c.status.ok()) return {0, 0};
  const std::array<int64_t, 2> dims = {c.known_dim(x, rank - 2), c.known_dim(x, rank - 1)};
  constexpr int64_t kMost = 1 << 13;
  if (c.status.ok() && std::max(dims[0], dims[1]) > kMost) c.refuse("an image of this size");
  return dims;
}

void adaptive_avg_pool_backward(Call& c) {
  const ValueId grad = c.tensor("grad_output"), x = c.tensor("self");
  const std::array<int64_t, 2> from = image_dims(c, x), to = image_dims(c, grad);
  if (!c.status.ok()) return;
  std::array<Tensor, 2> parts;
  for (size_t i = 0; i < 2; ++i) {
    const auto window = [&](int64_t o) -> std::pair<int64_t, int64_t> {
      return {o * from[i] / to[i], ((o + 1) * from[i] + to[i] - 1) / to[i]};
    };
    parts[i] = shares(to[i], from[i], window, [&](int64_t o) {
      return static_cast<double>(window(o).second - window(o).first);
    });
  }
  c.give(spread(c, grad, parts[0], parts[1]));
}

void avg_pool_backward(Call& c) {
  const ValueId grad = c.tensor("grad_output"), x = c.tensor("self");
  const std::vector<int64_t> kernel = c.ints("kernel_size"), padding = c.ints("padding");
  std::vector<int64_t> stride = c.ints("stride");
  if (stride.empty()) stride = kernel;
  const std::array<int64_t, 2> from = image_dims(c, x), to = image_dims(c, grad);
  if (!c.status.ok()) return;
  if (kernel.size() != 2 || stride.size() != 2 || padding.size() != 2) {
    return c.fail(invalid("a pooling of images has windows of two dims"));
  }
  const bool with_padding = c.flag("count_include_pad");
  const bool given = !c.none("divisor_override");
  const double divisor = given ? static_cast<double>(c.integer("divisor_override")) : 1;
  if (divisor == 0) return c.fail(invalid("a divisor of 0"));
  std::array<Tensor, 2> parts;
  for (size_t i = 0; i < 2; ++i) {
    const auto window = [&](int64_t o) -> std::pair<int64_t, int64_t> {
      const int64_t first = o * stride[i] - padding[i];
      return {first, std::min(first + kernel[i], from[i] + padding[i])};
    };
    parts[i] = shares(to[i], from[i], window, [&](int64_t o) -> double {
      if (given) return i == 0 ? divisor : 1;
      auto [first, end] = window(o);
      if (!with_padding) {
        first = std::max<int64_t>(first, 0);
        end = std::min(end, from[i]);
      }
      return static_cast<double>(std::max<int64_t>(end - first, 1));
    });
  }
  c.give(spread(c, grad, parts[0], parts[1]));
}

void max_pool_backward(Call& c) {
  const ValueId grad = c.tensor("grad_output"), x = c.tensor("self"), at = c.tensor("indices");
  const auto rank = static_cast<int64_t>(c.rank(x));
  if (rank < 3) return c.fail(invalid("expected an image"));
  std::vector<int64_t> flat(static_cast<size_t>(rank) - 2, 0);
  flat.push_back(-1);
  const auto rows = [&](ValueId v) { return c.emit("Reshape", {v, c.add_ints(flat)}); };
  const ValueId none = c.binary("Mul", rows(x), c.number(0, c.dtype_of(x)));
  const ValueId y = c.emit("ScatterElements", {none, rows(at), rows(grad)},
                           {{"axis", rank - 2}, {"reduction", std::string("add")}});
  c.give(c.emit("Reshape", {y, c.shape_of(x)}));
}

void embedding_backward(Call& c) {
  ValueId grad = c.tensor("grad_output");
  const ValueId at = c.cast(c.tensor("indices"), DType::kI64);
  if (c.flag("scale_grad_by_freq")) return c.refuse("scale_grad_by_freq=True is not supported");
  const DType type = c.dtype_of(grad);
  const auto last = static_cast<int64_t>(c.rank(at));
  const int64_t padding = c.integer("padding_idx");
  const ValueId places = c.expand_dims(at, {last});
  if (padding >= 0) {
    const ValueId counts = c.unary(
        "Not", c.binary("Equal", places, c.number(static_cast<double>(padding), DType::kI64)));
    grad = c.binary("Mul", grad, c.cast(counts, type));
  }
  const ValueId none = c.filled({c.int_arg("num_weights"), c.size(grad, static_cast<size_t>(last))},
                                c.number(0, type));
  c.give(c.emit("ScatterND", {none, places, grad}, {{"reduction", std::string("add")}}));
}

void layer_norm_backward(Call& c) {
  const ValueId dy = c.tensor("grad_out"), x = c.tensor("input");
  const auto normal = static_cast<int64_t>(c.int_args("normalized_shape").size());
  const size_t rank = c.rank(x);
  if (!c.status.ok()) return;
  const int64_t first = static_cast<int64_t>(rank) - normal;
  if (first < 0) return c.fail(invalid("argument 'normalized_shape' does not fit"));
  const std::vector<int64_t> inner = axes_from(first, rank);
  std::vector<int64_t> outer(static_cast<size_t>(first));
  std::iota(outer.begin(), outer.end(), 0);
  const ValueId rstd = c.tensor("rstd"), weight = c.tensor("weight");
  const ValueId unit = c.binary("Mul", c.binary("Sub", x, c.tensor("mean")), rstd);
  const auto mean = [&](ValueId v) { return c.reduce("ReduceMean", v, inner, true); };
  const auto sum = [&](ValueId v) {
    return outer.empty() ? v : c.reduce("ReduceSum", v, outer, false);
  };
  give_if(c, 0, [&] {
    const ValueId g = weight == kNoValue ? dy : c.binary("Mul", dy, weight);
    const ValueId along = c.binary("Mul", unit, mean(c.binary("Mul", g, unit)));
    return c.binary("Mul", rstd, c.binary("Sub", c.binary("Sub", g, mean(g)), along));
  });
  give_if(c, 1, [&] { return sum(c.binary("Mul", dy, unit)); });
  give_if(c, 2, [&] { return sum(dy); });
}

void group_norm_backward(Call& c) {
  const ValueId dy = c.tensor("grad_out"), x = c.tensor("input"), weight = c.tensor("weight");
  const IntArg n = c.int_arg("N"), channels = c.int_arg("C"), pixels = c.int_arg("HxW");
  const int64_t groups = c.integer("group");
  if (!c.status.ok()) return;
  if (!channels.known() || groups < 1 || channels.value % groups != 0) {
    return c.fail(invalid("argument 'group' does not fit"));
  }
  // [N, groups, channels of one, pixels]
  const std::vector<IntArg> shape = {n, IntArg{groups}, IntArg{channels.value / groups}, pixels};
  const ValueId g = c.view(dy, shape), v = c.view(x, shape);
  const auto per_group = [&](std::string_view name) {
    return c.view(c.tensor(name), {n, IntArg{groups}, IntArg{1}, IntArg{1}});
  };
  const ValueId rstd = per_group("rstd");
  const ValueId unit = c.binary("Mul", c.binary("Sub", v, per_group("mean")), rstd);
  const auto mean = [&](ValueId a) { return c.reduce("ReduceMean", a, {2, 3}, true); };
  const auto per_channel = [&](ValueId a) {
    return c.view(c.reduce("ReduceSum", a, {0, 3}, false), {channels});
  };
  give_if(c, 0, [&] {
    const ValueId scaled =
        weight == kNoValue
            ? g
            : c.binary("Mul", g, c.view(weight, {IntArg{groups}, shape[2], IntArg{1}}));
    const ValueId along = c.binary("Mul", unit, mean(c.binary("Mul", scaled, unit)));
    const ValueId y =
        c.binary("Mul", rstd, c.binary("Sub", c.binary("Sub", scaled, mean(scaled)), along));
    return c.emit("Reshape", {y, c.shape_of(x)});
  });
  give_if(c, 1, [&] { return per_channel(c.binary("Mul", g, unit)); });
  give_if(c, 2, [&] { return per_channel(g); });
}

// A convolution's geometry along one dim.
struct Spatial {
  std::vector<int64_t> stride, padding, dilation, output_padding;
};
std::vector<int64_t> both_ends(const std::vector<int64_t>& padding) {
  std::vector<int64_t> pads = padding;
  pads.insert(pads.end(), padding.begin(), padding.end());
  return pads;
}

// dw of y = conv(x, w): x is convolved with dy, which steps by the dilation and is dilated by the
// stride. x [N, G*I, …], dy [N, G*O, …]; w [G*O, I, …] of the dims `kernel`.
ValueId weight_gradient(Call& c, ValueId x, ValueId dy, int64_t groups, const Spatial& s,
                        const std::vector<int64_t>& kernel) {
  const size_t spatial = kernel.size();
  const int64_t in = c.known_dim(x, 1) / groups, out = c.known_dim(dy, 1);
  const IntArg n = c.size(x, 0);
  // [N, G, I, …] -> [I, G, N, …] -> [I, G*N, …]
  std::vector<IntArg> apart = {n, IntArg{groups}, IntArg{in}};
  std::vector<int64_t> perm = {2, 1, 0};
  for (size_t i = 0; i < spatial; ++i) {
    apart.push_back(c.size(x, i + 2));
    perm.push_back(static_cast<int64_t>(i) + 3);
  }
  std::vector<IntArg> merged = {IntArg{in}, IntArg{-1}};
  merged.insert(merged.end(), apart.begin() + 3, apart.end());
  const ValueId rows = c.view(c.transpose(c.view(x, apart), perm), merged);
  std::vector<int64_t> swap = {1, 0};
  for (size_t i = 0; i < spatial; ++i) swap.push_back(static_cast<int64_t>(i) + 2);
  ValueId w = c.emit("Conv", {rows, c.transpose(dy, swap)},
                     {{"dilations", s.stride},
                      {"group", groups},
                      {"pads", both_ends(s.padding)},
                      {"strides", s.dilation}});
  // Rows that the stride left over give more than the kernel has.
  for (size_t i = 0; i < spatial; ++i) {
    w = c.slice(w, static_cast<int64_t>(i) + 2, IntArg{0}, IntArg{kernel[i]});
  }
  std::vector<int64_t> dims = {out, in};
  dims.insert(dims.end(), kernel.begin(), kernel.end());
  return c.emit("Reshape", {c.transpose(w, swap), c.add_ints(dims)});
}

void convolution_backward(Call& c) {
  const ValueId dy = c.tensor("grad_output"), x = c.tensor("input"), w = c.tensor("weight");
  Spatial s{c.ints("stride"), c.ints("padding"), c.ints("dilation"), c.ints("output_padding")};
  const int64_t groups = c.integer("groups");
  const size_t rank = c.rank(w);
  if (!c.status.ok()) return;
  if (rank < 3 || c.rank(x) != rank || c.rank(dy) != rank || groups < 1) {
    return c.fail(invalid("the tensors are none of one convolution"));
  }
  const size_t spatial = rank - 2;
  std::vector<int64_t> kernel;
  for (size_t i = 0; i < spatial; ++i) kernel.push_back(c.known_dim(w, i + 2));
  for (auto* list : {&s.stride, &s.padding, &s.dilation}) {
    if (list->size() == 1) list->resize(spatial, (*list)[0]);
    if (list->size() != spatial) return c.fail(invalid("the geometry has the wrong rank"));
  }
  const bool transposed = c.flag("transposed");
  if (!c.status.ok()) return;
  give_if(c, 0, [&]() -> ValueId {
    Call::Attributes attributes = {{"dilations", s.dilation},
                                   {"group", groups},
                                   {"pads", both_ends(s.padding)},
                                   {"strides", s.stride}};
    if (transposed) return c.emit("Conv", {dy, w}, attributes);
    // What the stride left over of the input comes back.
    std::vector<int64_t> rest;
    for (size_t i = 0; i < spatial; ++i) {
      const int64_t made = (c.known_dim(dy, i + 2) - 1) * s.stride[i] - 2 * s.padding[i] +
                           s.dilation[i] * (kernel[i] - 1) + 1;
      rest.push_back(c.known_dim(x, i + 2) - made);
    }
    attributes["output_padding"] = rest;
    return c.emit("ConvTranspose", {dy, w}, attributes);
  });
  give_if(c, 1, [&] {
    return transposed ? weight_gradient(c, dy, x, groups, s, kernel)
                      : weight_gradient(c, x, dy, groups, s, kernel);
  });
  give_if(c, 2, [&] {
    std::vector<int64_t> axes = axes_from(2, rank);
    axes.insert(axes.begin(), 0);
    return c.reduce("ReduceSum", dy, axes, false);
  });
}

}  // namespace

std::vector<RowText> backward_rows() {
  return {
      {"_adaptive_avg_pool2d_backward(Tensor grad_output, Tensor self) -> Tensor", "MatMul",
       adaptive_avg_pool_backward},
      {"avg_pool2d_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] stride, "
       "int[2] padding, bool ceil_mode, bool count_include_pad, int? divisor_override) -> Tensor",
       "MatMul", avg_pool_backward},
      {"max_pool2d_with_indices_backward(Tensor grad_output, Tensor self, int[2] kernel_size, "
       "int[2] stride, int[2] padding, int[2] dilation, bool ceil_mode, Tensor indices) -> Tensor",
       "ScatterElements", max_pool_backward},
      {"embedding_dense_backward(Tensor grad_output, Tensor indices, SymInt num_weights, SymInt "
       "padding_idx, bool scale_grad_by_freq) -> Tensor",
       "ScatterND", embedding_backward},
      {"native_layer_norm_backward(Tensor grad_out, Tensor input, SymInt[] normalized_shape, "
       "Tensor mean, Tensor rstd, Tensor? weight, Tensor? bias, bool[3] output_mask) -> (Tensor, "
       "Tensor, Tensor)",
       "Mul, Sub, ReduceMean, ReduceSum", layer_norm_backward},
      {"native_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, Tensor rstd, "
       "Tensor? weight, SymInt N, SymInt C, SymInt HxW, int group, bool[3] output_mask) -> "
       "(Tensor, Tensor, Tensor)",
       "Mul, Sub, ReduceMean, ReduceSum", group_norm_backward},
      {"convolution_backward(Tensor grad_output, Tensor input, Tensor weight, SymInt[]? "
       "bias_sizes, int[] stride, SymInt[] padding, int[] dilation, bool transposed, SymInt[] "
       "output_padding, int groups, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
       "ConvTranspose; Conv, ReduceSum", convolution_backward},
  };
}

}  // namespace mnn::torch
