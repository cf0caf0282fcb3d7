// Graph -> graph section, and the list of tensors that go beside it.
#include <mnn_generated.h>

#include <unordered_map>

#include "libruntime/core/io/mnn_layout.h"

namespace mnn {
namespace {

using flatbuffers::Offset;
template <typename T>
using Offsets = std::vector<Offset<T>>;

// Collects the bytes of tensors; equal bytes are stored once.
class DataWriter {
 public:
  explicit DataWriter(DataSection& section) : section_(section) {}

  uint64_t add(std::span<const std::byte> bytes) {
    std::vector<size_t>& same_hash = by_hash_[xxh3_64(bytes)];
    for (const size_t p : same_hash) {
      const auto& other = section_.pieces[p].bytes;
      if (other.size() == bytes.size() &&
          (other.data() == bytes.data() ||
           std::memcmp(other.data(), bytes.data(), bytes.size()) == 0)) {
        return section_.pieces[p].offset;
      }
    }
    const uint64_t offset = round_up(section_.bytes, kTensorAlignment);
    same_hash.push_back(section_.pieces.size());
    section_.pieces.push_back({bytes, offset});
    section_.bytes = offset + bytes.size();
    return offset;
  }

 private:
  DataSection& section_;
  std::unordered_map<uint64_t, std::vector<size_t>> by_hash_;
};

class Encoder {
 public:
  explicit Encoder(EncodedModel& out) : weights_(out.weights), golden_(out.golden), out_(out) {
    intern("");
  }

  Status encode(const Model& model) {
    MNN_ASSIGN_OR_RETURN(const auto graph, encode_graph(model.graph, 0));
    MNN_ASSIGN_OR_RETURN(const auto inputs, encode_golden(model.golden_inputs));
    MNN_ASSIGN_OR_RETURN(const auto outputs, encode_golden(model.golden_outputs));
    MNN_ASSIGN_OR_RETURN(const auto needed, strings(required_features(model.graph)));
    Offsets<flatbuffers::String> interned;
    interned.reserve(order_.size());
    for (const std::string_view s : order_) interned.push_back(b_.CreateString(s.data(), s.size()));
    const auto string_vector = b_.CreateVector(interned);
    format::FinishModelBuffer(
        b_, format::CreateModel(b_, string_vector, graph, inputs, outputs, needed));
    const auto* begin = reinterpret_cast<const std::byte*>(b_.GetBufferPointer());
    out_.graph.assign(begin, begin + b_.GetSize());
    return {};
  }

 private:
  uint32_t intern(std::string_view text) {
    const auto [it, fresh] =
        index_.emplace(std::string(text), static_cast<uint32_t>(order_.size()));
    if (fresh) {
      order_.push_back(it->first);
      string_bytes_ += text.size() + 16;
    }
    return it->second;
  }

  // FlatBuffers addresses 2 GiB and asserts beyond: stop well before.
  Status room_for(uint64_t bytes) const {
    if (b_.GetSize() + string_bytes_ + bytes + 1024 <= kMaxGraphBytes) return {};
    return limit_exceeded("the graph without its weights takes more than " +
                          std::to_string(kMaxGraphBytes) + " bytes");
  }

  // Null vectors stand for empty ones.
  template <typename T>
  Offset<flatbuffers::Vector<T>> vector(const std::vector<T>& values) {
    return values.empty() ? 0 : b_.CreateVector(values);
  }
  template <typename T>
  Offset<flatbuffers::Vector<Offset<T>>> tables(const Offsets<T>& offsets) {
    return offsets.empty() ? 0 : b_.CreateVector(offsets);
  }
  Result<Offset<flatbuffers::Vector<uint32_t>>> strings(const std::vector<std::string>& list) {
    std::vector<uint32_t> indices;
    indices.reserve(list.size());
    for (const std::string& s : list) {
      indices.push_back(intern(s));
      MNN_RETURN_IF_ERROR(room_for(indices.size() * 4));
    }
    return vector(indices);
  }

  Result<Offset<format::Tensor>> encode_tensor(const Tensor& t, SectionKind kind,
                                               DataWriter& data) {
    if (!t.defined()) return Offset<format::Tensor>(0);
    MNN_RETURN_IF_ERROR(room_for(256 + t.rank() * 8));
    Offset<flatbuffers::Vector<uint32_t>> text = 0;
    Offset<flatbuffers::Vector<uint8_t>> bytes = 0;
    uint64_t offset = 0;
    uint32_t section = 0;
    if (t.dtype() == DType::kString) {
      MNN_ASSIGN_OR_RETURN(text, strings(t.string_values()));
    } else if (t.bytes() < kInlineBytes) {
      if (t.bytes() > 0) {
        bytes = b_.CreateVector(reinterpret_cast<const uint8_t*>(t.raw()),
                                static_cast<size_t>(t.bytes()));
      }
    } else {
      section = static_cast<uint32_t>(kind);
      offset = data.add({t.raw(), static_cast<size_t>(t.bytes())});
    }
    const auto dims = vector(t.dims());
    return format::CreateTensor(b_, static_cast<uint8_t>(t.dtype()), dims, bytes, text,
                                static_cast<uint8_t>(section), offset);
  }

  Result<Offset<flatbuffers::Vector<Offset<format::Tensor>>>> encode_golden(
      const std::vector<Tensor>& list) {
    Offsets<format::Tensor> tensors;
    for (const Tensor& t : list) {
      MNN_ASSIGN_OR_RETURN(const auto tensor, encode_tensor(t, SectionKind::kGolden, golden_));
      tensors.push_back(tensor);
    }
    return tables(tensors);
  }

  Offset<format::Type> encode_type(const Type& type) {
    std::vector<int64_t> dims;
    Offsets<format::SymbolicDim> symbolic;
    if (type.shape) {
      for (size_t i = 0; i < type.shape->size(); ++i) {
        const Dim& d = (*type.shape)[i];
        dims.push_back(d.known() ? d.value() : 0);
        if (d.known()) continue;
        // What cannot be read back is kept as unknown.
        const Result<Dim> again = Dim::parse(d.str());
        const bool spelled = d.is_unknown() || (again.ok() && again->same(d));
        symbolic.push_back(format::CreateSymbolicDim(b_, static_cast<uint32_t>(i),
                                                     intern(spelled ? d.str() : "?")));
      }
    }
    const auto dim_vector = vector(dims);
    const auto symbolic_vector = tables(symbolic);
    return format::CreateType(b_, static_cast<uint8_t>(type.kind), static_cast<uint8_t>(type.dtype),
                              type.shape.has_value(), dim_vector, symbolic_vector);
  }

  Result<Offset<format::Quant>> encode_quant(const QuantParams& q) {
    Offset<format::Tensor> tensors[6];
    const Tensor* const from[] = {&q.scale,       &q.zero_point,   &q.offset,
                                  &q.super_scale, &q.super_offset, &q.codebook};
    for (size_t i = 0; i < std::size(from); ++i) {
      MNN_ASSIGN_OR_RETURN(tensors[i], encode_tensor(*from[i], SectionKind::kWeights, weights_));
    }
    Offset<format::Rotation> rotation = 0;
    if (q.rotation) {
      MNN_ASSIGN_OR_RETURN(const auto signs,
                           encode_tensor(q.rotation->signs, SectionKind::kWeights, weights_));
      rotation = format::CreateRotation(b_, q.rotation->axis, q.rotation->block, signs);
    }
    return format::CreateQuant(b_, static_cast<uint8_t>(q.storage), q.axis, q.group, tensors[0],
                               tensors[1], tensors[2], tensors[3], tensors[4], q.super_group,
                               tensors[5], rotation);
  }

  Result<Offset<format::Value>> encode_value(const Value& v) {
    const size_t rank = v.type.shape ? v.type.shape->size() : 0;
    const size_t divisors = v.smoothing ? v.smoothing->divisors.size() : 0;
    MNN_RETURN_IF_ERROR(room_for(256 + 4 * divisors + 64 * rank));
    const auto type = encode_type(v.type);
    Offset<format::Tensor> data = 0;
    if (is_stored(v)) {
      MNN_ASSIGN_OR_RETURN(data, encode_tensor(v.data, SectionKind::kWeights, weights_));
    }
    Offset<format::Quant> quant = 0;
    if (v.quant) {
      MNN_ASSIGN_OR_RETURN(quant, encode_quant(*v.quant));
    }
    Offset<format::Smoothing> smoothing = 0;
    if (v.smoothing) {
      const auto divided = vector(v.smoothing->divisors);
      smoothing = format::CreateSmoothing(b_, divided, v.smoothing->axis);
    }
    return format::CreateValue(b_, intern(v.name), static_cast<uint8_t>(v.kind), type, data, quant,
                               smoothing);
  }

  Result<Offset<format::Attribute>> encode_attribute(std::string_view name, const Attribute& a) {
    uint32_t text = 0;
    Offset<flatbuffers::Vector<int64_t>> ints = 0;
    Offset<flatbuffers::Vector<double>> floats = 0;
    Offset<flatbuffers::Vector<uint32_t>> texts = 0;
    Offset<format::Tensor> tensor = 0;
    MNN_RETURN_IF_ERROR(room_for(256));
    if (const auto* s = std::get_if<std::string>(&a)) text = intern(*s);
    if (const auto* v = std::get_if<std::vector<int64_t>>(&a)) {
      MNN_RETURN_IF_ERROR(room_for(256 + 8 * v->size()));
      ints = vector(*v);
    }
    if (const auto* v = std::get_if<std::vector<double>>(&a)) {
      MNN_RETURN_IF_ERROR(room_for(256 + 8 * v->size()));
      floats = vector(*v);
    }
    if (const auto* v = std::get_if<std::vector<std::string>>(&a)) {
      MNN_ASSIGN_OR_RETURN(texts, strings(*v));
    }
    if (const auto* t = std::get_if<Tensor>(&a)) {
      MNN_ASSIGN_OR_RETURN(tensor, encode_tensor(*t, SectionKind::kWeights, weights_));
    }
    const uint32_t name_index = intern(name);
    format::AttributeBuilder builder(b_);
    builder.add_name(name_index);
    builder.add_kind(static_cast<uint8_t>(a.index()));
    if (const auto* i = std::get_if<int64_t>(&a)) builder.add_i(*i);
    if (const auto* f = std::get_if<double>(&a)) builder.add_f(*f);
    builder.add_s(text);
    if (!ints.IsNull()) builder.add_ints(ints);
    if (!floats.IsNull()) builder.add_floats(floats);
    if (!texts.IsNull()) builder.add_strings(texts);
    if (!tensor.IsNull()) builder.add_tensor(tensor);
    return builder.Finish();
  }

  Result<Offset<flatbuffers::Vector<Offset<format::Attribute>>>> encode_attributes(
      const std::map<std::string, Attribute, std::less<>>& attributes) {
    Offsets<format::Attribute> list;
    for (const auto& [name, value] : attributes) {
      MNN_ASSIGN_OR_RETURN(const auto attribute, encode_attribute(name, value));
      list.push_back(attribute);
    }
    return tables(list);
  }

  Result<Offset<format::Node>> encode_node(const Node& n, int depth) {
    MNN_RETURN_IF_ERROR(
        room_for(512 + 4 * (n.inputs.size() + n.outputs.size() + n.captures.size())));
    const auto inputs = vector(n.inputs);
    const auto outputs = vector(n.outputs);
    const auto captures = vector(n.captures);
    MNN_ASSIGN_OR_RETURN(const auto attributes, encode_attributes(n.attributes));
    MNN_ASSIGN_OR_RETURN(const auto origin, strings(n.origin));
    Offsets<format::Fused> fused;
    for (const FusedOp& f : n.fused) {
      MNN_ASSIGN_OR_RETURN(const auto fused_attributes, encode_attributes(f.attributes));
      const bool one = f.operand() >= 0 || f.operands.empty();
      const auto operands = one ? 0 : vector(f.operands);
      fused.push_back(
          format::CreateFused(b_, intern(f.op), fused_attributes, f.operand(), operands));
    }
    const auto fused_vector = tables(fused);
    Offsets<format::Graph> subgraphs;
    for (const Graph& g : n.subgraphs) {
      MNN_ASSIGN_OR_RETURN(const auto graph, encode_graph(g, depth + 1));
      subgraphs.push_back(graph);
    }
    const auto subgraph_vector = tables(subgraphs);
    return format::CreateNode(b_, intern(n.op), intern(n.name), inputs, outputs, attributes,
                              fused_vector, origin, captures, subgraph_vector);
  }

  Result<Offset<format::Graph>> encode_graph(const Graph& g, int depth) {
    if (depth > kMaxSubgraphDepth) {
      return limit_exceeded("sub-graphs nest deeper than " + std::to_string(kMaxSubgraphDepth));
    }
    Offsets<format::Value> values;
    for (const Value& v : g.values) {
      MNN_ASSIGN_OR_RETURN(const auto value, encode_value(v));
      values.push_back(value);
    }
    Offsets<format::Node> nodes;
    for (const Node& n : g.nodes) {
      MNN_ASSIGN_OR_RETURN(const auto node, encode_node(n, depth));
      nodes.push_back(node);
    }
    MNN_RETURN_IF_ERROR(
        room_for(4 * (values.size() + nodes.size() + g.inputs.size() + g.outputs.size() +
                      g.captures.size() + 2 * g.updates.size())));
    const auto value_vector = tables(values);
    const auto node_vector = tables(nodes);
    const auto inputs = vector(g.inputs);
    const auto outputs = vector(g.outputs);
    const auto captures = vector(g.captures);
    std::vector<int32_t> pairs;
    for (const StateUpdate& u : g.updates) pairs.insert(pairs.end(), {u.state, u.next});
    const auto updates = vector(pairs);
    return format::CreateGraph(b_, intern(g.name), value_vector, node_vector, inputs, outputs,
                               captures, updates);
  }

  flatbuffers::FlatBufferBuilder b_;
  std::unordered_map<std::string, uint32_t> index_;
  std::vector<std::string_view> order_;  // keys of index_, which do not move
  uint64_t string_bytes_ = 0;
  DataWriter weights_, golden_;
  EncodedModel& out_;
};

}  // namespace

Result<EncodedModel> encode_model(const Model& model) {
  EncodedModel out;
  MNN_RETURN_IF_ERROR(Encoder(out).encode(model));
  return out;
}

}  // namespace mnn
