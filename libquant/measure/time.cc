#include "libquant/measure/time.h"

#include <algorithm>
#include <chrono>

#include "libruntime/engine.h"

namespace mnn {
namespace {

constexpr int kWarmUps = 2, kTimedRuns = 9;

}  // namespace

Result<double> median_ms(const Graph& graph, const std::vector<Tensor>& sample,
                         const std::shared_ptr<Engine>& engine) {
  MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(graph, RunOptions{engine}));
  std::vector<double> ms;
  for (int i = 0; i < kWarmUps + kTimedRuns; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    MNN_RETURN_IF_ERROR(session->run(sample).status());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (i >= kWarmUps) ms.push_back(took.count());
  }
  std::ranges::sort(ms);
  return ms[ms.size() / 2];
}

Result<std::map<std::string, double>> layer_ms(Graph graph, const std::vector<Tensor>& sample,
                                               const RunOptions& run) {
  MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(std::move(graph), run));
  for (int i = 0; i < kWarmUps; ++i) MNN_RETURN_IF_ERROR(session->run(sample).status());
  session->set_profiling(true);
  for (int i = 0; i < kTimedRuns; ++i) MNN_RETURN_IF_ERROR(session->run(sample).status());
  std::map<std::string, double> ms;
  for (const StepProfile& step : session->profile()) {
    if (step.calls > 0)
      ms[step.info.name] +=
          static_cast<double>(step.total_ns) / 1e6 / static_cast<double>(kTimedRuns);
  }
  return ms;
}

}  // namespace mnn
