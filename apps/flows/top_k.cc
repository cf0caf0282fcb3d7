#include "apps/flows/top_k.h"

#include <algorithm>
#include <numeric>

#include "libruntime/core/io/file.h"

namespace mnn::flows {

Result<std::vector<std::string>> read_labels(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  std::string_view text(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  std::vector<std::string> labels;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    labels.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (labels.empty()) return invalid(path + ": expected one label a line, found none");
  return labels;
}

Result<std::vector<TopClass>> top_classes(const Tensor& scores, size_t k,
                                          const std::vector<std::string>& labels) {
  const auto long_axes =
      std::count_if(scores.dims().begin(), scores.dims().end(), [](int64_t d) { return d != 1; });
  if (!scores.is_tensor() || !is_float(scores.dtype()) || long_axes != 1 ||
      scores.elements() == 0) {
    return usage_error("the first output is " + scores.type_str() +
                       ": the best classes are those of one sample's scores, f32[1,C]");
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<double> values, scores.to_doubles());
  if (!labels.empty() && labels.size() != values.size()) {
    return usage_error("the labels are " + std::to_string(labels.size()) + ", the classes " +
                       std::to_string(values.size()));
  }
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  k = std::min(k, order.size());
  // NaN is worse than any number.
  const auto better = [&](size_t a, size_t b) {
    const bool nan_a = values[a] != values[a], nan_b = values[b] != values[b];
    if (nan_a != nan_b) return nan_b;
    return !nan_a && values[a] != values[b] ? values[a] > values[b] : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                    better);
  std::vector<TopClass> top;
  for (size_t i = 0; i < k; ++i) {
    const size_t at = order[i];
    top.push_back({static_cast<int64_t>(at), values[at], labels.empty() ? "" : labels[at]});
  }
  return top;
}

}  // namespace mnn::flows
