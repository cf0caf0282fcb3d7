#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "libruntime/core/text.h"
#include "libruntime/core/text_scanner.h"

namespace mnn {

std::string subgraph_label(const Node& node, size_t i) {
  if (node.op == "If" && i < 2) return i == 0 ? "then_branch" : "else_branch";
  return i == 0 ? "body" : "body" + std::to_string(i);
}

namespace {

template <typename T>
std::string list_text(const std::vector<T>& values, std::string_view type_when_empty,
                      std::string (*text)(T)) {
  std::string out(values.empty() ? type_when_empty : "");
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) out += (i ? "," : "") + text(values[i]);
  return out + "]";
}

std::string int_text(int64_t value) { return std::to_string(value); }

std::string attribute_text(const Attribute& attribute) {
  struct Visitor {
    std::string operator()(int64_t v) const { return int_text(v); }
    std::string operator()(double v) const { return double_text(v); }
    std::string operator()(const std::string& v) const { return quote_text(v); }
    std::string operator()(const std::vector<int64_t>& v) const {
      return list_text<int64_t>(v, "ints", int_text);
    }
    std::string operator()(const std::vector<double>& v) const {
      return list_text<double>(v, "floats", double_text);
    }
    std::string operator()(const std::vector<std::string>& v) const {
      return list_text<std::string>(v, "strings", [](std::string s) { return quote_text(s); });
    }
    std::string operator()(const Tensor& t) const {
      if (!t.defined()) return "tensor none";
      std::string out = "tensor " + t.type_str();
      if (t.elements() > 0) out += ' ';
      append_elements(out, t);
      return out;
    }
  };
  return std::visit(Visitor{}, attribute);
}

std::string attributes_text(const std::map<std::string, Attribute, std::less<>>& attributes) {
  std::string out;
  for (const auto& [name, value] : attributes) {
    out += (out.empty() ? "{" : ", ") + name_text(name) + "=" + attribute_text(value);
  }
  return out.empty() ? out : out + "}";
}

// The elements of a tensor, or their hash where there are more than `shown`.
void append_data(std::string& out, const Tensor& data, int64_t shown) {
  if (data.elements() > shown) {
    constexpr char kHex[] = "0123456789abcdef";
    const uint64_t hash = content_hash(data);
    out += " hash ";
    for (int shift = 60; shift >= 0; shift -= 4) out += kHex[(hash >> shift) & 15];
  } else if (data.elements() > 0) {
    out += ' ';
    append_elements(out, data);
  }
}

// A tensor of an encoding: as a list where its type goes without saying.
std::string quant_tensor_text(const Tensor& t, DType natural, size_t rank, int64_t shown) {
  std::string out;
  if (t.dtype() == natural && t.rank() == rank && t.elements() <= shown) {
    append_elements(out, t);
    std::replace(out.begin(), out.end(), ' ', ',');
    return " [" + out + "]";
  }
  out = " " + t.type_str();
  append_data(out, t, shown);
  return out;
}

std::string quant_text(const QuantParams& q, int64_t shown) {
  std::string out = " quant " + std::string(dtype_name(q.storage));
  const size_t rank = q.axis < 0 ? 0 : 1;
  auto add = [&](const char* word, const Tensor& t, DType natural) {
    if (!t.defined()) return;
    out += std::string(" ") + word + quant_tensor_text(t, natural, rank, shown);
  };
  add("scale", q.scale, DType::kF32);
  add("zero", q.zero_point, DType::kI32);
  add("offset", q.offset, DType::kF32);
  if (q.axis != -1) out += " axis " + std::to_string(q.axis);
  if (q.group != 0) out += " group " + std::to_string(q.group);
  add("super_scale", q.super_scale, DType::kF32);
  add("super_offset", q.super_offset, DType::kF32);
  if (q.super_group != 0) out += " super_group " + std::to_string(q.super_group);
  add("codebook", q.codebook, DType::kUndefined);
  if (q.rotation) {
    out += " rotation axis " + std::to_string(q.rotation->axis) + " block " +
           std::to_string(q.rotation->block) + " signs " + q.rotation->signs.type_str();
    append_data(out, q.rotation->signs, shown);
  }
  return out;
}

std::string smoothing_text(const ChannelDivisors& s) {
  std::string numbers;
  append_elements(numbers,
                  Tensor::of<float>({static_cast<int64_t>(s.divisors.size())}, s.divisors));
  std::replace(numbers.begin(), numbers.end(), ' ', ',');
  std::string out = " smoothing [" + numbers + "]";
  if (s.axis != -1) out += " axis " + std::to_string(s.axis);
  return out;
}

class Printer {
 public:
  Printer(const Graph& graph, const PrintOptions& options, std::string indent)
      : graph_(graph), options_(options), indent_(std::move(indent)) {
    name_values();
  }

  std::string print() {
    out_ = "graph " + name_text(graph_.name) + "(" + definitions(graph_.inputs) + ")";
    if (!graph_.captures.empty()) out_ += " captures(" + definitions(graph_.captures) + ")";
    out_ += " -> (" + uses(graph_.outputs) + ") {\n";
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      const Value& value = graph_.values[v];
      if (is_stored(value)) print_stored(static_cast<ValueId>(v));
    }
    for (const Node& node : graph_.nodes) print_node(node);
    for (const StateUpdate& u : graph_.updates) {
      out_ += indent_ + "  update " + use(u.state) + " = " + use(u.next) + "\n";
    }
    return std::move(out_) + indent_ + "}";
  }

 private:
  // A value is called by its name where it is the first of that name in order of definition, else
  // by a number, counted in that order, so that reading and printing again changes nothing.
  void name_values() {
    handles_.resize(graph_.values.size());
    std::unordered_set<std::string_view> taken;
    int next = 0;
    auto define = [&](ValueId id) {
      if (!in_range(id) || !handles_[static_cast<size_t>(id)].empty()) return;
      const std::string& name = graph_.value(id).name;
      const bool own = !name.empty() && taken.insert(name).second;
      handles_[static_cast<size_t>(id)] = own ? name_text(name) : "%" + std::to_string(next++);
    };
    for (const auto* list : {&graph_.inputs, &graph_.captures}) {
      for (const ValueId id : *list) define(id);
    }
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      if (is_stored(graph_.values[v])) define(static_cast<ValueId>(v));
    }
    for (const Node& node : graph_.nodes) {
      for (const ValueId id : node.outputs) define(id);
    }
    for (size_t v = 0; v < graph_.values.size(); ++v) define(static_cast<ValueId>(v));
  }

  bool in_range(ValueId id) const {
    return id >= 0 && static_cast<size_t>(id) < graph_.values.size();
  }

  std::string use(ValueId id) const {
    return in_range(id) ? handles_[static_cast<size_t>(id)] : "_";
  }

  std::string uses(const std::vector<ValueId>& ids) const {
    std::string out;
    for (size_t i = 0; i < ids.size(); ++i) out += (i ? ", " : "") + use(ids[i]);
    return out;
  }

  std::string definition(ValueId id) const {
    if (!in_range(id)) return "_";
    const Value& value = graph_.value(id);
    std::string out = use(id);
    if (out[0] == '%' && !value.name.empty()) out += " " + quote_text(value.name);
    if (value.type.defined() || value.type.shape || value.type.kind != Type::Kind::kTensor) {
      out += ": " + type_text(value.type);
    }
    if (value.quant) out += quant_text(*value.quant, options_.max_constant_elements);
    if (value.smoothing) out += smoothing_text(*value.smoothing);
    return out;
  }

  std::string definitions(const std::vector<ValueId>& ids) const {
    std::string out;
    for (size_t i = 0; i < ids.size(); ++i) out += (i ? ", " : "") + definition(ids[i]);
    return out;
  }

  void print_stored(ValueId id) {
    const Value& value = graph_.value(id);
    const Tensor& data = value.data;
    out_ += indent_ + (value.kind == ValueKind::kState ? "  state " : "  const ") + definition(id);
    if (data.defined()) {
      out_ += " =";
      const DType natural = value.quant ? value.quant->storage : value.type.dtype;
      if (data.dtype() != natural || !value.type.is_static() ||
          data.dims() != known_dims(*value.type.shape)) {
        out_ += " stored " + data.type_str();
      }
      append_data(out_, data, options_.max_constant_elements);
    }
    out_ += '\n';
  }

  void print_node(const Node& node) {
    out_ += indent_ + "  " + definitions(node.outputs) + (node.outputs.empty() ? "= " : " = ");
    const size_t own = node.own_inputs();
    out_ += name_text(node.op) + "(" +
            uses({node.inputs.begin(), node.inputs.begin() + static_cast<long>(own)}) + ")";
    if (!node.attributes.empty()) out_ += " " + attributes_text(node.attributes);
    for (const FusedOp& f : node.fused) {
      out_ += " + " + name_text(f.op);
      std::vector<ValueId> operands;
      for (const int operand : f.operands) {
        const bool known = operand >= 0 && static_cast<size_t>(operand) < node.inputs.size();
        operands.push_back(known ? node.inputs[static_cast<size_t>(operand)] : kNoValue);
      }
      if (!operands.empty()) out_ += "(" + uses(operands) + ")";
      if (!f.attributes.empty()) out_ += " " + attributes_text(f.attributes);
    }
    if (!node.captures.empty()) out_ += " captures(" + uses(node.captures) + ")";
    if (!node.subgraphs.empty()) {
      out_ += " {\n";
      for (size_t i = 0; i < node.subgraphs.size(); ++i) {
        out_ += indent_ + "    " + subgraph_label(node, i) + ": " +
                Printer(node.subgraphs[i], options_, indent_ + "    ").print() + "\n";
      }
      out_ += indent_ + "  }";
    }
    if (!node.name.empty()) out_ += " name " + quote_text(node.name);
    if (!node.origin.empty()) {
      out_ += " @";
      for (const std::string& origin : node.origin) out_ += " " + quote_text(origin);
    }
    out_ += '\n';
  }

  const Graph& graph_;
  const PrintOptions& options_;
  std::string indent_;
  std::string out_;
  std::vector<std::string> handles_;
};

}  // namespace

std::string print_graph(const Graph& graph, const PrintOptions& options) {
  return Printer(graph, options, "").print() + "\n";
}

}  // namespace mnn
