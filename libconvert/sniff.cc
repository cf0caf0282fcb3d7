#include "libconvert/sniff.h"

#include <algorithm>
#include <cctype>

namespace mnn {
namespace {

using Bytes = std::span<const std::byte>;

bool is_print(unsigned c) { return c >= 0x20 && c != 0x7f; }

// One field of a protobuf message. Of a length-delimited one `body` is what the file has of it.
struct Field {
  uint64_t number = 0, wire = 0, value = 0;
  Bytes body;
  bool whole = true;  // the file has all of it
};
constexpr uint64_t kVarint = 0, kBytes = 2;

// The next field of kinds varint and bytes, which is all that the first fields of these formats
// are.
std::optional<Field> next_field(Bytes& bytes) {
  const auto key = take_varint(bytes);
  if (!key) return std::nullopt;
  const auto value = take_varint(bytes);
  Field f{*key >> 3, *key & 7, value.value_or(0), {}, true};
  if (!value || (f.wire != kVarint && f.wire != kBytes)) return std::nullopt;
  if (f.wire == kVarint) return f;
  f.whole = f.value <= bytes.size();
  f.body = bytes.first(f.whole ? static_cast<size_t>(f.value) : bytes.size());
  bytes = bytes.subspan(f.body.size());
  return f;
}

bool is(const std::optional<Field>& f, uint64_t number, uint64_t wire) {
  return f && f->number == number && f->wire == wire;
}

bool is_name(const Field& f) {
  constexpr size_t kLongest = 1024;
  return f.whole && !f.body.empty() && f.body.size() <= kLongest &&
         std::all_of(f.body.begin(), f.body.end(),
                     [](std::byte b) { return is_print(static_cast<unsigned>(b)); });
}

// Field 1 a small version, field 2 a message whose first field is a message: SavedModel
// (MetaGraphDef with its MetaInfoDef) and Core ML (ModelDescription with a FeatureDescription). In
// ONNX field 2 is a producer's name.
std::optional<Bytes> versioned_message(Bytes bytes) {
  constexpr uint64_t kNewest = 64;
  const auto version = next_field(bytes);
  if (!is(version, 1, kVarint) || version->value == 0 || version->value > kNewest) {
    return std::nullopt;
  }
  const auto message = next_field(bytes);
  if (!is(message, 2, kBytes)) return std::nullopt;
  Bytes inside = message->body;
  const auto first = next_field(inside);
  if (!is(first, 1, kBytes)) return std::nullopt;
  return first->body;
}

// Little-endian reads of a FlatBuffer; nullopt outside the file.
class FlatBuffer {
 public:
  explicit FlatBuffer(Bytes bytes) : bytes_(bytes) {}
  std::optional<uint64_t> get(uint64_t at, size_t width) const {
    if (at > bytes_.size() || width > bytes_.size() - at) return std::nullopt;
    return little_endian(bytes_.subspan(static_cast<size_t>(at)), width);
  }
  std::optional<uint64_t> follow(uint64_t at) const {
    const auto offset = get(at, 4);
    if (!offset || *offset == 0 || at + *offset >= bytes_.size()) return std::nullopt;
    return at + *offset;
  }
  // Where a table's slot is; nullopt when the table is none or has no such slot.
  std::optional<uint64_t> slot(uint64_t table, size_t index) const {
    const auto back = get(table, 4);
    if (!back) return std::nullopt;
    const uint64_t vtable =
        table - static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(*back)));
    const auto size = get(vtable, 2), room = get(vtable + 2, 2);
    constexpr uint64_t kLargestTable = 1024;
    if (!size || !room || *size < 4 || *size % 2 != 0 || *size > kLargestTable) return std::nullopt;
    const uint64_t entry = 4 + 2 * index;
    if (entry + 2 > *size) return std::nullopt;
    const auto offset = get(vtable + entry, 2);
    if (!offset || *offset < 4 || *offset >= *room) return std::nullopt;
    return table + *offset;
  }
  // The place of a vector's first element, and how many there are.
  std::optional<std::pair<uint64_t, uint64_t>> vector(uint64_t slot) const {
    const auto place = follow(slot);
    const auto count = place ? get(*place, 4) : std::nullopt;
    if (!count || *count == 0 || *count > bytes_.size() / 4) return std::nullopt;
    return std::pair(*place + 4, *count);
  }

 private:
  Bytes bytes_;
};

}  // namespace

bool begins(std::span<const std::byte> bytes, std::string_view with) {
  return bytes.size() >= with.size() &&
         std::equal(with.begin(), with.end(), bytes.begin(),
                    [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
}

uint64_t little_endian(std::span<const std::byte> bytes, size_t width) {
  if (bytes.size() < width) return 0;
  uint64_t value = 0;
  for (size_t i = width; i-- > 0;) value = value << 8 | static_cast<uint64_t>(bytes[i]);
  return value;
}

std::optional<uint64_t> take_varint(std::span<const std::byte>& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto b = static_cast<uint64_t>(bytes.front());
    bytes = bytes.subspan(1);
    value |= (b & 0x7f) << shift;
    if ((b & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::string lower_text(std::span<const std::byte> bytes, size_t most) {
  if (begins(bytes, "\xEF\xBB\xBF")) bytes = bytes.subspan(3);
  std::string text;
  for (const std::byte b : bytes.first(std::min(most, bytes.size()))) {
    const auto c = static_cast<unsigned char>(b);
    if (text.empty() && std::isspace(c) != 0) continue;
    text += static_cast<char>(std::tolower(c));
  }
  return text;
}

bool is_plain_text(std::span<const std::byte> bytes) {
  constexpr size_t kLooked = 4096;
  const Bytes head = bytes.first(std::min(kLooked, bytes.size()));
  return !head.empty() && std::all_of(head.begin(), head.end(), [](std::byte b) {
    const auto c = static_cast<unsigned>(b);
    return is_print(c) || c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

bool has_text_block(std::span<const std::byte> bytes,
                    std::initializer_list<std::string_view> names) {
  if (!is_plain_text(bytes)) return false;
  constexpr size_t kLooked = 65536;
  int depth = 0;
  std::string word;
  bool word_ended = true;
  for (const std::byte b : bytes.first(std::min(kLooked, bytes.size()))) {
    const auto c = static_cast<char>(b);
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      if (word_ended) word.clear();
      word_ended = false;
      word += c;
      continue;
    }
    word_ended = true;
    if (c == ' ' || c == ':') continue;
    if (c == '{' && depth == 0 && std::find(names.begin(), names.end(), word) != names.end()) {
      return true;
    }
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    word.clear();
  }
  return false;
}

bool is_leveldb_table(std::span<const std::byte> bytes) {
  constexpr size_t kFooter = 48;
  constexpr uint64_t kMagic = 0xdb4775248b80fb57;
  return bytes.size() >= kFooter && little_endian(bytes.last(8), 8) == kMagic;
}

namespace {

// MetaInfoDef has the list of its operators first, or its tags; a FeatureDescription a name.
bool is_meta_info(Bytes bytes) {
  return at(bytes, 0) == 0x12 || at(bytes, 0) == 0x22 || bytes.empty();
}

}  // namespace

bool is_saved_model(std::span<const std::byte> bytes, const std::string&) {
  const auto inside = versioned_message(bytes);
  return inside && is_meta_info(*inside);
}

bool is_meta_graph(std::span<const std::byte> bytes, const std::string&) {
  const auto info = next_field(bytes), graph = next_field(bytes);
  if (!is(info, 1, kBytes) || !is(graph, 2, kBytes) || info->body.empty()) return false;
  Bytes inside = info->body;
  const auto first = next_field(inside);
  return is_meta_info(info->body) && first && first->wire == kBytes &&
         is_graph_def(graph->body, {});
}

bool is_core_ml(std::span<const std::byte> bytes, const std::string&) {
  auto inside = versioned_message(bytes);
  if (!inside) return false;
  const auto name = next_field(*inside);
  return is(name, 1, kBytes) && is_name(*name);
}

bool is_graph_def(std::span<const std::byte> bytes, const std::string&) {
  const auto node = next_field(bytes);
  if (!is(node, 1, kBytes)) return false;
  Bytes inside = node->body;
  const auto name = next_field(inside), op = next_field(inside);
  return is(name, 1, kBytes) && is_name(*name) && is(op, 2, kBytes) && is_name(*op);
}

bool is_paddle(std::span<const std::byte> bytes, const std::string&) {
  const auto block = next_field(bytes);
  if (!is(block, 1, kBytes)) return false;
  Bytes inside = block->body;
  const auto index = next_field(inside), parent = next_field(inside);
  return is(index, 1, kVarint) && index->value == 0 && is(parent, 2, kVarint);
}

bool is_caffe_model(std::span<const std::byte> bytes, const std::string&) {
  constexpr uint64_t kOldLayers = 2, kLayer = 100;
  auto field = next_field(bytes);
  if (is(field, 1, kBytes)) {
    if (!field->body.empty() && !is_name(*field)) return false;
    field = next_field(bytes);
  }
  // The shapes of inputs may come first.
  for (int i = 0; i < 64 && field && field->number >= 3 && field->number <= 8; ++i) {
    field = next_field(bytes);
  }
  if (!is(field, kLayer, kBytes) && !is(field, kOldLayers, kBytes)) return false;
  Bytes inside = field->body;
  const auto first = next_field(inside);
  return first && first->number >= 1 && first->number <= 160 && first->wire == kBytes;
}

bool is_onnx_tensor(std::span<const std::byte> bytes, const std::string&) {
  constexpr uint64_t kMostTypes = 32;
  auto field = next_field(bytes);
  for (int i = 0; i < 64 && is(field, 1, kVarint); ++i) field = next_field(bytes);
  if (!is(field, 2, kVarint) || field->value == 0 || field->value > kMostTypes) return false;
  field = next_field(bytes);
  return field && field->wire == kBytes && field->number >= 4 && field->number <= 13;
}

bool is_alibaba_mnn(std::span<const std::byte> bytes, const std::string&) {
  constexpr size_t kOps = 3, kTensorNames = 7;
  const FlatBuffer file(bytes);
  const auto root = file.follow(0);
  if (!root) return false;
  const auto ops = file.slot(*root, kOps), names = file.slot(*root, kTensorNames);
  if (!ops || !names) return false;
  const auto op_list = file.vector(*ops), name_list = file.vector(*names);
  if (!op_list || !name_list) return false;
  // The first operator is a table that names its outputs, the first tensor has a printable name.
  const auto op = file.follow(op_list->first), name = file.follow(name_list->first);
  constexpr size_t kOutputs = 4;
  if (!op || !name || !file.slot(*op, kOutputs)) return false;
  const auto length = file.get(*name, 4);
  if (!length || !file.get(*name + 4, 1) || *length > bytes.size() - (*name + 4)) return false;
  const Bytes text = bytes.subspan(static_cast<size_t>(*name + 4), static_cast<size_t>(*length));
  return std::all_of(text.begin(), text.end(),
                     [](std::byte b) { return is_print(static_cast<unsigned>(b)); });
}

}  // namespace mnn
