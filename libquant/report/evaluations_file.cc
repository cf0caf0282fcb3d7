#include "libquant/report/evaluations_file.h"

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

Result<std::unique_ptr<Evaluations>> open_evaluations(
    const std::string& path, const std::map<std::string, std::string>& identity) {
  const auto write = [path, identity](const Evaluations::Results& results) -> Status {
    Json root = {{"format", kFormat}, {"version", kVersion}, {"identity", identity}};
    root["results"] = Json::object();
    for (const auto& [name, numbers] : results) {
      Json& row = root["results"][name] = Json::array();
      for (const double v : numbers) row.push_back(number(v));
    }
    return write_file(path, root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  };
  Evaluations::Results kept;
  std::error_code ec;
  if (!std::filesystem::exists(path, ec))
    return std::make_unique<Evaluations>(std::move(kept), write);
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
    std::vector<double>& row = kept[name];
    for (const Json& j : numbers.is_array() ? numbers : Json::array({nullptr})) {
      double v = 0;
      if (!read_number(j, v)) return broken("result " + name + ": expected numbers");
      row.push_back(v);
    }
  }
  return std::make_unique<Evaluations>(std::move(kept), write);
}

}  // namespace mnn
