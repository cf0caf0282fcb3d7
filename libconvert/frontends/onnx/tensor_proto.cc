#include "libconvert/frontends/onnx/tensor_proto.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "libconvert/frontends/common/border.h"
#include "libruntime/core/dim.h"

namespace mnn::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

// Smaller data is copied: a Tensor of its own is better aligned and lets go of the string.
constexpr size_t kMoveFrom = 4096;
// A dense tensor made from a sparse one takes memory that the file does not show.
constexpr int64_t kMaxDenseElements = int64_t{1} << 28;

Result<std::vector<int64_t>> read_dims(const google::protobuf::RepeatedField<int64_t>& dims) {
  if (dims.size() > frontend::kMaxRank) {
    return invalid("rank " + std::to_string(dims.size()) + " is over the limit of " +
                   std::to_string(frontend::kMaxRank));
  }
  std::vector<int64_t> out(dims.begin(), dims.end());
  for (const int64_t d : out) {
    if (d < 0) return invalid("dimension " + std::to_string(d) + " is negative");
  }
  if (!checked_elements(out)) return invalid("its dimensions overflow 64 bits");
  return out;
}

Result<DType> read_dtype(int32_t type) {
  if (type < 1 || type > static_cast<int32_t>(kLastOnnxType)) {
    return invalid("element type " + std::to_string(type) + " is not known");
  }
  return static_cast<DType>(type);
}

// The typed fields, named as in the format.
enum class Field { kNone, kFloat, kInt32, kInt64, kDouble, kUint64, kString };

Field field_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kC64: return Field::kFloat;
    case DType::kF64:
    case DType::kC128: return Field::kDouble;
    case DType::kI64: return Field::kInt64;
    case DType::kU32:
    case DType::kU64: return Field::kUint64;
    case DType::kString: return Field::kString;
    default: return Field::kInt32;
  }
}

const char* field_name(Field field) {
  switch (field) {
    case Field::kFloat: return "float_data";
    case Field::kInt32: return "int32_data";
    case Field::kInt64: return "int64_data";
    case Field::kDouble: return "double_data";
    case Field::kUint64: return "uint64_data";
    case Field::kString: return "string_data";
    case Field::kNone: break;
  }
  return "no data";
}

// The one typed field that holds data; an error when there are several.
Result<Field> filled_field(const TensorProto& proto) {
  Field found = Field::kNone;
  const std::pair<Field, int> sizes[] = {
      {Field::kFloat, proto.float_data_size()},   {Field::kInt32, proto.int32_data_size()},
      {Field::kInt64, proto.int64_data_size()},   {Field::kDouble, proto.double_data_size()},
      {Field::kUint64, proto.uint64_data_size()}, {Field::kString, proto.string_data_size()},
  };
  for (const auto& [field, size] : sizes) {
    if (size == 0) continue;
    if (found != Field::kNone) {
      return invalid(std::string("data in both ") + field_name(found) + " and " +
                     field_name(field));
    }
    found = field;
  }
  return found;
}

Status wrong_count(Field field, int64_t expected, int64_t found) {
  return invalid("expected " + std::to_string(expected) + " entries of " + field_name(field) +
                 ", found " + std::to_string(found));
}

// Bytes other than 0 and 1 are no bool.
void normalize_bools(std::byte* data, size_t count) {
  for (size_t i = 0; i < count; ++i) data[i] = std::byte{data[i] != std::byte{0}};
}

Result<Tensor> from_raw(TensorProto& proto, DType dtype, std::vector<int64_t> dims, int64_t bytes,
                        Ownership ownership) {
  const std::string& raw = proto.raw_data();
  if (static_cast<int64_t>(raw.size()) != bytes) {
    return invalid("expected " + std::to_string(bytes) + " bytes of raw_data, found " +
                   std::to_string(raw.size()));
  }
  if (ownership == Ownership::kTake && raw.size() >= kMoveFrom) {
    const std::shared_ptr<std::string> owner(proto.release_raw_data());
    auto* data = reinterpret_cast<std::byte*>(owner->data());
    if (dtype == DType::kBool) normalize_bools(data, owner->size());
    return Tensor::wrap(dtype, std::move(dims), data, owner);
  }
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, std::move(dims)));
  if (!raw.empty()) std::memcpy(t.raw(), raw.data(), raw.size());
  if (dtype == DType::kBool) normalize_bools(t.raw(), raw.size());
  return t;
}

// Copies `values`, one per storage unit of the tensor, narrowed to its width.
template <typename Stored, typename Values>
Result<Tensor> narrowed(const Values& values, Field field, DType dtype, std::vector<int64_t> dims,
                        int64_t units) {
  if (values.size() != units) return wrong_count(field, units, values.size());
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, std::move(dims)));
  auto* out = reinterpret_cast<Stored*>(t.raw());
  for (int i = 0; i < values.size(); ++i) out[i] = static_cast<Stored>(values.Get(i));
  return t;
}

Result<Tensor> from_int32(const TensorProto& proto, DType dtype, std::vector<int64_t> dims,
                          int64_t bytes) {
  const auto& values = proto.int32_data();
  const Field f = Field::kInt32;
  switch (dtype_bits(dtype)) {
    case 32: return narrowed<int32_t>(values, f, dtype, std::move(dims), bytes / 4);
    case 16: return narrowed<uint16_t>(values, f, dtype, std::move(dims), bytes / 2);
    default: break;
  }
  // One byte an entry: 8-bit elements, or packed 4- and 2-bit ones.
  MNN_ASSIGN_OR_RETURN(Tensor t, narrowed<uint8_t>(values, f, dtype, std::move(dims), bytes));
  if (dtype == DType::kBool) {
    for (int i = 0; i < values.size(); ++i) t.raw()[i] = std::byte{values.Get(i) != 0};
  }
  return t;
}

Result<Tensor> from_field(const TensorProto& proto, DType dtype, std::vector<int64_t> dims,
                          int64_t bytes) {
  const Field expected = field_of(dtype);
  MNN_ASSIGN_OR_RETURN(const Field found, filled_field(proto));
  if (found != Field::kNone && found != expected) {
    return invalid("expected data of type " + std::string(dtype_name(dtype)) + " in " +
                   field_name(expected) + ", found " + field_name(found));
  }
  switch (expected) {
    case Field::kFloat:
      return narrowed<float>(proto.float_data(), expected, dtype, std::move(dims), bytes / 4);
    case Field::kDouble:
      return narrowed<double>(proto.double_data(), expected, dtype, std::move(dims), bytes / 8);
    case Field::kInt64:
      return narrowed<int64_t>(proto.int64_data(), expected, dtype, std::move(dims), bytes / 8);
    case Field::kUint64:
      if (dtype == DType::kU32) {
        return narrowed<uint32_t>(proto.uint64_data(), expected, dtype, std::move(dims), bytes / 4);
      }
      return narrowed<uint64_t>(proto.uint64_data(), expected, dtype, std::move(dims), bytes / 8);
    default: return from_int32(proto, dtype, std::move(dims), bytes);
  }
}

Result<Tensor> convert(TensorProto& proto, SourceFiles* files, Ownership ownership) {
  if (proto.has_segment()) return unsupported("segmented tensors are not supported");
  MNN_ASSIGN_OR_RETURN(const DType dtype, read_dtype(proto.data_type()));
  MNN_ASSIGN_OR_RETURN(std::vector<int64_t> dims, read_dims(proto.dims()));
  const int64_t elements = *checked_elements(dims);
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  if (dtype == DType::kString) {
    if (external || proto.has_raw_data()) return invalid("strings belong into string_data");
    MNN_ASSIGN_OR_RETURN(const Field found, filled_field(proto));
    if (found != Field::kNone && found != Field::kString) {
      return invalid(std::string("expected strings, found ") + field_name(found));
    }
    if (proto.string_data_size() != elements) {
      return wrong_count(Field::kString, elements, proto.string_data_size());
    }
    return Tensor::strings(std::move(dims),
                           {proto.string_data().begin(), proto.string_data().end()});
  }
  const std::optional<int64_t> bytes = storage_bytes(dtype, elements);
  if (!bytes) return invalid("its size overflows 64 bits");
  if (external) {
    if (files == nullptr) return invalid("external data is not possible here");
    return load_external(proto, *files, dtype, std::move(dims), *bytes);
  }
  if (proto.has_raw_data()) return from_raw(proto, dtype, std::move(dims), *bytes, ownership);
  return from_field(proto, dtype, std::move(dims), *bytes);
}

// One linear index per value from the indices of a sparse tensor: 1-D linear ones or 2-D
// coordinates.
Result<std::vector<int64_t>> linear_indices(const Tensor& indices, int64_t count,
                                            const std::vector<int64_t>& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  const int64_t total = *checked_elements(dims);
  const int64_t* data = indices.data<int64_t>();
  std::vector<int64_t> out;
  auto out_of_range = [](int64_t index) {
    return invalid("sparse index " + std::to_string(index) + " is out of range");
  };
  if (indices.dims() == std::vector<int64_t>{count}) {
    for (int64_t i = 0; i < count; ++i) {
      if (data[i] < 0 || data[i] >= total) return out_of_range(data[i]);
      out.push_back(data[i]);
    }
    return out;
  }
  if (indices.dims() != std::vector<int64_t>{count, rank}) {
    return invalid("sparse indices " + indices.type_str() + " do not fit " + std::to_string(count) +
                   " values of rank " + std::to_string(rank));
  }
  for (int64_t i = 0; i < count; ++i) {
    int64_t linear = 0;
    for (int64_t d = 0; d < rank; ++d) {
      const int64_t index = data[i * rank + d], size = dims[static_cast<size_t>(d)];
      if (index < 0 || index >= size) return out_of_range(index);
      linear = linear * size + index;
    }
    out.push_back(linear);
  }
  return out;
}

Result<Tensor> densify(SparseTensorProto& proto, SourceFiles* files) {
  MNN_ASSIGN_OR_RETURN(std::vector<int64_t> dims, read_dims(proto.dims()));
  const int64_t elements = *checked_elements(dims);
  if (elements > kMaxDenseElements) {
    return limit_exceeded("a sparse tensor of " + std::to_string(elements) +
                          " elements is over the limit of " + std::to_string(kMaxDenseElements));
  }
  MNN_ASSIGN_OR_RETURN(const Tensor values,
                       convert(*proto.mutable_values(), files, Ownership::kCopy));
  MNN_ASSIGN_OR_RETURN(const Tensor indices,
                       convert(*proto.mutable_indices(), files, Ownership::kCopy));
  if (values.rank() != 1) return invalid("sparse values must be 1-D, found " + values.type_str());
  if (indices.dtype() != DType::kI64) {
    return invalid("sparse indices must be i64, found " + indices.type_str());
  }
  const int bits = dtype_bits(values.dtype());
  if (bits < 8) return unsupported("sparse " + std::string(dtype_name(values.dtype())));
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> at,
                       linear_indices(indices, values.elements(), dims));
  MNN_ASSIGN_OR_RETURN(Tensor dense, Tensor::allocate(values.dtype(), std::move(dims)));
  const auto width = static_cast<size_t>(bits / 8);
  for (size_t i = 0; i < at.size(); ++i) {
    std::memcpy(dense.raw() + static_cast<size_t>(at[i]) * width, values.raw() + i * width, width);
  }
  return dense;
}

std::string where(const TensorProto& proto) {
  return proto.name().empty() ? "tensor" : "tensor " + proto.name();
}

}  // namespace

Result<Tensor> to_tensor(TensorProto& proto, SourceFiles* files, Ownership ownership) {
  Result<Tensor> tensor = convert(proto, files, ownership);
  if (!tensor.ok()) return tensor.status().context(where(proto));
  return tensor;
}

Result<Tensor> to_dense(SparseTensorProto& proto, SourceFiles* files) {
  Result<Tensor> tensor = densify(proto, files);
  if (!tensor.ok()) return tensor.status().context(where(proto.values()));
  return tensor;
}

void from_tensor(const Tensor& tensor, const std::string& name, TensorProto& proto) {
  proto.set_name(name);
  proto.set_data_type(static_cast<int32_t>(tensor.dtype()));
  for (const int64_t d : tensor.dims()) proto.add_dims(d);
  if (tensor.dtype() == DType::kString) {
    for (const std::string& s : tensor.string_values()) proto.add_string_data(s);
    return;
  }
  proto.set_raw_data(tensor.raw(), static_cast<size_t>(tensor.bytes()));
}

}  // namespace mnn::onnx
