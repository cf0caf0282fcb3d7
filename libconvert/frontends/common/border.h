// The border of a model: symbols for the dims of its inputs, shapes that are given for them, and
// outputs that keep the source's names and fit what it declares.
#pragma once

#include <map>
#include <set>
#include <string>

#include "libconvert/frontends/common/draft.h"
#include "libruntime/core/bind_shapes.h"

namespace mnn::frontend {

inline constexpr int kMaxRank = 32;
Status check_rank(size_t rank);

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

// Binds the shapes given for inputs (errors are kUsage) before any node is added. True when one
// contradicts a number the source declares, which gives way: what it declares of other values is
// stale then.
Result<bool> bind_input_shapes(Graph& graph, const ShapeMap& shapes, DimSymbols& symbols);

// Makes `id` the next output of the graph, under the source's name: a value that goes by another
// one gets a copy. `budget` as for append_node.
Status add_output(GraphDraft& draft, const std::string& name, ValueId id, int64_t& budget);
// Holds the last output's type against the declared one: another element type is an error, another
// shape a warning. `stale`: declared numbers are not believed, the rank is.
Status check_output(const Graph& graph, const Type& declared, bool stale, Diagnostics& diagnostics);

}  // namespace mnn::frontend
