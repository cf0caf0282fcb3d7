// Builds small ONNX models for the tests of the ONNX front end.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "libconvert/convert.h"
#include "libconvert/frontends/onnx/frontend.h"
#include "libruntime/core/op.h"
#include "onnx_model.pb.h"
#include "tests/convert/onnx_judge.h"

namespace mnn::testing {

inline void set_attr(onnx::NodeProto& node, const std::string& name, const Attribute& value) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  if (const auto* i = std::get_if<int64_t>(&value)) {
    a.set_type(onnx::AttributeProto::INT);
    a.set_i(*i);
  } else if (const auto* f = std::get_if<double>(&value)) {
    a.set_type(onnx::AttributeProto::FLOAT);
    a.set_f(static_cast<float>(*f));
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    a.set_type(onnx::AttributeProto::STRING);
    a.set_s(*s);
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    a.set_type(onnx::AttributeProto::INTS);
    for (const int64_t v : *ints) a.add_ints(v);
  } else if (const auto* floats = std::get_if<std::vector<double>>(&value)) {
    a.set_type(onnx::AttributeProto::FLOATS);
    for (const double v : *floats) a.add_floats(static_cast<float>(v));
  } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
    a.set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& v : *strings) a.add_strings(v);
  }
}

inline onnx::GraphProto& set_graph(onnx::NodeProto& node, const std::string& name) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::GRAPH);
  return *a.mutable_g();
}

using Attrs = std::vector<std::pair<std::string, Attribute>>;

inline onnx::NodeProto make_node(const std::string& op, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& outputs,
                                 const Attrs& attributes = {}) {
  onnx::NodeProto node;
  node.set_op_type(op);
  for (const std::string& i : inputs) node.add_input(i);
  for (const std::string& o : outputs) node.add_output(o);
  for (const auto& [name, value] : attributes) set_attr(node, name, value);
  return node;
}

// "?" leaves a dimension without number and name; other text is its name.
struct DimText {
  DimText(int v) : value(v) {}         // NOLINT: implicit on purpose
  DimText(int64_t v) : value(v) {}     // NOLINT
  DimText(const char* n) : name(n) {}  // NOLINT
  int64_t value = 0;
  std::string name;
};

inline void set_value(onnx::ValueInfoProto& v, const std::string& name, DType dtype,
                      const std::vector<DimText>& dims) {
  v.set_name(name);
  auto& tensor = *v.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(static_cast<int>(dtype));
  tensor.mutable_shape();
  for (const DimText& d : dims) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (d.name.empty()) {
      dim.set_dim_value(d.value);
    } else {
      dim.set_dim_param(d.name);
    }
  }
}

// An output whose shape is left open.
inline void set_open_value(onnx::ValueInfoProto& v, const std::string& name, DType dtype) {
  v.set_name(name);
  v.mutable_type()->mutable_tensor_type()->set_elem_type(static_cast<int>(dtype));
}

template <typename T>
void set_tensor(onnx::TensorProto& t, const std::string& name, const std::vector<int64_t>& dims,
                const std::vector<T>& values) {
  t.set_name(name);
  t.set_data_type(static_cast<int>(dtype_of<T>()));
  for (const int64_t d : dims) t.add_dims(d);
  // Element by element: a vector of bool has no data().
  for (const T v : values)
    t.mutable_raw_data()->append(reinterpret_cast<const char*>(&v), sizeof(T));
}

struct ModelBuilder {
  onnx::ModelProto model;

  explicit ModelBuilder(int64_t opset) {
    model.set_ir_version(8);
    model.mutable_graph()->set_name("g");
    import_opset("", opset);
  }
  onnx::GraphProto& graph() { return *model.mutable_graph(); }
  void import_opset(const std::string& domain, int64_t version) {
    auto& o = *model.add_opset_import();
    o.set_domain(domain);
    o.set_version(version);
  }
  ModelBuilder& input(const std::string& name, const std::vector<DimText>& dims,
                      DType dtype = DType::kF32) {
    set_value(*graph().add_input(), name, dtype, dims);
    return *this;
  }
  ModelBuilder& output(const std::string& name, DType dtype = DType::kF32) {
    set_open_value(*graph().add_output(), name, dtype);
    return *this;
  }
  template <typename T>
  ModelBuilder& init(const std::string& name, const std::vector<int64_t>& dims,
                     const std::vector<T>& values) {
    set_tensor(*graph().add_initializer(), name, dims, values);
    return *this;
  }
  ModelBuilder& node(const std::string& op, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs, const Attrs& attributes = {}) {
    *graph().add_node() = make_node(op, inputs, outputs, attributes);
    return *this;
  }
  onnx::NodeProto& last() { return *graph().mutable_node(graph().node_size() - 1); }

  std::string bytes() const { return model.SerializeAsString(); }
  Result<ImportedModel> import(const ImportOptions& options = {}) const {
    const std::string data = bytes();
    Result<ImportedModel> imported = import_onnx(std::as_bytes(std::span(data)), "", options);
    if (options.shapes.empty()) {
      EXPECT_EQ(judge_import(data, imported).difference, "") << model.DebugString();
    }
    return imported;
  }
  // Imports, and runs the first input's data through the graph.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& feeds) const {
    MNN_ASSIGN_OR_RETURN(const ImportedModel imported, import());
    return run_reference(imported.graph, feeds);
  }
};

inline Tensor floats(std::vector<int64_t> dims, std::vector<float> values) {
  return Tensor::of<float>(std::move(dims), values);
}
inline Tensor iota(std::vector<int64_t> dims) {
  std::vector<float> values(static_cast<size_t>(*checked_elements(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return floats(std::move(dims), std::move(values));
}

}  // namespace mnn::testing
