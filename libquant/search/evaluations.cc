#include "libquant/search/evaluations.h"

namespace mnn {

Result<std::vector<double>> Evaluations::get(
    const std::string& name, const std::function<Result<std::vector<double>>()>& make) {
  if (const auto it = kept_.find(name); it != kept_.end()) return it->second;
  MNN_ASSIGN_OR_RETURN(std::vector<double> numbers, make());
  kept_[name] = numbers;
  if (kept_.size() - written_ > written_ / 16) MNN_RETURN_IF_ERROR(flush());
  return numbers;
}

Status Evaluations::flush() {
  if (kept_.size() == written_) return {};
  MNN_RETURN_IF_ERROR(write_(kept_));
  written_ = kept_.size();
  return {};
}

Result<std::vector<double>> get_evaluation(
    Evaluations* kept, const std::string& name, size_t count,
    const std::function<Result<std::vector<double>>()>& make) {
  if (kept == nullptr) return make();
  MNN_ASSIGN_OR_RETURN(std::vector<double> numbers, kept->get(name, make));
  if (numbers.size() == count) return numbers;
  return invalid("the kept result " + name + " has " + std::to_string(numbers.size()) +
                 " numbers, expected " + std::to_string(count));
}

std::vector<double> numbers_of(const ErrorMetrics& m) {
  return {m.cosine,
          m.snr_db,
          m.mse,
          m.max_abs,
          m.max_rel,
          m.max_ref,
          static_cast<double>(m.count),
          m.failed ? 1.0 : 0.0};
}

ErrorMetrics metrics_from(const std::vector<double>& n) {
  ErrorMetrics m;
  m.cosine = n[0];
  m.snr_db = n[1];
  m.mse = n[2];
  m.max_abs = n[3];
  m.max_rel = n[4];
  m.max_ref = n[5];
  m.count = static_cast<int64_t>(n[6]);
  m.failed = n[7] != 0;
  return m;
}

}  // namespace mnn
