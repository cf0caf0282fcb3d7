#include "libruntime/core/slices.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace mnn {
namespace {

// A whole number, or the end of an axis where there is none.
bool parse_bound(std::string_view text, int64_t& out) {
  if (text.empty()) return true;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out > -AxisRange::kToEnd &&
         out < AxisRange::kToEnd;
}

bool parse_range(std::string_view text, AxisRange& range) {
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    return parse_bound(text.substr(0, colon), range.begin) &&
           parse_bound(text.substr(colon + 1), range.end);
  }
  if (text.empty() || !parse_bound(text, range.begin)) return false;
  range.end = range.begin == -1 ? AxisRange::kToEnd : range.begin + 1;
  return true;
}

std::pair<int64_t, int64_t> resolved(const AxisRange& range, int64_t length) {
  const auto at = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + length : i, 0, length); };
  return {at(range.begin), at(range.end)};
}

double noise_to_signal(const ErrorSums& sums, double least_power) {
  if (sums.error_squared == 0) return 0;
  const double power = std::max(sums.ref_squared, least_power);
  const double most = std::pow(10.0, kExactSnrDb / 10);
  return power > 0 ? std::min(sums.error_squared / power, most) : most;
}

double snr_db_of(double noise_to_signal) {
  return noise_to_signal == 0 ? kExactSnrDb
                              : std::min(-10 * std::log10(noise_to_signal), kExactSnrDb);
}

// Of each slice; infinite where one failed.
std::vector<double> noise_of(const std::vector<ErrorSums>& errors, const JudgedSlices* judged) {
  std::vector<double> noise;
  for (size_t i = 0; i < errors.size(); ++i) {
    const double least = judged != nullptr ? kQuietShare * judged->sample_power[i] : 0;
    noise.push_back(metrics_of(errors[i]).failed ? std::numeric_limits<double>::infinity()
                                                 : noise_to_signal(errors[i], least));
  }
  return noise;
}

double joined_snr_db(const std::vector<double>& noise) {
  if (noise.empty()) return -std::numeric_limits<double>::infinity();
  double sum = 0;
  for (const double n : noise) sum += n;
  return snr_db_of(sum / static_cast<double>(noise.size()));
}

}  // namespace

Result<OutputSlice> parse_slice(const Graph& graph, const std::string& text) {
  const size_t open = text.rfind('[');
  const auto bad = [&](const std::string& why) {
    return usage_error("output slice '" + text + "': " + why);
  };
  if (open == std::string::npos || text.back() != ']')
    return bad("expected NAME[RANGE,…] such as output0[:,4:]");
  OutputSlice slice;
  slice.name = text;
  const std::string name = text.substr(0, open);
  std::string known;
  for (; slice.output < graph.outputs.size(); ++slice.output) {
    const std::string& own = graph.value(graph.outputs[slice.output]).name;
    if (own == name) break;
    known += (known.empty() ? "" : ", ") + own;
  }
  if (slice.output == graph.outputs.size()) return bad("the model's outputs are " + known);
  std::string_view rest = std::string_view(text).substr(open + 1, text.size() - open - 2);
  for (bool more = true; more;) {
    const size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    AxisRange range;
    if (!parse_range(rest.substr(0, comma), range))
      return bad("expected for each axis an index or BEGIN:END without a step");
    slice.axes.push_back(range);
    if (more) rest.remove_prefix(comma + 1);
  }
  return slice;
}

Result<Tensor> cut_slice(const Tensor& output, const OutputSlice& slice) {
  if (slice.whole()) return output;
  const size_t rank = output.rank();
  const auto bad = [&](const std::string& why) {
    return usage_error("output slice '" + slice.name + "': " + why + " of " + output.type_str());
  };
  if (slice.axes.size() > rank) return bad("there are more ranges than axes");
  const int64_t size = output.elements() > 0 ? output.bytes() / output.elements() : 0;
  if (size == 0 || size * output.elements() != output.bytes()) return bad("it cannot be cut out");
  std::vector<int64_t> from(rank, 0), dims = output.dims();
  for (size_t d = 0; d < slice.axes.size(); ++d) {
    const auto [begin, end] = resolved(slice.axes[d], output.dims()[d]);
    if (begin >= end) return bad("axis " + std::to_string(d) + " holds nothing");
    from[d] = begin;
    dims[d] = end - begin;
  }
  MNN_ASSIGN_OR_RETURN(Tensor cut, Tensor::allocate(output.dtype(), dims));
  // Everything behind the last range is one run.
  int64_t inner = size;
  for (size_t d = slice.axes.size(); d < rank; ++d) inner *= dims[d];
  const int64_t runs = cut.bytes() / inner;
  for (int64_t r = 0; r < runs; ++r) {
    int64_t rest = r, at = 0, stride = inner;
    for (size_t d = slice.axes.size(); d-- > 0;) {
      at += (from[d] + rest % dims[d]) * stride;
      rest /= dims[d];
      stride *= output.dims()[d];
    }
    std::memcpy(cut.raw() + r * inner, output.raw() + at, static_cast<size_t>(inner));
  }
  return cut;
}

Result<std::vector<ErrorSums>> slice_errors(const JudgedSlices& judged,
                                            const std::vector<Tensor>& reference,
                                            const std::vector<Tensor>& test) {
  std::vector<ErrorSums> errors(judged.slices.size());
  for (size_t i = 0; i < errors.size(); ++i) {
    const OutputSlice& slice = judged.slices[i];
    const Tensor &r = reference[slice.output], &t = test[slice.output];
    MNN_ASSIGN_OR_RETURN(const Tensor want, cut_slice(r, slice));
    if (r.dims() == t.dims()) {
      MNN_ASSIGN_OR_RETURN(const Tensor have, cut_slice(t, slice));
      MNN_RETURN_IF_ERROR(errors[i].add(want, have));
    } else {
      MNN_RETURN_IF_ERROR(errors[i].add_or_miss(want, t));
    }
  }
  return errors;
}

double sample_snr_db(const JudgedSlices& judged, const std::vector<ErrorSums>& errors) {
  return joined_snr_db(noise_of(errors, &judged));
}

std::vector<double> sample_slice_snrs_db(const JudgedSlices& judged,
                                         const std::vector<ErrorSums>& errors) {
  std::vector<double> snrs = noise_of(errors, &judged);
  for (double& n : snrs) n = snr_db_of(n);
  return snrs;
}

double pooled_snr_db(const std::vector<ErrorSums>& errors) {
  return joined_snr_db(noise_of(errors, nullptr));
}

}  // namespace mnn
