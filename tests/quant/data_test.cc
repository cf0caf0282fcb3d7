// Samples that cannot vouch for a quantized network are named.
#include <gtest/gtest.h>

#include "libquant/calibrate/data_check.h"
#include "libquant/quantize.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

constexpr const char* kNet = R"(graph g(x: f32[1,2,4,4], m: f32[1,2,1,1]) -> (y) {
  const w: f32[4,2,3,3] = random 1 -0.5 0.5
  const v: f32[2,4,1,1] = random 2 -0.5 0.5
  masked = Mul(x, m) name "mask"
  a = Conv(masked, w) {pads=[1,1,1,1]} + Relu name "first"
  y = Conv(a, v) name "second"
})";

// A sample: x as text, m of one number.
struct Given {
  std::string name, x;
  float mask = 1;
};

SampleSource source_of(const std::vector<Given>& given) {
  SampleSource s;
  s.count = given.size();
  for (const Given& g : given) s.names.push_back("folder/" + g.name);
  s.load = [given](size_t i) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(const Tensor x, parse_tensor("f32[1,2,4,4] = " + given[i].x));
    const float mask[] = {given[i].mask, given[i].mask};
    return std::vector<Tensor>{x, Tensor::of<float>({1, 2, 1, 1}, std::span<const float>(mask))};
  };
  return s;
}

std::vector<Given> noise(size_t count, const std::string& name = "n") {
  std::vector<Given> given;
  for (size_t i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    given.push_back(
        {name + n + ".npy", "random " + std::to_string(i + 100 * name.size()) + " -1 1"});
  }
  return given;
}

const std::string kZeros = "iota 0 0";

QuantReport report_of(const std::vector<Given>& calibration, const std::vector<Given>& holdout) {
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  const auto r = quantize(typed_graph(kNet), source_of(calibration), source_of(holdout), o);
  EXPECT_TRUE(r.ok()) << r.status().message();
  return r.ok() ? r->report : QuantReport();
}

using Faults = std::vector<std::string>;

TEST(Data, GoodSamplesHaveNoFaults) {
  const QuantReport r = report_of(noise(8), noise(3, "held"));
  EXPECT_EQ(r.data_faults, Faults());
  EXPECT_EQ(r.warnings, Faults());
}

TEST(Data, FewSamplesAndSamplesMeasuredOnThemselves) {
  EXPECT_EQ(report_of(noise(7), noise(3, "held")).data_faults,
            Faults{"only 7 samples: fewer than 8 say little about what the model will meet"});
  const Faults one = report_of(noise(1), {}).data_faults;
  ASSERT_EQ(one.size(), 2u);
  EXPECT_EQ(one[0], "only 1 sample: fewer than 8 say little about what the model will meet");
  EXPECT_NE(one[1].find("none was held back"), std::string::npos);
}

TEST(Data, HeldBackSamplesThatCalibrateToo) {
  std::vector<Given> held = noise(2, "held");
  held.push_back(noise(8)[2]);
  held.back().name = "copy.npy";
  const Faults faults = report_of(noise(8), held).data_faults;
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_EQ(faults[0], "samples that equal n2.npy: copy.npy");
  EXPECT_EQ(faults[1],
            "held-back samples that calibrate too, so that their errors are not those of unseen "
            "data: copy.npy");
}

TEST(Data, EmptyImagesAreNamedAndNothingIsCalledExact) {
  std::vector<Given> black;
  for (int i = 0; i < 8; ++i) black.push_back({"b" + std::to_string(i) + ".npy", kZeros, 0});
  const QuantReport r = report_of(black, {});
  ASSERT_GE(r.data_faults.size(), 5u);
  EXPECT_EQ(r.data_faults[0],
            "all 8 samples hold one number throughout, such as an empty image: b0.npy, b1.npy, "
            "b2.npy, b4.npy, b5.npy and 3 more");
  EXPECT_EQ(r.data_faults[1].find("all 8 samples are equal: b0.npy"), 0u);
  EXPECT_EQ(r.data_faults.back(),
            "output y is the same on all held-back samples: its error says nothing");
  EXPECT_NE(std::find(r.data_faults.begin(), r.data_faults.end(),
                      "what layer mask makes, read by first, is 0 in every calibration sample: its "
                      "range says nothing"),
            r.data_faults.end());
  for (const std::string& report : {report_text(r, 9, 5, false), report_html(r, "m", 5, nullptr)}) {
    EXPECT_EQ(report.find("exact"), std::string::npos) << report;
    EXPECT_NE(report.find("constant"), std::string::npos);
  }
}

// The images differ, but a wrong mask hides them from every layer that is quantized.
TEST(Data, TensorsThatNeverChangeAreNamedByTheirLayers) {
  std::vector<Given> hidden = noise(8), held = noise(2, "held");
  for (Given& g : hidden) g.mask = 0;
  EXPECT_EQ(report_of(hidden, held).data_faults,
            Faults{"what layer mask makes, read by first, is 0 in every calibration sample: its "
                   "range says nothing"})
      << "what follows from it is not listed";
}

// A mask that goes through as it came is none of the quantizer's business.
TEST(Data, OutputsThatNothingQuantizedMakes) {
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  std::string text = kNet;
  text.replace(text.find("-> (y)"), 6, "-> (y, n)");
  text.replace(text.rfind("}"), 1, "  n = Neg(m)\n}");
  const auto r = quantize(typed_graph(text), source_of(noise(8)), source_of(noise(3, "held")), o);
  ASSERT_TRUE(r.ok()) << r.status().message();
  EXPECT_TRUE(r->report.outputs[1].whole.constant);
  EXPECT_EQ(r->report.data_faults, Faults());
}

TEST(Data, SomeEmptySamplesAmongOthers) {
  std::vector<Given> given = noise(8);
  given[1].x = kZeros;
  given[5].x = kZeros;
  const Faults faults = report_of(given, noise(2, "held")).data_faults;
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_EQ(faults[0],
            "samples that hold one number throughout, such as an empty image: n1.npy, n5.npy");
  EXPECT_EQ(faults[1], "samples that equal n1.npy: n5.npy");
}

}  // namespace
}  // namespace mnn
