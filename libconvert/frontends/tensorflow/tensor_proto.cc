#include "libconvert/frontends/tensorflow/tensor_proto.h"

#include <cstring>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/tensorflow/types.h"

namespace mnn::tensorflow {
namespace {

// What a few bytes of a file may become.
constexpr int64_t kMostUnfolded = int64_t{1} << 28;

// The last value given stands for all that follow, none for zeros.
template <typename T, typename Values, typename Convert>
Status fill(Tensor& t, const Values& values, const Convert& convert) {
  const auto given = static_cast<int64_t>(values.size()), n = t.elements();
  if (given > n) {
    return invalid("expected at most " + std::to_string(n) + " elements, found " +
                   std::to_string(given));
  }
  T* out = t.data<T>();
  for (int64_t i = 0; i < given; ++i) out[i] = convert(values.Get(static_cast<int>(i)));
  if (given > 0) std::fill(out + given, out + n, out[given - 1]);
  return {};
}

template <typename T, typename Values>
Status fill(Tensor& t, const Values& values) {
  return fill<T>(t, values, [](auto v) { return static_cast<T>(v); });
}

Status fill_values(Tensor& t, const TensorProto& p) {
  const auto bits = [](int v) { return static_cast<uint16_t>(v); };
  switch (t.dtype()) {
    case DType::kF32: return fill<float>(t, p.float_val());
    case DType::kF64: return fill<double>(t, p.double_val());
    case DType::kI32: return fill<int32_t>(t, p.int_val());
    case DType::kI16: return fill<int16_t>(t, p.int_val());
    case DType::kI8: return fill<int8_t>(t, p.int_val());
    case DType::kU8: return fill<uint8_t>(t, p.int_val());
    case DType::kU16: return fill<uint16_t>(t, p.int_val());
    case DType::kI64: return fill<int64_t>(t, p.int64_val());
    case DType::kU32: return fill<uint32_t>(t, p.uint32_val());
    case DType::kU64: return fill<uint64_t>(t, p.uint64_val());
    case DType::kBool: return fill<bool>(t, p.bool_val());
    case DType::kF16:
    case DType::kBF16: return fill<uint16_t>(t, p.half_val(), bits);
    default: break;
  }
  return unsupported("elements of type " + std::string(dtype_name(t.dtype())) +
                     " are not supported");
}

}  // namespace

Result<Type> type_of(int dtype, const TensorShapeProto& proto) {
  Type type;
  type.dtype = dtype_of(dtype);
  if (type.dtype == DType::kUndefined) {
    return unsupported("element type " + std::to_string(dtype) + " is not supported");
  }
  if (proto.unknown_rank()) return type;
  MNN_RETURN_IF_ERROR(frontend::check_rank(static_cast<size_t>(proto.dim_size())));
  type.shape.emplace();
  for (const auto& d : proto.dim()) {
    if (d.size() < -1) return invalid("a dimension is " + std::to_string(d.size()));
    type.shape->push_back(d.size() < 0 ? Dim::unknown() : Dim(d.size()));
  }
  return type;
}

Result<Tensor> to_tensor(const TensorProto& proto) {
  MNN_ASSIGN_OR_RETURN(const Type type, type_of(proto.dtype(), proto.tensor_shape()));
  if (!type.is_static()) return invalid("a tensor without a shape");
  std::vector<int64_t> dims = known_dims(*type.shape);
  const std::optional<int64_t> count = checked_elements(dims);
  if (!count) return limit_exceeded("a tensor with too many elements");
  if (type.dtype == DType::kString) {
    if (*count > proto.string_val_size() && *count > 1 << 20) {
      return limit_exceeded("a tensor with too many texts");
    }
    std::vector<std::string> texts(proto.string_val().begin(), proto.string_val().end());
    texts.resize(static_cast<size_t>(*count), texts.empty() ? "" : texts.back());
    return Tensor::strings(std::move(dims), std::move(texts));
  }
  const bool complex = type.dtype == DType::kC64 || type.dtype == DType::kC128;
  const std::string& content = proto.tensor_content();
  const std::optional<int64_t> bytes = storage_bytes(type.dtype, *count);
  if (!bytes || (content.empty() && *bytes > kMostUnfolded &&
                 proto.ByteSizeLong() < static_cast<size_t>(*bytes) / 8)) {
    return limit_exceeded("a tensor of more than 256 MiB of one value");
  }
  if (!content.empty() && static_cast<int64_t>(content.size()) != *bytes) {
    return invalid("expected " + std::to_string(*bytes) + " bytes of elements, found " +
                   std::to_string(content.size()));
  }
  DType dtype = type.dtype;
  if (complex) {
    dims.push_back(2);
    dtype = dtype == DType::kC64 ? DType::kF32 : DType::kF64;
  }
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, std::move(dims)));
  if (!content.empty()) {
    std::memcpy(t.raw(), content.data(), content.size());
    return t;
  }
  if (complex) {
    if (type.dtype != DType::kC64) {
      MNN_RETURN_IF_ERROR(fill<double>(t, proto.dcomplex_val()));
    } else {
      MNN_RETURN_IF_ERROR(fill<float>(t, proto.scomplex_val()));
    }
    const int given = std::max(proto.scomplex_val_size(), proto.dcomplex_val_size());
    if (given > 0 && given < t.elements() && given != 2) {
      return unsupported("complex elements that a file leaves out are not supported");
    }
    return t;
  }
  MNN_RETURN_IF_ERROR(fill_values(t, proto));
  return t;
}

}  // namespace mnn::tensorflow
