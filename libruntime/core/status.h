// Errors as values. Wrong input never aborts; it returns a Status that says what was expected and
// what was found. Each layer adds its part with context(), outermost first in the final text.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mnn {

// Why something failed. Each code has one exit code of the command line (apps/common/exit_code.h).
enum class Code {
  kOk,
  kInternal,         // our own mistake, or a failure while running
  kUsage,            // the caller asked for something that makes no sense
  kThreshold,        // an accuracy, speed or size threshold was missed
  kInvalidArgument,  // a file or value was read and is malformed
  kUnsupported,      // a sound model that uses an operator, type or opset we do not have
  kNotAccessible,    // a file cannot be opened, read or written
  kLimit,            // a memory, size or time limit
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // Puts "where: " before the message. Does nothing to an OK status.
  Status context(std::string_view where) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status invalid(std::string message) {
  return Status(Code::kInvalidArgument, std::move(message));
}
inline Status unsupported(std::string message) {
  return Status(Code::kUnsupported, std::move(message));
}
inline Status internal_error(std::string message) {
  return Status(Code::kInternal, std::move(message));
}
inline Status not_accessible(std::string message) {
  return Status(Code::kNotAccessible, std::move(message));
}
inline Status limit_exceeded(std::string message) {
  return Status(Code::kLimit, std::move(message));
}
inline Status usage_error(std::string message) { return Status(Code::kUsage, std::move(message)); }

// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace mnn

#define MNN_CONCAT_INNER(a, b) a##b
#define MNN_CONCAT(a, b) MNN_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` (a Status) is not OK.
#define MNN_RETURN_IF_ERROR(expr)              \
  do {                                         \
    ::mnn::Status mnn_status_ = (expr);        \
    if (!mnn_status_.ok()) return mnn_status_; \
  } while (false)

// MNN_ASSIGN_OR_RETURN(const auto x, f()): x = *f(), or returns f's status.
#define MNN_ASSIGN_OR_RETURN(lhs, expr) \
  MNN_ASSIGN_OR_RETURN_IMPL(MNN_CONCAT(mnn_result_, __LINE__), lhs, expr)
#define MNN_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return tmp.status();             \
  lhs = std::move(tmp).value()
