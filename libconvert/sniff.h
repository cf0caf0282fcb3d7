// Looking into files of unknown formats: bounded reads that no content can lead astray.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mnn {

inline unsigned at(std::span<const std::byte> bytes, size_t i) {
  return i < bytes.size() ? static_cast<unsigned>(bytes[i]) : 0;
}
bool begins(std::span<const std::byte> bytes, std::string_view with);
// The first `width` bytes as a number; 0 where there are fewer.
uint64_t little_endian(std::span<const std::byte> bytes, size_t width);
// A number of protobuf's kind, seven bits a byte, taken off the front; nullopt when it is cut off
// or has more than 64 bits.
std::optional<uint64_t> take_varint(std::span<const std::byte>& bytes);

// The first `most` bytes in lower case, without a byte order mark and blanks before the text.
std::string lower_text(std::span<const std::byte> bytes, size_t most);
// Whether the first bytes are all of a text's.
bool is_plain_text(std::span<const std::byte> bytes);
// Whether it is a text with a line "NAME {" or "NAME: {" at the outermost level, as protobuf's text
// form has, for one of the names.
bool has_text_block(std::span<const std::byte> bytes,
                    std::initializer_list<std::string_view> names);

// Whether it ends as a table of LevelDB does, which is what TensorFlow lists variables in.
bool is_leveldb_table(std::span<const std::byte> bytes);

// Messages of protobuf and tables of FlatBuffers that carry no mark, told by their first fields.
bool is_saved_model(std::span<const std::byte> bytes, const std::string& path);
bool is_meta_graph(std::span<const std::byte> bytes, const std::string& path);
bool is_core_ml(std::span<const std::byte> bytes, const std::string& path);
bool is_graph_def(std::span<const std::byte> bytes, const std::string& path);
bool is_paddle(std::span<const std::byte> bytes, const std::string& path);
bool is_caffe_model(std::span<const std::byte> bytes, const std::string& path);
bool is_onnx_tensor(std::span<const std::byte> bytes, const std::string& path);
bool is_alibaba_mnn(std::span<const std::byte> bytes, const std::string& path);

}  // namespace mnn
