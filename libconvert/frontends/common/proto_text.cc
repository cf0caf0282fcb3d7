#include "libconvert/frontends/common/proto_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

namespace mnn::frontend {
namespace {

// Keeps the first error and what was skipped.
class Collector : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!error.empty()) return;
    error = "line " + std::to_string(line + 1) + ", column " + std::to_string(column + 1) + ": " +
            message;
  }
  void AddWarning(int, int, const std::string& message) override {
    if (skipped.count++ == 0) skipped.first = message;
  }
  std::string error;
  SkippedFields skipped;
};

}  // namespace

Status parse_proto_text(std::span<const std::byte> text, int depth, const std::string& damaged,
                        google::protobuf::Message& message, SkippedFields* skipped) {
  const google::protobuf::LogSilencer silent;
  google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  google::protobuf::TextFormat::Parser parser;
  Collector said;
  parser.RecordErrorsTo(&said);
  parser.AllowUnknownField(true);
  parser.AllowUnknownExtension(true);
  parser.SetRecursionLimit(depth);
  if (!parser.Parse(&stream, &message)) return invalid(said.error.empty() ? damaged : said.error);
  if (skipped != nullptr) *skipped = said.skipped;
  return {};
}

}  // namespace mnn::frontend
