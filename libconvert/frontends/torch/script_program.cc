#include "libconvert/frontends/torch/script_program.h"

#include <charconv>

namespace mnn::torch {
namespace {

constexpr int64_t kNewestVersion = 10;

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

}  // namespace

Result<std::unique_ptr<ScriptProgram>> ScriptProgram::open(const MappedFile& file) {
  MNN_ASSIGN_OR_RETURN(Archive archive, Archive::open(file));
  std::unique_ptr<ScriptProgram> program(new ScriptProgram(std::move(archive)));
  MNN_RETURN_IF_ERROR(program->read());
  return program;
}

Status ScriptProgram::read() {
  for (const char* name : {"version", ".data/version"}) {
    if (!archive_.has(name)) continue;
    MNN_ASSIGN_OR_RETURN(const MappedFile file, archive_.read(name));
    const std::string_view text = text_of(file);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version_);
    if (error != std::errc()) return invalid("the archive's version is no number");
  }
  if (version_ > kNewestVersion) {
    return unsupported("TorchScript archives of version " + std::to_string(version_) +
                       "; the newest known is " + std::to_string(kNewestVersion));
  }
  if (archive_.has("byteorder")) {
    MNN_ASSIGN_OR_RETURN(const MappedFile file, archive_.read("byteorder"));
    if (text_of(file).starts_with("big")) return unsupported("big-endian archives");
  }
  MNN_ASSIGN_OR_RETURN(module_, read_pickle(archive_, "data.pkl", "data/"));
  if (module_.root->kind != Pickled::Kind::kObject) return invalid("data.pkl holds no module");
  if (archive_.has("constants.pkl")) {
    MNN_ASSIGN_OR_RETURN(constants_, read_pickle(archive_, "constants.pkl", "constants/"));
  }
  if (!archive_.has("traced_inputs.pkl")) return {};
  // Of the example only the shapes are of use, and writers leave its storages out.
  MNN_ASSIGN_OR_RETURN(const MappedFile traced, archive_.read("traced_inputs.pkl"));
  Result<Pickle> example = parse_pickle(traced.bytes, nullptr);
  if (!example.ok()) return {};
  traced_pickle_ = std::move(example).value();
  traced_ = traced_pickle_.root->find("forward");
  return {};
}

Result<const Pickled*> ScriptProgram::constant(std::string_view name) const {
  size_t index = 0;
  const char *first = name.data() + 1, *last = name.data() + name.size();
  const auto [end, error] = name.starts_with('c') ? std::from_chars(first, last, index)
                                                  : std::from_chars(last, last, index);
  if (error != std::errc() || end != last || constants_.root == nullptr ||
      index >= constants_.root->items.size()) {
    return invalid("there is no constant " + std::string(name));
  }
  return constants_.root->items[index];
}

std::string ScriptProgram::file_of(const std::string& name) {
  std::string path = name.substr(0, name.rfind('.'));
  for (char& c : path) {
    if (c == '.') c = '/';
  }
  return "code/" + path + ".py";
}

Result<const Source*> ScriptProgram::source_of(const std::string& name) {
  const std::string file = file_of(name);
  const auto known = sources_.find(file);
  if (known != sources_.end()) return &known->second;
  Source source;
  if (archive_.has(file)) {
    MNN_ASSIGN_OR_RETURN(const MappedFile text, archive_.read(file));
    Result<Source> parsed = parse_source(text_of(text));
    if (!parsed.ok()) return parsed.status().context(file);
    source = std::move(parsed).value();
  }
  return &sources_.emplace(file, std::move(source)).first->second;
}

Result<const Class*> ScriptProgram::find_class(const std::string& name) {
  MNN_ASSIGN_OR_RETURN(const Source* source, source_of(name));
  const auto found = source->classes.find(last_part(name));
  return found == source->classes.end() ? nullptr : &found->second;
}

Result<const Function*> ScriptProgram::find_function(const std::string& name) {
  MNN_ASSIGN_OR_RETURN(const Source* source, source_of(name));
  const auto found = source->functions.find(last_part(name));
  return found == source->functions.end() ? nullptr : &found->second;
}

}  // namespace mnn::torch
