// TypeProto to Type. Names of dimensions become symbols.
#pragma once

#include <string>

#include "libconvert/frontends/common/border.h"
#include "onnx_model.pb.h"

namespace mnn::onnx {

using frontend::DimSymbols;

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
