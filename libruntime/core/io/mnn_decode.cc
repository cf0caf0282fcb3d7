// Graph section -> Graph. The bytes are hostile until proven sound: FlatBuffers' verifier checks
// every offset first, then each count, id, enum and size is checked here.
#include <mnn_generated.h>

#include <algorithm>
#include <cstring>

#include "libruntime/core/builder.h"
#include "libruntime/core/io/mnn_layout.h"

namespace mnn {
namespace {

constexpr size_t kMaxDimText = 1024;
constexpr size_t kMaxRank = 64;

class Decoder {
 public:
  Decoder(const format::Model& model, uint64_t section_bytes, const DataSections& data)
      : model_(model),
        data_(data),
        // A sound file holds each list once and names strings many times.
        list_budget_(section_bytes),
        string_budget_((uint64_t{64} << 20) + 256 * section_bytes) {}

  Result<Model> decode() {
    if (model_.graph() == nullptr) return invalid("there is no graph");
    MNN_RETURN_IF_ERROR(check_features());
    Model out;
    MNN_RETURN_IF_ERROR(decode_graph(*model_.graph(), out.graph, 0));
    MNN_RETURN_IF_ERROR(decode_golden(model_.golden_inputs(), out.golden_inputs));
    MNN_RETURN_IF_ERROR(decode_golden(model_.golden_outputs(), out.golden_outputs));
    return out;
  }

 private:
  Status check_features() {
    std::vector<std::string> needed;
    MNN_RETURN_IF_ERROR(texts(model_.needs(), needed));
    std::string unknown;
    for (const std::string& name : needed) {
      if (!is_known_feature(name)) unknown += (unknown.empty() ? "" : ", ") + name;
    }
    if (unknown.empty()) return {};
    return unsupported("the file needs a newer version of this program: it uses " + unknown);
  }

  static std::string number(uint64_t n) { return std::to_string(n); }

  Result<std::string> text(uint32_t index) {
    const auto* strings = model_.strings();
    if (strings == nullptr || index >= strings->size()) {
      return invalid("string " + number(index) + " does not exist");
    }
    const flatbuffers::String* s = strings->Get(index);
    if (s->size() > string_budget_) return limit_exceeded("the names take too much memory");
    string_budget_ -= s->size();
    return std::string(s->c_str(), s->size());
  }

  template <typename T>
  Status list(const flatbuffers::Vector<T>* from, std::vector<T>& to) {
    if (from == nullptr) return {};
    const uint64_t bytes = uint64_t{from->size()} * sizeof(T);
    if (bytes > list_budget_) return limit_exceeded("the lists take more bytes than the file has");
    list_budget_ -= bytes;
    // The verifier does not see to the alignment of 8-byte elements.
    to.resize(from->size());
    if (!to.empty()) std::memcpy(to.data(), from->Data(), bytes);
    return {};
  }

  Status texts(const flatbuffers::Vector<uint32_t>* from, std::vector<std::string>& to) {
    std::vector<uint32_t> indices;
    MNN_RETURN_IF_ERROR(list(from, indices));
    to.reserve(indices.size());
    for (const uint32_t i : indices) {
      MNN_ASSIGN_OR_RETURN(std::string s, text(i));
      to.push_back(std::move(s));
    }
    return {};
  }

  static Result<DType> dtype(uint8_t value) {
    if (value != 0 && dtype_name(static_cast<DType>(value)) == dtype_name(DType::kUndefined)) {
      return unsupported("element type " + number(value) + " is not known");
    }
    return static_cast<DType>(value);
  }

  // The bytes a tensor of `size` bytes refers to, and who owns them.
  Result<std::span<const std::byte>> data_bytes(const format::Tensor& t, uint64_t size,
                                                std::shared_ptr<const void>& owner) {
    const auto kind = static_cast<SectionKind>(t.section());
    if (kind != SectionKind::kWeights && kind != SectionKind::kGolden) {
      return invalid("its data is in section " + number(t.section()) + ", which holds none");
    }
    const bool golden = kind == SectionKind::kGolden;
    const auto& section = golden ? data_.golden : data_.weights;
    if (t.offset() % kTensorAlignment != 0 || t.offset() > section.size() ||
        size > section.size() - t.offset()) {
      return invalid("its " + number(size) + " bytes at " + number(t.offset()) +
                     " are outside the section " + section_name(kind));
    }
    owner = golden ? data_.golden_owner : data_.weights_owner;
    return section.subspan(t.offset(), size);
  }

  Result<Tensor> tensor(const format::Tensor& t) {
    MNN_ASSIGN_OR_RETURN(const DType type, dtype(t.dtype()));
    std::vector<int64_t> dims;
    MNN_RETURN_IF_ERROR(list(t.dims(), dims));
    const auto elements = checked_elements(dims);
    if (!elements || dims.size() > kMaxRank) {
      return invalid("dims " + shape_str(to_shape(dims)) + " make no sense");
    }
    if (type == DType::kString) {
      std::vector<std::string> values;
      MNN_RETURN_IF_ERROR(texts(t.strings(), values));
      if (values.size() != static_cast<uint64_t>(*elements)) {
        return invalid("expected " + std::to_string(*elements) + " strings, found " +
                       number(values.size()));
      }
      return Tensor::strings(std::move(dims), std::move(values));
    }
    const auto bytes = storage_bytes(type, *elements);
    if (!bytes || type == DType::kUndefined) return invalid("its size makes no sense");
    const auto size = static_cast<uint64_t>(*bytes);
    if (t.section() != 0) {
      std::shared_ptr<const void> owner;
      MNN_ASSIGN_OR_RETURN(const auto found, data_bytes(t, size, owner));
      MNN_RETURN_IF_ERROR(check_bools(type, found));
      return Tensor::wrap(type, std::move(dims), const_cast<std::byte*>(found.data()),
                          std::move(owner));
    }
    const uint64_t present = t.inline_data() ? t.inline_data()->size() : 0;
    if (present != size || present > list_budget_) {
      return invalid("expected " + number(size) + " bytes of data, found " + number(present));
    }
    list_budget_ -= present;
    MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(type, std::move(dims)));
    if (size > 0) std::memcpy(out.raw(), t.inline_data()->data(), size);
    MNN_RETURN_IF_ERROR(check_bools(type, {out.raw(), size}));
    return out;
  }

  // Another byte than 0 or 1 is no bool, and reading it as one is undefined.
  static Status check_bools(DType type, std::span<const std::byte> bytes) {
    if (type != DType::kBool) return {};
    const bool sound = std::all_of(bytes.begin(), bytes.end(),
                                   [](std::byte b) { return static_cast<unsigned>(b) <= 1; });
    return sound ? Status() : invalid("a bool is neither 0 nor 1");
  }

  Status decode_golden(const flatbuffers::Vector<flatbuffers::Offset<format::Tensor>>* from,
                       std::vector<Tensor>& to) {
    for (size_t i = 0; from != nullptr && i < from->size(); ++i) {
      Result<Tensor> t = tensor(*from->Get(static_cast<uint32_t>(i)));
      if (!t.ok()) return t.status().context("golden tensor " + number(i));
      to.push_back(*std::move(t));
    }
    return {};
  }

  Result<Type> type(const format::Type& t) {
    Type out;
    if (t.kind() > static_cast<uint8_t>(Type::Kind::kOptionalSequence)) {
      return invalid("type kind " + number(t.kind()) + " is not known");
    }
    out.kind = static_cast<Type::Kind>(t.kind());
    MNN_ASSIGN_OR_RETURN(out.dtype, dtype(t.dtype()));
    if (!t.has_rank()) return out;
    std::vector<int64_t> dims;
    MNN_RETURN_IF_ERROR(list(t.dims(), dims));
    if (dims.size() > kMaxRank) return invalid("rank " + number(dims.size()) + " is too large");
    for (const int64_t d : dims) {
      if (d < 0) return invalid("dimension " + std::to_string(d) + " is negative");
    }
    out.shape = to_shape(dims);
    if (t.symbolic() == nullptr) return out;
    if (t.symbolic()->size() > dims.size()) return invalid("more symbolic dimensions than dims");
    for (const format::SymbolicDim* s : *t.symbolic()) {
      if (s->index() >= dims.size()) return invalid("a symbolic dimension is beyond the rank");
      MNN_ASSIGN_OR_RETURN(const std::string expression, text(s->text()));
      if (expression.size() > kMaxDimText) return invalid("a dimension's text is too long");
      MNN_ASSIGN_OR_RETURN((*out.shape)[s->index()], Dim::parse(expression));
    }
    return out;
  }

  Result<QuantParams> quant(const format::Quant& q) {
    QuantParams out;
    MNN_ASSIGN_OR_RETURN(out.storage, dtype(q.storage()));
    out.axis = q.axis();
    out.group = q.group();
    out.super_group = q.super_group();
    const std::pair<const format::Tensor*, Tensor*> tensors[] = {
        {q.scale(), &out.scale},
        {q.zero_point(), &out.zero_point},
        {q.offset(), &out.offset},
        {q.super_scale(), &out.super_scale},
        {q.super_offset(), &out.super_offset},
        {q.codebook(), &out.codebook}};
    for (const auto& [from, to] : tensors) {
      if (from == nullptr) continue;
      MNN_ASSIGN_OR_RETURN(*to, tensor(*from));
    }
    if (const format::Rotation* r = q.rotation()) {
      out.rotation = Rotation{r->axis(), r->block(), {}};
      if (r->signs() != nullptr) {
        MNN_ASSIGN_OR_RETURN(out.rotation->signs, tensor(*r->signs()));
      }
    }
    return out;
  }

  Status decode_value(const format::Value& v, Value& out) {
    MNN_ASSIGN_OR_RETURN(out.name, text(v.name()));
    if (v.kind() > static_cast<uint8_t>(ValueKind::kTemporary)) {
      return invalid("value kind " + number(v.kind()) + " is not known");
    }
    out.kind = static_cast<ValueKind>(v.kind());
    if (v.type() != nullptr) {
      MNN_ASSIGN_OR_RETURN(out.type, type(*v.type()));
    }
    if (v.data() != nullptr) {
      MNN_ASSIGN_OR_RETURN(out.data, tensor(*v.data()));
    }
    if (v.quant() != nullptr) {
      MNN_ASSIGN_OR_RETURN(out.quant, quant(*v.quant()));
    }
    if (v.smoothing() != nullptr) {
      ChannelDivisors& s = out.smoothing.emplace();
      MNN_RETURN_IF_ERROR(list(v.smoothing()->divisors(), s.divisors));
      s.axis = v.smoothing()->axis();
    }
    return {};
  }

  Result<Attribute> attribute(const format::Attribute& a) {
    switch (a.kind()) {
      case 0: return Attribute(a.i());
      case 1: return Attribute(a.f().value_or(0.0));
      case 2: {
        MNN_ASSIGN_OR_RETURN(std::string s, text(a.s()));
        return Attribute(std::move(s));
      }
      case 3: {
        std::vector<int64_t> v;
        MNN_RETURN_IF_ERROR(list(a.ints(), v));
        return Attribute(std::move(v));
      }
      case 4: {
        std::vector<double> v;
        MNN_RETURN_IF_ERROR(list(a.floats(), v));
        return Attribute(std::move(v));
      }
      case 5: {
        std::vector<std::string> v;
        MNN_RETURN_IF_ERROR(texts(a.strings(), v));
        return Attribute(std::move(v));
      }
      case 6: {
        if (a.tensor() == nullptr) return Attribute(Tensor());
        MNN_ASSIGN_OR_RETURN(Tensor t, tensor(*a.tensor()));
        return Attribute(std::move(t));
      }
      default: return unsupported("attribute kind " + number(a.kind()) + " is not known");
    }
  }

  Status attributes(const flatbuffers::Vector<flatbuffers::Offset<format::Attribute>>* from,
                    std::map<std::string, Attribute, std::less<>>& to) {
    if (from == nullptr) return {};
    for (const format::Attribute* a : *from) {
      MNN_ASSIGN_OR_RETURN(std::string name, text(a->name()));
      Result<Attribute> value = attribute(*a);
      if (!value.ok()) return value.status().context("attribute " + name);
      if (!to.emplace(name, *std::move(value)).second) {
        return invalid("attribute " + name + " is set twice");
      }
    }
    return {};
  }

  Status ids(const flatbuffers::Vector<int32_t>* from, size_t values, bool may_be_absent,
             std::vector<ValueId>& to) {
    MNN_RETURN_IF_ERROR(list(from, to));
    for (const ValueId id : to) {
      if (id == kNoValue && may_be_absent) continue;
      if (id < 0 || static_cast<size_t>(id) >= values) {
        return invalid("value " + std::to_string(id) + " does not exist");
      }
    }
    return {};
  }

  Status decode_node(const format::Node& n, size_t values, Node& out, int depth) {
    MNN_ASSIGN_OR_RETURN(out.op, text(n.op()));
    MNN_ASSIGN_OR_RETURN(out.name, text(n.name()));
    MNN_RETURN_IF_ERROR(ids(n.inputs(), values, true, out.inputs));
    MNN_RETURN_IF_ERROR(ids(n.outputs(), values, true, out.outputs));
    MNN_RETURN_IF_ERROR(ids(n.captures(), values, false, out.captures));
    MNN_RETURN_IF_ERROR(attributes(n.attributes(), out.attributes));
    MNN_RETURN_IF_ERROR(texts(n.origin(), out.origin));
    if (n.fused() != nullptr) {
      for (const format::Fused* f : *n.fused()) {
        FusedOp fused;
        MNN_ASSIGN_OR_RETURN(fused.op, text(f->op()));
        MNN_RETURN_IF_ERROR(attributes(f->attributes(), fused.attributes));
        if (f->operand() != -1) fused.operands = {f->operand()};
        if (f->operands() != nullptr) MNN_RETURN_IF_ERROR(list(f->operands(), fused.operands));
        for (const int operand : fused.operands) {
          if (operand < -1 || operand >= static_cast<int64_t>(out.inputs.size())) {
            return invalid("fused " + fused.op + ": operand " + std::to_string(operand) +
                           " does not exist");
          }
        }
        out.fused.push_back(std::move(fused));
      }
    }
    if (n.subgraphs() == nullptr) return {};
    if (depth == kMaxSubgraphDepth) {
      return limit_exceeded("sub-graphs nest deeper than " + number(kMaxSubgraphDepth));
    }
    for (const format::Graph* g : *n.subgraphs()) {
      out.subgraphs.emplace_back();
      MNN_RETURN_IF_ERROR(decode_graph(*g, out.subgraphs.back(), depth + 1));
    }
    return {};
  }

  // The first files held the bounds of a fused Clip as attributes `min` and `max`.
  static void upgrade_clips(Graph& graph) {
    Builder b(graph);
    for (Node& node : graph.nodes) {
      for (FusedOp& f : node.fused) {
        if (f.op != "Clip" || f.attributes.empty() || node.outputs.empty()) continue;
        for (const char* name : {"min", "max"}) {
          const auto it = f.attributes.find(name);
          const auto* bound = it == f.attributes.end() ? nullptr : std::get_if<double>(&it->second);
          f.operands.push_back(bound == nullptr ? -1 : static_cast<int>(node.inputs.size()));
          if (bound == nullptr) continue;
          const ValueId y = node.outputs[0];
          const DType dtype = y == kNoValue ? DType::kF32 : graph.value(y).type.dtype;
          node.inputs.push_back(b.scalar(*bound, is_float(dtype) ? dtype : DType::kF32));
          f.attributes.erase(it);
        }
      }
    }
  }

  Status decode_graph(const format::Graph& g, Graph& out, int depth) {
    MNN_ASSIGN_OR_RETURN(out.name, text(g.name()));
    if (g.values() != nullptr) {
      out.values.resize(g.values()->size());
      for (size_t i = 0; i < out.values.size(); ++i) {
        const Status status =
            decode_value(*g.values()->Get(static_cast<uint32_t>(i)), out.values[i]);
        if (!status.ok())
          return status.context("value " + number(i) + " '" + out.values[i].name + "'");
      }
    }
    const size_t values = out.values.size();
    if (g.nodes() != nullptr) {
      out.nodes.resize(g.nodes()->size());
      for (size_t i = 0; i < out.nodes.size(); ++i) {
        const Status status =
            decode_node(*g.nodes()->Get(static_cast<uint32_t>(i)), values, out.nodes[i], depth);
        if (!status.ok()) return status.context("node " + number(i) + " (" + out.nodes[i].op + ")");
      }
    }
    MNN_RETURN_IF_ERROR(ids(g.inputs(), values, false, out.inputs));
    MNN_RETURN_IF_ERROR(ids(g.outputs(), values, false, out.outputs));
    std::vector<ValueId> pairs;
    MNN_RETURN_IF_ERROR(ids(g.updates(), values, false, pairs));
    if (pairs.size() % 2 != 0) return invalid("a state update has no second value");
    for (size_t i = 0; i < pairs.size(); i += 2) out.updates.push_back({pairs[i], pairs[i + 1]});
    MNN_RETURN_IF_ERROR(ids(g.captures(), values, false, out.captures));
    upgrade_clips(out);
    return {};
  }

  const format::Model& model_;
  const DataSections& data_;
  uint64_t list_budget_, string_budget_;
};

}  // namespace

Result<Model> decode_model(std::span<const std::byte> graph, const DataSections& data) {
  if (graph.size() > kMaxGraphBytes) return limit_exceeded("the graph section is too large");
  const auto* bytes = reinterpret_cast<const uint8_t*>(graph.data());
  // Each nesting of graphs takes two levels. A table takes four bytes at least, and sound files
  // hold each once: more visits than that are a trap.
  flatbuffers::Verifier verifier(bytes, graph.size(), 2 * kMaxSubgraphDepth + 16,
                                 static_cast<flatbuffers::uoffset_t>(graph.size() / 4 + 1));
  if (graph.size() < 8 || !format::VerifyModelBuffer(verifier)) {
    return invalid("the graph section is damaged");
  }
  return Decoder(*format::GetModel(bytes), graph.size(), data).decode();
}

}  // namespace mnn
