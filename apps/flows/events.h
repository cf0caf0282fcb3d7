// What a workflow tells its caller while it runs. It prints nothing itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace mnn::flows {

// Called on the thread that runs the workflow; those that are empty are not called.
struct Events {
  // `done` of `total` (> 0) of a stage are finished.
  std::function<void(const std::string& stage, int64_t done, int64_t total)> progress;
  std::function<void(const std::string& text)> info;
  std::function<void(const std::string& text)> warning;

  void at(const std::string& stage, int64_t done, int64_t total) const {
    if (progress) progress(stage, done, total);
  }
};

}  // namespace mnn::flows
