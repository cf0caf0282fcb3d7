#include "tests/convert/tflite_builder.h"

#include <deque>
#include <sstream>

namespace mnn::testing {
namespace {

namespace fb = tflite::fb;
using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

template <typename T>
std::vector<T> numbers(const std::string& text) {
  std::vector<T> out;
  std::istringstream in(text);
  for (std::string one; std::getline(in, one, ',');) out.push_back(static_cast<T>(std::stod(one)));
  return out;
}

Offset<fb::Opaque> options(FlatBufferBuilder& b, const std::vector<TfField>& fields) {
  std::map<int, flatbuffers::uoffset_t> lists;
  for (const TfField& f : fields) {
    if (f.type == "i32s") lists[f.slot] = b.CreateVector(numbers<int32_t>(f.value)).o;
    if (f.type == "f32s") lists[f.slot] = b.CreateVector(numbers<float>(f.value)).o;
    if (f.type == "text") lists[f.slot] = b.CreateString(f.value).o;
  }
  const flatbuffers::uoffset_t start = b.StartTable();
  b.ForceDefaults(true);
  for (const TfField& f : fields) {
    const auto at = static_cast<flatbuffers::voffset_t>(4 + 2 * f.slot);
    const auto list = lists.find(f.slot);
    if (list != lists.end()) {
      b.AddOffset(at, Offset<void>(list->second));
    } else if (f.type == "f32") {
      b.AddElement<float>(at, std::stof(f.value), 0);
    } else if (f.type == "i32") {
      b.AddElement<int32_t>(at, std::stoi(f.value), 0);
    } else {
      b.AddElement<int8_t>(at, static_cast<int8_t>(std::stoi(f.value)), 0);
    }
  }
  b.ForceDefaults(false);
  return Offset<fb::Opaque>(b.EndTable(start));
}

}  // namespace

std::string TfModel::bytes() const {
  FlatBufferBuilder b;
  std::vector<Offset<fb::OperatorCode>> codes;
  std::vector<Offset<fb::SubGraph>> subgraphs;
  std::vector<Offset<fb::Buffer>> buffers = {fb::CreateBuffer(b)};
  for (const TfGraph& g : graphs) {
    std::vector<Offset<fb::Tensor>> tensors;
    for (const TfTensor& t : g.tensors) {
      uint32_t buffer = 0;
      if (!t.data.empty()) {
        buffer = static_cast<uint32_t>(buffers.size());
        b.ForceVectorAlignment(t.data.size(), 1, 16);
        const auto data =
            b.CreateVector(reinterpret_cast<const uint8_t*>(t.data.data()), t.data.size());
        buffers.push_back(fb::CreateBuffer(b, data));
      }
      Offset<fb::QuantizationParameters> quant;
      if (!t.scales.empty()) {
        const auto scales = b.CreateVector(t.scales);
        const auto zeros = b.CreateVector(t.zeros);
        quant = fb::CreateQuantizationParameters(b, 0, 0, scales, zeros, 0, 0, t.axis);
      }
      const auto shape = b.CreateVector(t.dims);
      const auto name = b.CreateString(t.name);
      Offset<flatbuffers::Vector<int32_t>> signature;
      if (!t.signature.empty()) signature = b.CreateVector(t.signature);
      tensors.push_back(
          fb::CreateTensor(b, shape, t.type, buffer, name, quant, t.variable, 0, signature));
    }
    std::vector<Offset<fb::Operator>> operators;
    for (const TfOperator& o : g.operators) {
      Offset<flatbuffers::String> custom;
      if (!o.custom.empty()) custom = b.CreateString(o.custom);
      const auto old_code = static_cast<int8_t>(std::min(o.code, 127));
      codes.push_back(fb::CreateOperatorCode(b, old_code, custom, 1, o.code));
      Offset<fb::Opaque> table;
      if (o.kind != 0) table = options(b, o.options);
      const auto in = b.CreateVector(o.inputs), out = b.CreateVector(o.outputs);
      Offset<flatbuffers::Vector<uint8_t>> more;
      if (!o.custom_options.empty()) {
        more = b.CreateVector(reinterpret_cast<const uint8_t*>(o.custom_options.data()),
                              o.custom_options.size());
      }
      operators.push_back(fb::CreateOperator(b, static_cast<uint32_t>(codes.size()) - 1, in, out,
                                             static_cast<uint8_t>(o.kind), table, more));
    }
    const auto all = b.CreateVector(tensors);
    const auto in = b.CreateVector(g.inputs), out = b.CreateVector(g.outputs);
    const auto steps = b.CreateVector(operators);
    subgraphs.push_back(fb::CreateSubGraph(b, all, in, out, steps));
  }
  std::vector<Offset<fb::SignatureDef>> defs;
  for (const TfSignature& s : signatures) {
    const auto maps = [&](const auto& list) {
      std::vector<Offset<fb::TensorMap>> out;
      for (const auto& [name, tensor] : list) {
        out.push_back(fb::CreateTensorMap(b, b.CreateString(name), tensor));
      }
      return b.CreateVector(out);
    };
    const auto in = maps(s.inputs), out = maps(s.outputs);
    const auto key = b.CreateString(s.key);
    defs.push_back(fb::CreateSignatureDef(b, in, out, key, s.subgraph));
  }
  const auto code_list = b.CreateVector(codes);
  const auto graph_list = b.CreateVector(subgraphs);
  const auto buffer_list = b.CreateVector(buffers);
  const auto def_list = b.CreateVector(defs);
  b.Finish(fb::CreateModel(b, version, code_list, graph_list, 0, buffer_list, 0, 0, def_list),
           fb::ModelIdentifier());
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

Result<ImportedModel> TfModel::import(const ImportOptions& options) const {
  // Constants point into the bytes: they live as long as the process.
  static std::deque<std::string> kept;
  kept.push_back(bytes());
  return import_tflite(std::as_bytes(std::span(kept.back())), options);
}

}  // namespace mnn::testing
