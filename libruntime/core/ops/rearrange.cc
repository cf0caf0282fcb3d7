// DepthToSpace, SpaceToDepth, ReverseSequence, CenterCropPad, Trilu, EyeLike.
#include <algorithm>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// ---- DepthToSpace, SpaceToDepth ----

Result<int64_t> block_size(const AttributeReader& c) {
  const int64_t block = c.attr_int("blocksize");
  if (block < 1 || block > (int64_t{1} << 20)) {
    return invalid("blocksize: expected a positive number, found " + std::to_string(block));
  }
  return block;
}

// dim / by, which must be a whole number.
Result<Dim> divided(const Dim& dim, int64_t by, std::string_view what) {
  if (dim.known() && dim.value() % by != 0) {
    return invalid(std::string(what) + " of " + dim.str() + " is not a multiple of " +
                   std::to_string(by));
  }
  return floor_div(dim, Dim(by));
}

Status expect_image(const OpContext& c) {
  if (c.in[0].rank() == 4) return {};
  return invalid("expected rank 4, found " + c.in[0].str());
}

Status check_depth_mode(const AttributeReader& c) {
  const std::string mode = c.attr_string("mode");
  if (mode == "DCR" || mode == "CRD") return {};
  return invalid("mode: expected DCR or CRD, found " + mode);
}

Status infer_depth_to_space(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const int64_t b, block_size(c));
  MNN_RETURN_IF_ERROR(check_depth_mode(c));
  set_output(c, 0, c.in[0].dtype, unknown_shape(4));
  if (!c.rank_known(0)) return {};
  MNN_RETURN_IF_ERROR(expect_image(c));
  const Shape& s = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const Dim channels, divided(s[1], b * b, "depth"));
  c.out[0].type.shape = Shape{s[0], channels, s[2] * Dim(b), s[3] * Dim(b)};
  return {};
}

Status infer_space_to_depth(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const int64_t b, block_size(c));
  MNN_RETURN_IF_ERROR(check_depth_mode(c));
  set_output(c, 0, c.in[0].dtype, unknown_shape(4));
  if (!c.rank_known(0)) return {};
  MNN_RETURN_IF_ERROR(expect_image(c));
  const Shape& s = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const Dim height, divided(s[2], b, "height"));
  MNN_ASSIGN_OR_RETURN(const Dim width, divided(s[3], b, "width"));
  c.out[0].type.shape = Shape{s[0], s[1] * Dim(b * b), height, width};
  return {};
}

// y in row-major order over `dims`, read from x with `strides`.
Status copy_strided(const Tensor& x, const std::vector<int64_t>& dims,
                    const std::vector<int64_t>& strides, Tensor& y) {
  return dispatch_move(x.dtype(), [&]<typename T>() {
    const T* from = elements<T>(x);
    T* to = elements<T>(y);
    walk(dims, strides, 0, [&](int64_t i, int64_t offset) { to[i] = from[offset]; });
  });
}

Status reference_depth_to_space(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const int64_t b = c.attr_int("blocksize");
  const int64_t channels = y->dims()[1], height = x.dims()[2], width = x.dims()[3];
  const auto s = row_major_strides(x.dims());
  // The input's channel is (row, column, channel) in DCR, (channel, row, column) in CRD.
  const bool dcr = c.attr_string("mode") == "DCR";
  const int64_t row = (dcr ? b * channels : b) * s[1], column = (dcr ? channels : 1) * s[1];
  const int64_t channel = (dcr ? 1 : b * b) * s[1];
  return copy_strided(x, {y->dims()[0], channels, height, b, width, b},
                      {s[0], channel, s[2], row, s[3], column}, *y);
}

Status reference_space_to_depth(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const int64_t b = c.attr_int("blocksize");
  const auto s = row_major_strides(x.dims());
  const int64_t channels = x.dims()[1], height = y->dims()[2], width = y->dims()[3];
  if (c.attr_string("mode") == "CRD") {
    return copy_strided(x, {x.dims()[0], channels, b, b, height, width},
                        {s[0], s[1], s[2], s[3], s[2] * b, s[3] * b}, *y);
  }
  return copy_strided(x, {x.dims()[0], b, b, channels, height, width},
                      {s[0], s[2], s[3], s[1], s[2] * b, s[3] * b}, *y);
}

// ---- ReverseSequence ----

Status infer_reverse_sequence(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "sequence_lens"));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  const int64_t batch = c.attr_int("batch_axis"), time = c.attr_int("time_axis");
  if (std::min(batch, time) != 0 || std::max(batch, time) != 1) {
    return invalid("batch_axis and time_axis: expected 0 and 1 in some order, found " +
                   std::to_string(batch) + " and " + std::to_string(time));
  }
  if (!c.rank_known(0)) return {};
  if (c.in[0].rank() < 2) return invalid("expected rank 2 or more, found " + c.in[0].str());
  const Dim& sequences = (*c.in[0].shape)[static_cast<size_t>(batch)];
  const auto count = known_length(c, 1);
  if (count && sequences.known() && *count != sequences.value()) {
    return invalid("sequence_lens has " + std::to_string(*count) + " entries for a batch of " +
                   sequences.str());
  }
  return {};
}

Status reference_reverse_sequence(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const auto lengths, read_ints(c, 1, "sequence_lens"));
  const auto batch = static_cast<size_t>(c.attr_int("batch_axis"));
  const size_t time = 1 - batch;
  const int64_t steps = x.dims()[time];
  if (static_cast<int64_t>(lengths.size()) != x.dims()[batch]) {
    return invalid("sequence_lens has " + std::to_string(lengths.size()) +
                   " entries for a batch of " + std::to_string(x.dims()[batch]));
  }
  for (const int64_t n : lengths) {
    if (n < 0 || n > steps) {
      return invalid("sequence_lens: " + std::to_string(n) + " is not in [0, " +
                     std::to_string(steps) + "]");
    }
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  const auto s = row_major_strides(x.dims());
  const int64_t inner = s[1];
  return dispatch_move(x.dtype(), [&]<typename T>() {
    for (size_t b = 0; b < lengths.size(); ++b) {
      for (int64_t t = 0; t < steps; ++t) {
        const int64_t source = t < lengths[b] ? lengths[b] - 1 - t : t;
        const int64_t base = static_cast<int64_t>(b) * s[batch];
        std::copy_n(elements<T>(x) + base + source * s[time], inner,
                    elements<T>(*y) + base + t * s[time]);
      }
    }
  });
}

// ---- CenterCropPad ----

Result<std::vector<size_t>> cropped_axes(const AttributeReader& c, size_t rank) {
  if (c.has("axes")) return normalize_axes(c.attr_ints("axes"), rank);
  std::vector<size_t> axes(rank);
  for (size_t d = 0; d < rank; ++d) axes[d] = d;
  return axes;
}

Status infer_center_crop_pad(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "shape"));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  if (!c.rank_known(0)) return {};
  MNN_ASSIGN_OR_RETURN(const auto axes, cropped_axes(c, c.in[0].rank()));
  const auto target = c.values(1);
  if (target && target->size() != axes.size()) {
    return invalid("shape has " + std::to_string(target->size()) + " entries, expected " +
                   std::to_string(axes.size()));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const Dim d = target ? (*target)[i] : Dim::unknown();
    if (d.known() && d.value() < 0) return invalid("shape has the negative entry " + d.str());
    (*c.out[0].type.shape)[axes[i]] = d;
  }
  return {};
}

Status reference_center_crop_pad(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  const auto strides = row_major_strides(x.dims());
  std::vector<std::vector<int64_t>> offsets(x.rank());
  for (size_t d = 0; d < x.rank(); ++d) {
    const int64_t in = x.dims()[d], out = y->dims()[d];
    const int64_t shift = out > in ? -((out - in) / 2) : (in - out) / 2;
    for (int64_t i = 0; i < out; ++i) {
      const int64_t at = i + shift;
      offsets[d].push_back(at < 0 || at >= in ? -1 : at * strides[d]);
    }
  }
  return dispatch_move(x.dtype(), [&]<typename T>() {
    copy_by_offsets(elements<T>(x), offsets, T{}, y->dims(), elements<T>(*y));
  });
}

// ---- Trilu ----

Status infer_trilu(OpContext& c) {
  if (c.rank_known(0) && c.in[0].rank() < 2) {
    return invalid("expected rank 2 or more, found " + c.in[0].str());
  }
  if (c.has_input(1)) MNN_RETURN_IF_ERROR(expect_integers(c, 1, "k"));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  return {};
}

Status reference_trilu(KernelContext& c) {
  const Tensor& x = *c.in[0];
  int64_t k = 0;
  if (c.has_input(1)) {
    MNN_ASSIGN_OR_RETURN(const auto values, read_ints(c, 1, "k"));
    if (values.size() != 1) return invalid("k: expected one number, found " + c.in[1]->type_str());
    k = values[0];
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const bool upper = c.attr_int("upper") != 0;
  const int64_t columns = x.dims().back(), rows = x.dims()[x.rank() - 2];
  return dispatch_move(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      const int64_t diagonal = i % columns - i / columns % rows;
      const bool keep = upper ? diagonal >= k : diagonal <= k;
      if (keep) elements<T>(*y)[i] = elements<T>(x)[i];
    }
  });
}

// ---- EyeLike ----

Status infer_eye_like(OpContext& c) {
  if (c.rank_known(0) && c.in[0].rank() != 2) {
    return invalid("expected rank 2, found " + c.in[0].str());
  }
  const int64_t type = c.has("dtype") ? c.attr_int("dtype") : static_cast<int64_t>(c.in[0].dtype);
  if (type <= 0 || type > static_cast<int64_t>(kLastOnnxType)) {
    return invalid("dtype: " + std::to_string(type) + " is no element type");
  }
  set_output(c, 0, static_cast<DType>(type), c.in[0].shape);
  return {};
}

Status reference_eye_like(KernelContext& c) {
  const DType dtype = c.types[0].dtype;
  MNN_ASSIGN_OR_RETURN(const Tensor one, convert_elements(Tensor::scalar<int64_t>(1), dtype));
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const int64_t rows = y->dims()[0], columns = y->dims()[1], k = c.attr_int("k");
  if (y->elements() == 0 || k >= columns || k <= -rows) return {};
  return dispatch_move(dtype, [&]<typename T>() {
    for (int64_t r = std::max<int64_t>(0, -k); r < rows && r + k < columns; ++r) {
      elements<T>(*y)[r * columns + r + k] = elements<T>(one)[0];
    }
  });
}

}  // namespace

std::vector<OpDef> define_rearrange() {
  const AttrDef block{"blocksize", int64_t{0}, true}, mode{"mode", std::string("DCR")};
  const AttrDef batch{"batch_axis", int64_t{1}}, time{"time_axis", int64_t{0}};
  const AttrDef axes{"axes", std::vector<int64_t>{}}, upper{"upper", int64_t{1}};
  const AttrDef dtype{"dtype", int64_t{0}}, k{"k", int64_t{0}};
  return {
      with_gradient(depth_to_space_gradient, {"DepthToSpace",
                                              1,
                                              1,
                                              kMoves,
                                              {block, mode},
                                              infer_depth_to_space,
                                              with_whole_bytes<reference_depth_to_space>}),
      with_gradient(space_to_depth_gradient, {"SpaceToDepth",
                                              1,
                                              1,
                                              kMoves,
                                              {block, mode},
                                              infer_space_to_depth,
                                              with_whole_bytes<reference_space_to_depth>}),
      with_gradient(reverse_sequence_gradient, {"ReverseSequence",
                                                2,
                                                2,
                                                kMoves | index_inputs(1),
                                                {batch, time},
                                                infer_reverse_sequence,
                                                with_whole_bytes<reference_reverse_sequence>}),
      {"CenterCropPad",
       2,
       2,
       shape_inputs(1),
       {axes},
       infer_center_crop_pad,
       with_whole_bytes<reference_center_crop_pad>},
      with_gradient(trilu_gradient, {"Trilu",
                                     1,
                                     2,
                                     shape_inputs(1),
                                     {upper},
                                     infer_trilu,
                                     with_whole_bytes<reference_trilu>}),
      {"EyeLike", 1, 1, kReadsShape, {dtype, k}, infer_eye_like, reference_eye_like},
  };
}

}  // namespace mnn
