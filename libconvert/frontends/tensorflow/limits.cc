#include "libconvert/frontends/tensorflow/limits.h"

#include "libconvert/frontends/common/options.h"

namespace mnn::tensorflow {
namespace {

constexpr const char* kNodesKey = "max_nodes";
constexpr const char* kDepthKey = "max_depth";
constexpr int64_t kDefaultNodes = 1 << 20;
constexpr int64_t kDefaultDepth = 64;

}  // namespace

Result<Limits> read_limits(const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int64_t nodes,
                       frontend::int_key(options, kNodesKey, kDefaultNodes, 1, int64_t{1} << 30));
  MNN_ASSIGN_OR_RETURN(const int64_t depth,
                       frontend::int_key(options, kDepthKey, kDefaultDepth, 0, kDefaultDepth));
  return Limits{nodes, static_cast<int>(depth)};
}

std::vector<ImportKey> with_limit_keys(std::vector<ImportKey> keys) {
  keys.push_back({kNodesKey, "Most nodes once functions are unfolded; default 1048576"});
  keys.push_back({kDepthKey, "Most branches and loops in each other, at most 64; default 64"});
  return keys;
}

}  // namespace mnn::tensorflow
