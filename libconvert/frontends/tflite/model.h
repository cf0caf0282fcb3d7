// A TensorFlow Lite file: its FlatBuffer, checked before anything else looks at it, and the bytes
// of its tensors.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/io/file.h"
#include "tflite_generated.h"

namespace mnn::tflite {

// The kinds of tensors' elements (fb::Tensor::type).
enum class ElementType : int8_t { kF16 = 1, kU8 = 3, kI64 = 4, kI16 = 7, kI8 = 9, kResource = 13 };
// kUndefined for what the IR has no type for: resources and variants.
DType dtype_of(int8_t type);

// Vectors and strings that a file leaves out are empty.
template <typename T>
std::span<const T> list(const flatbuffers::Vector<T>* v) {
  return v == nullptr ? std::span<const T>() : std::span<const T>(v->data(), v->size());
}
inline std::string text(const flatbuffers::String* s) { return s == nullptr ? "" : s->str(); }
template <typename T>
size_t count(const flatbuffers::Vector<T>* v) {
  return v == nullptr ? 0 : v->size();
}

// A file whose tables, vectors, indices and buffers all lie inside it. It keeps the file mapped.
class ModelFile {
 public:
  static Result<ModelFile> open(MappedFile file);

  const fb::Model& model() const { return *model_; }
  const fb::SubGraph& subgraph(size_t i) const {
    return *model_->subgraphs()->Get(static_cast<flatbuffers::uoffset_t>(i));
  }
  size_t subgraphs() const { return count(model_->subgraphs()); }
  // The names of a sub-graph's tensors, made unique: the source's, "tensor_4" where there is none.
  const std::vector<std::string>& names(size_t subgraph) const { return names_[subgraph]; }

  // The bytes of a tensor that has any: it is a constant then.
  std::span<const std::byte> data(const fb::Tensor& tensor) const;
  // The stored elements as a tensor of the file's bytes. Of a sparse one: all of them, dense.
  // Unsupported types and bytes that do not fit the shape are errors.
  Result<Tensor> constant(const fb::Tensor& tensor) const;

  // The options of an operator, the ones of defaults where it has none or those of another kind.
  template <typename T>
  const T& options(const fb::Operator& op, uint8_t kind) const {
    const fb::Opaque* table = op.builtin_options();
    if (table == nullptr || op.builtin_options_type() != kind) return defaults<T>();
    flatbuffers::Verifier verifier(flatbuffer_.data(), flatbuffer_.size());
    const auto* typed = reinterpret_cast<const T*>(table);
    return typed->Verify(verifier) ? *typed : defaults<T>();
  }
  template <typename T>
  const T* table(const fb::Opaque* opaque) const {
    flatbuffers::Verifier verifier(flatbuffer_.data(), flatbuffer_.size());
    const auto* typed = reinterpret_cast<const T*>(opaque);
    return opaque != nullptr && typed->Verify(verifier) ? typed : nullptr;
  }

 private:
  Status verify();
  Status check_buffers() const;
  Status check_subgraph(const fb::SubGraph& graph, int64_t& work);
  Status check_signatures() const;
  void make_names();
  template <typename T>
  static const T& defaults();
  static const void* empty_table();

  MappedFile file_;
  std::span<const uint8_t> flatbuffer_;  // the part of the file that offsets may point into
  const fb::Model* model_ = nullptr;
  std::vector<std::vector<std::string>> names_;
};

template <typename T>
const T& ModelFile::defaults() {
  return *static_cast<const T*>(empty_table());
}

// A tensor with the zeros that a sparse one leaves out. `stored` are its elements as the file has
// them.
Result<Tensor> densify(const ModelFile& file, const fb::Tensor& tensor, DType dtype,
                       std::span<const std::byte> stored);

// How the elements of a tensor are quantized; nullopt when they are not. An error when its numbers
// make no sense for the shape.
Result<std::optional<QuantParams>> quantization(const fb::Tensor& tensor);

// "CONV_2D", or of a custom operator its own name.
std::string operator_name(const fb::OperatorCode& code);

}  // namespace mnn::tflite
