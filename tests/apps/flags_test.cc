#include "apps/common/flags.h"

#include <gtest/gtest.h>

#include "apps/common/completion.h"
#include "apps/flows/timing.h"
#include "libruntime/core/nearest.h"

namespace mnn::cli {

using namespace flows;
namespace {

FlagTable example() {
  static CLI::App app("Does it. Well.", "mnn bench");
  static CommonFlags common;
  static std::vector<std::string> models, shapes;
  static std::string isa;
  if (models.empty()) {
    models = {"set once"};
    app.add_option("MODEL", models, "One model or more")->type_name("FILE");
    app.add_option("--isa", isa, "It's a [set]: x")->check(CLI::IsMember({"avx2", "sse41"}));
    add_shape_flag(app, shapes);
    add_common_flags(app, common, "mnn bench model.mnn");
  }
  return flag_table(app);
}

TEST(FlagTable, HoldsWhatHelpShows) {
  const FlagTable t = example();
  EXPECT_EQ(t.command, "bench");
  EXPECT_EQ(t.example, "mnn bench model.mnn");
  ASSERT_EQ(t.positionals.size(), 1U);
  EXPECT_TRUE(t.positionals[0].repeats);
  EXPECT_EQ(t.positionals[0].value, "FILE");
  const auto flag = [&](const std::string& name) -> FlagRow {
    for (const FlagRow& row : t.flags) {
      for (const std::string& n : row.names) {
        if (n == name) return row;
      }
    }
    ADD_FAILURE() << name;
    return {};
  };
  EXPECT_EQ(flag("--isa").choices, (std::vector<std::string>{"avx2", "sse41"}));
  EXPECT_EQ(flag("--threads").value, "N");
  EXPECT_EQ(flag("--threads").default_value, "1");
  EXPECT_TRUE(flag("--shape").repeats);
  EXPECT_FALSE(flag("--log-file").repeats);
  EXPECT_EQ(flag("--json").value, "");
  EXPECT_EQ(flag("-v").names, (std::vector<std::string>{"-v", "--verbose"}));
  EXPECT_TRUE(flag("--help").choices.empty());
}

TEST(FlagTable, RoundTrip) {
  const std::string json = flag_table_json(example());
  const Result<FlagTable> again = parse_flag_table(json);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(flag_table_json(*again), json);
  EXPECT_EQ(parse_flag_table("{}").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(parse_flag_table("no").status().code(), Code::kInvalidArgument);
}

TEST(FlagTable, ManPageEscapes) {
  FlagTable t = example();
  t.description = "Back\\slash - dash … end.\n.dot";
  const std::string page = man_page(t);
  EXPECT_NE(page.find("Back\\eslash \\- dash \\[u2026] end.\n\\&.dot"), std::string::npos);
  EXPECT_NE(page.find("\\fB\\-\\-threads\\fR \\fIN\\fR"), std::string::npos);
  EXPECT_NE(page.find("[\\fIMODEL\\fR...]"), std::string::npos);
  EXPECT_NE(page.find("(avx2, sse41)"), std::string::npos);
}

TEST(FlagTable, ShellsEscape) {
  const std::vector<FlagTable> all = {example()};
  EXPECT_NE(zsh_completion(all).find("'--isa[It'\\''s a \\[set\\]\\: x]:TEXT:(avx2 sse41)'"),
            std::string::npos);
  EXPECT_NE(fish_completion(all).find("-l isa -x -a 'avx2 sse41' -d 'It\\'s a [set]: x'"),
            std::string::npos);
  EXPECT_NE(bash_completion(all).find("'bench --isa') _mnn_words 'avx2 sse41'; return ;;"),
            std::string::npos);
}

TEST(Nearest, Words) {
  const std::vector<std::string> words = {"--threads", "--iterations", "--json", "-o"};
  EXPECT_EQ(nearest(words, "--thraeds"), "--threads");
  EXPECT_EQ(nearest(words, "--thread"), "--threads");
  EXPECT_EQ(nearest(words, "--iter"), "--iterations");
  EXPECT_EQ(nearest(words, "--jsno"), "--json");
  EXPECT_EQ(nearest(words, "--frobnicate"), "");
  EXPECT_EQ(nearest(words, "-x"), "");
  EXPECT_EQ(nearest(words, std::string(5000, 'x')), "");
}

TEST(Timing, IntervalsHoldTheMedian) {
  const std::vector<double> values = {5, 1, 4, 2, 3, 6, 7};
  EXPECT_EQ(median(values), 4);
  const Interval i = median_interval(values);
  EXPECT_LE(i.low, i.middle);
  EXPECT_GE(i.high, i.middle);
  EXPECT_EQ(i.middle, 4);
  EXPECT_EQ(median_interval({2}).low, 2);
  EXPECT_EQ(percentile({}, 50), 0);
  EXPECT_EQ(percentile({1, 2}, 25), 1.25);
}

}  // namespace
}  // namespace mnn::cli
