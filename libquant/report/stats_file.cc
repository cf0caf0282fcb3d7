#include "libquant/report/stats_file.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace mnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "mnn-quant-stats";
constexpr int kVersion = 1;

Json range_json(const RangeStats& r) { return {r.low, r.high, r.count, r.not_finite}; }

Json ranges_json(const std::vector<RangeStats>& ranges) {
  Json rows = Json::array();
  for (const RangeStats& r : ranges) rows.push_back(range_json(r));
  return rows;
}

// Counts are mostly zeros: runs of them are one negative number.
Json bins_json(const std::vector<int64_t>& bins) {
  Json row = Json::array();
  for (size_t i = 0; i < bins.size(); ++i) {
    size_t zeros = i;
    while (zeros < bins.size() && bins[zeros] == 0) ++zeros;
    if (zeros - i < 2) {
      row.push_back(bins[i]);
      continue;
    }
    row.push_back(-static_cast<int64_t>(zeros - i));
    i = zeros - 1;
  }
  return row;
}

// Reads one file; the first thing wrong is kept.
class StatsReader {
 public:
  bool ok = true;

  std::vector<RangeStats> ranges(const Json& rows) {
    std::vector<RangeStats> all;
    for (const Json& row : list(rows)) {
      const bool good = row.is_array() && row.size() == 4 && row[0].is_number() &&
                        row[1].is_number() && row[2].is_number_integer() &&
                        row[3].is_number_integer();
      RangeStats& r = all.emplace_back();
      if (!good) {
        ok = false;
        continue;
      }
      r.low = row[0].get<double>();
      r.high = row[1].get<double>();
      r.count = row[2].get<int64_t>();
      r.not_finite = row[3].get<int64_t>();
      ok = ok && std::isfinite(r.low) && std::isfinite(r.high) && r.low <= r.high &&
           in_range(r.count) && in_range(r.not_finite);
    }
    return all;
  }

  std::vector<int64_t> bins(const Json& row, size_t most) {
    std::vector<int64_t> all;
    for (const Json& j : list(row)) {
      const int64_t n = j.is_number_integer() ? j.get<int64_t>() : kMost + 1;
      const size_t room = most - all.size();
      if (n > kMost || n < -static_cast<int64_t>(room) || room == 0) {
        ok = false;
        break;
      }
      if (n >= 0) {
        all.push_back(n);
      } else {
        all.resize(all.size() + static_cast<size_t>(-n), 0);
      }
    }
    return all;
  }

  const Json& list(const Json& j) {
    static const Json kNone = Json::array();
    if (j.is_array()) return j;
    ok = false;
    return kNone;
  }

 private:
  // Sums of thousands of parts stay below 2^63.
  static constexpr int64_t kMost = int64_t{1} << 50;
  static bool in_range(int64_t n) { return n >= 0 && n <= kMost; }
};

}  // namespace

std::string stats_json(const CalibrationStats& s,
                       const std::map<std::string, std::string>& identity) {
  Json out = {{"format", kFormat},    {"version", kVersion},  {"identity", identity},
              {"samples", s.samples}, {"counted", s.counted}, {"ranges", ranges_json(s.ranges)},
              {"first", s.first}};
  out["changes"] = Json::array();
  for (const char c : s.changes) out["changes"].push_back(c != 0);
  out["channels"] = Json::array();
  for (const CalibrationStats::Channels& c : s.channels)
    out["channels"].push_back({{"ranges", ranges_json(c.ranges)}, {"bins", bins_json(c.bins)}});
  out["bins"] = Json::array();
  for (const std::vector<int64_t>& row : s.bins) out["bins"].push_back(bins_json(row));
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<CalibrationStats> read_stats(const std::string& text,
                                    const std::map<std::string, std::string>& identity) {
  const Json root = Json::parse(text, nullptr, false);
  const auto broken = [](const std::string& why) {
    return invalid("no file of statistics (mnn quant --stats-only): " + why);
  };
  if (!root.is_object() || root.value("format", Json()) != kFormat)
    return broken(std::string("expected JSON with \"format\": \"") + kFormat + "\"");
  if (root.value("version", Json()) != kVersion)
    return broken("expected \"version\": " + std::to_string(kVersion));
  const Json theirs = root.value("identity", Json());
  if (!theirs.is_object()) return broken("expected an object \"identity\"");
  for (const auto& [part, value] : identity) {
    if (theirs.value(part, Json()) == value) continue;
    return usage_error("statistics of another run: " + part + " differ");
  }
  CalibrationStats s;
  const Json samples = root.value("samples", Json()), counted = root.value("counted", Json());
  if (!samples.is_number_unsigned() || samples.get<uint64_t>() == 0 ||
      samples.get<uint64_t>() > (uint64_t{1} << 40) || !counted.is_boolean())
    return broken("expected numbers \"samples\" and a truth value \"counted\"");
  s.samples = samples.get<size_t>();
  s.counted = counted.get<bool>();
  StatsReader reader;
  s.ranges = reader.ranges(root.value("ranges", Json()));
  const Json first = root.value("first", Json()), changes = root.value("changes", Json());
  for (const Json& j : reader.list(first)) {
    reader.ok = reader.ok && j.is_string();
    s.first.push_back(j.is_string() ? j.get<std::string>() : std::string());
  }
  for (const Json& j : reader.list(changes)) {
    reader.ok = reader.ok && j.is_boolean();
    s.changes.push_back(j.is_boolean() && j.get<bool>() ? 1 : 0);
  }
  const Json channels = root.value("channels", Json()), bins = root.value("bins", Json());
  for (const Json& j : reader.list(channels)) {
    CalibrationStats::Channels c;
    const Json none;
    c.ranges = reader.ranges(j.is_object() ? j.value("ranges", none) : none);
    c.bins = reader.bins(j.is_object() ? j.value("bins", none) : none,
                         c.ranges.size() * static_cast<size_t>(ChannelStats::kBins));
    s.channels.push_back(std::move(c));
  }
  for (const Json& j : reader.list(bins)) s.bins.push_back(reader.bins(j, kHistogramBins));
  if (!reader.ok || s.first.size() != s.ranges.size() || s.changes.size() != s.ranges.size() ||
      s.counted == s.bins.empty())
    return broken("its numbers are damaged");
  return s;
}

}  // namespace mnn
