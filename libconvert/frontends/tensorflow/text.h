// TensorFlow's messages in protobuf's text form (.pbtxt).
#pragma once

#include <span>

#include "libruntime/core/status.h"

namespace google::protobuf {
class Message;
}

namespace mnn::tensorflow {

// Fields that the schema does not have are passed over. An error says where it is. kLimit for more
// than 256 MiB.
Status parse_text(std::span<const std::byte> text, google::protobuf::Message& message);

}  // namespace mnn::tensorflow
