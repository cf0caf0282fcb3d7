#include "libquant/search/evaluations.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "libruntime/core/io/file.h"

namespace mnn {
namespace {

constexpr const char* kFormat = "mnn-quant-evaluations";
constexpr int kVersion = 1;

using Json = nlohmann::ordered_json;

// JSON has no infinity and no NaN.
Json number(double v) {
  if (std::isfinite(v)) return v;
  return std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf";
}

bool read_number(const Json& j, double& v) {
  if (j.is_number()) {
    v = j.get<double>();
    return true;
  }
  if (!j.is_string()) return false;
  const auto text = j.get<std::string>();
  v = text == "nan" ? std::nan("") : text == "inf" ? INFINITY : -INFINITY;
  return text == "nan" || text == "inf" || text == "-inf";
}

}  // namespace

Result<std::unique_ptr<Evaluations>> Evaluations::open(
    const std::string& path, const std::map<std::string, std::string>& identity) {
  auto made = std::make_unique<Evaluations>();
  made->path_ = path;
  made->identity_ = identity;
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return made;
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes.data());
  const Json root = Json::parse(text, text + file.bytes.size(), nullptr, false);
  const auto broken = [&](const std::string& why) {
    return invalid(path + ": no file of evaluations (--resume): " + why);
  };
  if (!root.is_object() || root.value("format", Json()) != kFormat)
    return broken(std::string("expected JSON with \"format\": \"") + kFormat + "\"");
  if (root.value("version", Json()) != kVersion)
    return broken("expected \"version\": " + std::to_string(kVersion));
  const Json theirs = root.value("identity", Json());
  const Json results = root.value("results", Json());
  if (!theirs.is_object() || !results.is_object())
    return broken("expected objects \"identity\" and \"results\"");
  for (const auto& [part, value] : identity) {
    if (theirs.value(part, Json()) == value) continue;
    return usage_error("--resume " + path + ": is of another run: " + part +
                       " differ; remove it or name another file");
  }
  for (const auto& [name, numbers] : results.items()) {
    std::vector<double>& row = made->kept_[name];
    for (const Json& j : numbers.is_array() ? numbers : Json::array({nullptr})) {
      double v = 0;
      if (!read_number(j, v)) return broken("result " + name + ": expected numbers");
      row.push_back(v);
    }
  }
  made->written_ = made->kept_.size();
  return made;
}

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
  Json root = {{"format", kFormat}, {"version", kVersion}, {"identity", identity_}};
  root["results"] = Json::object();
  for (const auto& [name, numbers] : kept_) {
    Json& row = root["results"][name] = Json::array();
    for (const double v : numbers) row.push_back(number(v));
  }
  MNN_RETURN_IF_ERROR(
      write_file(path_, root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"));
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
