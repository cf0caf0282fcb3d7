// What a file that no front end reads is, told by its content, and what to do about it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn {

// One row of the table. A front end that learns a format takes its row over: the row goes.
struct KnownFormat {
  enum class Kind {
    kModel,  // another framework's: kUnsupported
    kOther,  // no model: kInvalidArgument
  };
  Kind kind;
  std::string name;  // with its article: "a TensorFlow Lite model"
  // All bytes of the file, empty for a folder; of a folder the path alone. Reads a bounded part.
  bool (*recognizes)(std::span<const std::byte> bytes, const std::string& path);
  std::string advice;  // what to do, for a person; FILE stands for the path
  bool vague = false;  // what many formats lie in (text, zip): front ends are asked before
};
const std::vector<KnownFormat>& known_formats();

// The first row that recognizes it; nullptr when none does.
const KnownFormat* find_format(std::span<const std::byte> bytes, const std::string& path);
// "m.tflite: is a TensorFlow Lite model (this version reads onnx); python -m …"
Status format_status(const KnownFormat& format, const std::string& path);

}  // namespace mnn
