#include "libquant/report/mix_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "libruntime/report/format.h"
#include "libruntime/report/html.h"

namespace mnn {
namespace {

constexpr size_t kMostPoints = 12, kMostUndone = 8;  // of the text

using Json = nlohmann::ordered_json;

std::string time_text(const MixReport& mix, double time) {
  return mix.timed ? format_number(time, 3) + " ms" : format_number(time, 2) + "x";
}

// With its sign.
std::string more_bytes(double bytes) {
  return (bytes < 0 ? "-" : "+") + format_bytes(std::llround(std::abs(bytes)));
}
std::string more_time(const MixReport& mix, double time) {
  if (mix.timed) return (time < 0 ? "-" : "+") + format_number(std::abs(time), 3) + " ms";
  return (time < 0 ? "-" : "+") + format_number(100 * std::abs(time), 2) + " % time";
}

// The points to show: the chosen one and an even choice of the others.
std::vector<const MixPoint*> shown_points(const MixReport& mix) {
  std::vector<const MixPoint*> some;
  const size_t n = mix.front.size();
  const size_t every = n <= kMostPoints ? 1 : (n + kMostPoints - 2) / (kMostPoints - 1);
  for (size_t i = 0; i < n; ++i) {
    if (i % every == 0 || mix.front[i].chosen || i + 1 == n) some.push_back(&mix.front[i]);
  }
  return some;
}

std::string last_db_text(const MixReport& mix) {
  if (!mix.last_db_bytes) return {};
  return "the last dB costs " + more_bytes(*mix.last_db_bytes) + " and " +
         more_time(mix, *mix.last_db_time);
}

std::string culprit_text(const MixReport& mix, const MixCulprit& c) {
  return format_number(c.snr_db, 1) + " dB as " + c.cheapest +
         (c.chosen == c.cheapest ? ", stays so"
                                 : ", now " + c.chosen + " (" + more_bytes(c.more_bytes) + ", " +
                                       more_time(mix, c.more_time) + ")");
}

// Size against mean SNR, the front as a line.
std::string plot(const MixReport& mix) {
  constexpr double kWidth = 640, kHeight = 320, kLeft = 60, kBottom = 40;
  double low = mix.front[0].mean_sample_snr_db, high = low, least = mix.front[0].bytes,
         most = least;
  for (const MixPoint& p : mix.front) {
    low = std::min(low, p.mean_sample_snr_db);
    high = std::max(high, p.mean_sample_snr_db);
    least = std::min(least, p.bytes);
    most = std::max(most, p.bytes);
  }
  const auto x = [&](double bytes) {
    return kLeft + (most > least ? (bytes - least) / (most - least) : 0.5) * (kWidth - kLeft - 20);
  };
  const auto y = [&](double db) {
    return 15 + (1 - (high > low ? (db - low) / (high - low) : 0.5)) * (kHeight - kBottom - 30);
  };
  const auto at = [](double v) { return format_number(v, 1); };
  std::string out =
      "<svg id=\"pareto\" viewBox=\"0 0 640 320\" width=\"640\" height=\"320\" "
      "role=\"img\"><title>size and SNR of the mixes that no other beats</title>";
  out += "<path d=\"M" + at(kLeft) + " 10V" + at(kHeight - kBottom) + "H" + at(kWidth - 10) +
         "\" fill=\"none\" stroke=\"#888\"/><polyline fill=\"none\" stroke=\"#58a\" points=\"";
  for (const MixPoint& p : mix.front)
    out += at(x(p.bytes)) + "," + at(y(p.mean_sample_snr_db)) + " ";
  out += "\"/>";
  for (const MixPoint& p : mix.front) {
    out += "<circle cx=\"" + at(x(p.bytes)) + "\" cy=\"" + at(y(p.mean_sample_snr_db)) + "\" r=\"" +
           (p.chosen ? "6" : "4") + "\" fill=\"" + (p.chosen ? "#c30" : "#58a") + "\"><title>" +
           html_escape(p.schemes) + ": " + format_bytes(std::llround(p.bytes)) + ", " +
           format_number(p.mean_sample_snr_db, 1) + " dB, " + time_text(mix, p.time) +
           "</title></circle>";
  }
  const auto label = [&](double px, double py, const char* anchor, const std::string& text) {
    return "<text x=\"" + at(px) + "\" y=\"" + at(py) + "\" font-size=\"12\" text-anchor=\"" +
           anchor + "\">" + text + "</text>";
  };
  out += label(kLeft - 4, y(high) + 4, "end", format_number(high, 1) + " dB");
  if (high > low) out += label(kLeft - 4, y(low) + 4, "end", format_number(low, 1) + " dB");
  out += label(x(least), kHeight - 20, "start", format_bytes(std::llround(least)));
  if (most > least) out += label(x(most), kHeight - 20, "end", format_bytes(std::llround(most)));
  return out + "</svg>";
}

}  // namespace

std::string mix_text(const QuantReport& r, size_t width) {
  const MixReport& mix = r.mix;
  if (!mix.tried) return {};
  std::string out = "mix: " + std::to_string(mix.parts) + " parts, " + std::to_string(mix.trials) +
                    " mixes measured; what no other beats" +
                    (mix.timed ? "" : " (time estimated, of the first mix)") + ":\n";
  std::vector<std::vector<std::string>> rows = {
      {"", "size", "time", "mean SNR", "worst SNR", "schemes"}};
  for (const MixPoint* p : shown_points(mix)) {
    rows.push_back({p->chosen ? "  *" : "", format_bytes(std::llround(p->bytes)),
                    time_text(mix, p->time), format_number(p->mean_sample_snr_db, 2) + " dB",
                    format_number(p->worst_sample_snr_db, 2) + " dB", p->schemes});
  }
  out += format_table(rows, {.right = {1, 2, 3, 4}, .head = true, .width = width});
  std::string rest;
  if (!mix.culprits.empty()) rest += "culprits, by what they cost alone in the first scheme:\n";
  for (const MixCulprit& c : mix.culprits)
    rest += "  " + shorten_middle(c.name, kNameColumns) + ": " + culprit_text(mix, c) + "\n";
  if (const std::string last = last_db_text(mix); !last.empty()) rest += last + "\n";
  if (mix.margin_db > 0) {
    rest += "for a goal raised by " + format_number(mix.margin_db, 1) +
            " dB (samples nobody has seen)\n";
  }
  if (!mix.undone.empty()) {
    rest += std::to_string(mix.undone.size()) + " promotions did not help and were taken back:";
    for (size_t i = 0; i < std::min(kMostUndone, mix.undone.size()); ++i)
      rest += (i == 0 ? " " : ", ") + mix.undone[i];
    rest += mix.undone.size() > kMostUndone ? ", …\n" : "\n";
  }
  return out + wrap_text(rest, width);
}

Json mix_json(const QuantReport& r) {
  const MixReport& mix = r.mix;
  if (!mix.tried) return {};
  const auto number = [](const auto& v) { return v ? Json(*v) : Json(); };
  Json out = {{"fits", mix.fits},
              {"reached", mix.reached},
              {"time_unit", mix.timed ? "ms" : "relative"},
              {"margin_db", mix.margin_db},
              {"parts", mix.parts},
              {"trials", mix.trials},
              {"last_db_bytes", number(mix.last_db_bytes)},
              {"last_db_time", number(mix.last_db_time)},
              {"undone", mix.undone}};
  out["front"] = Json::array();
  for (const MixPoint& p : mix.front) {
    out["front"].push_back({{"schemes", p.schemes},
                            {"bytes", std::llround(p.bytes)},
                            {"time", p.time},
                            {"mean_sample_snr_db", p.mean_sample_snr_db},
                            {"worst_sample_snr_db", p.worst_sample_snr_db},
                            {"reached", p.reached},
                            {"chosen", p.chosen}});
  }
  out["culprits"] = Json::array();
  for (const MixCulprit& c : mix.culprits) {
    out["culprits"].push_back({{"name", c.name},
                               {"cheapest", c.cheapest},
                               {"chosen", c.chosen},
                               {"snr_db", c.snr_db},
                               {"more_bytes", std::llround(c.more_bytes)},
                               {"more_time", c.more_time}});
  }
  return out;
}

std::string mix_html(const QuantReport& r) {
  const MixReport& mix = r.mix;
  if (!mix.tried || mix.front.empty()) return {};
  std::string out = "<h2>Mix of schemes</h2><p>" + std::to_string(mix.parts) + " parts, " +
                    std::to_string(mix.trials) + " mixes measured. " +
                    html_escape(last_db_text(mix)) + "</p>" + plot(mix);
  std::vector<std::vector<std::string>> rows;
  for (const MixPoint& p : mix.front) {
    rows.push_back({p.schemes, format_bytes(std::llround(p.bytes)), time_text(mix, p.time),
                    format_number(p.mean_sample_snr_db, 2), format_number(p.worst_sample_snr_db, 2),
                    p.chosen ? "chosen" : ""});
  }
  out += html_table({"schemes", "size", mix.timed ? "time" : "time, estimated", "mean SNR, dB",
                     "worst SNR, dB", ""},
                    rows);
  rows.clear();
  for (const MixCulprit& c : mix.culprits) rows.push_back({c.name, culprit_text(mix, c)});
  if (!rows.empty()) out += "<h3>Culprits</h3>" + html_table({"part", "what it costs alone"}, rows);
  return out;
}

}  // namespace mnn
