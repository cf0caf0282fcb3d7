// The program and its border.
#include "libconvert/frontends/tensorflow/importer.h"

#include <algorithm>
#include <new>

#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {
namespace {

// The functions a node calls, with how often a call is unfolded.
std::vector<std::string> called_by(const NodeDef& node, const Functions& functions) {
  std::vector<std::string> called;
  if (functions.contains(node.op())) called.push_back(node.op());
  for (const auto& [key, value] : node.attr()) {
    if (value.has_func()) called.push_back(value.func().name());
    for (const NameAttrList& f : value.list().func()) called.push_back(f.name());
    // The condition of a loop stands before it and in it.
    if (key == "cond" && value.has_func()) called.push_back(value.func().name());
  }
  return called;
}

void add_calls(frontend::CallingBody& body, const std::string& where, const NodeDef& node,
               const Functions& functions) {
  ++body.nodes;
  for (const std::string& f : called_by(node, functions)) body.calls.push_back({where, f, f});
}

}  // namespace

// What calls unfold to, before any is unfolded. Of the graph only what outputs depend on counts: a
// file may hold more than its model uses.
Status Importer::check_sizes() const {
  std::map<std::string, frontend::CallingBody> bodies;
  for (const FunctionDef& f : program_.graph.library().function()) {
    const std::string& name = f.signature().name();
    frontend::CallingBody& body = bodies[name];
    for (const NodeDef& node : f.node_def()) {
      add_calls(body, name + "/" + node.name(), node, functions_);
    }
  }
  frontend::CallingBody main;
  std::vector<char> seen(main_.nodes.size());
  std::vector<int> stack;
  for (const Feed& feed : program_.outputs) {
    MNN_ASSIGN_OR_RETURN(const Edge edge, find_tensor(main_, feed.tensor));
    stack.push_back(edge.node);
  }
  while (!stack.empty()) {
    const auto at = static_cast<size_t>(stack.back());
    stack.pop_back();
    if (seen[at] != 0) continue;
    seen[at] = 1;
    const BodyNode& node = main_.nodes[at];
    add_calls(main, std::string(node.name), *node.def, functions_);
    for (const Edge& e : node.inputs) stack.push_back(e.node);
  }
  MNN_ASSIGN_OR_RETURN(const int64_t nodes, frontend::unfolded_size(main, bodies));
  if (nodes <= limits_.nodes) return {};
  return limit_exceeded("its functions unfold to more than " + std::to_string(limits_.nodes) +
                        " nodes");
}

Status Importer::add_inputs(Frame& main) {
  for (const Feed& feed : program_.inputs) {
    MNN_ASSIGN_OR_RETURN(const Edge edge, find_tensor(main_, feed.tensor));
    Type type = feed.type;
    if (type.dtype == DType::kUndefined || type.dtype == DType::kC64 ||
        type.dtype == DType::kC128) {
      return unsupported("input " + feed.name + ": its type is not known or not supported");
    }
    if (type.shape) {
      for (size_t d = 0; d < type.rank(); ++d) {
        if ((*type.shape)[d].is_unknown()) (*type.shape)[d] = symbols_.fresh(feed.name, d);
      }
    }
    out_.source_inputs.emplace_back(feed.name, static_cast<int>(out_.graph.inputs.size()));
    const ValueId id = out_.graph.add_input(feed.name, std::move(type));
    if (!main.fed.emplace(edge, tensor(scope_, id)).second) {
      return invalid("two inputs are the tensor " + feed.tensor);
    }
    log_.unique_name(feed.name, true);
  }
  MNN_ASSIGN_OR_RETURN(shapes_given_, bind_input_shapes(out_.graph, options_.shapes, symbols_));
  return {};
}

Status Importer::add_outputs(Frame& main) {
  for (const Feed& feed : program_.outputs) {
    MNN_ASSIGN_OR_RETURN(const Edge edge, find_tensor(main_, feed.tensor));
    MNN_ASSIGN_OR_RETURN(Item item, demand(main, edge));
    if (item.kind == Item::Kind::kList && item.value == kNoValue) {
      MNN_RETURN_IF_ERROR(materialize(item, feed.name).context("output " + feed.name));
    }
    if (is_undefined(item)) {
      if (out_.diagnostics.has_errors()) continue;
      return invalid("output " + feed.name + " is made by no operator");
    }
    Result<ValueId> value = local(scope_, item);
    if (!value.ok()) return value.status().context("output " + feed.name);
    MNN_RETURN_IF_ERROR(add_output(draft_, feed.name, *value, budget_));
    if (out_.diagnostics.has_errors()) continue;
    MNN_RETURN_IF_ERROR(
        frontend::check_output(out_.graph, feed.type, shapes_given_, out_.diagnostics));
  }
  return {};
}

Status Importer::read_program() {
  out_.facts = program_.facts;
  for (const FunctionDef& f : program_.graph.library().function()) {
    if (!functions_.emplace(f.signature().name(), &f).second) {
      return invalid("two functions have the name '" + f.signature().name() + "'");
    }
  }
  MNN_ASSIGN_OR_RETURN(main_, read_graph(program_.graph));
  MNN_RETURN_IF_ERROR(check_sizes());
  if (program_.outputs.empty()) return invalid("the graph has no outputs");
  for (const Feed& feed : program_.outputs) {
    MNN_ASSIGN_OR_RETURN(const Edge edge, find_tensor(main_, feed.tensor));
    BodyNode& node = main_.nodes[static_cast<size_t>(edge.node)];
    node.outputs = std::max(node.outputs, edge.output + 1);
  }
  Frame main(main_, scope_, layouts_);
  MNN_RETURN_IF_ERROR(add_inputs(main));
  std::vector<int> roots;
  for (const Feed& feed : program_.outputs) {
    MNN_ASSIGN_OR_RETURN(const Edge edge, find_tensor(main_, feed.tensor));
    roots.push_back(edge.node);
  }
  MNN_RETURN_IF_ERROR(find_assigned(main_, roots, {}, false));
  MNN_RETURN_IF_ERROR(add_outputs(main));
  MNN_RETURN_IF_ERROR(add_effects(main, roots));
  MNN_RETURN_IF_ERROR(out_.diagnostics.status());
  MNN_RETURN_IF_ERROR(add_updates());
  MNN_RETURN_IF_ERROR(sort_nodes(out_.graph));
  MNN_RETURN_IF_ERROR(verify(out_.graph));
  return infer_types(out_.graph);
}

Result<ImportedModel> Importer::run() {
  out_.format = "tensorflow";
  const Status status = read_program();
  if (status.ok()) return std::move(out_);
  if (options_.failed != nullptr) *options_.failed = std::move(out_);
  return status;
}

Result<ImportedModel> import_program(Program&& program, const ImportOptions& options,
                                     Limits limits) {
  try {
    return Importer(std::move(program), options, limits).run();
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

}  // namespace mnn::tensorflow
