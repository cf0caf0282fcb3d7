#include "apps/flows/check.h"

#include <nlohmann/json.hpp>

#include "libruntime/report/format.h"

namespace mnn::flows {

Result<std::shared_ptr<Engine>> open_engine(int threads, const std::string& isa) {
  EngineOptions options;
  options.threads = threads;
  if (!isa.empty()) options.backend_options["cpu"]["isa"] = isa;
  return Engine::create(options);
}

Result<std::unique_ptr<Session>> open_session(const Graph& graph, std::shared_ptr<Engine> engine,
                                              const BackendChoice& choice) {
  return Session::create(graph, std::move(engine), choice);
}

Result<std::unique_ptr<Session>> open_session(const Graph& graph, int threads,
                                              const std::string& isa, const BackendChoice& choice) {
  MNN_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, open_engine(threads, isa));
  return open_session(graph, std::move(engine), choice);
}

namespace {

// What is wrong with `y`, empty when nothing is. Sequences are judged element by element; `sums`
// gathers all of them.
template <typename Judge>
std::string problem_of(const Tensor& r, const Tensor& y, Judge& judge, ErrorSums& sums) {
  if (y.form() != r.form() || y.dtype() != r.dtype() || y.dims() != r.dims()) {
    return "expected " + r.type_str() + ", found " + y.type_str();
  }
  if (r.form() == Tensor::Form::kNothing) return "";
  if (r.form() == Tensor::Form::kSequence) {
    const size_t count = r.items().size();
    if (y.items().size() != count) {
      return "expected " + std::to_string(count) + " elements, found " +
             std::to_string(y.items().size());
    }
    for (size_t i = 0; i < count; ++i) {
      const std::string problem = problem_of(r.items()[i], y.items()[i], judge, sums);
      if (!problem.empty()) return "element " + std::to_string(i) + ": " + problem;
    }
    return "";
  }
  ErrorSums own;
  if (r.dtype() != DType::kString) {
    const Status added = own.add(r, y);
    if (!added.ok()) return added.message();
    sums.merge(own);
  }
  return judge(r, y, metrics_of(own));
}

template <typename Judge>
std::vector<OutputCheck> check_each(const Graph& graph, const std::vector<Tensor>& expected,
                                    const std::vector<Tensor>& found, Judge&& judge) {
  std::vector<OutputCheck> checks;
  for (size_t i = 0; i < expected.size(); ++i) {
    const Tensor& r = expected[i];
    if (!r.defined()) continue;
    const Tensor& y = found[i];
    OutputCheck check;
    check.name = graph.value(graph.outputs[i]).name;
    ErrorSums sums;
    check.problem = problem_of(r, y, judge, sums);
    check.metrics = metrics_of(sums);
    check.passed = check.problem.empty();
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace

std::vector<OutputCheck> check_relative(const Graph& graph, const std::vector<Tensor>& expected,
                                        const std::vector<Tensor>& found, double tolerance) {
  return check_each(graph, expected, found,
                    [&](const Tensor& r, const Tensor& y, const ErrorMetrics& m) -> std::string {
                      if (!is_float(r.dtype()) || r.elements() == 0) {
                        return identical(r, y) ? "" : "the elements differ";
                      }
                      if (m.failed) return "NaN or infinity, or nothing to compare";
                      if (m.max_rel <= tolerance) return "";
                      return "max|y-r|/max|r| is " + format_number(m.max_rel * 1e6, 1) +
                             "e-6, at most " + format_number(tolerance * 1e6, 1) + "e-6 is allowed";
                    });
}

std::vector<OutputCheck> check_close(const Graph& graph, const std::vector<Tensor>& expected,
                                     const std::vector<Tensor>& found, double rtol, double atol) {
  return check_each(graph, expected, found,
                    [&](const Tensor& r, const Tensor& y, const ErrorMetrics&) {
                      if (r.dtype() == DType::kString) {
                        return std::string(identical(r, y) ? "" : "the strings differ");
                      }
                      return all_close(r, y, rtol, atol).message();
                    });
}

nlohmann::ordered_json checks_json(const std::vector<OutputCheck>& checks) {
  auto out = nlohmann::ordered_json::array();
  for (const OutputCheck& c : checks) {
    out.push_back({{"output", c.name},
                   {"passed", c.passed},
                   {"max_rel", c.metrics.max_rel},
                   {"cosine", c.metrics.cosine},
                   {"snr_db", c.metrics.snr_db}});
  }
  return out;
}

Status checks_status(const std::vector<OutputCheck>& checks) {
  for (const OutputCheck& c : checks) {
    if (!c.passed) return Status(Code::kThreshold, "output " + c.name + ": " + c.problem);
  }
  return {};
}

std::string checks_table(const std::vector<OutputCheck>& checks, size_t width) {
  std::vector<std::vector<std::string>> rows = {
      {"output", "cosine", "SNR dB", "max abs", "max rel", ""}};
  for (const OutputCheck& c : checks) {
    rows.push_back({c.name, format_number(c.metrics.cosine, 6), snr_text(c.metrics),
                    format_number(c.metrics.max_abs, 7), format_number(c.metrics.max_rel, 7),
                    c.passed ? "ok" : c.problem});
  }
  return format_table(rows, {.right = {1, 2, 3, 4}, .head = true, .width = width});
}

}  // namespace mnn::flows
