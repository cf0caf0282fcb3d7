// A TorchScript archive: the tree of its module, its constants and its code, which is read file by
// file as it is called.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "libconvert/frontends/torch/pickle.h"
#include "libconvert/frontends/torch/source_text.h"

namespace mnn::torch {

class ScriptProgram {
 public:
  // Names what is no TorchScript archive: a checkpoint, a pickled module.
  static Result<std::unique_ptr<ScriptProgram>> open(const MappedFile& file);

  int64_t version() const { return version_; }
  const Pickled& module() const { return *module_.root; }
  // The example inputs of a traced model's forward, null where the file has none.
  const Pickled* traced_inputs() const { return traced_; }
  // `CONSTANTS.c3`.
  Result<const Pickled*> constant(std::string_view name) const;
  // By the full name, "__torch__.torch.nn.functional.relu". Null where there is none.
  Result<const Class*> find_class(const std::string& name);
  Result<const Function*> find_function(const std::string& name);
  // "code/__torch__/torch/nn/functional.py" of a function or class.
  static std::string file_of(const std::string& name);
  Archive& archive() { return archive_; }

 private:
  explicit ScriptProgram(Archive archive) : archive_(std::move(archive)) {}
  Status read();
  Result<const Source*> source_of(const std::string& name);

  Archive archive_;
  int64_t version_ = 0;
  Pickle module_, constants_, traced_pickle_;
  const Pickled* traced_ = nullptr;
  std::map<std::string, Source> sources_;  // by file
};

}  // namespace mnn::torch
