#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>

#include "libquant/quantize.h"
#include "libquant/report/mix_report.h"
#include "libruntime/report/format.h"

namespace mnn {
namespace {

std::string format(const char* pattern, ...) {
  va_list args, again;
  va_start(args, pattern);
  va_copy(again, args);
  const int size = std::vsnprintf(nullptr, 0, pattern, args);
  va_end(args);
  std::string text(static_cast<size_t>(std::max(size, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

// "23.4 dB", "exact".
std::string with_unit(const ErrorMetrics& m) {
  const bool number = !m.failed && m.snr_db < kExactSnrDb;
  return snr_text(m) + (number ? " dB" : "");
}

// The table's column for a layer's remarks.
std::string remarks(const LayerError& e) {
  std::string text = e.amplified ? "[amplified]" : "";
  if (!e.suggestion.empty()) text += (text.empty() ? "-> " : "  -> ") + e.suggestion;
  return text;
}

std::string island_text(const FloatIsland& island) {
  return "in float: " + std::to_string(island.layers.size()) + " " + island.op + " (" +
         format_percent(island.mac_share, 2) + " % of the MACs, " + format_bytes(island.constants) +
         " of constants): " + island.why + "\n";
}

// Those without MACs are one line when there are several.
std::string islands_text(const std::vector<FloatIsland>& islands) {
  std::vector<const FloatIsland*> idle;
  std::string out;
  for (const FloatIsland& island : islands) {
    if (island.mac_share > 0) {
      out += island_text(island);
    } else {
      idle.push_back(&island);
    }
  }
  if (idle.size() == 1) return out + island_text(*idle[0]);
  if (idle.empty()) return out;
  size_t layers = 0;
  int64_t constants = 0;
  std::map<std::string, size_t> ops;
  for (const FloatIsland* island : idle) {
    layers += island->layers.size();
    constants += island->constants;
    ops[island->op] += island->layers.size();
  }
  std::string names;
  for (const auto& [op, count] : ops)
    names += (names.empty() ? "" : ", ") + std::to_string(count) + " " + op;
  return out + "in float: " + std::to_string(layers) + " layers without MACs (" +
         format_bytes(constants) + " of constants; why: --report): " + names + "\n";
}

// The largest constants that stay as they were, where they are a good part of the model.
std::string constants_text(const QuantReport& r) {
  constexpr double kNotable = 0.1;  // of all bytes
  constexpr int64_t kNotableBytes = 4096;
  constexpr size_t kNamed = 3;
  int64_t bytes = 0;
  for (const FloatConstant& c : r.float_constants) bytes += c.bytes;
  if (bytes < kNotableBytes ||
      static_cast<double>(bytes) < kNotable * static_cast<double>(r.bytes_after))
    return {};
  std::string out = "constants that stay as they were: " + format_bytes(bytes) + " of " +
                    format_bytes(r.bytes_after);
  for (size_t i = 0; i < std::min(kNamed, r.float_constants.size()); ++i) {
    const FloatConstant& c = r.float_constants[i];
    out += (i == 0 ? ": " : ", ") + format_bytes(c.bytes) + " of " + c.op + " " +
           shorten_middle(c.layer, kNameColumns);
  }
  const std::string remedy = size_suggestion(r);
  return out + (remedy.empty() ? "" : "; " + remedy) + "\n";
}

}  // namespace

std::string size_suggestion(const QuantReport& r) {
  constexpr double kNotable = 0.05;  // of all bytes
  constexpr int64_t kNotableBytes = 4096;
  int64_t half = 0, codes = 0;
  for (const FloatConstant& c : r.float_constants) {
    half += c.fp16_saves;
    codes += c.w8_saves;
  }
  const auto notable = [&](int64_t saved) {
    return static_cast<double>(saved) >= kNotable * static_cast<double>(r.bytes_after) &&
           saved >= kNotableBytes;
  };
  if (notable(codes)) {
    return "mnn quant --scheme w8 --requantize of the result takes about " + format_bytes(codes) +
           " less";
  }
  if (!notable(half)) return {};
  return "mnn convert --fp16 of the result takes " + format_bytes(half) + " less (scheme f16)";
}

std::string task_text(const QuantReport& r) {
  std::string out;
  for (const MetricValue& m : r.metrics)
    out += "metric " + m.name + ": " + format_number(m.value, 4) + "\n";
  if (r.eval) out += "--eval: " + format_number(*r.eval, 4) + "\n";
  if (r.fixes.tried) {
    out += "remedies: tried for " + std::to_string(r.fixes.layers) + " layers, " +
           std::to_string(r.fixes.helped) +
           " help together: " + format("%+.2f", r.fixes.together_db) + " dB at the outputs\n";
  }
  const Promotions& p = r.promotions;
  if (!p.reached) return out;
  out += "promoted to float: " + std::to_string(p.layers.size()) + " layers, " +
         format_percent(p.mac_share, 2) + " % of the MACs, about " + format_number(p.time, 2) +
         " times the time of the model without" +
         (p.margin_db > 0 ? ", for a goal raised by " + format_number(p.margin_db, 1) +
                                " dB (samples nobody has seen)"
                          : "") +
         ":\n";
  for (const std::string& name : p.layers) out += "  " + name + "\n";
  return out;
}

std::string report_text(const QuantReport& r, size_t max_layers, size_t worst_samples, bool color,
                        size_t width) {
  auto paint = [&](const char* code, const std::string& text) {
    return color ? "\033[" + std::string(code) + "m" + text + "\033[0m" : text;
  };
  std::string out = "scheme " + r.scheme + ", method " + r.method + ", " +
                    std::to_string(r.calibration_samples) + " calibration and " +
                    std::to_string(r.holdout_samples) + " held-back samples\n";
  if (!r.holdout_note.empty()) out += "  " + r.holdout_note + "\n";
  if (r.candidates.size() > 1) {
    out += "tried, by mean SNR and worst SNR of the held-back samples:\n";
    for (const TriedRecipe& tried : r.candidates) {
      out += format("%s %9s %9s  ", tried.chosen ? "  *" : "   ",
                    r.samples.snr(tried.mean_sample_snr_db).c_str(),
                    r.samples.snr(tried.worst_sample_snr_db).c_str()) +
             tried.name + (tried.chosen ? "  (chosen)" : "") + "\n";
    }
  }
  out += (r.scheme == "int8" || r.scheme == "mixed"
              ? "int8 share of the MACs " + format_percent(r.int8_mac_share, 1) + " %, "
              : std::string()) +
         "constants " + format_bytes(r.bytes_before) + " -> " + format_bytes(r.bytes_after) +
         format(" (%.2fx smaller)\n", r.bytes_after ? static_cast<double>(r.bytes_before) /
                                                          static_cast<double>(r.bytes_after)
                                                    : 0.0);
  for (const OutputError& o : r.outputs) {
    const auto line = [](const std::string& name, const ErrorMetrics& m) {
      return name + ": pooled SNR " + with_unit(m) +
             format(", cosine %.6f, max abs %.4g of %.4g", m.cosine, m.max_abs, m.max_ref);
    };
    out += "output " + line(shorten_middle(o.name, kNameColumns), o.whole) + "\n";
    for (const SliceError& slice : o.slices) {
      out += "  slice " + line(shorten_middle(slice.name, kNameColumns), slice.metrics) +
             (slice.name == o.worst().name ? "  (worst)\n" : "\n");
    }
  }
  out += samples_text(r.samples, worst_samples, width);
  if (r.argmax_agreement >= 0)
    out += "argmax agreement " + format_percent(r.argmax_agreement, 2) + " %\n";
  out += task_text(r);
  if (r.latency_ms) out += "median run " + format_number(*r.latency_ms, 3) + " ms\n";
  out = wrap_text(out, width) + mix_text(r, width);
  if (max_layers == 0) return wrap_text(out, width);
  out += islands_text(r.islands) + constants_text(r);
  if (r.layers.empty()) return wrap_text(out, width);
  std::vector<std::vector<std::string>> rows = {{"layer", "contribution", "isolated", "accumul.",
                                                 "bytes", "bytes %", "MACs %", "weights", "clip %",
                                                 "operator", "scheme", ""}};
  const bool by_layer = std::ranges::any_of(
      r.layers, [&](const LayerError& e) { return e.scheme != r.layers[0].scheme; });
  if (!by_layer) rows[0].erase(rows[0].end() - 2);
  const size_t shown = std::min(max_layers, r.layers.size());
  for (size_t i = 0; i < shown; ++i) {
    const LayerError& e = r.layers[i];
    const bool weights = e.weight_bytes_after > 0;
    rows.push_back({e.name, with_unit(e.contribution), snr_text(e.isolated),
                    snr_text(e.accumulated), weights ? format_bytes(e.weight_bytes_after) : "",
                    weights && r.bytes_after > 0
                        ? format_percent(static_cast<double>(e.weight_bytes_after) /
                                             static_cast<double>(r.bytes_after),
                                         1)
                        : "",
                    r.macs > 0 ? format_percent(static_cast<double>(e.macs) / r.macs, 2) : "",
                    e.weight_snr_db >= kExactSnrDb ? "" : format_number(e.weight_snr_db, 1),
                    format_percent(e.clipped_share, 3), e.op, e.scheme, remarks(e)});
    if (!by_layer) rows.back().erase(rows.back().end() - 2);
  }
  out = wrap_text(out, width) + "\n";
  const std::vector<std::string> lines =
      format_rows(rows, {.right = {1, 2, 3, 4, 5, 6, 7, 8}, .head = true, .width = width});
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool bad =
        i > 0 && (r.layers[i - 1].contribution.failed || r.layers[i - 1].contribution.snr_db < 20);
    const std::string text = lines[i].substr(0, lines[i].empty() ? 0 : lines[i].size() - 1);
    if (!lines[i].empty())
      out += (i == 0 ? paint("1", text) : bad ? paint("33", text) : text) + "\n";
  }
  if (r.layers.size() > max_layers) {
    out += format("… and %zu more layers in the report (--report R.html)\n",
                  r.layers.size() - max_layers);
  }
  return out;
}

}  // namespace mnn
