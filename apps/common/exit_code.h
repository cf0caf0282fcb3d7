// The exit codes of every command (the table in README.md). Never a signal.
#pragma once

#include "libruntime/core/status.h"

namespace mnn::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,  // at run time, or our own mistake
  kWrongUsage = 2,
  kThresholdMissed = 3,
  kMalformed = 4,     // model or data was read and is malformed
  kNotSupported = 5,  // operator, type, opset or target
  kFileTrouble = 6,   // cannot be opened, read or written
  kLimitReached = 7,  // memory or time
};

ExitCode exit_code(const Status& status);

}  // namespace mnn::cli
