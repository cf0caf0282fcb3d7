// Builds small TensorFlow graphs for the tests of the front end.
#pragma once

#include <string>
#include <vector>

#include "libconvert/convert.h"
#include "tensorflow.pb.h"

namespace mnn::testing {

// TensorFlow's number of an element type.
int tensorflow_type(DType dtype);

// A node "NAME OPERATOR(inputs) attr=kind:value…", as the cases have it.
void add_node(tensorflow::GraphDef& graph, const std::string& text);
void add_placeholder(tensorflow::GraphDef& graph, const std::string& name, DType dtype,
                     const std::vector<int64_t>& dims);
void add_constant(tensorflow::GraphDef& graph, const std::string& name, DType dtype,
                  const std::vector<int64_t>& dims, const std::string& bytes);

Result<ImportedModel> import_graph(const tensorflow::GraphDef& graph,
                                   const ImportOptions& options = {});
// A graph in text form.
Result<ImportedModel> import_text(const std::string& text, const ImportOptions& options = {});

}  // namespace mnn::testing
