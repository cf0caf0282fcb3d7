#include "libruntime/kernels/weights.h"

#include <xxhash.h>

#include <array>
#include <random>
#include <vector>

namespace mnn {
namespace {

WeightId as_id(const XXH128_hash_t& hash) {
  WeightId id{hash.low64, hash.high64};
  if (!id.known()) id.low = 1;
  return id;
}

}  // namespace

WeightId WeightId::derived(std::string_view how) const {
  if (!known()) return {};
  std::string text(reinterpret_cast<const char*>(this), sizeof(*this));
  text += how;
  return as_id(XXH3_128bits(text.data(), text.size()));
}

std::string layout_name(std::string_view name, std::initializer_list<int64_t> numbers) {
  std::string text(name);
  for (const int64_t n : numbers) text += " " + std::to_string(n);
  return text;
}

WeightsCache::WeightsCache(bool reserving)
    : reserving_(reserving),
      seed_((uint64_t{std::random_device()()} << 32) | std::random_device()()) {}

WeightId WeightsCache::identify(const void* data, int64_t bytes) const {
  constexpr int64_t kLarge = 64 << 10;
  if (reserving_ && bytes > kLarge) {
    const std::array<uint64_t, 2> where = {reinterpret_cast<uintptr_t>(data),
                                           static_cast<uint64_t>(bytes)};
    return as_id(XXH3_128bits_withSeed(where.data(), sizeof(where), seed_));
  }
  const auto size = static_cast<size_t>(bytes);
  const WeightId id = as_id(XXH3_128bits_withSeed(data, size, seed_));
  release_pages({static_cast<const std::byte*>(data), size});
  return id;
}

Result<PackedPtr> WeightsCache::find(const WeightId& id, std::string_view layout, int64_t bytes,
                                     const PackFn& pack) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Slot>& known = slots_[id.derived(layout)];
    if (known == nullptr) known = std::make_shared<Slot>();
    slot = known;
    sweep();
  }
  const std::lock_guard own(slot->mutex);
  if (PackedPtr block = slot->block.lock()) return block;
  auto made = reserving_ ? std::make_shared<PackedBlock>(bytes, Untouched())
                         : std::make_shared<PackedBlock>(bytes);
  if (!reserving_) MNN_RETURN_IF_ERROR(pack(made->data()));
  slot->block = made;
  packs_.fetch_add(1, std::memory_order_relaxed);
  return PackedPtr(std::move(made));
}

// Forgets what nobody holds any more, now and then, so that it costs little for each entry.
void WeightsCache::sweep() {
  if (slots_.size() < sweep_at_) return;
  std::erase_if(slots_, [](const auto& entry) {
    if (entry.second.use_count() > 1) return false;  // somebody is looking it up
    const std::lock_guard own(entry.second->mutex);
    return entry.second->block.expired();
  });
  sweep_at_ = 2 * slots_.size() + 64;
}

int64_t WeightsCache::bytes() const {
  std::vector<std::shared_ptr<Slot>> slots;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, slot] : slots_) slots.push_back(slot);
  }
  int64_t sum = 0;
  for (const auto& slot : slots) {
    const std::lock_guard own(slot->mutex);
    if (const PackedPtr block = slot->block.lock()) sum += block->bytes();
  }
  return sum;
}

}  // namespace mnn
