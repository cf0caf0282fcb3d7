#include "libconvert/frontends/tflite/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/tflite/op_map.h"
#include "libruntime/core/packed.h"

namespace mnn::tflite {
namespace {

constexpr size_t kMostFlatBuffer = 0x7ffffff0;  // offsets are signed 32-bit numbers
constexpr int kMostDepth = 64;
constexpr uint32_t kMostTables = 1 << 20;
// Vectors may be shared by many tables: what reading all of them may cost.
constexpr int64_t kMostIndices = int64_t{1} << 24;
constexpr int64_t kMostNameBytes = int64_t{1} << 26;

Status damaged(const std::string& what) { return invalid("damaged file: " + what); }

// Tensor indices of one list; -1 stands for an absent one where `optional`.
Status check_indices(std::span<const int32_t> indices, size_t tensors, bool optional,
                     const char* what, int64_t& work) {
  work += static_cast<int64_t>(indices.size()) + 1;
  if (work > kMostIndices) return limit_exceeded("more operands than the limit of 2^24");
  for (const int32_t i : indices) {
    if (i == -1 && optional) continue;
    if (i < 0 || static_cast<size_t>(i) >= tensors) {
      return damaged(std::string(what) + " names tensor " + std::to_string(i) + " of " +
                     std::to_string(tensors));
    }
  }
  return {};
}

}  // namespace

DType dtype_of(int8_t type) {
  constexpr DType kTypes[] = {
      DType::kF32,  DType::kF16,       DType::kI32,       DType::kU8,  DType::kI64, DType::kString,
      DType::kBool, DType::kI16,       DType::kC64,       DType::kI8,  DType::kF64, DType::kC128,
      DType::kU64,  DType::kUndefined, DType::kUndefined, DType::kU32, DType::kU16, DType::kI4,
      DType::kBF16, DType::kI2,        DType::kU4};
  const auto at = static_cast<size_t>(type);
  return type < 0 || at >= std::size(kTypes) ? DType::kUndefined : kTypes[at];
}

const void* ModelFile::empty_table() {
  // A table of no fields: its vtable, then the table's offset to it.
  struct alignas(8) Bytes {
    uint16_t vtable[2] = {4, 4};
    int32_t offset = 4;
  };
  static const Bytes kBytes;
  return &kBytes.offset;
}

Result<ModelFile> ModelFile::open(MappedFile file) {
  ModelFile model;
  model.file_ = std::move(file);
  const auto bytes = model.file_.bytes;
  model.flatbuffer_ = {reinterpret_cast<const uint8_t*>(bytes.data()),
                       std::min(bytes.size(), kMostFlatBuffer)};
  MNN_RETURN_IF_ERROR(model.verify());
  return model;
}

Status ModelFile::verify() {
  flatbuffers::Verifier verifier(flatbuffer_.data(), flatbuffer_.size(), kMostDepth, kMostTables);
  if (flatbuffer_.size() < 8 || !verifier.VerifyBuffer<fb::Model>(fb::ModelIdentifier())) {
    return damaged("its tables or vectors lie outside it, or are nested or shared too much");
  }
  model_ = fb::GetModel(flatbuffer_.data());
  if (model_->version() != 3) {
    const std::string version = std::to_string(model_->version());
    if (model_->version() < 3) return unsupported("schema version " + version + " is too old");
    return unsupported("schema version " + version +
                       " is newer than 3, the newest one known: a newer release of this tool may "
                       "read it, or convert the model again with a released TensorFlow");
  }
  if (subgraphs() == 0) return damaged("it has no sub-graph");
  MNN_RETURN_IF_ERROR(check_buffers());
  int64_t work = 0;
  for (size_t i = 0; i < subgraphs(); ++i) {
    MNN_RETURN_IF_ERROR(
        check_subgraph(subgraph(i), work).context("sub-graph " + std::to_string(i)));
  }
  MNN_RETURN_IF_ERROR(check_signatures());
  int64_t names = 0;
  for (size_t i = 0; i < subgraphs(); ++i) {
    for (const fb::Tensor* t : *subgraph(i).tensors()) {
      names += t->name() == nullptr ? 0 : t->name()->size();
      if (names > kMostNameBytes) return limit_exceeded("names of more than 64 MiB");
    }
  }
  make_names();
  return {};
}

Status ModelFile::check_buffers() const {
  if (model_->buffers() == nullptr) return {};
  for (const fb::Buffer* b : *model_->buffers()) {
    if (b->offset() <= 1) continue;
    const uint64_t size = file_.bytes.size();
    if (b->offset() > size || b->size() > size - b->offset()) {
      return damaged("a buffer of " + std::to_string(b->size()) + " bytes at " +
                     std::to_string(b->offset()) + " lies outside the file of " +
                     std::to_string(size));
    }
  }
  return {};
}

Status ModelFile::check_subgraph(const fb::SubGraph& graph, int64_t& work) {
  if (graph.tensors() == nullptr) return damaged("it has no tensors");
  const size_t tensors = graph.tensors()->size();
  for (const fb::Tensor* t : *graph.tensors()) {
    MNN_RETURN_IF_ERROR(frontend::check_rank(count(t->shape())));
    if (t->buffer() > 0 && t->buffer() >= count(model_->buffers())) {
      return damaged("tensor " + text(t->name()) + " names buffer " + std::to_string(t->buffer()));
    }
    for (const int32_t dim : list(t->shape())) {
      if (dim < -1) return damaged("tensor " + text(t->name()) + " has a negative dim");
    }
  }
  MNN_RETURN_IF_ERROR(check_indices(list(graph.inputs()), tensors, false, "its input list", work));
  MNN_RETURN_IF_ERROR(
      check_indices(list(graph.outputs()), tensors, false, "its output list", work));
  if (graph.operators() == nullptr) return {};
  for (const fb::Operator* op : *graph.operators()) {
    if (op->opcode_index() >= count(model_->operator_codes())) {
      return damaged("an operator has code " + std::to_string(op->opcode_index()) + " of " +
                     std::to_string(count(model_->operator_codes())));
    }
    MNN_RETURN_IF_ERROR(
        check_indices(list(op->inputs()), tensors, true, "an operator's input list", work));
    MNN_RETURN_IF_ERROR(
        check_indices(list(op->outputs()), tensors, false, "an operator's output list", work));
  }
  return {};
}

Status ModelFile::check_signatures() const {
  if (model_->signature_defs() == nullptr) return {};
  for (const fb::SignatureDef* s : *model_->signature_defs()) {
    const std::string where = "signature " + text(s->signature_key());
    if (s->subgraph_index() >= subgraphs()) return damaged(where + " names no sub-graph");
    const size_t tensors = subgraph(s->subgraph_index()).tensors()->size();
    for (const auto* maps : {s->inputs(), s->outputs()}) {
      if (maps == nullptr) continue;
      for (const fb::TensorMap* m : *maps) {
        if (m->tensor_index() >= tensors) return damaged(where + " names no tensor");
      }
    }
  }
  return {};
}

void ModelFile::make_names() {
  for (size_t g = 0; g < subgraphs(); ++g) {
    std::set<std::string> used;
    std::vector<std::string> names;
    size_t index = 0;
    for (const fb::Tensor* t : *subgraph(g).tensors()) {
      std::string name = text(t->name());
      if (name.empty() || !used.insert(name).second) {
        const std::string base = (name.empty() ? "tensor" : name) + "_" + std::to_string(index);
        name = base;
        for (int n = 2; !used.insert(name).second; ++n) name = base + "_" + std::to_string(n);
      }
      names.push_back(std::move(name));
      ++index;
    }
    names_.push_back(std::move(names));
  }
}

std::span<const std::byte> ModelFile::data(const fb::Tensor& tensor) const {
  if (tensor.buffer() == 0 || tensor.buffer() >= count(model_->buffers())) return {};
  const fb::Buffer& b = *model_->buffers()->Get(tensor.buffer());
  if (b.offset() > 1) return file_.bytes.subspan(b.offset(), b.size());
  return std::as_bytes(list(b.data()));
}

namespace {

// u32 count, count + 1 offsets from the start, then the texts.
Result<Tensor> read_strings(std::span<const std::byte> bytes, const std::vector<int64_t>& dims) {
  const auto number = [&](size_t i) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + i * 4, 4);
    return value;
  };
  if (bytes.size() < 4) return damaged("a string tensor is cut off");
  const uint64_t texts = number(0);
  if (checked_elements(dims) != static_cast<int64_t>(texts) || (texts + 2) * 4 > bytes.size()) {
    return damaged("a string tensor does not hold what its shape says");
  }
  std::vector<std::string> values;
  uint64_t total = 0;
  for (size_t i = 0; i < texts; ++i) {
    const uint64_t from = number(i + 1), to = number(i + 2);
    if (from > to || to > bytes.size() || (total += to - from) > bytes.size()) {
      return damaged("a string tensor's texts lie outside it");
    }
    values.emplace_back(reinterpret_cast<const char*>(bytes.data()) + from, to - from);
  }
  return Tensor::strings(dims, std::move(values));
}

}  // namespace

Result<Tensor> ModelFile::constant(const fb::Tensor& tensor) const {
  const DType dtype = dtype_of(tensor.type());
  if (dtype == DType::kUndefined) {
    return unsupported("constants of type " + std::to_string(tensor.type()) + " are not supported");
  }
  const std::span<const std::byte> bytes = data(tensor);
  if (tensor.sparsity() != nullptr) return densify(*this, tensor, dtype, bytes);
  const std::span<const int32_t> shape = list(tensor.shape());
  std::vector<int64_t> dims(shape.begin(), shape.end());
  const std::optional<int64_t> elements = checked_elements(dims);
  if (!elements) return damaged("a constant has a shape that no memory holds");
  if (dtype == DType::kString) return read_strings(bytes, dims);
  const std::optional<int64_t> size = storage_bytes(dtype, *elements);
  if (!size || static_cast<uint64_t>(*size) != bytes.size()) {
    return damaged("a constant of " + std::to_string(*elements) + " elements of " +
                   std::string(dtype_name(dtype)) + " has " + std::to_string(bytes.size()) +
                   " bytes");
  }
  if (dtype == DType::kBool) {
    // Any byte but 0 is true.
    MNN_ASSIGN_OR_RETURN(Tensor copy, Tensor::allocate(dtype, dims));
    for (size_t i = 0; i < bytes.size(); ++i) copy.data<bool>()[i] = bytes[i] != std::byte{0};
    return copy;
  }
  const auto width = static_cast<uintptr_t>(std::max(1, dtype_bits(dtype) / 8));
  if (reinterpret_cast<uintptr_t>(bytes.data()) % width == 0) {
    return Tensor::wrap(dtype, dims, const_cast<std::byte*>(bytes.data()), file_.owner);
  }
  MNN_ASSIGN_OR_RETURN(Tensor copy, Tensor::allocate(dtype, dims));
  std::copy(bytes.begin(), bytes.end(), copy.raw());
  return copy;
}

Result<std::optional<QuantParams>> quantization(const fb::Tensor& tensor) {
  const fb::QuantizationParameters* q = tensor.quantization();
  const DType dtype = dtype_of(tensor.type());
  if (q == nullptr || !is_integer(dtype)) return std::optional<QuantParams>();
  const std::span<const float> scales = list(q->scale());
  const std::span<const int64_t> zeros = list(q->zero_point());
  if (q->details_type() == 2) {
    return unsupported("blockwise quantization is not supported");
  }
  if (scales.empty()) return std::optional<QuantParams>();
  if (!zeros.empty() && zeros.size() != scales.size() && zeros.size() != 1) {
    return damaged("a tensor has " + std::to_string(scales.size()) + " scales and " +
                   std::to_string(zeros.size()) + " zero points");
  }
  for (const float s : scales) {
    if (!(s >= 0) || !std::isfinite(s)) return damaged("a scale is no positive number");
  }
  std::vector<int32_t> zero_points;
  for (size_t i = 0; i < scales.size() && !zeros.empty(); ++i) {
    const int64_t z = zeros[zeros.size() == 1 ? 0 : i];
    if (z < INT32_MIN || z > INT32_MAX) return damaged("a zero point is out of range");
    zero_points.push_back(static_cast<int32_t>(z));
  }
  if (scales.size() == 1) {
    return std::optional(tensor_quant(dtype, scales[0], zero_points.empty() ? 0 : zero_points[0]));
  }
  const int64_t axis = q->quantized_dimension();
  const std::span<const int32_t> shape = list(tensor.shape());
  if (axis < 0 || axis >= static_cast<int64_t>(shape.size()) ||
      shape[static_cast<size_t>(axis)] != static_cast<int64_t>(scales.size())) {
    return damaged("a tensor has " + std::to_string(scales.size()) +
                   " scales, which do not fit its axis " + std::to_string(axis));
  }
  if (std::ranges::all_of(zero_points, [](int32_t z) { return z == 0; })) zero_points.clear();
  return std::optional(axis_quant(dtype, static_cast<int>(axis), scales, zero_points));
}

std::string operator_name(const fb::OperatorCode& code) {
  const int builtin = builtin_code(code);
  if (builtin == kCustomCode) return text(code.custom_code());
  const std::string_view name = builtin_name(builtin);
  return name.empty() ? "operator " + std::to_string(builtin) : std::string(name);
}

}  // namespace mnn::tflite
