// Runs the cases of tests/passes/*.txt: a graph, the passes to run, and the graph expected.
#include "libconvert/passes/passes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "libconvert/convert.h"
#include "libruntime/core/fold.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/passes/check.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

// case NAME · run PASS… · a graph · then "becomes" and a graph, or "stays".
struct PassCase {
  std::string where, name, before, after;
  std::vector<std::string> passes;
  bool stays = false;
};

using PassFn = std::function<Result<int>(Graph&)>;

const std::map<std::string, PassFn, std::less<>>& passes() {
  static const std::map<std::string, PassFn, std::less<>> table = {
      {"remove-identities", remove_identities},
      {"fold-constants", [](Graph& g) { return fold_constants(g); }},
      {"merge-common", merge_common},
      {"fold-qdq", fold_qdq},
      {"normalize", normalize},
      {"merge-chains", merge_chains},
      {"sink-transposes", sink_transposes},
      {"simplify-views", simplify_views},
      {"fuse-activations", fuse_activations},
      {"fuse-layer-norm", fuse_layer_norm},
      {"fuse-group-norm", fuse_group_norm},
      {"fuse-attention", fuse_attention},
      {"fuse-recurrent", fuse_recurrent},
      {"fold-pads", fold_pads},
      {"fold-affine", fold_affine},
      {"fuse-epilogues", fuse_epilogues},
      {"optimize",
       [](Graph& g) -> Result<int> {
         MNN_ASSIGN_OR_RETURN(const OptimizeReport report, optimize(g));
         return static_cast<int>(report.changes.size());
       }},
      {"clean-up",
       [](Graph& g) -> Result<int> {
         OptimizeOptions options;
         options.fuse = false;
         MNN_ASSIGN_OR_RETURN(const OptimizeReport report, optimize(g, options));
         return static_cast<int>(report.changes.size());
       }},
  };
  return table;
}

std::vector<PassCase> load_cases() {
  std::vector<PassCase> cases;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(test_data("passes"))) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::ifstream file(path);
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      std::istringstream words(line);
      std::string word;
      words >> word;
      if (word == "case") {
        cases.emplace_back();
        cases.back().where = path.filename().string() + ":" + std::to_string(number);
        std::getline(words >> std::ws, cases.back().name);
        continue;
      }
      if (cases.empty()) continue;  // what stands before the first case is a comment
      PassCase& c = cases.back();
      if (word == "run") {
        for (std::string pass; words >> pass;) c.passes.push_back(pass);
      } else if (word == "stays") {
        c.stays = true;
      } else if (word == "becomes") {
        c.after = "\n";
      } else {
        (c.after.empty() ? c.before : c.after) += line + "\n";
      }
    }
  }
  return cases;
}

const std::vector<PassCase>& all_cases() {
  static const std::vector<PassCase> cases = load_cases();
  return cases;
}

class PassCaseTest : public testing::TestWithParam<size_t> {};

TEST_P(PassCaseTest, Agrees) {
  const PassCase& c = all_cases()[GetParam()];
  SCOPED_TRACE(c.where + ": case " + c.name);
  ASSERT_FALSE(c.passes.empty()) << "a case needs a line: run PASS";
  auto before = parse_graph(c.before);
  ASSERT_TRUE(before.ok()) << before.status().message();
  ASSERT_TRUE(infer_types(*before).ok()) << infer_types(*before).message();
  Graph graph = *before;
  std::vector<Pass> list;
  for (const std::string& name : c.passes) {
    ASSERT_TRUE(passes().contains(name)) << "no pass " << name;
    list.push_back({name, passes().find(name)->second});
  }
  const Status status = run_passes(graph, list);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(disagreement(*before, graph, 1), "");
  const auto after = c.stays ? before : parse_graph(c.after);
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(shape_of(graph), shape_of(*after));
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Value &now = graph.value(graph.outputs[i]), &was = before->value(before->outputs[i]);
    EXPECT_EQ(now.name, was.name);
    EXPECT_EQ(now.type.str(), was.type.str());
  }
}

std::string case_name(const testing::TestParamInfo<size_t>& info) {
  std::string name = all_cases()[info.param].name + "_" + std::to_string(info.param);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Passes, PassCaseTest, testing::Range(size_t{0}, all_cases().size()),
                         case_name);

}  // namespace
}  // namespace mnn
