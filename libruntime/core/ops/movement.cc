#include "libruntime/core/ops/movement.h"

#include <algorithm>

#include "libruntime/core/packed.h"

namespace mnn {

Result<Tensor> unpack_elements(const Tensor& packed) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kU8, packed.dims()));
  const int bits = dtype_bits(packed.dtype());
  for (int64_t i = 0; i < out.elements(); ++i) {
    out.data<uint8_t>()[i] = packed_get(packed.raw(), bits, i);
  }
  return out;
}

Result<Tensor> pack_elements(const Tensor& bytes, DType dtype) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(dtype, bytes.dims()));
  const int bits = dtype_bits(dtype);
  for (int64_t i = 0; i < bytes.elements(); ++i) {
    packed_set(out.raw(), bits, i, bytes.data<uint8_t>()[i]);
  }
  return out;
}

namespace {

bool is_packed(DType dtype) { return dtype_bits(dtype) > 0 && dtype_bits(dtype) < 8; }

}  // namespace

Status run_with_whole_bytes(KernelContext& c, ReferenceFn kernel) {
  std::vector<Tensor> unpacked(c.in.size());
  bool any = false;
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (c.in[i] == nullptr || !is_packed(c.in[i]->dtype())) continue;
    MNN_ASSIGN_OR_RETURN(unpacked[i], unpack_elements(*c.in[i]));
    c.in[i] = &unpacked[i];
    any = true;
  }
  if (!any) return kernel(c);
  std::vector<DType> wanted(c.out.size(), DType::kUndefined);
  for (size_t i = 0; i < c.types.size(); ++i) {
    if (!is_packed(c.types[i].dtype)) continue;
    wanted[i] = c.types[i].dtype;
    c.types[i].dtype = DType::kU8;
  }
  MNN_RETURN_IF_ERROR(kernel(c));
  for (size_t i = 0; i < c.out.size(); ++i) {
    if (wanted[i] == DType::kUndefined || !c.out[i].defined()) continue;
    MNN_ASSIGN_OR_RETURN(c.out[i], pack_elements(c.out[i], wanted[i]));
  }
  return {};
}

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t d = dims.size(); d-- > 1;)
    strides[d - 1] = strides[d] * std::max<int64_t>(dims[d], 1);
  return strides;
}

int64_t product(const std::vector<int64_t>& dims, size_t begin, size_t end) {
  int64_t p = 1;
  for (size_t d = begin; d < end; ++d) p *= dims[d];
  return p;
}

// `index` made non-negative, or an error that names it and the range.
Result<int64_t> checked_index(int64_t index, int64_t dim) {
  if (index < -dim || index >= dim) {
    return invalid("index " + std::to_string(index) + " is not in [" + std::to_string(-dim) + ", " +
                   std::to_string(dim) + ")");
  }
  return index < 0 ? index + dim : index;
}

Result<std::vector<int64_t>> index_tuple_offsets(const std::vector<int64_t>& dims,
                                                 const Tensor& indices, size_t batch) {
  const auto strides = row_major_strides(dims);
  const auto depth = static_cast<size_t>(indices.dims().back());
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> values, indices.to_ints());
  const std::vector<int64_t> outer(indices.dims().begin(), indices.dims().end() - 1);
  std::vector<int64_t> outer_strides(outer.size(), 0);
  std::copy_n(strides.begin(), batch, outer_strides.begin());
  std::vector<int64_t> offsets;
  Status status;
  walk(outer, outer_strides, 0, [&](int64_t i, int64_t offset) {
    for (size_t k = 0; k < depth && status.ok(); ++k) {
      const auto at = checked_index(values[static_cast<size_t>(i) * depth + k], dims[batch + k]);
      if (at.ok())
        offset += *at * strides[batch + k];
      else
        status = at.status().context("axis " + std::to_string(batch + k));
    }
    if (status.ok()) offsets.push_back(offset);
  });
  if (!status.ok()) return status;
  return offsets;
}

std::optional<ShapeValues> values_or_unknown(const OpContext& c, size_t i) {
  if (auto v = c.values(i)) return v;
  if (!c.has_input(i) || !c.in[i].is_static()) return std::nullopt;
  if (!is_integer(c.in[i].dtype) && c.in[i].dtype != DType::kBool) return std::nullopt;
  const auto count = checked_elements(known_dims(*c.in[i].shape));
  if (!count || *count > kMaxShapeValues) return std::nullopt;
  return ShapeValues(static_cast<size_t>(*count), Dim::unknown());
}

std::optional<ShapeValues> shaped_values(const OpContext& c, size_t i) {
  auto values = c.values(i);
  if (!values || !c.has_input(i) || !c.in[i].is_static()) return std::nullopt;
  const auto count = checked_elements(known_dims(*c.in[i].shape));
  if (count != static_cast<int64_t>(values->size())) return std::nullopt;
  return values;
}

Status expect_integers(const OpContext& c, size_t i, std::string_view what) {
  if (!c.has_input(i)) return invalid("its input " + std::string(what) + " is missing");
  if (!is_integer(c.in[i].dtype)) {
    return invalid(std::string(what) + ": expected integers, found " + c.in[i].str());
  }
  return {};
}

Result<std::vector<int64_t>> read_ints(const KernelContext& c, size_t i, std::string_view what) {
  if (!c.has_input(i)) return invalid("its input " + std::string(what) + " is missing");
  auto values = c.in[i]->to_ints();
  if (!values.ok()) return values.status().context(what);
  return values;
}

std::optional<int64_t> known_length(const OpContext& c, size_t i) {
  if (!c.rank_known(i) || c.in[i].rank() > 1) return std::nullopt;
  if (c.in[i].rank() == 0) return 1;
  const Dim& d = (*c.in[i].shape)[0];
  if (!d.known()) return std::nullopt;
  return d.value();
}

Result<std::vector<size_t>> normalize_axes(const std::vector<int64_t>& axes, size_t rank) {
  std::vector<size_t> out;
  std::vector<char> seen(rank, 0);
  for (const int64_t a : axes) {
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(a, rank));
    if (seen[axis]) return invalid("axis " + std::to_string(a) + " is given twice");
    seen[axis] = 1;
    out.push_back(axis);
  }
  return out;
}

Shape unknown_shape(size_t rank) { return Shape(rank, Dim::unknown()); }

void set_output(OpContext& c, size_t i, DType dtype, std::optional<Shape> shape) {
  if (i < c.out.size()) c.out[i].type = {Type::Kind::kTensor, dtype, std::move(shape)};
}

Status store_doubles(KernelContext& c, size_t i, const std::vector<double>& values) {
  if (!c.has_output(i)) return {};
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(i));
  const bool done = dispatch_float(y->dtype(), [&]<typename T>() {
    for (size_t e = 0; e < values.size(); ++e) y->data<T>()[e] = store_from_compute<T>(values[e]);
  });
  if (done) return {};
  return unsupported("element type " + std::string(dtype_name(y->dtype())));
}

}  // namespace mnn
