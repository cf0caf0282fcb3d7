#include "libconvert/exporters/onnx/writer.h"

#include <algorithm>
#include <climits>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "libconvert/exporters/onnx/rows.h"
#include "libconvert/frontends/onnx/tensor_proto.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "onnx_model.pb.h"

namespace mnn::onnx_export {
namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;
using onnx::TypeProto;

constexpr const char* kContribDomain = "com.microsoft";

// The IR version that came with the operator set.
int ir_version(int opset) { return opset <= 14 ? 7 : opset <= 18 ? 8 : opset <= 20 ? 9 : 10; }

void write_tensor_type(const Type& type, TypeProto::Tensor& proto) {
  proto.set_elem_type(static_cast<int32_t>(type.dtype));
  if (!type.shape) return;
  proto.mutable_shape();
  for (const Dim& d : *type.shape) {
    auto& dim = *proto.mutable_shape()->add_dim();
    if (d.known()) {
      dim.set_dim_value(d.value());
    } else if (!d.is_unknown()) {
      dim.set_dim_param(d.str());
    }
  }
}

void write_type(const Type& type, TypeProto& proto) {
  using Kind = Type::Kind;
  TypeProto* at = &proto;
  if (type.kind == Kind::kOptionalTensor || type.kind == Kind::kOptionalSequence) {
    at = at->mutable_optional_type()->mutable_elem_type();
  }
  if (type.kind == Kind::kSequence || type.kind == Kind::kOptionalSequence) {
    at = at->mutable_sequence_type()->mutable_elem_type();
  }
  write_tensor_type(type, *at->mutable_tensor_type());
}

class Writer {
 public:
  Writer(const OnnxExportOptions& options, OnnxExport& out, Diagnostics& diagnostics)
      : options_(options), out_(out), diagnostics_(diagnostics) {}

  Status model(Graph& graph, ModelProto& proto) {
    proto.set_ir_version(ir_version(options_.opset));
    proto.set_producer_name("mnn-toolbox");
    proto.set_producer_version(MNN_VERSION);
    for (const auto& [key, value] : options_.metadata) {
      auto& entry = *proto.add_metadata_props();
      entry.set_key(key);
      entry.set_value(value);
    }
    // The border keeps its names; all others make way.
    for (const auto* list : {&graph.inputs, &graph.outputs}) {
      for (const ValueId v : *list) used_.insert(graph.value(v).name);
    }
    MNN_RETURN_IF_ERROR(this->graph(graph, {}, *proto.mutable_graph()));
    auto& standard = *proto.add_opset_import();
    standard.set_domain("");
    standard.set_version(options_.opset);
    if (contrib_) {
      auto& more = *proto.add_opset_import();
      more.set_domain(kContribDomain);
      more.set_version(1);
    }
    return {};
  }

 private:
  using Names = std::vector<std::string>;

  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int64_t& i = numbers_[wanted]; name.empty() || !used_.insert(name).second;) {
      name = wanted + "_" + std::to_string(++i);
    }
    return name;
  }

  std::string fresh_node(const std::string& wanted) {
    std::string name = wanted;
    for (int64_t& i = node_numbers_[wanted]; !used_nodes_.insert(name).second;) {
      name = wanted + "_" + std::to_string(++i);
    }
    return name;
  }

  // An output is made by a node of its own graph, and listed once: where it is not, an Identity
  // makes it. Inputs of the model may be its outputs.
  void separate_outputs(Graph& graph, bool top) {
    const Uses uses = index_uses(graph);
    std::unordered_set<ValueId> seen;
    for (ValueId& v : graph.outputs) {
      const bool input = graph.value(v).kind == ValueKind::kInput;
      const bool made = uses.producer[static_cast<size_t>(v)] >= 0;
      if (seen.insert(v).second && (made || (top && input))) continue;
      Node copy;
      copy.op = "Identity";
      copy.inputs = {v};
      const bool takes_name = !made && !input;  // a constant
      const std::string name = graph.value(v).name;
      const Type type = graph.value(v).type;
      if (takes_name) graph.value(v).name = name.empty() ? name : name + "_value";
      const ValueId y = graph.add_temporary(name, type);
      copy.outputs = {y};
      copy.name = name.empty() ? "output" : name;
      graph.add_node(std::move(copy));
      v = y;
    }
  }

  // `outer` names the captured values of a sub-graph, which are simply visible inside.
  Status graph(Graph& g, const Names& outer, GraphProto& proto) {
    const bool top = depth_ == 0;
    separate_outputs(g, top);
    Names names(g.values.size());
    for (size_t i = 0; i < g.captures.size(); ++i) {
      names[static_cast<size_t>(g.captures[i])] = outer[i];
    }
    for (const auto* list : {&g.inputs, &g.outputs}) {
      for (const ValueId v : *list) {
        std::string& name = names[static_cast<size_t>(v)];
        if (!name.empty()) continue;
        const std::string& wanted = g.value(v).name;
        // An output that is listed twice gets its name once.
        const bool keeps = top && !wanted.empty() && border_.insert(wanted).second;
        name = keeps ? wanted : fresh(wanted.empty() ? "value" : wanted);
      }
    }
    proto.set_name(g.name.empty() ? "main" : g.name);
    for (const Node& node : g.nodes) MNN_RETURN_IF_ERROR(this->node(g, node, names, proto));
    for (const ValueId v : g.outputs) {
      if (g.constant(v) != nullptr) MNN_RETURN_IF_ERROR(use(g, v, names, proto).status());
    }
    for (const auto& [list, to] : {std::pair(&g.inputs, proto.mutable_input()),
                                   std::pair(&g.outputs, proto.mutable_output())}) {
      for (const ValueId v : *list) {
        auto& info = *to->Add();
        info.set_name(names[static_cast<size_t>(v)]);
        if (g.value(v).type.defined()) write_type(g.value(v).type, *info.mutable_type());
      }
    }
    return {};
  }

  // The name of a value that is read; a constant is written when the first reader comes.
  Result<std::string> use(const Graph& g, ValueId v, Names& names, GraphProto& proto) {
    std::string& name = names[static_cast<size_t>(v)];
    if (!name.empty()) return name;
    const Value& value = g.value(v);
    const std::string role = value.kind == ValueKind::kConstant ? "constant" : "value";
    name = fresh(value.name.empty() ? role : value.name);
    if (value.kind == ValueKind::kConstant) {
      MNN_RETURN_IF_ERROR(initializer(value.data, name, proto));
    }
    return name;
  }

  Status initializer(const Tensor& data, const std::string& name, GraphProto& proto) {
    if (!data.is_tensor()) {
      return unsupported("constant " + name + ": a sequence or an optional as a constant");
    }
    TensorProto& tensor = *proto.add_initializer();
    const bool external = external_bytes_ >= 0 && data.dtype() != DType::kString &&
                          data.bytes() >= std::max<int64_t>(external_bytes_, 1);
    if (!external) {
      onnx::from_tensor(data, name, tensor);
      return {};
    }
    tensor.set_name(name);
    tensor.set_data_type(static_cast<int32_t>(data.dtype()));
    for (const int64_t d : data.dims()) tensor.add_dims(d);
    tensor.set_data_location(TensorProto::EXTERNAL);
    const auto entry = [&](const char* key, const std::string& value) {
      auto& e = *tensor.add_external_data();
      e.set_key(key);
      e.set_value(value);
    };
    offset_ = (offset_ + kExternalAlignment - 1) / kExternalAlignment * kExternalAlignment;
    entry("location", options_.external_name);
    entry("offset", std::to_string(offset_));
    entry("length", std::to_string(data.bytes()));
    offset_ += data.bytes();
    out_.external.push_back(data);
    return {};
  }

  void attribute(const std::string& name, const Attribute& value, NodeProto& proto) {
    AttributeProto& a = *proto.add_attribute();
    a.set_name(name);
    std::visit(
        [&]<typename T>(const T& v) {
          if constexpr (std::is_same_v<T, int64_t>) {
            a.set_type(AttributeProto::INT);
            a.set_i(v);
          } else if constexpr (std::is_same_v<T, double>) {
            a.set_type(AttributeProto::FLOAT);
            a.set_f(static_cast<float>(v));
          } else if constexpr (std::is_same_v<T, std::string>) {
            a.set_type(AttributeProto::STRING);
            a.set_s(v);
          } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
            a.set_type(AttributeProto::INTS);
            for (const int64_t e : v) a.add_ints(e);
          } else if constexpr (std::is_same_v<T, std::vector<double>>) {
            a.set_type(AttributeProto::FLOATS);
            for (const double e : v) a.add_floats(static_cast<float>(e));
          } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            a.set_type(AttributeProto::STRINGS);
            for (const std::string& e : v) a.add_strings(e);
          } else {
            a.set_type(AttributeProto::TENSOR);
            onnx::from_tensor(v, "", *a.mutable_t());
          }
        },
        value);
  }

  // Whether an attribute says nothing: an empty list or no tensor.
  static bool is_empty(const Attribute& value) {
    return std::visit(
        []<typename T>(const T& v) {
          if constexpr (std::is_same_v<T, Tensor>) return !v.defined();
          if constexpr (requires { v.begin()->begin(); }) return v.empty();
          return false;
        },
        value);
  }

  std::string domain_of(const Graph& g, const Node& node) const {
    if (introduced(node.op) == 0 || introduced(node.op) > options_.opset) return kContribDomain;
    const bool codes_in = node.op == "DequantizeLinear", codes_out = node.op == "QuantizeLinear";
    if (!codes_in && !codes_out) return {};
    const ValueId codes = codes_in ? node.inputs[0] : node.outputs[0];
    if (codes == kNoValue) return {};
    const Type& type = g.value(codes).type;
    const bool wide = type.dtype == DType::kU16 || type.dtype == DType::kI16;
    return wide && options_.opset < 21 ? kContribDomain : std::string();
  }

  Status node(const Graph& g, const Node& node, Names& names, GraphProto& proto) {
    NodeForm form{g, node, options_.opset, domain_of(g, node)};
    if (form.domain.empty()) {
      const ExportRow* row = find_export_row(node.op);
      if (row != nullptr && row->render != nullptr && options_.opset < row->same_since) {
        row->render(form);
      }
      if (form.status.ok()) drop_new_attributes(form);
    }
    const std::string name = fresh_node(display_name(g, node));
    if (!form.status.ok()) {
      diagnostics_.add(
          {Severity::kError, form.status.code(), name, node.op, form.status.message()});
      return {};
    }
    NodeProto& made = *proto.add_node();
    made.set_op_type(form.node.op);
    made.set_name(name);
    contrib_ |= !form.domain.empty();
    if (!form.domain.empty()) made.set_domain(form.domain);
    ++out_.operators[form.domain.empty() ? form.node.op : form.domain + "::" + form.node.op];
    for (const ValueId v : form.node.inputs) {
      if (v == kNoValue) {
        made.add_input("");
      } else if (v >= NodeForm::kAdded) {
        const std::string added = fresh(name + "_constant");
        MNN_RETURN_IF_ERROR(
            initializer(form.added[static_cast<size_t>(v - NodeForm::kAdded)], added, proto));
        made.add_input(added);
      } else {
        MNN_ASSIGN_OR_RETURN(const std::string input, use(g, v, names, proto));
        made.add_input(input);
      }
    }
    while (made.input_size() > 0 && made.input(made.input_size() - 1).empty()) {
      made.mutable_input()->RemoveLast();
    }
    for (const ValueId v : form.node.outputs) {
      if (v == kNoValue) {
        made.add_output("");
        continue;
      }
      MNN_ASSIGN_OR_RETURN(const std::string output, use(g, v, names, proto));
      made.add_output(output);
    }
    for (const auto& [key, value] : form.node.attributes) {
      if (!is_empty(value)) attribute(key, value, made);
    }
    return subgraphs(g, node, names, proto, made);
  }

  Status subgraphs(const Graph& g, const Node& node, Names& names, GraphProto& proto,
                   NodeProto& made) {
    Names outer;
    for (const ValueId v : node.captures) {
      MNN_ASSIGN_OR_RETURN(std::string name, use(g, v, names, proto));
      outer.push_back(std::move(name));
    }
    for (size_t i = 0; i < node.subgraphs.size(); ++i) {
      AttributeProto& a = *made.add_attribute();
      a.set_name(subgraph_label(node, i));
      a.set_type(AttributeProto::GRAPH);
      Graph inner = node.subgraphs[i];
      if (inner.name.empty()) inner.name = made.name() + "_" + subgraph_label(node, i);
      ++depth_;
      MNN_RETURN_IF_ERROR(graph(inner, outer, *a.mutable_g()));
      --depth_;
    }
    return {};
  }

 public:
  int64_t external_bytes_ = -1;

 private:
  const OnnxExportOptions& options_;
  OnnxExport& out_;
  Diagnostics& diagnostics_;
  std::unordered_set<std::string> used_, used_nodes_;  // across sub-graphs
  std::unordered_set<std::string> border_;             // of the model
  std::unordered_map<std::string, int64_t> numbers_, node_numbers_;
  bool contrib_ = false;
  int depth_ = 0;
  int64_t offset_ = 0;
};

}  // namespace

Status write_model_proto(Graph graph, const OnnxExportOptions& options, OnnxExport& out,
                         Diagnostics& diagnostics) {
  // What else is in a message is small beside this margin.
  constexpr int64_t kMostInside = int64_t{1900} << 20;
  constexpr int64_t kWorthAFile = 1024;
  ModelProto proto;
  Writer writer(options, out, diagnostics);
  writer.external_bytes_ = options.external_bytes;
  if (options.external_bytes < 0 && constant_bytes(graph) > kMostInside) {
    writer.external_bytes_ = kWorthAFile;
  }
  MNN_RETURN_IF_ERROR(writer.model(graph, proto));
  MNN_RETURN_IF_ERROR(diagnostics.status());
  if (proto.ByteSizeLong() > INT_MAX || !proto.SerializeToString(&out.model)) {
    return limit_exceeded("a protobuf message cannot hold 2 GiB: use --external-data");
  }
  return {};
}

}  // namespace mnn::onnx_export
