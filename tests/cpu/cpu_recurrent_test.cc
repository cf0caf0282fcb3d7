// LSTM, GRU and RNN of the CPU backend against the reference kernels.
#include <gtest/gtest.h>

#include "tests/cpu/cpu_testing.h"

namespace mnn::testing {
namespace {

std::string numbers(int64_t count, int seed) {
  std::string text;
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    text += " " + std::to_string(static_cast<double>(state >> 8) / 16777216.0 * 0.8 - 0.4);
  }
  return text;
}

struct Case {
  const char* op;
  int64_t gates, steps, batch, features, hidden;
  const char* attributes = "";
  int64_t directions = 1;
  bool bias = true, initial = false, batch_first = false;
};

std::string graph_of(const Case& c) {
  const auto dims = [](int64_t a, int64_t b, int64_t d) {
    return "f32[" + std::to_string(a) + "," + std::to_string(b) + "," + std::to_string(d) + "]";
  };
  const int64_t rows = c.gates * c.hidden;
  const bool lstm = c.gates == 4;
  const std::string x =
      c.batch_first ? dims(c.batch, c.steps, c.features) : dims(c.steps, c.batch, c.features);
  const std::string state =
      c.batch_first ? dims(c.batch, c.directions, c.hidden) : dims(c.directions, c.batch, c.hidden);
  std::string text = "graph g(x: " + x;
  if (c.initial) text += ", h: " + state + (lstm ? ", c: " + state : "");
  text += lstm ? ") -> (y, yh, yc) {\n" : ") -> (y, yh) {\n";
  text += "const w: " + dims(c.directions, rows, c.features) + " =" +
          numbers(c.directions * rows * c.features, 1) + "\n";
  text += "const r: " + dims(c.directions, rows, c.hidden) + " =" +
          numbers(c.directions * rows * c.hidden, 2) + "\n";
  if (c.bias) {
    text += "const b: f32[" + std::to_string(c.directions) + "," + std::to_string(2 * rows) +
            "] =" + numbers(c.directions * 2 * rows, 3) + "\n";
  }
  text += lstm ? "y, yh, yc = " : "y, yh = ";
  text += std::string(c.op) + "(x, w, r, " + (c.bias ? "b" : "_");
  if (c.initial) text += lstm ? ", _, h, c" : ", _, h";
  text += ") {hidden_size=" + std::to_string(c.hidden) + c.attributes + "}\n}\n";
  return text;
}

// Sums of `hidden` products in f32, over `steps` steps that feed each other.
constexpr double kTolerance = 1e-5;

TEST(CpuRecurrent, SizesAndStates) {
  for (const auto& [op, gates] :
       std::vector<std::pair<const char*, int64_t>>{{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}}) {
    for (const int64_t hidden : {1, 7, 8, 17, 64}) {
      for (const int64_t batch : {1, 3}) {
        check_on_cpu(graph_of({op, gates, 4, batch, 5, hidden}), kTolerance);
      }
    }
    check_on_cpu(graph_of({op, gates, 1, 1, 1, 3, "", 1, false}), kTolerance);
    check_on_cpu(graph_of({op, gates, 6, 2, 3, 9, "", 1, true, true}), kTolerance);
    // Wide enough for several parts.
    check_on_cpu(graph_of({op, gates, 5, 1, 4, 231, "", 1, true, true}), kTolerance);
    check_on_cpu(graph_of({op, gates, 3, 5, 4, 123, ", direction=\"bidirectional\"", 2}),
                 kTolerance);
  }
}

TEST(CpuRecurrent, DirectionsAndLayouts) {
  for (const auto& [op, gates] :
       std::vector<std::pair<const char*, int64_t>>{{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}}) {
    for (const bool batch_first : {false, true}) {
      const std::string layout = batch_first ? ", layout=1" : "";
      const std::string back = layout + ", direction=\"reverse\"";
      const std::string both = layout + ", direction=\"bidirectional\"";
      check_on_cpu(graph_of({op, gates, 5, 2, 3, 12, layout.c_str(), 1, true, true, batch_first}),
                   kTolerance);
      check_on_cpu(graph_of({op, gates, 5, 2, 3, 12, back.c_str(), 1, true, true, batch_first}),
                   kTolerance);
      check_on_cpu(graph_of({op, gates, 5, 3, 3, 130, both.c_str(), 2, true, true, batch_first}),
                   kTolerance);
    }
  }
}

TEST(CpuRecurrent, ResetAfterTheProduct) {
  for (const int64_t hidden : {5, 130}) {
    for (const bool bias : {false, true}) {
      check_on_cpu(graph_of({"GRU", 3, 4, 2, 3, hidden, ", linear_before_reset=1", 1, bias, true}),
                   kTolerance);
    }
  }
  check_on_cpu(graph_of({"GRU", 3, 4, 3, 3, 140,
                         ", linear_before_reset=1, layout=1, direction=\"bidirectional\"", 2, true,
                         true, true}),
               kTolerance);
}

TEST(CpuRecurrent, Activations) {
  check_on_cpu(
      graph_of({"LSTM", 4, 3, 2, 3, 9, ", activations=[\"HardSigmoid\", \"Softsign\", \"Relu\"]"}),
      kTolerance);
  check_on_cpu(graph_of({"GRU", 3, 3, 2, 3, 9, ", activations=[\"Sigmoid\", \"LeakyRelu\"]"}),
               kTolerance);
  check_on_cpu(graph_of({"RNN", 1, 3, 2, 3, 9,
                         ", activations=[\"Affine\", \"Elu\"], activation_alpha=[0.5, 2.0], "
                         "activation_beta=[0.1], direction=\"bidirectional\"",
                         2}),
               kTolerance);
}

// "quant …" of u4 codes in groups of 4 along the last axis, or of i8 codes with a scale a row.
std::string coded(int64_t directions, int64_t rows, int64_t width, bool groups) {
  std::string text = groups ? " quant u4 scale " : " quant i8 scale [";
  const std::string dims = "[" + std::to_string(directions) + "," + std::to_string(rows) + "," +
                           std::to_string(width / 4) + "]";
  const int64_t count = groups ? directions * rows * width / 4 : rows;
  std::string scales, zeros;
  for (int64_t i = 0; i < count; ++i) {
    const std::string comma = groups ? " " : i > 0 ? "," : "";
    scales += comma + std::to_string((groups ? 0.02 : 0.002) * static_cast<double>(1 + i * 7 % 5));
    zeros += comma + std::to_string(groups ? 5 + i % 6 : 0);
  }
  text += groups ? "f32" + dims + scales + " zero u4" + dims + zeros + " axis 2 group 4"
                 : scales + "] zero [" + zeros + "] axis 1";
  return text + (groups ? " = random 3 0 15\n" : " = random 3 -127 127\n");
}

TEST(CpuRecurrent, WeightsInCodes) {
  for (const auto& [op, gates] :
       std::vector<std::pair<const char*, int64_t>>{{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}}) {
    for (const bool groups : {false, true}) {
      for (const int64_t directions : {1, 2}) {
        // The last one is wide enough for two parts.
        for (const int64_t hidden : {4, 20, 132}) {
          const int64_t rows = gates * hidden;
          const auto dims = [&](int64_t width) {
            return "f32[" + std::to_string(directions) + "," + std::to_string(rows) + "," +
                   std::to_string(width) + "]" + coded(directions, rows, width, groups);
          };
          const std::string out = gates == 4 ? "y, yh, yc" : "y, yh";
          const std::string text = "graph g(x: f32[3,2,12]) -> (" + out +
                                   ") {\nconst w: " + dims(12) + "const r: " + dims(hidden) + out +
                                   " = " + op + "(x, w, r) {hidden_size=" + std::to_string(hidden) +
                                   (directions == 2 ? ", direction=\"bidirectional\"" : "") +
                                   "}\n}\n";
          check_on_cpu(text, kTolerance);
          EXPECT_EQ(count_steps(run_on_cpu(text), "gemm_codes"), 1) << op;
        }
      }
    }
  }
}

}  // namespace
}  // namespace mnn::testing
