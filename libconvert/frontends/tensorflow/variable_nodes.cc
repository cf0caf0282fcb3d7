// Variables: constants of what the program says they hold.
#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {

Result<Item> Importer::variable_content(const std::string& variable) {
  const auto known = contents_.find(variable);
  if (known != contents_.end()) return known->second;
  const auto content = program_.variables.find(variable);
  if (content == program_.variables.end()) {
    return invalid("variable " + variable +
                   " has no content: the file holds the network without its weights; give the "
                   "SavedModel folder, or freeze the graph");
  }
  const Item item = tensor(scope_, out_.graph.add_constant(content->second, variable));
  contents_.emplace(variable, item);
  return item;
}

Result<Items> Importer::build_variable(Frame& frame, int node, const OpRow& row,
                                       const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(node)];
  if (row.structure == Structure::kHandle) {
    Item item;
    item.kind = Item::Kind::kVariable;
    item.variable = std::string(n.name);
    return Items{item};
  }
  if (row.structure == Structure::kVariable) {
    MNN_ASSIGN_OR_RETURN(Item item, variable_content(std::string(n.name)));
    return Items{item};
  }
  if (n.inputs.empty()) return invalid("it names no variable");
  MNN_ASSIGN_OR_RETURN(const Item handle, demand(frame, n.inputs[0]));
  if (row.structure == Structure::kAssign) {
    const std::string which =
        handle.kind == Item::Kind::kVariable
            ? handle.variable
            : std::string(n.inputs.empty()
                              ? ""
                              : frame.body.nodes[static_cast<size_t>(n.inputs[0].node)].name);
    return unsupported("it writes to variable " + which +
                       ", which is not supported where the result depends on it");
  }
  if (is_undefined(handle) && handle.kind != Item::Kind::kVariable) return Items{};
  if (handle.kind != Item::Kind::kVariable) return invalid("it reads what is no variable");
  MNN_ASSIGN_OR_RETURN(Item content, variable_content(handle.variable));
  if (row.structure == Structure::kRead) return Items{content};
  // Rows of it.
  if (n.inputs.size() != 2) return invalid("expected a variable and places");
  MNN_ASSIGN_OR_RETURN(const Item places, demand(frame, n.inputs[1]));
  OpNode gather(frame.scope.draft, budget_, frame.layouts, *n.def);
  gather.name = name;
  MNN_ASSIGN_OR_RETURN(const ValueId table, local(frame.scope, content));
  MNN_ASSIGN_OR_RETURN(const ValueId at, local(frame.scope, places));
  if (frontend::is_undefined(frame.scope, at)) return Items{};
  gather.inputs = {table, at};
  if (n.op == "ResourceGatherNd") {
    gather.results = {gather.emit("GatherND", {table, gather.cast(at, DType::kI64)})};
  } else {
    frontend::gather(gather, gather.attr_int("batch_dims"), gather.attr_int("batch_dims"));
  }
  MNN_RETURN_IF_ERROR(gather.status);
  gather.graph.value(gather.results[0]).name = name;
  return Items{tensor(frame.scope, gather.results[0])};
}

}  // namespace mnn::tensorflow
