// Running a model on given inputs and holding its outputs against expected ones.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/session.h"

namespace mnn::flows {

// With that instruction set; empty: the best.
Result<std::shared_ptr<Engine>> open_engine(int threads, const std::string& isa = {});
// A session over a copy of `graph` (weights shared).
Result<std::unique_ptr<Session>> open_session(const Graph& graph, std::shared_ptr<Engine> engine,
                                              const BackendChoice& choice = {});
// The same with an engine of its own.
Result<std::unique_ptr<Session>> open_session(const Graph& graph, int threads,
                                              const std::string& isa = {},
                                              const BackendChoice& choice = {});

struct OutputCheck {
  std::string name;
  ErrorMetrics metrics;
  bool passed = false;
  std::string problem;  // empty when passed
};
// One row per expected (defined) tensor. Passes when max|y-r| / max|r| <= tolerance.
std::vector<OutputCheck> check_relative(const Graph& graph, const std::vector<Tensor>& expected,
                                        const std::vector<Tensor>& found, double tolerance);
// Passes when |y-r| <= atol + rtol |r| everywhere.
std::vector<OutputCheck> check_close(const Graph& graph, const std::vector<Tensor>& expected,
                                     const std::vector<Tensor>& found, double rtol, double atol);
// OK when all passed, else kThreshold naming the first output that did not.
Status checks_status(const std::vector<OutputCheck>& checks);
// [{"output", "passed", "max_rel", "cosine", "snr_db"}].
nlohmann::ordered_json checks_json(const std::vector<OutputCheck>& checks);
std::string checks_table(const std::vector<OutputCheck>& checks, size_t width);

// max|y-r| / max|r| in fp32, and with weights stored as f16 (11 bits each, many of them in a sum).
inline constexpr double kConversionTolerance = 1e-4, kHalfTolerance = 1e-2;

}  // namespace mnn::flows
