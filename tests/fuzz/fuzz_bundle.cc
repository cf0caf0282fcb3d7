// The index of a TensorBundle, any bytes: as it is, and as the entries of a table that is sound.
#include <map>

#include "libconvert/frontends/tensorflow/bundle.h"
#include "libconvert/frontends/tensorflow/table.h"
#include "tests/convert/bundle_builder.h"

namespace {

// Reads all that the index lists; the shards hold zeros.
void read_all(const std::string& index) {
  const auto table = mnn::tensorflow::read_table(std::as_bytes(std::span(index)));
  const auto open = [&](const std::string& name) -> mnn::Result<mnn::MappedFile> {
    static const std::string zeros(4096, '\0');
    return mnn::MappedFile{std::as_bytes(std::span(name.ends_with(".index") ? index : zeros)),
                           nullptr};
  };
  auto bundle = mnn::tensorflow::Bundle::open(open, "variables");
  if (!bundle.ok() || !table.ok()) return;
  for (const auto& [key, value] : *table) {
    (void)bundle->read(key);
    (void)bundle->read_string(key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read_all(bytes);
  // A length and a text, one after the other: keys and values in turn.
  std::map<std::string, std::string> entries;
  std::string key;
  bool is_value = false;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = static_cast<uint8_t>(bytes[at]);
    const std::string text = bytes.substr(at + 1, length);
    at += 1 + length;
    if (is_value) entries[key] = text;
    if (!is_value) key = text;
    is_value = !is_value;
  }
  read_all(mnn::testing::table_bytes(entries));
  return 0;
}
