#include "libquant/train/checkpoint.h"

#include "libruntime/core/io/mnn_file.h"

namespace mnn {
namespace {

constexpr std::string_view kName = "training checkpoint";

}  // namespace

// A .mnn file whose outputs are constants: its sections and weights have checksums.
Status write_checkpoint(const Checkpoint& checkpoint, const std::string& path) {
  Model model;
  model.graph.name = kName;
  for (const auto& [name, tensor] : checkpoint) {
    model.graph.outputs.push_back(model.graph.add_constant(tensor, name));
  }
  return write_model(model, path);
}

Result<Checkpoint> read_checkpoint(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(Model model, read_model(path));
  if (model.graph.name != kName) return invalid(path + ": expected a checkpoint, found a model");
  Checkpoint checkpoint;
  for (const ValueId v : model.graph.outputs) {
    // The mapping would keep the file's bytes; training changes what it is given.
    MNN_ASSIGN_OR_RETURN(checkpoint[model.graph.value(v).name], model.graph.value(v).data.clone());
  }
  return checkpoint;
}

}  // namespace mnn
