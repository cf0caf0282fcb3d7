// Running expressions.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "libruntime/backends/cpu/element.h"

namespace mnn::cpu {
namespace {

constexpr int kMaxDepth = 8;

template <typename T>
void read_numbers(const T* x, int64_t step, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i * step]);
}

template <typename T>
void write_floats(const float* x, T* y, int64_t step, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i * step] = T(x[i]);
}

// Truncates; what does not fit becomes the nearest number, NaN zero.
template <typename T>
void write_numbers(const float* x, T* y, int64_t step, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const auto v = static_cast<double>(x[i]);
    T r = 0;
    if (v >= static_cast<double>(std::numeric_limits<T>::max())) {
      r = std::numeric_limits<T>::max();
    } else if (v <= static_cast<double>(std::numeric_limits<T>::min())) {
      r = std::numeric_limits<T>::min();
    } else if (v == v) {
      r = static_cast<T>(v);
    }
    y[i * step] = r;
  }
}

}  // namespace

ExpressionLoop::ExpressionLoop(BoundExpression expression, Array out, const VectorKernels& kernels)
    : expression_(std::move(expression)), out_(std::move(out)), kernels_(kernels) {
  const auto count = static_cast<int>(expression_.sources.size());
  assert(expression_.registers <= kMaxRegisters && !expression_.ops.empty());
  std::vector<Dims> strides = {out_.strides};
  for (const Array& a : expression_.sources) strides.push_back(a.strides);
  const Loops loops = make_loops(out_.dims, order_of(out_), strides);
  const size_t depth = loops.extents.size();
  const size_t last = depth - 1;
  cols_ = loops.extents[last];
  const bool two = depth >= 2 && cols_ < kTile / 2;
  rows_ = two ? loops.extents[last - 1] : 1;
  tile_cols_ = std::min(cols_, kTile);
  tile_rows_ = std::min(rows_, std::max<int64_t>(1, kTile / tile_cols_));
  const size_t outer = two ? last - 1 : last;
  outer_.assign(loops.extents.begin(), loops.extents.begin() + static_cast<long>(outer));
  assert(outer_.size() <= kMaxDepth);
  auto outer_strides = [&](const Dims& s) {
    return Dims(s.begin(), s.begin() + static_cast<long>(outer));
  };
  out_outer_ = outer_strides(loops.strides[0]);
  out_step_ = loops.strides[0][last];
  out_row_step_ = two ? loops.strides[0][last - 1] : 0;
  for (int i = 0; i < count; ++i) {
    const Dims& s = loops.strides[static_cast<size_t>(i) + 1];
    Source source;
    source.step = s[last];
    source.row_step = two ? s[last - 1] : 0;
    source.outer = outer_strides(s);
    const bool flat = source.step == 1 && (tile_rows_ == 1 || source.row_step == cols_);
    source.read = flat ? Read::kDirect : Read::kRows;
    const Array& a = expression_.sources[static_cast<size_t>(i)];
    if (!flat || a.dtype != DType::kF32) source.slot = static_cast<int>(slots_++);
    sources_.push_back(std::move(source));
  }
  // Temporaries share slots: one is free again after the last operator that reads it.
  slot_of_.assign(static_cast<size_t>(expression_.registers), -1);
  std::vector<size_t> last_read(slot_of_.size(), 0);
  for (size_t i = 0; i < expression_.ops.size(); ++i) {
    const Expression::Op& op = expression_.ops[i];
    for (const int r : {op.x, op.y, op.z}) last_read[static_cast<size_t>(r)] = i;
  }
  const bool flat_out =
      out_.dtype == DType::kF32 && out_step_ == 1 && (tile_rows_ == 1 || out_row_step_ == cols_);
  std::vector<int> free;
  for (size_t i = 0; i < expression_.ops.size(); ++i) {
    const Expression::Op& op = expression_.ops[i];
    if (i + 1 == expression_.ops.size() && flat_out) break;
    for (const int r : {op.x, op.y, op.z}) {
      const auto at = static_cast<size_t>(r);
      if (r < count || slot_of_[at] < 0 || last_read[at] != i) continue;
      if (std::find(free.begin(), free.end(), slot_of_[at]) == free.end()) {
        free.push_back(slot_of_[at]);
      }
    }
    int slot = static_cast<int>(slots_);
    if (free.empty()) {
      ++slots_;
    } else {
      slot = free.back();
      free.pop_back();
    }
    slot_of_[static_cast<size_t>(op.out)] = slot;
    if (i + 1 == expression_.ops.size()) result_slot_ = slot;
  }
}

int64_t ExpressionLoop::work() const {
  return out_.elements() / 4 * static_cast<int64_t>(expression_.ops.size() + 1);
}

const float* ExpressionLoop::fetch(const Run& run, size_t source, int64_t at, int64_t rows,
                                   int64_t cols, float* scratch) const {
  const Array& a = expression_.sources[source];
  const Source& s = sources_[source];
  if (s.slot < 0) return run.data<float>(a) + at;
  float* y = scratch + s.slot * kTile;
  const bool direct = s.read == Read::kDirect;
  const int64_t pieces = direct ? 1 : rows, n = direct ? rows * cols : cols;
  for (int64_t r = 0; r < pieces; ++r, y += n, at += s.row_step) {
    if (s.step == 0 && a.dtype == DType::kF32) {
      kernels_.fill(y, run.data<float>(a)[at], n);
      continue;
    }
    if (s.step == 1) {
      switch (a.dtype) {
        case DType::kF32:
          std::memcpy(y, run.data<float>(a) + at, static_cast<size_t>(n) * sizeof(float));
          continue;
        case DType::kU8:
          if (!a.grid) break;
          kernels_.from_u8(run.data<uint8_t>(a) + at, y, n, a.grid->scale, a.grid->zero);
          continue;
        case DType::kBool: kernels_.from_bool(run.data<uint8_t>(a) + at, y, n); continue;
        case DType::kF16: kernels_.from_f16(run.data<uint16_t>(a) + at, y, n); continue;
        case DType::kBF16: kernels_.from_bf16(run.data<uint16_t>(a) + at, y, n); continue;
        default: break;
      }
    }
    switch (a.dtype) {
      case DType::kF32: read_numbers(run.data<float>(a) + at, s.step, y, n); break;
      case DType::kBool:
      case DType::kU8:
        read_numbers(run.data<uint8_t>(a) + at, s.step, y, n);
        if (a.grid) {
          for (int64_t i = 0; i < n; ++i) {
            y[i] = (y[i] - static_cast<float>(a.grid->zero)) * a.grid->scale;
          }
        }
        break;
      case DType::kF16: read_numbers(run.data<Half>(a) + at, s.step, y, n); break;
      case DType::kBF16: read_numbers(run.data<BFloat16>(a) + at, s.step, y, n); break;
      case DType::kI32: read_numbers(run.data<int32_t>(a) + at, s.step, y, n); break;
      default: read_numbers(run.data<int64_t>(a) + at, s.step, y, n); break;
    }
  }
  return scratch + s.slot * kTile;
}

void ExpressionLoop::compute(const float** registers, float* scratch, float* result,
                             int64_t n) const {
  const size_t count = expression_.ops.size();
  for (size_t i = 0; i < count; ++i) {
    const Expression::Op& op = expression_.ops[i];
    float* y = i + 1 == count && result != nullptr
                   ? result
                   : scratch + slot_of_[static_cast<size_t>(op.out)] * kTile;
    run_op(kernels_, op, registers[op.x], registers[op.y], registers[op.z], y, n);
    registers[op.out] = y;
  }
}

void ExpressionLoop::put(const Run& run, int64_t at, int64_t rows, int64_t cols,
                         const float* values) const {
  const bool flat = out_step_ == 1 && (rows == 1 || out_row_step_ == cols);
  const int64_t pieces = flat ? 1 : rows, n = flat ? rows * cols : cols;
  for (int64_t r = 0; r < pieces; ++r, values += n, at += out_row_step_) {
    switch (out_.dtype) {
      case DType::kF32:
        if (out_step_ == 1) {
          std::memcpy(run.data<float>(out_) + at, values, static_cast<size_t>(n) * sizeof(float));
        } else {
          write_floats(values, run.data<float>(out_) + at, out_step_, n);
        }
        break;
      case DType::kF16:
        if (out_step_ == 1) {
          kernels_.to_f16(values, run.data<uint16_t>(out_) + at, n);
        } else {
          write_floats(values, run.data<Half>(out_) + at, out_step_, n);
        }
        break;
      case DType::kBF16:
        if (out_step_ == 1) {
          kernels_.to_bf16(values, run.data<uint16_t>(out_) + at, n);
        } else {
          write_floats(values, run.data<BFloat16>(out_) + at, out_step_, n);
        }
        break;
      case DType::kU8:
        kernels_.to_u8(values, run.data<uint8_t>(out_) + at, n, out_.grid->scale, out_.grid->zero);
        break;
      case DType::kBool: kernels_.to_bool(values, run.data<uint8_t>(out_) + at, n); break;
      case DType::kI32: write_numbers(values, run.data<int32_t>(out_) + at, out_step_, n); break;
      default: write_numbers(values, run.data<int64_t>(out_) + at, out_step_, n); break;
    }
  }
}

void ExpressionLoop::run(const Run& run, float* scratch, int part, int parts) const {
  const int64_t row_tiles = (rows_ + tile_rows_ - 1) / tile_rows_;
  const int64_t col_tiles = (cols_ + tile_cols_ - 1) / tile_cols_;
  const Range range = part_of(product(outer_) * row_tiles * col_tiles, part, parts);
  const float* registers[kMaxRegisters];
  // What a source's slot holds, to fill it once where tiles repeat.
  int64_t held_at[kMaxRegisters], held_rows[kMaxRegisters];
  const size_t count = sources_.size();
  for (size_t s = 0; s < count; ++s) held_at[s] = held_rows[s] = -1;
  for (int64_t item = range.begin; item < range.end; ++item) {
    const int64_t col = item % col_tiles * tile_cols_;
    const int64_t row = item / col_tiles % row_tiles * tile_rows_;
    const int64_t cols = std::min(tile_cols_, cols_ - col),
                  rows = std::min(tile_rows_, rows_ - row);
    int64_t at[kMaxDepth];
    int64_t rest = item / col_tiles / row_tiles;
    for (size_t d = outer_.size(); d-- > 0;) {
      at[d] = rest % outer_[d];
      rest /= outer_[d];
    }
    auto position = [&](const Dims& outer, int64_t row_step, int64_t step) {
      int64_t p = row * row_step + col * step;
      for (size_t d = 0; d < outer.size(); ++d) p += at[d] * outer[d];
      return p;
    };
    for (size_t s = 0; s < count; ++s) {
      const Source& source = sources_[s];
      const int64_t from = position(source.outer, source.row_step, source.step);
      if (source.slot >= 0 && held_at[s] == from && held_rows[s] >= rows && col_tiles == 1)
        continue;
      registers[s] = fetch(run, s, from, rows, cols, scratch);
      held_at[s] = from;
      held_rows[s] = rows;
    }
    const int64_t to = position(out_outer_, out_row_step_, out_step_);
    if (result_slot_ < 0) {
      compute(registers, scratch, run.data<float>(out_) + to, rows * cols);
      continue;
    }
    compute(registers, scratch, nullptr, rows * cols);
    put(run, to, rows, cols, scratch + result_slot_ * kTile);
  }
}

}  // namespace mnn::cpu
