// Constant weights: what they are, and what kernels have packed of them. A packed block belongs to
// the kernels that use it: weights are packed once for each layout a kernel wants, whatever the
// number of nodes, input shapes and sessions, and a block goes when the last kernel that holds it
// does.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "libruntime/core/io/file.h"
#include "libruntime/core/tensor.h"
#include "libruntime/kernels/aligned_buffer.h"

namespace mnn {

// Equal for weights of equal elements, whoever owns them. The default: not known.
struct WeightId {
  uint64_t low = 0, high = 0;
  bool known() const { return (low | high) != 0; }
  bool operator==(const WeightId&) const = default;
  auto operator<=>(const WeightId&) const = default;
  // Of what `how` makes of these weights; not known where they are not.
  WeightId derived(std::string_view how) const;
};

using PackedBlock = AlignedBuffer<std::byte>;
using PackedPtr = std::shared_ptr<const PackedBlock>;

// What is done to weights as text: what it is called and the numbers that tell it from others.
std::string layout_name(std::string_view name, std::initializer_list<int64_t> numbers);

// Blocks by what they are made of and how. All functions may be called from several threads; blocks
// with different keys are made at the same time, one block is made once.
class WeightsCache {
 public:
  // Reserving: blocks get their size and nothing in them; weights are not read.
  explicit WeightsCache(bool reserving = false);
  WeightsCache(const WeightsCache&) = delete;
  WeightsCache& operator=(const WeightsCache&) = delete;

  // By content: about as long as reading the bytes takes. Where blocks are only reserved, large
  // weights are known by their address.
  WeightId identify(const void* data, int64_t bytes) const;
  WeightId identify(const Tensor& tensor) const { return identify(tensor.raw(), tensor.bytes()); }

  using PackFn = std::function<Status(std::byte* block)>;
  // The block of `bytes` bytes made of weights `id` in `layout`: the one somebody holds, else a new
  // one, which `pack` fills. It comes zeroed.
  Result<PackedPtr> find(const WeightId& id, std::string_view layout, int64_t bytes,
                         const PackFn& pack);

  int64_t packs() const { return packs_.load(std::memory_order_relaxed); }  // blocks made so far
  int64_t bytes() const;  // of the blocks somebody holds

 private:
  struct Slot {
    std::mutex mutex;
    std::weak_ptr<const PackedBlock> block;
  };
  void sweep();

  const bool reserving_;
  const uint64_t seed_;  // of this process, so that nobody can prepare two constants of one id
  mutable std::mutex mutex_;
  std::map<WeightId, std::shared_ptr<Slot>> slots_;
  size_t sweep_at_ = 64;  // slots
  std::atomic<int64_t> packs_ = 0;
};

// The elements of a constant while they are read: afterwards those in a mapped file leave memory.
template <typename T>
std::shared_ptr<const T> read_once(const Tensor& t) {
  const std::span<const std::byte> bytes(t.raw(), static_cast<size_t>(t.bytes()));
  return {t.data<T>(), [bytes](const T*) { release_pages(bytes); }};
}

// Weights as a kernel is given them: elements in the order its make function asks for, read only
// when no packed block of them is there.
template <typename T>
class Weights {
 public:
  using Elements = std::shared_ptr<const T>;
  using ReadFn = std::function<Result<Elements>()>;

  // None: they come with each run.
  Weights(std::nullptr_t = nullptr) {}  // NOLINT(google-explicit-constructor)
  // Memory of the caller, which must live until the kernel is made. Nobody shares what is packed.
  Weights(const T* data) {  // NOLINT(google-explicit-constructor)
    if (data != nullptr) read_ = [data] { return Result<Elements>(Elements(Elements(), data)); };
  }
  Weights(WeightId id, ReadFn read) : id_(id), read_(std::move(read)) {}

  explicit operator bool() const { return read_ != nullptr; }
  const WeightId& id() const { return id_; }
  Result<Elements> read() const { return read_(); }

  // The `count` elements that `make(from, to)` makes of these; `how` must tell all that it does.
  template <typename F>
  Weights derived(std::string_view how, int64_t count, F make) const {
    return Weights(id_.derived(how), [read = read_, count, make]() -> Result<Elements> {
      MNN_ASSIGN_OR_RETURN(const Elements from, read());
      auto made = std::make_shared<AlignedBuffer<T>>(count);
      make(from.get(), made->data());
      return Elements(made, made->data());
    });
  }

 private:
  WeightId id_;
  ReadFn read_;
};

}  // namespace mnn
