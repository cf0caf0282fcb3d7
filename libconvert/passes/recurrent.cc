// Loops over the steps of a sequence that are an LSTM, a GRU or an RNN, as Keras writes them,
// become that operator.
#include <algorithm>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"
#include "libconvert/passes/recurrent_cell.h"

namespace mnn {
namespace {

// Whether all elements of a value are zero, whatever its shape.
bool is_zero(const Graph& graph, const Uses& uses, ValueId v) {
  constexpr int kSteps = 16;
  for (int i = 0; i < kSteps && v != kNoValue; ++i) {
    if (is_filled_with(graph, v, 0)) return true;
    const NodeId maker = uses.producer[static_cast<size_t>(v)];
    if (maker < 0) return false;
    const Node& n = graph.node(maker);
    if (n.op == "ConstantOfShape") {
      const auto value = n.attributes.find("value");
      if (value == n.attributes.end()) return true;
      const Tensor* t = std::get_if<Tensor>(&value->second);
      const auto one = t == nullptr ? Result<std::vector<double>>(invalid("")) : t->to_doubles();
      return one.ok() && one->size() == 1 && (*one)[0] == 0;
    }
    if (n.op != "Expand" && n.op != "Identity" && n.op != "Tile" && !has_traits(n.op, kView)) {
      return false;
    }
    v = n.inputs[0];
  }
  return false;
}

class Rewriter {
 public:
  Rewriter(Graph& graph, NodeId at, const std::function<Dim(ValueId)>& dim_of)
      : graph_(graph),
        at_(at),
        loop_(graph, graph.node(at)),
        uses_(index_uses(graph)),
        dim_of_(dim_of) {}

  bool run() {
    const auto cell = find_cell(loop_);
    if (!cell || !fits(*cell)) return false;
    std::vector<What> results;
    for (size_t k = 0; k < loop_.loop.outputs.size(); ++k) {
      results.push_back(result(*cell, k));
      if (results.back() == What::kUnknown) return false;
    }
    build(*cell, results);
    return true;
  }

 private:
  // What an output of the loop is: the states of all steps, the last one, …
  enum class What { kUnread, kSteps, kLast, kLastAsList, kCell, kSame, kUnknown };

  // The steps of the sequence are the trips of the loop; states have the shape the operator wants.
  bool fits(const RecurrentCell& cell) {
    const Type& x = graph_.value(cell.sequence).type;
    if (x.dtype != DType::kF32 || !x.shape || x.rank() != 3 ||
        !(*x.shape)[2].is(cell.weights.dims()[2])) {
      return false;
    }
    steps_ = (*x.shape)[0];
    const std::vector<Dim> limits = loop_.limits(dim_of_);
    bool same = false;
    for (const Dim& limit : limits) {
      same |= limit.same(steps_);
      if (!limit.same(steps_) && !at_least(limit - steps_, 0)) return false;
    }
    if (!same) return false;
    for (const std::optional<size_t> k : {std::optional(cell.hidden), cell.cell}) {
      if (!k || is_zero(graph_, uses_, loop_.initial(*k))) continue;
      const Type& type = graph_.value(loop_.initial(*k)).type;
      if (!type.shape || type.rank() != 2 || !(*type.shape)[0].same((*x.shape)[1])) return false;
    }
    return true;
  }

  bool is_read(ValueId v) const {
    return v != kNoValue && (!uses_.consumers[static_cast<size_t>(v)].empty() ||
                             uses_.output_uses[static_cast<size_t>(v)] > 0);
  }

  What result(const RecurrentCell& cell, size_t output) const {
    if (!is_read(loop_.loop.outputs[output])) return What::kUnread;
    const ValueId h = loop_.next(cell.hidden);
    if (output >= loop_.carried()) {
      return loop_.scan(output - loop_.carried()) == h ? What::kSteps : What::kUnknown;
    }
    if (output == cell.hidden) return What::kLast;
    if (cell.cell && output == *cell.cell) return What::kCell;
    if (loop_.invariant(loop_.input(output)) != kNoValue) return What::kSame;
    return list_of(output, h);
  }

  // A list whose elements are all set, each to the state of its step; or its only one, to the last.
  What list_of(size_t output, ValueId h) const {
    const Type& type = graph_.value(loop_.initial(output)).type;
    if (!type.shape || type.rank() != 3) return What::kUnknown;
    const ValueId next = loop_.next(output);
    const Dim& length = (*type.shape)[0];
    const auto item_of = [&](ValueId v) {
      // One more axis in front.
      const Node* n = loop_.maker(v);
      const bool view = n != nullptr && (n->op == "Unsqueeze" || n->op == "Reshape");
      if (!view) return kNoValue;
      const Type& t = loop_.body.value(n->outputs[0]).type;
      return t.shape && t.rank() == 3 && (*t.shape)[0].is(1) ? loop_.behind(n->inputs[0])
                                                             : kNoValue;
    };
    const ValueId list = loop_.input(output);
    const bool at_least_once = at_least(steps_, 1);
    // A list of one element is what it is set to.
    if (length.is(1) && item_of(next) == h && at_least_once) return What::kLastAsList;
    const Node* n = loop_.maker(next);
    if (n == nullptr) return What::kUnknown;
    if (n->op == "ScatterND" && attr_string(*n, "reduction") == "none") {
      if (item_of(n->inputs[2]) != h || !grows_from(n->inputs[0], list)) return What::kUnknown;
      if (const auto at = loop_.constant(n->inputs[1])) {
        const auto index = at->to_ints();
        const bool only = index.ok() && index->size() == 1 && (*index)[0] == 0 && length.is(1);
        return only && at_least_once ? What::kLastAsList : What::kUnknown;
      }
      return loop_.count(n->inputs[1]) == 0 && length.same(steps_) ? What::kSteps : What::kUnknown;
    }
    if (n->op == "Concat" && attr_int(*n, "axis") == 0 && n->inputs.size() == 3 &&
        item_of(n->inputs[1]) == h && length.same(steps_) && is_part(n->inputs[0], list, true) &&
        is_part(n->inputs[2], list, false)) {
      return What::kSteps;
    }
    return What::kUnknown;
  }

  // Whether `v` is `list`, or the list after room for its elements was made: as many bytes of it as
  // there are stay in front.
  bool grows_from(ValueId v, ValueId list) const {
    constexpr int kSteps = 8;
    for (int i = 0; i < kSteps; ++i) {
      if (loop_.behind(v) == list) return true;
      const Node* n = loop_.maker(v);
      if (n == nullptr || (n->op != "Reshape" && n->op != "Concat")) return false;
      v = n->inputs[0];
    }
    return false;
  }

  // The first element of a vector that bounds a Slice, as LoopBody::count has it.
  std::optional<int64_t> first_count(ValueId v) const {
    constexpr int kSteps = 8;
    for (int i = 0; i < kSteps; ++i) {
      const Node* n = loop_.maker(v);
      if (n == nullptr) break;
      if (n->op == "Concat" || n->op == "Cast") {
        v = n->inputs[0];
      } else if (n->op == "Where" && is_end_marked(*n)) {
        v = n->inputs[2];
      } else {
        break;
      }
    }
    return loop_.count(v);
  }

  // Where(x == -1, the end, x): x, unless that is -1, which no count is.
  bool is_end_marked(const Node& where) const {
    const Node* equal = loop_.maker(where.inputs[0]);
    return equal != nullptr && equal->op == "Equal" &&
           loop_.behind(equal->inputs[0]) == loop_.behind(where.inputs[2]) &&
           all(equal->inputs[1], [](int64_t v) { return v == -1; });
  }

  bool all(ValueId v, bool (*holds)(int64_t)) const {
    const auto t = loop_.constant(v);
    const auto values = t ? t->to_ints() : Result<std::vector<int64_t>>(invalid("none"));
    return values.ok() && std::ranges::all_of(*values, holds);
  }

  // Whether `v` is what lies in the list before the element of this trip, or after it.
  bool is_part(ValueId v, ValueId list, bool before) const {
    const Node* n = loop_.maker(v);
    if (n == nullptr || n->op != "Slice" || loop_.behind(n->inputs[0]) != list) return false;
    const ValueId axes = input_of(*n, 3), steps = input_of(*n, 4);
    if ((axes != kNoValue && !all(axes, [](int64_t a) { return a == 0; })) ||
        (steps != kNoValue && !all(steps, [](int64_t s) { return s == 1; }))) {
      return false;
    }
    if (before) {
      return all(n->inputs[1], [](int64_t s) { return s == 0; }) && first_count(n->inputs[2]) == 0;
    }
    return first_count(n->inputs[1]) == 1 &&
           all(n->inputs[2], [](int64_t e) { return e >= INT32_MAX; });
  }

  void build(const RecurrentCell& cell, const std::vector<What>& results) {
    // The loop and all that is read of it go away with its node.
    const Node loop = std::move(graph_.node(at_));
    Builder b(graph_, loop.origin);
    const auto state = [&](std::optional<size_t> k) {
      if (!k || is_zero(graph_, uses_, loop.inputs[2 + *k])) return kNoValue;
      return b.op("Unsqueeze", {loop.inputs[2 + *k], b.ints({0})});
    };
    std::vector<ValueId> inputs = {cell.sequence, b.constant(cell.weights),
                                   b.constant(cell.recurrent)};
    inputs.push_back(cell.bias.defined() ? b.constant(cell.bias) : kNoValue);
    inputs.push_back(kNoValue);
    inputs.push_back(state(cell.hidden));
    if (cell.cell) inputs.push_back(state(cell.cell));
    while (inputs.back() == kNoValue) inputs.pop_back();
    const std::vector<ValueId> made =
        b.op_n(cell.op, std::move(inputs), cell.cell ? 3 : 2, attributes_of(cell));
    const NodeId named = b.made().back();
    const auto give = [&](ValueId output, const std::string& op, std::vector<ValueId> in) {
      Node node;
      node.op = op;
      node.origin = loop.origin;
      node.inputs = std::move(in);
      node.outputs = {output};
      graph_.add_node(std::move(node));
    };
    for (size_t k = 0; k < results.size(); ++k) {
      const ValueId output = loop.outputs[k];
      switch (results[k]) {
        case What::kSteps: give(output, "Squeeze", {made[0], b.ints({1})}); break;
        case What::kLast: give(output, "Squeeze", {made[1], b.ints({0})}); break;
        case What::kLastAsList: give(output, "Identity", {made[1]}); break;
        case What::kCell: give(output, "Squeeze", {made[2], b.ints({0})}); break;
        case What::kSame: give(output, "Identity", {loop.inputs[2 + k]}); break;
        case What::kUnread:
        case What::kUnknown: break;
      }
    }
    graph_.node(named).name = loop.name;
  }

  static Builder::Attributes attributes_of(const RecurrentCell& cell) {
    Builder::Attributes a = {{"hidden_size", cell.recurrent.dims()[2]}};
    const std::vector<std::string> usual =
        cell.op == "LSTM"  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
        : cell.op == "GRU" ? std::vector<std::string>{"Sigmoid", "Tanh"}
                           : std::vector<std::string>{"Tanh"};
    if (cell.activations != usual) a["activations"] = cell.activations;
    if (!cell.alphas.empty()) {
      a["activation_alpha"] = cell.alphas;
      a["activation_beta"] = cell.betas;
    }
    if (cell.linear_before_reset) a["linear_before_reset"] = int64_t{1};
    return a;
  }

  Graph& graph_;
  NodeId at_;
  LoopBody loop_;
  Uses uses_;
  const std::function<Dim(ValueId)>& dim_of_;
  Dim steps_;
};

}  // namespace

Result<int> fuse_recurrent(Graph& graph) {
  int changes = 0;
  bool any = false;
  for (const Node& node : graph.nodes) {
    for (const Graph& g : node.subgraphs) any |= !g.nodes.empty();
  }
  if (!any) return 0;
  TypeInference types(graph);
  const std::function<Dim(ValueId)> dim_of = [&](ValueId v) {
    if (const Tensor* t = graph.constant(v)) {
      const auto values = t->to_ints();
      return values.ok() && values->size() == 1 ? Dim((*values)[0]) : Dim::unknown();
    }
    const ShapeValues* known = types.known(v);
    return known != nullptr && known->size() == 1 ? (*known)[0] : Dim::unknown();
  };
  const size_t nodes = graph.nodes.size();
  std::vector<char> gone(nodes, 0);
  for (size_t n = 0; n < nodes; ++n) {
    for (size_t g = 0; g < graph.nodes[n].subgraphs.size(); ++g) {
      MNN_ASSIGN_OR_RETURN(const int inside, fuse_recurrent(graph.nodes[n].subgraphs[g]));
      changes += inside;
    }
    // What cannot be inferred may stand in a branch that is never taken: nothing is known of it,
    // and run_passes judges.
    if (!types.infer(graph.nodes[n]).ok()) continue;
    if (graph.nodes[n].op != "Loop") continue;
    const size_t first_made = graph.nodes.size();
    gone[n] = Rewriter(graph, static_cast<NodeId>(n), dim_of).run() ? 1 : 0;
    changes += gone[n];
    // What the loops behind it read has its sizes now.
    for (size_t made = first_made; made < graph.nodes.size(); ++made) {
      if (!types.infer(graph.nodes[made]).ok()) break;
    }
  }
  std::vector<Node> left;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (n >= nodes || !gone[n]) left.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(left);
  return changes;
}

}  // namespace mnn
