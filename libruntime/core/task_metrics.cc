#include "libruntime/core/task_metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "libruntime/core/slices.h"

namespace mnn {
namespace {

// Bounds on what takes quadratic time.
constexpr size_t kMostDetections = 1000;
constexpr int64_t kMostSteps = 10000;

double share(double part, double all) { return all > 0 ? part / all : 1; }

// Parts between commas that no bracket encloses.
std::vector<std::string> split_outside(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

// A tensor as numbers with its dims.
struct Numbers {
  std::vector<int64_t> dims;
  std::vector<double> x;
};

Result<Numbers> numbers_of(const std::vector<Tensor>& outputs, const OutputSlice& slice) {
  MNN_ASSIGN_OR_RETURN(const Tensor cut, cut_slice(outputs[slice.output], slice));
  MNN_ASSIGN_OR_RETURN(std::vector<double> x, cut.to_doubles());
  return Numbers{cut.dims(), std::move(x)};
}

Status rows_of(const std::vector<Tensor>& reference, const std::vector<Tensor>& test,
               const OutputSlice& output, Numbers& r, Numbers& t) {
  MNN_ASSIGN_OR_RETURN(r, numbers_of(reference, output));
  MNN_ASSIGN_OR_RETURN(t, numbers_of(test, output));
  if (r.dims != t.dims) return invalid("output " + output.name + " has different shapes");
  if (r.dims.empty() || r.dims.back() < 1)
    return invalid("output " + output.name + " has no axis of classes");
  return {};
}

class TopK : public TaskMetric {
 public:
  TopK(OutputSlice output, int64_t k) : output_(std::move(output)), k_(k) {}

  Status add(const std::vector<Tensor>& reference, const std::vector<Tensor>& test) override {
    Numbers r, t;
    MNN_RETURN_IF_ERROR(rows_of(reference, test, output_, r, t));
    const int64_t n = r.dims.back(), k = std::min(k_, n);
    for (size_t at = 0; at < r.x.size(); at += static_cast<size_t>(n)) {
      const std::vector<size_t> a = best(&r.x[at], n, k), b = best(&t.x[at], n, k);
      std::vector<size_t> both;
      std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
      same_ += static_cast<double>(both.size());
      all_ += static_cast<double>(k);
    }
    return {};
  }
  double value() const override { return share(same_, all_); }

 private:
  // Positions of the k largest, sorted; of equals the first.
  static std::vector<size_t> best(const double* row, int64_t n, int64_t k) {
    std::vector<size_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), size_t{0});
    // NaN is below everything.
    const auto at = [&](size_t i) {
      return std::isnan(row[i]) ? -std::numeric_limits<double>::infinity() : row[i];
    };
    std::partial_sort(order.begin(), order.begin() + k, order.end(),
                      [&](size_t a, size_t b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
    order.resize(static_cast<size_t>(k));
    std::sort(order.begin(), order.end());
    return order;
  }

  const OutputSlice output_;
  const int64_t k_;
  double same_ = 0, all_ = 0;
};

class CtcText : public TaskMetric {
 public:
  CtcText(OutputSlice output, int64_t blank) : output_(std::move(output)), blank_(blank) {}

  Status add(const std::vector<Tensor>& reference, const std::vector<Tensor>& test) override {
    Numbers r, t;
    MNN_RETURN_IF_ERROR(rows_of(reference, test, output_, r, t));
    if (r.dims.size() < 2) return invalid("output " + output_.name + " has no axis of time");
    const int64_t steps = r.dims[r.dims.size() - 2], classes = r.dims.back();
    if (steps > kMostSteps)
      return limit_exceeded("texts of more than " + std::to_string(kMostSteps) + " steps");
    const auto one = static_cast<size_t>(steps * classes);
    for (size_t at = 0; one > 0 && at < r.x.size(); at += one) {
      const std::vector<int64_t> a = text(&r.x[at], steps, classes),
                                 b = text(&t.x[at], steps, classes);
      wrong_ += static_cast<double>(edits(a, b));
      all_ += static_cast<double>(std::max(a.size(), b.size()));
    }
    return {};
  }
  double value() const override { return share(all_ - wrong_, all_); }

 private:
  std::vector<int64_t> text(const double* rows, int64_t steps, int64_t classes) const {
    std::vector<int64_t> letters;
    int64_t before = -1;
    for (int64_t s = 0; s < steps; ++s) {
      const double* row = rows + s * classes;
      const int64_t best = std::max_element(row, row + classes) - row;
      if (best != before && best != blank_) letters.push_back(best);
      before = best;
    }
    return letters;
  }

  static int64_t edits(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    std::vector<int64_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), int64_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
      int64_t diagonal = row[0];
      ++row[0];
      for (size_t j = 0; j < b.size(); ++j) {
        const int64_t replaced = diagonal + (a[i] != b[j] ? 1 : 0);
        diagonal = row[j + 1];
        row[j + 1] = std::min({row[j] + 1, diagonal + 1, replaced});
      }
    }
    return row.back();
  }

  const OutputSlice output_;
  const int64_t blank_;
  double wrong_ = 0, all_ = 0;
};

struct Box {
  double x0, y0, x1, y1, score;
  int64_t kind;
};

double overlap(const Box& a, const Box& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0),
               h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(w > 0 && h > 0)) return 0;
  const double both = w * h;
  if (!std::isfinite(both)) return 0;
  return both / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both);
}

struct DetectionSpec {
  OutputSlice boxes, scores;
  std::string form;  // cxcywh, xyxy, xywh
  double iou = 0.5, score = 0.25;
};

class Detections : public TaskMetric {
 public:
  explicit Detections(DetectionSpec spec) : spec_(std::move(spec)) {}

  Status add(const std::vector<Tensor>& reference, const std::vector<Tensor>& test) override {
    MNN_ASSIGN_OR_RETURN(const std::vector<Box> want, found(reference));
    MNN_ASSIGN_OR_RETURN(const std::vector<Box> have, found(test));
    std::vector<char> taken(have.size(), 0);
    for (const Box& w : want) {
      size_t best = have.size();
      double most = spec_.iou;
      for (size_t i = 0; i < have.size(); ++i) {
        if (taken[i] || have[i].kind != w.kind || overlap(w, have[i]) < most) continue;
        if (best < have.size() && overlap(w, have[i]) == most) continue;
        most = overlap(w, have[i]);
        best = i;
      }
      if (best == have.size()) continue;
      taken[best] = 1;
      matched_ += 2;
    }
    all_ += static_cast<double>(want.size() + have.size());
    return {};
  }
  double value() const override { return share(matched_, all_); }

 private:
  // The boxes that count, the best first, without those that overlap a better one of their class.
  Result<std::vector<Box>> found(const std::vector<Tensor>& outputs) const {
    MNN_ASSIGN_OR_RETURN(Numbers b, numbers_of(outputs, spec_.boxes));
    MNN_ASSIGN_OR_RETURN(Numbers s, numbers_of(outputs, spec_.scores));
    for (Numbers* n : {&b, &s}) {
      while (n->dims.size() > 2 && n->dims[0] == 1) n->dims.erase(n->dims.begin());
      if (n->dims.size() != 2) return invalid("detections: expected two axes, boxes or scores");
    }
    const bool rows = b.dims[0] == 4;  // [4, boxes]
    if (!rows && b.dims[1] != 4) return invalid("detections: expected four numbers a box");
    const int64_t count = rows ? b.dims[1] : b.dims[0];
    const bool score_rows = s.dims[1] == count && (rows || s.dims[0] != count);
    if (!score_rows && s.dims[0] != count) return invalid("detections: expected scores a box");
    const int64_t classes = score_rows ? s.dims[0] : s.dims[1];
    std::vector<Box> all;
    for (int64_t i = 0; i < count; ++i) {
      double x[4];
      for (int64_t k = 0; k < 4; ++k)
        x[k] = b.x[static_cast<size_t>(rows ? k * count + i : i * 4 + k)];
      Box box = as_corners(x);
      box.score = -std::numeric_limits<double>::infinity();
      for (int64_t c = 0; c < classes; ++c) {
        const double score = s.x[static_cast<size_t>(score_rows ? c * count + i : i * classes + c)];
        if (!(score > box.score)) continue;
        box.score = score;
        box.kind = c;
      }
      if (box.score >= spec_.score) all.push_back(box);
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Box& a, const Box& c) { return a.score > c.score; });
    all.resize(std::min(all.size(), kMostDetections));
    std::vector<Box> kept;
    for (const Box& box : all) {
      const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Box& k) {
        return k.kind == box.kind && overlap(k, box) >= spec_.iou;
      });
      if (!covered) kept.push_back(box);
    }
    return kept;
  }

  Box as_corners(const double* x) const {
    if (spec_.form == "xyxy") return {x[0], x[1], x[2], x[3], 0, 0};
    if (spec_.form == "xywh") return {x[0], x[1], x[0] + x[2], x[1] + x[3], 0, 0};
    return {x[0] - x[2] / 2, x[1] - x[3] / 2, x[0] + x[2] / 2, x[1] + x[3] / 2, 0, 0};
  }

  const DetectionSpec spec_;
  double matched_ = 0, all_ = 0;
};

// An output's name, or one with ranges; empty: the first output.
Result<OutputSlice> output_of(const Graph& graph, const std::string& text) {
  if (!text.empty() && text.back() == ']') return parse_slice(graph, text);
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    const std::string& name = graph.value(graph.outputs[o]).name;
    if (text.empty() || name == text) return OutputSlice{o, {}, name};
  }
  return usage_error("the model has no output '" + text + "'");
}

Result<std::unique_ptr<TaskMetric>> make_detections(const Graph& graph, const std::string& rest) {
  DetectionSpec spec;
  bool boxes = false, scores = false;
  for (const std::string& part : split_outside(rest)) {
    const size_t equal = part.rfind('=');
    const std::string key = part.substr(0, equal),
                      what = equal == std::string::npos ? "" : part.substr(equal + 1);
    if (key == "iou" || key == "score") {
      const auto value = number_of(what);
      if (!value || *value < 0 || *value > 1)
        return usage_error(key + "=" + what + ": expected a number from 0 to 1");
      (key == "iou" ? spec.iou : spec.score) = *value;
    } else if (what == "scores") {
      MNN_ASSIGN_OR_RETURN(spec.scores, output_of(graph, key));
      scores = true;
    } else if (what == "cxcywh" || what == "xyxy" || what == "xywh") {
      MNN_ASSIGN_OR_RETURN(spec.boxes, output_of(graph, key));
      spec.form = what;
      boxes = true;
    } else {
      return usage_error("'" + part +
                         "': expected SLICE=cxcywh, xyxy, xywh or scores, iou=, score=");
    }
  }
  if (!boxes || !scores) return usage_error("expected a slice of boxes and one of scores");
  return std::unique_ptr<TaskMetric>(std::make_unique<Detections>(std::move(spec)));
}

Result<std::unique_ptr<TaskMetric>> make(const Graph& graph, const std::string& spec) {
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon),
                    rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (name == "detections") return make_detections(graph, rest);
  if (name == "ctc") {
    std::string output;
    double blank = 0;
    for (const std::string& part : split_outside(rest)) {
      if (!part.starts_with("blank=")) {
        output = part;
        continue;
      }
      const auto value = number_of(part.substr(6));
      if (!value || *value < 0 || *value != std::floor(*value))
        return usage_error(part + ": expected the number of a class");
      blank = *value;
    }
    MNN_ASSIGN_OR_RETURN(OutputSlice slice, output_of(graph, output));
    return std::unique_ptr<TaskMetric>(
        std::make_unique<CtcText>(std::move(slice), static_cast<int64_t>(blank)));
  }
  int64_t k = 1;
  if (name != "argmax") {
    const auto value = name.starts_with("top") ? number_of(name.substr(3)) : std::nullopt;
    if (!value || *value < 1 || *value > 1e9 || *value != std::floor(*value))
      return usage_error("expected argmax, top5 (any number), ctc or detections");
    k = static_cast<int64_t>(*value);
  }
  MNN_ASSIGN_OR_RETURN(OutputSlice slice, output_of(graph, rest));
  return std::unique_ptr<TaskMetric>(std::make_unique<TopK>(std::move(slice), k));
}

}  // namespace

Result<std::unique_ptr<TaskMetric>> make_metric(const Graph& graph, const std::string& spec) {
  auto metric = make(graph, spec);
  if (!metric.ok()) return metric.status().context("--metric " + spec);
  return metric;
}

}  // namespace mnn
