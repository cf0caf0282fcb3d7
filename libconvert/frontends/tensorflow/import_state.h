// One TensorFlow program on its way to a Graph. Private to the importer.
//
// Values are made on demand, from the outputs back: what no output needs is never looked at. A
// frame is one body (a graph or function) where it is being added; loops and branches of Switch,
// Merge and Enter are frames of the same body inside another graph.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_set>

#include "libconvert/convert.h"
#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/tensorflow/body.h"
#include "libconvert/frontends/tensorflow/flow.h"
#include "libconvert/frontends/tensorflow/importer.h"
#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {

// What is known of the tensors in a list; shared by all values the list goes through.
struct ListFacts {
  DType dtype = DType::kUndefined;
  std::optional<Shape> element;  // as far as anyone has told
  bool grows = false;            // places behind the last one may be written
};

// What an output of a node stands for. A list is a tensor with one more axis in front; one that
// was only reserved has no value yet.
struct Item {
  enum class Kind : uint8_t { kNone, kTensor, kVariable, kList };
  Kind kind = Kind::kNone;
  ValueId value = kNoValue;
  frontend::GraphDraft* home = nullptr;  // the graph of the value
  std::string variable;                  // of a handle
  std::shared_ptr<ListFacts> list;
  ValueId size = kNoValue;  // i64 [1], of a list without a value
};
using Items = std::vector<Item>;

struct Frame {
  Frame(const Body& b, frontend::Scope& s, frontend::Layouts& l) : body(b), scope(s), layouts(l) {}
  const Body& body;
  frontend::Scope& scope;
  frontend::Layouts& layouts;
  Frame* parent = nullptr;  // around a loop or branch of the same body
  Items arguments;
  std::map<Edge, Item> fed;  // what stands for a tensor here
  std::unordered_map<int, Items> made;
  std::unordered_set<int> entered;
  std::string_view loop;          // of a loop: its name
  std::optional<Edge> condition;  // of a branch: what chooses it
  int branch = 0;
};

// Counts what is being read inside what.
class Nested {
 public:
  explicit Nested(int& count) : count_(count) { ++count_; }
  ~Nested() { --count_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  int& count_;
};

class Importer {
 public:
  Importer(Program&& program, const ImportOptions& options, Limits limits)
      : program_(std::move(program)),
        options_(options),
        limits_(limits),
        budget_(limits.nodes),
        log_(out_.diagnostics),
        draft_(out_.graph),
        scope_(draft_, nullptr) {}
  Result<ImportedModel> run();

 private:
  // Adds what happens inside a sub-graph, or in place.
  using Make = std::function<Result<Items>(frontend::Scope&, frontend::Layouts&)>;

  // importer.cc: the program and its border
  Status read_program();
  Status check_sizes() const;
  Status add_inputs(Frame& main);
  Status add_outputs(Frame& main);

  // evaluate.cc: nodes on demand
  Result<Item> demand(Frame& frame, Edge edge);
  Result<Items> items_of(Frame& frame, std::span<const Edge> edges);
  Status make(Frame& frame, int node);
  // What must be made in this frame before the node can be built.
  Result<std::vector<Edge>> needs(Frame& frame, int node);
  Status build(Frame& frame, int node);
  Result<Items> build_items(Frame& frame, int node, const OpRow& row, const std::string& name);
  Result<Items> build_row(Frame& frame, int node, const OpRow& row, const std::string& name);
  // dilated.cc: what BatchToSpaceND ends, where it is one convolution.
  Result<std::optional<Items>> dilated_conv(Frame& frame, const BodyNode& to_space,
                                            const std::string& name);
  Result<Items> build_constant(Frame& frame, const BodyNode& node, const std::string& name);
  Result<Items> call(Frame& frame, int node, const std::string& function);
  Result<const Body*> body_of(const std::string& function);
  Result<Items> run_body(const std::string& function, const Items& arguments, size_t results,
                         frontend::Scope& scope, frontend::Layouts& layouts);
  // The value of an item in the graph of `scope`; an error for what is no tensor.
  Result<ValueId> local(frontend::Scope& scope, const Item& item);
  Result<std::vector<ValueId>> local_inputs(Frame& frame, int node);
  Item tensor(frontend::Scope& scope, ValueId value) const {
    return {Item::Kind::kTensor, value, &scope.draft, {}, nullptr, kNoValue};
  }
  Item undefined(frontend::Scope& scope, const std::string& name);
  bool is_undefined(const Item& item) const;
  Status check_nesting() const;
  // Names the operators nothing converts among what the edges depend on.
  void scan(const Body& body, const std::vector<Edge>& edges);

  // control.cc: If, Case and While of any kind
  // What `among` makes of the node's first input and of its functions on the others; nothing where
  // the first is not known.
  Result<Items> choose(
      Frame& frame, int node, const std::vector<std::string>& bodies,
      const std::function<Result<Items>(const Item& chooser, std::span<const Make> ways)>& among);
  Result<Items> add_if(Frame& frame, int node, const std::string& name);
  Result<Items> add_case(Frame& frame, int node, const std::string& name);
  Result<Items> add_while(Frame& frame, int node, const std::string& name);
  Result<Items> branches(frontend::Scope& scope, frontend::Layouts& layouts, ValueId index,
                         std::span<const Make> ways, size_t results, const std::string& name);
  Result<Items> two_branches(frontend::Scope& scope, frontend::Layouts& layouts, ValueId condition,
                             const Make& then_way, const Make& else_way, size_t results,
                             const std::string& name);
  struct LoopSpec {
    std::string name;
    std::vector<char> invariant;  // per carried item: the body leaves it as it is
    std::function<Result<Item>(frontend::Scope&, frontend::Layouts&, const Items&)> goes_on;
    std::function<Result<Items>(frontend::Scope&, frontend::Layouts&, const Items&)> body;
  };
  Result<Items> add_loop(frontend::Scope& scope, frontend::Layouts& layouts, Items carried,
                         const LoopSpec& spec);
  Status loop_body(const LoopSpec& spec, const Items& carried, const std::vector<Type>& types,
                   frontend::Scope& inside, Items& next);
  Result<ValueId> condition_of(frontend::Scope& scope, const Item& item);

  // dataflow.cc: Switch, Merge, Enter, Exit
  Result<const Flow*> flow_of(const Body& body);
  Result<Items> add_merge(Frame& frame, int node, const std::string& name);
  Result<Items> add_exit(Frame& frame, int node, const std::string& name);
  Result<Items> enter(Frame& frame, int node);

  // lists.cc
  Result<Items> build_list(Frame& frame, int node, const std::string& name);
  // A value for a list that has none; `element` of its facts must be known in its rank.
  Status materialize(Item& list, const std::string& name);
  Status learn_element(Item& list, const Type& type);

  // states.cc
  Status find_assigned(const Body& body, const std::vector<int>& roots,
                       const std::vector<std::string>& handles, bool inside);
  Status add_effects(Frame& frame, const std::vector<int>& roots);
  Status add_updates();
  Result<Items> assign(Frame& frame, int node, const Item& handle, const std::string& name);
  Result<Items> build_variable(Frame& frame, int node, const OpRow& row, const std::string& name);
  Result<Item> variable_content(const std::string& variable);

  Program program_;
  const ImportOptions& options_;
  Limits limits_;
  int64_t budget_;
  ImportedModel out_;
  frontend::NodeLog log_;
  frontend::NodeLog* said_ = &log_;  // another one while a loop is only tried
  frontend::DimSymbols symbols_;
  frontend::GraphDraft draft_;
  frontend::Scope scope_;
  frontend::Layouts layouts_;
  Functions functions_;
  std::map<std::string, std::unique_ptr<Body>> bodies_;
  Body main_;
  std::map<const Body*, Flow> flows_;
  std::map<const Body*, std::vector<char>> scanned_;
  std::map<std::string, Item> contents_;  // of variables, in the main graph
  std::set<std::string> assigned_;        // variables that a run assigns
  std::map<std::string, Item> next_;      // what they are assigned
  std::set<std::string> looked_for_;
  int nesting_ = 0;
  bool shapes_given_ = false;
};

// What to say of an operator that has no row.
Status not_supported(std::string_view op);

}  // namespace mnn::tensorflow
