// The files of an ExportedProgram (.pt2): its graph as JSON, its weights and constants by name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libconvert/frontends/torch/archive.h"
#include "libconvert/frontends/torch/json.h"
#include "libconvert/frontends/torch/pickle.h"

namespace mnn::torch {

// An enum of the JSON's own numbering (float is 7), or its name in older files.
DType dtype_of_json(const Json* j);

class Program {
 public:
  // Any of the three layouts: 2.1 to 2.7 (records without a folder), 2.8 (`models/NAME.json` and
  // weights saved by torch.save), later ones (weights as raw bytes). `model`: which one, where an
  // archive holds several.
  static Result<Program> open(MappedFile file, const std::string& model);

  const Json& graph_module() const { return graph_module_; }
  const Json& root() const { return json_; }
  // A parameter, buffer or constant under its qualified name.
  Result<Tensor> tensor(const std::string& name);

 private:
  explicit Program(Archive archive) : archive_(std::move(archive)) {}
  Status read_configured(const std::string& config, const std::string& folder);
  Status read_pickled(const std::string& record);

  struct Stored {
    std::string record;
    StridedView view;
  };
  Archive archive_;
  Storages storages_;
  Json json_, graph_module_;
  std::map<std::string, Stored> stored_;     // raw records
  std::map<std::string, Tensor> unpickled_;  // of torch.save archives
};

// Whether the names are those of such an archive.
bool is_program(const std::vector<std::string>& names);

}  // namespace mnn::torch
