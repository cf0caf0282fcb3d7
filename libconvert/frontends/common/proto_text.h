// Messages in protobuf's text form.
#pragma once

#include <span>
#include <string>

#include "libruntime/core/status.h"

namespace google::protobuf {
class Message;
}

namespace mnn::frontend {

// Fields that a schema does not have, which are passed over.
struct SkippedFields {
  int count = 0;
  std::string first;  // what protobuf says of the first
};

// An error says where it is; `damaged` where nothing is said. Messages in each other at most
// `depth` deep. The text has less than 2 GiB.
Status parse_proto_text(std::span<const std::byte> text, int depth, const std::string& damaged,
                        google::protobuf::Message& message, SkippedFields* skipped = nullptr);

}  // namespace mnn::frontend
