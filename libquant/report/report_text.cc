#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "libquant/quantize.h"

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

std::string db(const ErrorMetrics& m) {
  if (m.failed) return "FAIL";
  return m.snr_db >= kExactSnrDb ? "exact" : format("%.1f", m.snr_db);
}

std::string shortened(const std::string& name, size_t width) {
  if (name.size() <= width) return name;
  size_t begin = name.size() - width + 1;
  // Not in the middle of a UTF-8 character.
  while (begin < name.size() && (static_cast<unsigned char>(name[begin]) & 0xC0) == 0x80) ++begin;
  return "…" + name.substr(begin);
}

}  // namespace

std::string report_text(const QuantReport& r, size_t max_layers, bool color) {
  auto paint = [&](const char* code, const std::string& text) {
    return color ? "\033[" + std::string(code) + "m" + text + "\033[0m" : text;
  };
  std::string out = "scheme " + r.scheme + ", method " + r.method + ", " +
                    std::to_string(r.calibration_samples) + " calibration and " +
                    std::to_string(r.holdout_samples) + " held-back samples\n";
  if (!r.holdout_note.empty()) out += "  " + r.holdout_note + "\n";
  if (r.candidates.size() > 1) {
    out += "tried:";
    for (const auto& [name, snr] : r.candidates) out += format("  %s %.2f dB", name.c_str(), snr);
    out += "\n";
  }
  out += format("int8 share of the MACs %.1f %%, constants %.2f MB -> %.2f MB (%.2fx smaller)\n",
                100 * r.int8_mac_share, static_cast<double>(r.bytes_before) / 1e6,
                static_cast<double>(r.bytes_after) / 1e6,
                r.bytes_after
                    ? static_cast<double>(r.bytes_before) / static_cast<double>(r.bytes_after)
                    : 0.0);
  for (const auto& [name, m] : r.outputs) {
    out += format("output %s: SNR %s dB, cosine %.6f, max abs %.4g\n", name.c_str(), db(m).c_str(),
                  m.cosine, m.max_abs);
  }
  if (r.argmax_agreement >= 0)
    out += format("argmax agreement %.2f %%\n", 100 * r.argmax_agreement);
  if (max_layers == 0) return out;
  for (const FloatIsland& island : r.islands) {
    out += format("in float: %zu %s (%.2f %% of the MACs): ", island.layers.size(),
                  island.op.c_str(), 100 * island.mac_share) +
           island.why + "\n";
  }
  if (r.layers.empty()) return out;
  out += "\n" +
         paint("1", format("%-12s %9s %9s %9s %7s %7s  %-22s %s", "contribution", "isolated",
                           "accumul.", "weights", "MACs %", "clip %", "operator", "layer")) +
         "\n";
  double macs = 0;
  for (const LayerError& e : r.layers) macs += static_cast<double>(e.macs);
  for (size_t i = 0; i < std::min(max_layers, r.layers.size()); ++i) {
    const LayerError& e = r.layers[i];
    const std::string line =
        format("%9s dB %9s %9s %9s %7.2f %7.3f  %-22s %s", db(e.contribution).c_str(),
               db(e.isolated).c_str(), db(e.accumulated).c_str(),
               e.weight_snr_db >= kExactSnrDb ? "" : format("%.1f", e.weight_snr_db).c_str(),
               macs > 0 ? 100 * static_cast<double>(e.macs) / macs : 0.0, 100 * e.clipped_share,
               shortened(e.op, 22).c_str(), shortened(e.name, 48).c_str());
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
