#include "libconvert/report/onnx_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "libconvert/frontends/onnx/op_map.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

using Json = nlohmann::ordered_json;

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](size_t k) -> uint32_t {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0;
    };
    const uint32_t three = at(0) << 16 | at(1) << 8 | at(2);
    for (size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[three >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

// 64-bit integers are strings in protobuf's JSON; floats that JSON lacks have names.
std::string integer(int64_t v) { return std::to_string(v); }
Json real(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "Infinity" : "-Infinity";
  return static_cast<float>(v);
}

Json shape_json(const Shape& shape) {
  Json dims = Json::array();
  for (const Dim& d : shape) {
    if (d.known()) {
      dims.push_back({{"dimValue", integer(d.value())}});
    } else if (d.is_unknown()) {
      dims.push_back(Json::object());
    } else {
      dims.push_back({{"dimParam", d.str()}});
    }
  }
  return {{"dim", dims}};
}

Json type_json(const Type& type) {
  Json tensor = {{"elemType", static_cast<int>(type.dtype)}};
  if (type.shape) tensor["shape"] = shape_json(*type.shape);
  Json out = {{"tensorType", tensor}};
  if (type.kind == Type::Kind::kSequence || type.kind == Type::Kind::kOptionalSequence) {
    out = {{"sequenceType", {{"elemType", out}}}};
  }
  if (type.kind == Type::Kind::kOptionalTensor || type.kind == Type::Kind::kOptionalSequence) {
    out = {{"optionalType", {{"elemType", out}}}};
  }
  return out;
}

Json tensor_json(const Tensor& t, const std::string& name, int64_t max_bytes) {
  Json dims = Json::array();
  for (const int64_t d : t.dims()) dims.push_back(integer(d));
  std::string data;
  if (t.dtype() != DType::kString && t.bytes() <= max_bytes) {
    data = base64({reinterpret_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes())});
  }
  Json out = {{"dims", dims}, {"dataType", static_cast<int>(t.dtype())}};
  if (!name.empty()) out["name"] = name;
  out["rawData"] = data;
  return out;
}

Json strings_json(const std::string& name, const std::vector<std::string>& values) {
  Json list = Json::array();
  for (const std::string& s : values) list.push_back(base64(s));
  return {{"name", name}, {"type", "STRINGS"}, {"strings", list}};
}

Json attribute_json(const std::string& name, const Attribute& attribute, int64_t max_bytes) {
  Json out = {{"name", name}};
  std::visit(
      [&]<typename T>(const T& v) {
        if constexpr (std::is_same_v<T, int64_t>) {
          out["type"] = "INT";
          out["i"] = integer(v);
        } else if constexpr (std::is_same_v<T, double>) {
          out["type"] = "FLOAT";
          out["f"] = real(v);
        } else if constexpr (std::is_same_v<T, std::string>) {
          out["type"] = "STRING";
          out["s"] = base64(v);
        } else if constexpr (std::is_same_v<T, Tensor>) {
          out["type"] = "TENSOR";
          out["t"] = tensor_json(v, {}, max_bytes);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          out = strings_json(name, v);
        } else {
          constexpr bool kReal = std::is_same_v<T, std::vector<double>>;
          Json list = Json::array();
          for (const auto e : v) {
            if constexpr (kReal) {
              list.push_back(real(e));
            } else {
              list.push_back(integer(e));
            }
          }
          out["type"] = kReal ? "FLOATS" : "INTS";
          out[kReal ? "floats" : "ints"] = list;
        }
      },
      attribute);
  return out;
}

class Printer {
 public:
  explicit Printer(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // `outer` names the captured values of a sub-graph: in ONNX they are simply visible inside.
  Json graph(const Graph& g, const std::vector<std::string>& outer) {
    std::vector<std::string> names(g.values.size());
    for (size_t i = 0; i < g.captures.size() && i < outer.size(); ++i) {
      names[static_cast<size_t>(g.captures[i])] = outer[i];
    }
    // Inputs and outputs first: their names must stay.
    for (const auto* ids : {&g.inputs, &g.outputs}) {
      for (const ValueId v : *ids) name_value(g, v, names);
    }
    for (size_t v = 0; v < g.values.size(); ++v) {
      name_value(g, static_cast<ValueId>(v), names);
    }
    Json nodes = Json::array(), initializers = Json::array(), infos = Json::array();
    for (const Node& n : g.nodes) nodes.push_back(node(g, n, names));
    for (size_t v = 0; v < g.values.size(); ++v) {
      const Value& value = g.values[v];
      if (value.data.defined()) {
        initializers.push_back(tensor_json(value.data, names[v], max_bytes_));
      } else if (value.kind == ValueKind::kTemporary && value.type.defined()) {
        infos.push_back({{"name", names[v]}, {"type", type_json(value.type)}});
      }
    }
    Json out = {{"node", nodes}, {"name", g.name.empty() ? "main" : g.name}};
    out["initializer"] = initializers;
    out["input"] = border(g, g.inputs, names);
    out["output"] = border(g, g.outputs, names);
    out["valueInfo"] = infos;
    return out;
  }

 private:
  void name_value(const Graph& g, ValueId v, std::vector<std::string>& names) {
    std::string& name = names[static_cast<size_t>(v)];
    if (!name.empty()) return;
    name = g.value(v).name;
    while (name.empty() || !used_.insert(name).second) {
      name = g.value(v).name + "%" + std::to_string(next_++);
    }
  }

  static Json border(const Graph& g, const std::vector<ValueId>& ids,
                     const std::vector<std::string>& names) {
    Json list = Json::array();
    for (const ValueId v : ids) {
      list.push_back(
          {{"name", names[static_cast<size_t>(v)]}, {"type", type_json(g.value(v).type)}});
    }
    return list;
  }

  Json node(const Graph& g, const Node& n, const std::vector<std::string>& names) {
    const auto list = [&](const std::vector<ValueId>& ids) {
      Json out = Json::array();
      for (const ValueId v : ids) out.push_back(v == kNoValue ? "" : names[static_cast<size_t>(v)]);
      return out;
    };
    Json attributes = Json::array();
    for (const auto& [name, a] : n.attributes) {
      const Tensor* t = std::get_if<Tensor>(&a);
      if (t == nullptr || t->defined()) attributes.push_back(attribute_json(name, a, max_bytes_));
    }
    for (size_t i = 0; i < n.subgraphs.size(); ++i) {
      std::vector<std::string> outer;
      for (const ValueId v : n.captures) outer.push_back(names[static_cast<size_t>(v)]);
      attributes.push_back(
          {{"name", subgraph_label(n, i)}, {"type", "GRAPH"}, {"g", graph(n.subgraphs[i], outer)}});
    }
    std::vector<std::string> fused;
    for (const FusedOp& f : n.fused) fused.push_back(f.op);
    if (!fused.empty()) attributes.push_back(strings_json("fused", fused));
    if (n.origin.size() > 1) attributes.push_back(strings_json("origin", n.origin));
    if (!n.outputs.empty() && n.outputs[0] != kNoValue && g.value(n.outputs[0]).quant) {
      attributes.push_back(
          attribute_json("quantization", describe_quant(*g.value(n.outputs[0]).quant), max_bytes_));
    }
    Json out = {{"input", list(n.inputs)}, {"output", list(n.outputs)}};
    out["name"] = display_name(g, n);
    out["opType"] = n.op;
    out["attribute"] = attributes;
    if (onnx::find_row("", n.op) == nullptr && onnx::find_row("com.microsoft", n.op) != nullptr) {
      out["domain"] = "com.microsoft";
    }
    return out;
  }

  int64_t max_bytes_;
  std::unordered_set<std::string> used_;  // across sub-graphs: names inside must not hide others
  int64_t next_ = 0;
};

}  // namespace

std::string onnx_json(const Graph& graph, int64_t max_constant_bytes) {
  Json out;
  out["irVersion"] = integer(onnx::kNewestIrVersion);
  out["producerName"] = "mnn-toolbox";
  out["producerVersion"] = MNN_VERSION;
  out["graph"] = Printer(max_constant_bytes).graph(graph, {});
  out["opsetImport"] = Json::array({{{"domain", ""}, {"version", integer(onnx::kNewestOpset)}},
                                    {{"domain", "com.microsoft"}, {"version", "1"}}});
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mnn
