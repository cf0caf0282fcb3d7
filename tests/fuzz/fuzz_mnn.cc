// The .mnn container with its checksums made right again: a fuzzer cannot guess them, whoever makes
// a file on purpose can. What is read can be written, and reads back the same.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/io/mnn_layout.h"
#include "libruntime/core/text.h"

namespace {

using Bytes = std::vector<std::byte>;

uint64_t get(const Bytes& b, size_t at) {
  uint64_t v = 0;
  for (size_t i = 0; i < 8; ++i) v |= static_cast<uint64_t>(b[at + i]) << (8 * i);
  return v;
}
void put(Bytes& b, size_t at, uint64_t v) {
  for (size_t i = 0; i < 8; ++i) b[at + i] = static_cast<std::byte>(v >> (8 * i));
}

void repair(Bytes& b) {
  if (b.size() < mnn::kHeaderBytes) return;
  const uint64_t count = get(b, 8) >> 32;  // u32 at 12
  const uint64_t table = mnn::kHeaderBytes, end = table + count * mnn::kSectionEntryBytes;
  if (count > mnn::kMaxSections || end > b.size()) return;
  put(b, 24, b.size());
  for (uint64_t i = 0; i < count; ++i) {
    const size_t entry = table + i * mnn::kSectionEntryBytes;
    const uint64_t offset = get(b, entry + 8), bytes = get(b, entry + 16);
    if (offset > b.size() || bytes > b.size() - offset) continue;
    mnn::SectionHasher hasher(false);
    hasher.add(std::span(b).subspan(offset, bytes));
    const auto digest = hasher.sha256();
    std::copy(digest.begin(), digest.end(), b.begin() + static_cast<long>(entry + 24));
  }
  put(b, 40, mnn::xxh3_64(std::span(b).subspan(table, end - table)));
  put(b, 56, mnn::xxh3_64(std::span(b).first(56)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(reinterpret_cast<const std::byte*>(data),
              reinterpret_cast<const std::byte*>(data) + size);
  (void)mnn::parse_model(bytes, nullptr);
  repair(bytes);
  mnn::ReadOptions trusting;
  trusting.check_weights = false;
  const auto model = mnn::parse_model(bytes, nullptr, trusting);
  if (!model.ok()) return 0;
  const auto written = mnn::try_serialize_model(*model);
  const auto again = written.ok() ? mnn::parse_model(*written, nullptr) : written.status();
  mnn::PrintOptions all;
  all.max_constant_elements = INT64_MAX;
  if (!again.ok() || mnn::print_graph(again->graph, all) != mnn::print_graph(model->graph, all)) {
    std::fprintf(stderr, "%s\n", again.status().message().c_str());
    std::abort();
  }
  return 0;
}
