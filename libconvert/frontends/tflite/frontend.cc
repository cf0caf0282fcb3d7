#include "libconvert/frontends/tflite/frontend.h"

#include <new>

#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/frontends/tflite/importer.h"
#include "libconvert/frontends/tflite/keys.h"
#include "libconvert/sniff.h"

namespace mnn {
namespace tflite {
namespace {

constexpr int64_t kDefaultNodes = 1 << 20;
constexpr int64_t kDefaultDepth = 64;

bool recognizes(std::span<const std::byte> bytes, const frontend::SourceFiles& source) {
  return !source.is_folder() && bytes.size() > 8 && begins(bytes.subspan(4), fb::ModelIdentifier());
}

Result<ImportedModel> read_model(MappedFile file, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int64_t nodes,
                       frontend::int_key(options, kNodesKey, kDefaultNodes, 1, int64_t{1} << 30));
  MNN_ASSIGN_OR_RETURN(const int64_t depth,
                       frontend::int_key(options, kDepthKey, kDefaultDepth, 0, kDefaultDepth));
  try {
    MNN_ASSIGN_OR_RETURN(const ModelFile model, ModelFile::open(std::move(file)));
    return Importer(model, options, {nodes, static_cast<int>(depth)}).run();
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

Result<ImportedModel> import(frontend::SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(MappedFile file, source.open_main());
  return read_model(std::move(file), options);
}

}  // namespace
}  // namespace tflite

Frontend tflite_frontend() {
  return {"tflite",
          "a .tflite file",
          tflite::recognizes,
          tflite::import,
          tflite::supported_operators,
          {{tflite::kSignatureKey,
            "The signature to read, with its names; default: the first "
            "sub-graph, with its tensors' names"},
           {tflite::kNodesKey, "Most operators once sub-graphs are unfolded; default 1048576"},
           {tflite::kDepthKey, "Most sub-graphs in each other, at most 64; default 64"}}};
}

Result<ImportedModel> import_tflite(std::span<const std::byte> bytes,
                                    const ImportOptions& options) {
  return tflite::read_model({bytes, nullptr}, options);
}

}  // namespace mnn
