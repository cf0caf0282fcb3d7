// libonnx's checker and shape inference as a second judge of the ONNX front end.
#pragma once

#include <string>

#include "libconvert/convert.h"

namespace mnn::testing {

struct Judgement {
  std::string difference;  // empty: none
  int compared = 0;        // values of which both know the element type
};

// Holds what the front end made of a model against libonnx; no difference where both agree or
// libonnx cannot say (it knows operator sets up to 17, and no contributed operators). They agree
// when
// - what the checker and strict inference accept is not called malformed, and
// - values of one name have one element type and no dim that both know differently.
// `imported` is without shapes given for inputs.
Judgement judge_import(const std::string& bytes, const Result<ImportedModel>& imported);

// The same of a graph as onnx_json() writes it, read as operator set 17. `refused`: why libonnx
// does not take it, then nothing was compared.
struct GraphJudgement : Judgement {
  std::string refused;
};
GraphJudgement judge_graph(const Graph& graph, const std::string& json);

}  // namespace mnn::testing
