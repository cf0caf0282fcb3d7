#include "libconvert/frontends/onnx/types.h"

#include "libconvert/frontends/onnx/tensor_proto.h"

namespace mnn::onnx {
namespace {

Result<DType> element_type(int32_t type) {
  if (type < 0 || type > static_cast<int32_t>(kLastOnnxType)) {
    return invalid("element type " + std::to_string(type) + " is not known");
  }
  return static_cast<DType>(type);
}

// The innermost tensor type and how it is wrapped; null when there is none.
struct Unwrapped {
  Type::Kind kind = Type::Kind::kTensor;
  const TypeProto::Tensor* tensor = nullptr;
};

Result<Unwrapped> unwrap(const TypeProto& proto) {
  using Kind = Type::Kind;
  switch (proto.value_case()) {
    case TypeProto::kTensorType: return Unwrapped{Kind::kTensor, &proto.tensor_type()};
    case TypeProto::VALUE_NOT_SET: return Unwrapped{};
    case TypeProto::kSequenceType: {
      const TypeProto& element = proto.sequence_type().elem_type();
      if (element.value_case() == TypeProto::kTensorType) {
        return Unwrapped{Kind::kSequence, &element.tensor_type()};
      }
      return unsupported("only sequences of tensors are supported");
    }
    case TypeProto::kOptionalType: {
      const TypeProto& element = proto.optional_type().elem_type();
      if (element.value_case() == TypeProto::kTensorType) {
        return Unwrapped{Kind::kOptionalTensor, &element.tensor_type()};
      }
      if (element.value_case() == TypeProto::kSequenceType &&
          element.sequence_type().elem_type().value_case() == TypeProto::kTensorType) {
        return Unwrapped{Kind::kOptionalSequence,
                         &element.sequence_type().elem_type().tensor_type()};
      }
      return unsupported("only optional tensors and sequences of tensors are supported");
    }
    case TypeProto::kMapType: return unsupported("values of type map are not supported");
    case TypeProto::kOpaqueType: return unsupported("values of opaque type are not supported");
    case TypeProto::kSparseTensorType: return unsupported("sparse values are not supported");
  }
  return Unwrapped{};
}

}  // namespace

bool is_named_dim(const TensorShapeProto::Dimension& dim) {
  return dim.value_case() == TensorShapeProto::Dimension::kDimParam && !dim.dim_param().empty() &&
         dim.dim_param() != "?";
}

Result<Type> declared_type(const TypeProto& proto) {
  MNN_ASSIGN_OR_RETURN(const Unwrapped u, unwrap(proto));
  Type type;
  type.kind = u.kind;
  if (u.tensor == nullptr) return type;
  MNN_ASSIGN_OR_RETURN(type.dtype, element_type(u.tensor->elem_type()));
  if (!u.tensor->has_shape()) return type;
  MNN_RETURN_IF_ERROR(frontend::check_rank(static_cast<size_t>(u.tensor->shape().dim_size())));
  type.shape.emplace();
  for (const auto& dim : u.tensor->shape().dim()) {
    // A 0 stands for "unknown" in files of some exporters.
    const bool number =
        dim.value_case() == TensorShapeProto::Dimension::kDimValue && dim.dim_value() > 0;
    type.shape->push_back(number ? Dim(dim.dim_value()) : Dim::unknown());
  }
  return type;
}

Result<InputType> input_type(const std::string& name, const TypeProto& proto, DimSymbols& symbols) {
  MNN_ASSIGN_OR_RETURN(Type type, declared_type(proto));
  if (!type.defined()) return invalid("it has no element type");
  InputType out{std::move(type)};
  if (!out.type.shape) return out;
  const Unwrapped u = *unwrap(proto);
  for (size_t i = 0; i < out.type.shape->size(); ++i) {
    Dim& dim = (*out.type.shape)[i];
    if (dim.known()) continue;
    const TensorShapeProto::Dimension& source = u.tensor->shape().dim(static_cast<int>(i));
    if (out.type.kind != Type::Kind::kTensor) continue;
    dim = is_named_dim(source) ? symbols.named(source.dim_param()) : symbols.fresh(name, i);
    out.zero_dims |=
        source.value_case() == TensorShapeProto::Dimension::kDimValue && source.dim_value() == 0;
  }
  return out;
}

}  // namespace mnn::onnx
