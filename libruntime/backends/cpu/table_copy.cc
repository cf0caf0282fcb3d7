#include "libruntime/backends/cpu/table_copy.h"

#include <algorithm>
#include <cstring>

#include "libruntime/backends/cpu/plan.h"

namespace mnn::cpu {
namespace {

// Rows of more elements are not unrolled into pieces.
constexpr int64_t kMaxRow = 16384;

}  // namespace

TableCopy::TableCopy(const std::vector<Dims>& tables, const Array& to, uint64_t fill)
    : bytes_(to.item_bytes()), fill_(fill) {
  const Order order = order_of(to);
  size_t inner = order.size();
  std::vector<int64_t> places = {0};
  while (inner > 0) {
    const Dims& table = tables[static_cast<size_t>(order[inner - 1])];
    const auto n = static_cast<int64_t>(table.size());
    if (row_ > 1 && row_ * n > kMaxRow) break;
    std::vector<int64_t> wider;
    wider.reserve(places.size() * table.size());
    for (const int64_t base : table) {
      for (const int64_t p : places) {
        wider.push_back(base == kOutside || p == kOutside ? kOutside : base + p);
      }
    }
    places = std::move(wider);
    row_ *= n;
    --inner;
  }
  for (int64_t i = 0; i < row_; ++i) {
    const int64_t p = places[static_cast<size_t>(i)];
    if (!pieces_.empty()) {
      Piece& last = pieces_.back();
      const bool joins = p == kOutside ? last.from == kOutside
                                       : last.from != kOutside && last.from + last.length == p;
      if (joins) {
        ++last.length;
        continue;
      }
    }
    pieces_.push_back({i, p, 1});
  }
  for (size_t i = 0; i < inner; ++i) {
    outer_.push_back(tables[static_cast<size_t>(order[i])]);
    rows_ *= static_cast<int64_t>(outer_.back().size());
  }
}

void TableCopy::fill(std::byte* to, int64_t n) const {
  auto put = [&]<typename T>() {
    T value;
    std::memcpy(&value, &fill_, sizeof(T));
    std::fill_n(reinterpret_cast<T*>(to), n, value);
  };
  switch (bytes_) {
    case 1: return put.operator()<uint8_t>();
    case 2: return put.operator()<uint16_t>();
    case 4: return put.operator()<uint32_t>();
    default: return put.operator()<uint64_t>();
  }
}

void TableCopy::run(const std::byte* from, std::byte* to, int part, int parts) const {
  const Range range = part_of(rows_, part, parts);
  for (int64_t r = range.begin; r < range.end; ++r) {
    int64_t rest = r, base = 0;
    for (size_t d = outer_.size(); d-- > 0;) {
      const auto n = static_cast<int64_t>(outer_[d].size());
      const int64_t offset = outer_[d][static_cast<size_t>(rest % n)];
      rest /= n;
      base = base == kOutside || offset == kOutside ? kOutside : base + offset;
    }
    std::byte* row = to + r * row_ * bytes_;
    if (base == kOutside) {
      fill(row, row_);
      continue;
    }
    for (const Piece& p : pieces_) {
      if (p.from == kOutside) {
        fill(row + p.to * bytes_, p.length);
      } else if (p.length == 1 && bytes_ == 4) {
        std::memcpy(row + p.to * 4, from + (base + p.from) * 4, 4);
      } else {
        std::memcpy(row + p.to * bytes_, from + (base + p.from) * bytes_,
                    static_cast<size_t>(p.length * bytes_));
      }
    }
  }
}

}  // namespace mnn::cpu
