// The derivatives of operators that move elements: what was taken from a place goes back to it.
#include <algorithm>
#include <limits>
#include <numeric>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/window.h"

namespace mnn {
namespace {

using Ints = std::vector<int64_t>;

AttributeReader reader(const Node& n) { return {n, *find_op(n.op)}; }

Result<int64_t> axis_of(Builder& b, const Node& n, ValueId x) {
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, x));
  MNN_ASSIGN_OR_RETURN(const size_t axis, reader(n).attr_axis("axis", rank));
  return static_cast<int64_t>(axis);
}

std::vector<ValueId> first_of(const Node& n, ValueId dx) {
  std::vector<ValueId> all(n.own_inputs(), kNoValue);
  all[0] = dx;
  return all;
}

// Elements [begin, end) along an axis.
ValueId slice(Builder& b, ValueId v, int64_t begin, int64_t end, int64_t axis) {
  return b.op("Slice", {v, b.ints({begin}), b.ints({end}), b.ints({axis})});
}

// Zeros before and behind; negative counts cut off.
ValueId pad(Builder& b, ValueId v, const Ints& begin, const Ints& end) {
  Ints pads = begin;
  pads.insert(pads.end(), end.begin(), end.end());
  if (std::ranges::all_of(pads, [](int64_t p) { return p == 0; })) return v;
  return b.op("Pad", {v, b.ints(pads)});
}

Result<ValueId> constant_as(Builder& b, const Tensor& values, DType dtype) {
  MNN_ASSIGN_OR_RETURN(const std::vector<double> v, values.to_doubles());
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, values.dims()));
  dispatch_float(dtype, [&]<typename T>() {
    for (size_t i = 0; i < v.size(); ++i) t.data<T>()[i] = store_from_compute<T>(v[i]);
  });
  return b.constant(std::move(t));
}

Result<Tensor> identity_matrix(int64_t n) {
  MNN_ASSIGN_OR_RETURN(Tensor eye, Tensor::allocate(DType::kF64, {n, n}));
  for (int64_t i = 0; i < n; ++i) eye.data<double>()[i * n + i] = 1.0;
  return eye;
}

// What the node, which has no names of its own, makes of the rows of an identity: the matrix of a
// linear map along one axis.
Result<Tensor> matrix_of(Node node, std::span<const Tensor* const> inputs) {
  node.outputs = {0};
  MNN_ASSIGN_OR_RETURN(std::vector<Tensor> made, run_node(node, inputs));
  return std::move(made[0]);
}

}  // namespace

Gradients view_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return first_of(n, reshape_like(b, dy[0], n.inputs[0]));
}

Gradients transpose_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, n.inputs[0]));
  Ints perm = reader(n).attr_ints("perm");
  if (perm.empty()) {
    perm.resize(rank);
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  Ints back(rank);
  for (size_t i = 0; i < rank; ++i) back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  return std::vector<ValueId>{transpose(b, dy[0], back)};
}

Gradients concat_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const int64_t axis, axis_of(b, n, n.inputs[0]));
  std::vector<ValueId> result;
  int64_t at = 0;
  for (size_t i = 0; i < n.own_inputs(); ++i) {
    const Type& type = b.type(n.inputs[i]);
    if (!type.shape || !(*type.shape)[static_cast<size_t>(axis)].known()) {
      return unsupported("its derivative needs static sizes along axis " + std::to_string(axis) +
                         ", found " + type.str());
    }
    const int64_t size = (*type.shape)[static_cast<size_t>(axis)].value();
    result.push_back(slice(b, dy[0], at, at + size, axis));
    at += size;
  }
  return result;
}

Gradients split_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const int64_t axis, axis_of(b, n, n.inputs[0]));
  std::vector<ValueId> parts;
  for (size_t i = 0; i < dy.size(); ++i) {
    if (dy[i] != kNoValue) {
      parts.push_back(dy[i]);
    } else if (n.outputs[i] != kNoValue) {
      parts.push_back(zeros_like(b, n.outputs[i]));
    } else {
      return unsupported("its derivative needs all of its outputs");
    }
  }
  if (parts.size() == 1) return first_of(n, parts[0]);
  return first_of(n, b.op("Concat", parts, {{"axis", axis}}));
}

Gradients expand_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const ValueId dx, sum_to(b, dy[0], n.outputs[0], n.inputs[0]));
  return first_of(n, dx);
}

// [r0 d0, r1 d1, …] as [r0, d0, r1, d1, …], summed over the repeats.
Gradients tile_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, n.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Ints repeats, constant_ints(b, n, 1, "repeats"));
  Ints apart, axes;
  for (size_t i = 0; i < dims.size(); ++i) {
    axes.push_back(static_cast<int64_t>(apart.size()));
    apart.push_back(repeats[i]);
    apart.push_back(dims[i]);
  }
  const ValueId blocks = b.op("Reshape", {dy[0], b.ints(apart)}, {{"allowzero", int64_t{1}}});
  return first_of(n, reshape_like(b, sum_over(b, blocks, axes), n.inputs[0]));
}

// The elements taken are pulled apart by zeros to their step, turned round where the step is
// negative, and padded to where they were.
Gradients slice_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, n.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Ints out, static_dims(b, n.outputs[0]));
  MNN_ASSIGN_OR_RETURN(const Ints starts, constant_ints(b, n, 1, "starts"));
  MNN_ASSIGN_OR_RETURN(Ints axes, constant_ints(b, n, 3, "axes"));
  MNN_ASSIGN_OR_RETURN(Ints steps, constant_ints(b, n, 4, "steps"));
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  Ints before(dims.size(), 0), behind(dims.size(), 0), sizes = out;
  ValueId g = dy[0];
  for (size_t i = 0; i < starts.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(axes[i], dims.size()));
    const int64_t size = dims[axis], count = out[axis], step = steps[i];
    if (count == 0) return first_of(n, zeros_like(b, n.inputs[0]));
    int64_t first = starts[i] < 0 ? starts[i] + size : starts[i];
    first = std::clamp<int64_t>(first, 0, step > 0 ? size : size - 1);
    if (step < 0) {
      first += (count - 1) * step;  // the least place that was taken
      const int64_t end = std::numeric_limits<int64_t>::min() + 1;
      g = b.op("Slice", {g, b.ints({-1}), b.ints({end}), b.ints({static_cast<int64_t>(axis)}),
                         b.ints({-1})});
    }
    const int64_t apart = std::abs(step);
    if (apart > 1 && count > 1) {
      Ints split = sizes, zeros(dims.size() + 1, 0), none(dims.size() + 1, 0);
      split.insert(split.begin() + static_cast<int64_t>(axis) + 1, 1);
      zeros[axis + 1] = apart - 1;
      sizes[axis] = count * apart;
      g = b.op("Reshape",
               {pad(b, b.op("Reshape", {g, b.ints(split)}), none, zeros), b.ints(sizes)});
    }
    before[axis] = first;
    behind[axis] = size - first - sizes[axis];
  }
  return first_of(n, pad(b, g, before, behind));
}

Gradients pad_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, n.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Ints pads, constant_ints(b, n, 1, "pads"));
  MNN_ASSIGN_OR_RETURN(Ints axes, constant_ints(b, n, 3, "axes"));
  if (axes.empty()) {
    axes.resize(dims.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  const std::string mode = reader(n).attr_string("mode");
  Ints begin(dims.size(), 0), end(dims.size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(axes[i], dims.size()));
    begin[axis] = pads[i];
    end[axis] = pads[axes.size() + i];
  }
  if (mode == "constant") {
    Ints less_begin, less_end;
    for (size_t i = 0; i < dims.size(); ++i) {
      less_begin.push_back(-begin[i]);
      less_end.push_back(-end[i]);
    }
    std::vector<ValueId> result = first_of(n, pad(b, dy[0], less_begin, less_end));
    if (n.own_inputs() > 2 && n.inputs[2] != kNoValue) {
      // What did not come from the input came from the value.
      Builder::Attributes flat = {{"keepdims", int64_t{0}}};
      const ValueId all = b.op("ReduceSum", {dy[0]}, flat);
      const ValueId own = b.op("ReduceSum", {result[0]}, flat);
      result[2] = reshape_like(b, b.op("Sub", {all, own}), n.inputs[2]);
    }
    return result;
  }
  // Mirrored or wrapped: a linear map along each axis.
  ValueId g = dy[0];
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (begin[axis] == 0 && end[axis] == 0) continue;
    MNN_ASSIGN_OR_RETURN(const Tensor eye, identity_matrix(dims[axis]));
    const Tensor counts = Tensor::ints({0, begin[axis], 0, end[axis]});
    Node one;
    one.op = "Pad";
    one.inputs = {0, 1};
    one.attributes = {{"mode", mode}};
    const Tensor* const inputs[] = {&eye, &counts};
    MNN_ASSIGN_OR_RETURN(const Tensor matrix, matrix_of(one, inputs));
    MNN_ASSIGN_OR_RETURN(const ValueId m, constant_as(b, matrix, b.type(n.inputs[0]).dtype));
    g = apply_transposed(b, g, m, axis, dims.size());
  }
  return first_of(n, g);
}

// ---- elements chosen by index ----

namespace {

ValueId scatter_add(Builder& b, ValueId like, ValueId indices, ValueId updates) {
  return b.op("ScatterND", {zeros_like(b, like), indices, updates},
              {{"reduction", std::string("add")}});
}

}  // namespace

// dy [before…, indices…, behind…] is added to rows of x with the axis in front.
Gradients gather_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const ValueId x = n.inputs[0], indices = n.inputs[1];
  MNN_ASSIGN_OR_RETURN(const int64_t axis, axis_of(b, n, x));
  const ValueId places = b.op("Unsqueeze", {indices, b.ints({-1})});
  if (axis == 0) return first_of(n, scatter_add(b, x, places, dy[0]));
  MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, x));
  MNN_ASSIGN_OR_RETURN(const size_t index_rank, known_rank(b, indices));
  Ints perm;
  for (size_t i = 0; i < index_rank; ++i) perm.push_back(axis + static_cast<int64_t>(i));
  for (int64_t i = 0; i < axis; ++i) perm.push_back(i);
  for (size_t i = static_cast<size_t>(axis) + 1; i < dims.size(); ++i) {
    perm.push_back(static_cast<int64_t>(i + index_rank) - 1);
  }
  Ints turned = {dims[static_cast<size_t>(axis)]}, back;
  for (int64_t i = 0; i < axis; ++i) {
    turned.push_back(dims[static_cast<size_t>(i)]);
    back.push_back(i + 1);
  }
  back.push_back(0);
  for (size_t i = static_cast<size_t>(axis) + 1; i < dims.size(); ++i) {
    turned.push_back(dims[i]);
    back.push_back(static_cast<int64_t>(i));
  }
  const ValueId zeros = b.op("Expand", {scalar_like(b, x, 0.0), b.ints(turned)});
  const ValueId sums = b.op("ScatterND", {zeros, places, transpose(b, dy[0], perm)},
                            {{"reduction", std::string("add")}});
  return first_of(n, transpose(b, sums, back));
}

Gradients gather_elements_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return first_of(n,
                  b.op("ScatterElements", {zeros_like(b, n.inputs[0]), n.inputs[1], dy[0]},
                       {{"axis", reader(n).attr_int("axis")}, {"reduction", std::string("add")}}));
}

// With batch dims the place in the batch goes before each index.
Gradients gather_nd_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const int64_t batch_dims = reader(n).attr_int("batch_dims");
  ValueId indices = n.inputs[1];
  if (batch_dims > 0) {
    MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, indices));
    Ints one = dims;
    one.back() = batch_dims;
    MNN_ASSIGN_OR_RETURN(Tensor places, Tensor::allocate(DType::kI64, one));
    const auto batches = static_cast<size_t>(batch_dims);
    const int64_t count = batch_dims == 0 ? 0 : places.elements() / batch_dims;
    for (int64_t i = 0; i < count; ++i) {
      int64_t rest = i;
      for (size_t d = one.size() - 1; d-- > 0;) {
        if (d < batches) {
          places.data<int64_t>()[i * batch_dims + static_cast<int64_t>(d)] = rest % one[d];
        }
        rest /= one[d];
      }
    }
    indices = b.op("Concat", {b.constant(std::move(places)), indices}, {{"axis", int64_t{-1}}});
  }
  return first_of(n, scatter_add(b, n.inputs[0], indices, dy[0]));
}

Gradients scatter_elements_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const std::string reduction = reader(n).attr_string("reduction");
  const Builder::Attributes axis = {{"axis", reader(n).attr_int("axis")}};
  const ValueId taken = b.op("GatherElements", {dy[0], n.inputs[1]}, axis);
  if (reduction == "add") return std::vector<ValueId>{dy[0], kNoValue, taken};
  if (reduction != "none") return unsupported("reduction " + reduction + " has no derivative");
  const ValueId kept =
      b.op("ScatterElements", {dy[0], n.inputs[1], zeros_like(b, n.inputs[2])}, axis);
  return std::vector<ValueId>{kept, kNoValue, taken};
}

Gradients scatter_nd_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const std::string reduction = reader(n).attr_string("reduction");
  const ValueId taken = b.op("GatherND", {dy[0], n.inputs[1]});
  if (reduction == "add") return std::vector<ValueId>{dy[0], kNoValue, taken};
  if (reduction != "none") return unsupported("reduction " + reduction + " has no derivative");
  const ValueId kept = b.op("ScatterND", {dy[0], n.inputs[1], zeros_like(b, n.inputs[2])});
  return std::vector<ValueId>{kept, kNoValue, taken};
}

Gradients depth_to_space_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return first_of(n, b.op("SpaceToDepth", {dy[0]}, n.attributes));
}

Gradients space_to_depth_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return first_of(n, b.op("DepthToSpace", {dy[0]}, n.attributes));
}

Gradients trilu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  std::vector<ValueId> inputs(n.inputs.begin(),
                              n.inputs.begin() + static_cast<int64_t>(n.own_inputs()));
  inputs[0] = dy[0];
  return first_of(n, b.op("Trilu", std::move(inputs), n.attributes));
}

Gradients reverse_sequence_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return first_of(n, b.op("ReverseSequence", {dy[0], n.inputs[1]}, n.attributes));
}

Gradients top_k_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  ValueId indices = n.outputs.size() > 1 ? n.outputs[1] : kNoValue;
  if (indices == kNoValue) {
    indices = b.op_n("TopK", {n.inputs[0], n.inputs[1]}, 2, n.attributes)[1];
  }
  return first_of(n, b.op("ScatterElements", {zeros_like(b, n.inputs[0]), indices, dy[0]},
                          {{"axis", reader(n).attr_int("axis")}}));
}

// ---- Resize: a linear map along each axis ----

namespace {

// Whether each row of M [in, in * n] is n ones in a row; 0 when it is not.
int64_t repeats_of(const Tensor& m) {
  const int64_t in = m.dims()[0], out = m.dims()[1];
  if (out % in != 0) return 0;
  const int64_t n = out / in;
  for (int64_t i = 0; i < in; ++i) {
    for (int64_t o = 0; o < out; ++o) {
      if (m.data<double>()[i * out + o] != (o / n == i ? 1.0 : 0.0)) return 0;
    }
  }
  return n;
}

}  // namespace

Gradients resize_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const AttributeReader c = reader(n);
  const ValueId x = n.inputs[0];
  MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, x));
  MNN_ASSIGN_OR_RETURN(const Ints out, static_dims(b, n.outputs[0]));
  if (c.attr_string("coordinate_transformation_mode") == "tf_crop_and_resize") {
    return unsupported("cutting out a region has no derivative here");
  }
  // An empty tensor stands for an absent input.
  auto given = [&](size_t i) {
    return n.own_inputs() > i && n.inputs[i] != kNoValue &&
           !(b.type(n.inputs[i]).shape && num_elements(*b.type(n.inputs[i]).shape).is(0));
  };
  const bool by_size = given(3);
  if (by_size && c.attr_string("keep_aspect_ratio_policy") != "stretch") {
    return unsupported("keep_aspect_ratio_policy has no derivative here; give scales");
  }
  std::vector<double> scales(dims.size(), 1.0);
  if (!by_size) {
    const Tensor* factors = given(2) ? b.graph().constant(n.inputs[2]) : nullptr;
    if (factors == nullptr) return unsupported("its derivative needs constant scales");
    MNN_ASSIGN_OR_RETURN(const std::vector<double> values, factors->to_doubles());
    Ints axes = c.attr_ints("axes");
    if (axes.empty()) {
      axes.resize(dims.size());
      std::iota(axes.begin(), axes.end(), 0);
    }
    for (size_t i = 0; i < axes.size(); ++i) {
      MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(axes[i], dims.size()));
      scales[axis] = values[i];
    }
  }
  ValueId g = dy[0];
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (by_size ? out[axis] == dims[axis] : scales[axis] == 1.0) continue;
    MNN_ASSIGN_OR_RETURN(const Tensor eye, identity_matrix(dims[axis]));
    Node one;
    one.op = "Resize";
    one.attributes = n.attributes;
    one.attributes["axes"] = Ints{1};
    const auto scale = static_cast<float>(scales[axis]);
    const Tensor factor = Tensor::of<float>({1}, std::span<const float>(&scale, 1));
    const Tensor size = Tensor::ints({out[axis]});
    one.inputs = {0, kNoValue, by_size ? kNoValue : 1, by_size ? 1 : kNoValue};
    const Tensor* const inputs[] = {&eye, nullptr, by_size ? nullptr : &factor,
                                    by_size ? &size : nullptr};
    MNN_ASSIGN_OR_RETURN(const Tensor matrix, matrix_of(one, inputs));
    if (const int64_t repeats = repeats_of(matrix); repeats > 0) {
      Ints blocks = out;
      for (size_t i = 0; i < axis; ++i) blocks[i] = dims[i];
      blocks[axis] = dims[axis];
      blocks.insert(blocks.begin() + static_cast<int64_t>(axis) + 1, repeats);
      g = b.op("ReduceSum",
               {b.op("Reshape", {g, b.ints(blocks)}), b.ints({static_cast<int64_t>(axis) + 1})},
               {{"keepdims", int64_t{0}}});
      continue;
    }
    MNN_ASSIGN_OR_RETURN(const ValueId m, constant_as(b, matrix, b.type(x).dtype));
    g = apply_transposed(b, g, m, axis, dims.size());
  }
  return first_of(n, g);
}

}  // namespace mnn
