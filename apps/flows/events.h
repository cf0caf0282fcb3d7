// What a workflow tells its caller while it runs. It prints nothing itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mnn::flows {

// Called on the thread that runs the workflow; those that are empty are not called.
struct Events {
  // Told first, where a workflow knows them: its stages in order, each with its weight in the time.
  // Progress of a stage that is none of them is a part of the one before.
  std::function<void(const std::vector<std::pair<std::string, double>>& stages)> stages;
  // `done` of `total` (> 0) of a stage are finished.
  std::function<void(const std::string& stage, int64_t done, int64_t total)> progress;
  std::function<void(const std::string& text)> info;
  std::function<void(const std::string& text)> warning;

  void at(const std::string& stage, int64_t done, int64_t total) const {
    if (progress) progress(stage, done, total);
  }
};

}  // namespace mnn::flows
