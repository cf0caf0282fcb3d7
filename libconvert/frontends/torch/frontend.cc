#include "libconvert/frontends/torch/frontend.h"

#include <new>

#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/frontends/torch/exported.h"
#include "libconvert/sniff.h"

namespace mnn {
namespace torch {
namespace {

constexpr const char* kModelKey = "model";
constexpr const char* kNodesKey = "max_nodes";
constexpr int64_t kDefaultNodes = 1 << 20;

bool recognizes(std::span<const std::byte> bytes, const frontend::SourceFiles& source) {
  if (source.is_folder() || !begins(bytes, "PK\x03\x04")) return false;
  const Result<std::vector<std::string>> names = zip_names(bytes);
  return names.ok() && is_program(*names);
}

Result<ImportedModel> import(frontend::SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int64_t nodes,
                       frontend::int_key(options, kNodesKey, kDefaultNodes, 1, int64_t{1} << 30));
  MNN_ASSIGN_OR_RETURN(MappedFile file, source.open_main());
  try {
    MNN_ASSIGN_OR_RETURN(
        Program program,
        Program::open(std::move(file), frontend::text_key(options, kModelKey, "")));
    return ExportedImporter(program, options, nodes).run();
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

std::vector<std::string> operators() {
  std::vector<std::string> list;
  for (const AtenRow& row : aten_rows()) {
    list.push_back(row.schema.name +
                   (row.schema.overload.empty() ? "" : "." + row.schema.overload));
  }
  return list;
}

}  // namespace
}  // namespace torch

Frontend exported_program_frontend() {
  return {"pt2",
          "a .pt2 file (torch.export.save)",
          torch::recognizes,
          torch::import,
          torch::operators,
          {{torch::kModelKey, "The program of an archive that holds several"},
           {torch::kNodesKey, "Most nodes of the graph; default 1048576"}}};
}

}  // namespace mnn
