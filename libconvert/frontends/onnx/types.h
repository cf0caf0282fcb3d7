// TypeProto to Type. Names of dimensions become symbols.
#pragma once

#include <map>
#include <set>
#include <string>

#include "libruntime/core/graph.h"
#include "onnx_model.pb.h"

namespace mnn::onnx {

// The symbols of one model. Any text may name a dimension; symbols are [A-Za-z_][A-Za-z0-9_.]*, and
// two names never share one.
class DimSymbols {
 public:
  // The same symbol for the same text.
  Dim named(const std::string& text);
  // A symbol no dimension has yet: "x.2" for axis 2 of x.
  Dim fresh(const std::string& input, size_t axis);

 private:
  std::string unused(const std::string& text);

  std::map<std::string, std::string> by_text_;
  std::set<std::string, std::less<>> used_;
};

// Whether a dimension is written as a name that stands for something ("?" does not).
bool is_named_dim(const TensorShapeProto::Dimension& dim);

// A type declared for a value: numbers are kept, every other dimension is unknown. The type is
// undefined when the proto says nothing; an error for kinds the IR lacks.
Result<Type> declared_type(const TypeProto& proto);

struct InputType {
  Type type;
  bool zero_dims = false;  // a dim was written as 0 and is taken as unknown
};
// The type of the graph input `name`: dimensions that are not numbers become symbols.
Result<InputType> input_type(const std::string& name, const TypeProto& proto, DimSymbols& symbols);

}  // namespace mnn::onnx
