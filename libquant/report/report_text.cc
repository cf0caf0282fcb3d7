#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "libquant/quantize.h"
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

std::string shortened(const std::string& name, size_t width) {
  if (name.size() <= width) return name;
  size_t begin = name.size() - width + 1;
  // Not in the middle of a UTF-8 character.
  while (begin < name.size() && (static_cast<unsigned char>(name[begin]) & 0xC0) == 0x80) ++begin;
  return "…" + name.substr(begin);
}

}  // namespace

std::string task_text(const QuantReport& r) {
  std::string out;
  for (const MetricValue& m : r.metrics)
    out += "metric " + m.name + ": " + format_number(m.value, 4) + "\n";
  if (r.eval) out += "--eval: " + format_number(*r.eval, 4) + "\n";
  const Promotions& p = r.promotions;
  if (!p.reached) return out;
  out += "promoted to float: " + std::to_string(p.layers.size()) + " layers, " +
         format_percent(p.mac_share, 2) + " % of the MACs, about " + format_number(p.time, 2) +
         " times the time of the model without:\n";
  for (const std::string& name : p.layers) out += "  " + name + "\n";
  return out;
}

std::string report_text(const QuantReport& r, size_t max_layers, size_t worst_samples, bool color) {
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
  out += "int8 share of the MACs " + format_percent(r.int8_mac_share, 1) + " %, constants " +
         format_bytes(r.bytes_before) + " -> " + format_bytes(r.bytes_after) +
         format(" (%.2fx smaller)\n", r.bytes_after ? static_cast<double>(r.bytes_before) /
                                                          static_cast<double>(r.bytes_after)
                                                    : 0.0);
  for (const OutputError& o : r.outputs) {
    const auto line = [](const std::string& name, const ErrorMetrics& m) {
      return name + ": pooled SNR " + with_unit(m) +
             format(", cosine %.6f, max abs %.4g of %.4g", m.cosine, m.max_abs, m.max_ref);
    };
    out += "output " + line(o.name, o.whole) + "\n";
    for (const SliceError& slice : o.slices) {
      out += "  slice " + line(slice.name, slice.metrics) +
             (slice.name == o.worst().name ? "  (worst)\n" : "\n");
    }
  }
  out += samples_text(r.samples, worst_samples);
  if (r.argmax_agreement >= 0)
    out += "argmax agreement " + format_percent(r.argmax_agreement, 2) + " %\n";
  out += task_text(r);
  if (max_layers == 0) return out;
  for (const FloatIsland& island : r.islands) {
    out += format("in float: %zu ", island.layers.size()) + island.op + " (" +
           format_percent(island.mac_share, 2) + " % of the MACs, " +
           format_bytes(island.constants) + " of constants): " + island.why + "\n";
  }
  if (r.layers.empty()) return out;
  out +=
      "\n" +
      paint("1", format("%-12s %9s %9s %9s %7s %9s %7s  %-22s %s", "contribution", "isolated",
                        "accumul.", "weights", "MACs %", "bytes", "clip %", "operator", "layer")) +
      "\n";
  for (size_t i = 0; i < std::min(max_layers, r.layers.size()); ++i) {
    const LayerError& e = r.layers[i];
    const std::string line =
        format("%12s %9s %9s %9s %7s %9s %7s  %-22s %s", with_unit(e.contribution).c_str(),
               snr_text(e.isolated).c_str(), snr_text(e.accumulated).c_str(),
               e.weight_snr_db >= kExactSnrDb ? "" : format("%.1f", e.weight_snr_db).c_str(),
               r.macs > 0 ? format_percent(static_cast<double>(e.macs) / r.macs, 2).c_str() : "",
               e.weight_bytes_after > 0 ? format_bytes(e.weight_bytes_after).c_str() : "",
               format_percent(e.clipped_share, 3).c_str(), shortened(e.op, 22).c_str(),
               shortened(e.name, 48).c_str());
    const bool bad = e.contribution.failed || e.contribution.snr_db < 20;
    out += (bad ? paint("33", line) : line) + (e.amplified ? "  [amplified]" : "") +
           (e.suggestion.empty() ? "" : "  -> " + e.suggestion) + "\n";
  }
  if (r.layers.size() > max_layers) {
    out += format("… and %zu more layers in the report (--report R.html)\n",
                  r.layers.size() - max_layers);
  }
  return out;
}

}  // namespace mnn
