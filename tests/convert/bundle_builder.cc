#include "tests/convert/bundle_builder.h"

#include <algorithm>

#include "libconvert/frontends/tensorflow/crc32c.h"

namespace mnn::testing {

using tensorflow::masked_crc32c;

namespace {

uint32_t checksum(const std::string& text) { return masked_crc32c(std::as_bytes(std::span(text))); }

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

// One block: keys share what they have in common with the one before.
std::string block_bytes(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out, last;
  for (const auto& [key, value] : entries) {
    const auto shared = static_cast<size_t>(
        std::mismatch(key.begin(),
                      key.begin() + static_cast<long>(std::min(key.size(), last.size())),
                      last.begin())
            .first -
        key.begin());
    out += varint(shared) + varint(key.size() - shared) + varint(value.size());
    out += key.substr(shared) + value;
    last = key;
  }
  return out + raw_bytes<uint32_t>({0, 1});
}

// Appends a block with its trailer; its handle.
std::string append(std::string& file, const std::string& block) {
  const std::string handle = varint(file.size()) + varint(block.size());
  const std::string checked = block + '\0';
  file += checked + raw_bytes<uint32_t>({checksum(checked)});
  return handle;
}

std::string shard_name(size_t i, size_t count) {
  const auto digits = [](size_t n) {
    const std::string text = std::to_string(n);
    return std::string(5 - text.size(), '0') + text;
  };
  return "variables/variables.data-" + digits(i) + "-of-" + digits(count);
}

}  // namespace

std::string table_bytes(const std::map<std::string, std::string>& entries, size_t per_block) {
  std::string file;
  std::vector<std::pair<std::string, std::string>> block, index;
  for (auto at = entries.begin(); at != entries.end(); ++at) {
    block.emplace_back(*at);
    if (block.size() < per_block && std::next(at) != entries.end()) continue;
    index.emplace_back(at->first, append(file, block_bytes(block)));
    block.clear();
  }
  std::string footer = append(file, block_bytes({}));
  footer += append(file, block_bytes(index));
  footer.resize(40);
  return file + footer + raw_bytes<uint64_t>({0xdb4775248b80fb57});
}

tensorflow::BundleEntryProto& BundleFiles::add(const std::string& key, int dtype,
                                               std::vector<int64_t> dims, const std::string& bytes,
                                               int shard) {
  tensorflow::BundleEntryProto& entry = entries[key];
  entry.set_dtype(dtype);
  entry.mutable_shape();
  for (const int64_t d : dims) entry.mutable_shape()->add_dim()->set_size(d);
  if (shards.size() <= static_cast<size_t>(shard)) shards.resize(static_cast<size_t>(shard) + 1);
  std::string& data = shards[static_cast<size_t>(shard)];
  entry.set_shard_id(shard);
  entry.set_offset(static_cast<int64_t>(data.size()));
  entry.set_size(static_cast<int64_t>(bytes.size()));
  entry.set_crc32c(checksum(bytes));
  data += bytes;
  return entry;
}

void BundleFiles::add_string(const std::string& key, const std::string& text) {
  constexpr int kString = 7;
  const std::string length = raw_bytes<uint32_t>({static_cast<uint32_t>(text.size())});
  const std::string own = raw_bytes<uint32_t>({checksum(length)});
  add(key, kString, {}, varint(text.size()) + own + text).set_crc32c(checksum(length + own + text));
}

std::map<std::string, std::string> BundleFiles::files() const {
  tensorflow::BundleHeaderProto counted = header;
  if (counted.num_shards() == 0) counted.set_num_shards(static_cast<int>(shards.size()));
  std::map<std::string, std::string> table, out;
  table[""] = counted.SerializeAsString();
  for (const auto& [key, entry] : entries) table[key] = entry.SerializeAsString();
  out["variables/variables.index"] = table_bytes(table);
  for (size_t i = 0; i < shards.size(); ++i) out[shard_name(i, shards.size())] = shards[i];
  return out;
}

tensorflow::OpenFile opener(std::map<std::string, std::string> files) {
  auto held = std::make_shared<const std::map<std::string, std::string>>(std::move(files));
  return [held](const std::string& name) -> Result<MappedFile> {
    const auto at = held->find(name);
    if (at == held->end()) return not_accessible("file " + name + " is not there");
    return MappedFile{std::as_bytes(std::span(at->second)), held};
  };
}

}  // namespace mnn::testing
