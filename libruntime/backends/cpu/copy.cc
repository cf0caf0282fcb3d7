#include "libruntime/backends/cpu/copy.h"

#include <algorithm>
#include <cstring>

#include "libruntime/backends/cpu/lowering.h"

namespace mnn::cpu {
namespace {

constexpr int64_t kPlanePixels = 512;

template <typename T>
void copy_elements(const std::byte* from, std::byte* to, int64_t n, int64_t from_step,
                   int64_t to_step) {
  const T* x = reinterpret_cast<const T*>(from);
  T* y = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) y[i * to_step] = x[i * from_step];
}

}  // namespace

StridedCopy::StridedCopy(const Array& from, const Array& to, const VectorKernels& kernels)
    : bytes_(to.item_bytes()), transpose_(kernels.transpose) {
  const Dims strides[] = {to.strides, from.strides};
  Loops loops = make_loops(to.dims, order_of(to), strides);
  to_strides_ = std::move(loops.strides[0]);
  from_strides_ = std::move(loops.strides[1]);
  extents_ = std::move(loops.extents);

  auto take_loop = [&](size_t i, int64_t& extent, int64_t& from_step, int64_t& to_step) {
    const auto at = static_cast<long>(i);
    extent = extents_[i];
    from_step = from_strides_[i];
    to_step = to_strides_[i];
    extents_.erase(extents_.begin() + at);
    from_strides_.erase(from_strides_.begin() + at);
    to_strides_.erase(to_strides_.begin() + at);
  };
  const size_t last = extents_.size() - 1;
  if (to_strides_[last] == 1 && from_strides_[last] == 1) {
    kind_ = Kind::kRuns;
    take_loop(last, length_, from_step_, to_step_);
    grain_ = std::max<int64_t>(int64_t{1}, 65536 / bytes_);
  } else {
    size_t inner = last;  // the loop whose elements are neighbours in `from`
    for (size_t i = 0; i < last; ++i) {
      if (from_strides_[i] == 1) inner = i;
    }
    if (to_strides_[last] == 1 && inner != last) {
      kind_ = Kind::kTranspose;
      int64_t unit = 1;
      take_loop(last, width_, from_step_, unit);
      take_loop(inner, length_, unit, to_step_);
      grain_ = 64;
    } else {
      kind_ = Kind::kElements;
      take_loop(last, length_, from_step_, to_step_);
      grain_ = 4096;
    }
  }
  outer_ = product(extents_);
}

void StridedCopy::run_item(const std::byte* from, std::byte* to, int64_t begin, int64_t end) const {
  const int64_t n = end - begin;
  switch (kind_) {
    case Kind::kRuns:
      std::memcpy(to + begin * bytes_, from + begin * bytes_, static_cast<size_t>(n * bytes_));
      return;
    case Kind::kTranspose:
      transpose_(from + begin * bytes_, to + begin * to_step_ * bytes_, width_, n, from_step_,
                 to_step_, bytes_);
      return;
    case Kind::kElements: break;
  }
  from += begin * from_step_ * bytes_;
  to += begin * to_step_ * bytes_;
  switch (bytes_) {
    case 1: return copy_elements<uint8_t>(from, to, n, from_step_, to_step_);
    case 2: return copy_elements<uint16_t>(from, to, n, from_step_, to_step_);
    case 4: return copy_elements<uint32_t>(from, to, n, from_step_, to_step_);
    default: return copy_elements<uint64_t>(from, to, n, from_step_, to_step_);
  }
}

void StridedCopy::run(const std::byte* from, std::byte* to, int part, int parts) const {
  const int64_t pieces = (length_ + grain_ - 1) / grain_;
  const Range range = part_of(outer_ * pieces, part, parts);
  if (range.begin >= range.end) return;
  // The odometer of the outer loops.
  int64_t at[16];
  int64_t rest = range.begin / pieces, from_at = 0, to_at = 0;
  const auto depth = static_cast<int>(extents_.size());
  for (int d = depth; d-- > 0;) {
    const auto i = static_cast<size_t>(d);
    at[d] = rest % extents_[i];
    rest /= extents_[i];
    from_at += at[d] * from_strides_[i];
    to_at += at[d] * to_strides_[i];
  }
  int64_t piece = range.begin % pieces;
  for (int64_t item = range.begin; item < range.end; ++item) {
    const int64_t begin = piece * grain_;
    run_item(from + from_at * bytes_, to + to_at * bytes_, begin,
             std::min(begin + grain_, length_));
    if (++piece < pieces) continue;
    piece = 0;
    for (int d = depth; d-- > 0;) {
      const auto i = static_cast<size_t>(d);
      from_at += from_strides_[i];
      to_at += to_strides_[i];
      if (++at[d] < extents_[i]) break;
      from_at -= extents_[i] * from_strides_[i];
      to_at -= extents_[i] * to_strides_[i];
      at[d] = 0;
    }
  }
}

void Lowering::copy_into(const Array& from, const Array& to) {
  auto plan = std::make_shared<const StridedCopy>(from, to, kernels_);
  const Array in[] = {from}, out[] = {to};
  const int64_t work = to.bytes() / 8 * (plan->plain() ? 1 : 4);
  Step& step = add_step(plan->plain() ? "copy" : "reorder", in, out, work, nullptr);
  step.run = [plan, from, to, parts = step.parts](const Run& run, int, int part) {
    plan->run(run.bytes(from), run.bytes(to), part, parts);
  };
}

Result<Array> Lowering::copy(const Array& a, const Order& order) {
  if (plan_.storages[static_cast<size_t>(a.storage)].place == Place::kConstant) {
    // Constants are moved now.
    MNN_ASSIGN_OR_RETURN(Tensor moved, Tensor::allocate(a.dtype, a.dims));
    const Tensor& from = plan_.storages[static_cast<size_t>(a.storage)].constant;
    Array to = a;
    to.offset = 0;
    to.strides = dense_strides(a.dims, order);
    const StridedCopy plan(a, to, kernels_);
    plan.run(from.raw() + a.offset * a.item_bytes(), moved.raw(), 0, 1);
    plan_.moved.push_back(moved);
    to.storage = constant_array(std::move(moved)).storage;
    return to;
  }
  const Array to = allocate(a.dtype, a.dims, order, a.grid);
  copy_into(a, to);
  return to;
}

Result<Array> Lowering::dequantize(const Array& a) {
  Array from = a;
  if (!is_dense(a)) {
    MNN_ASSIGN_OR_RETURN(from, copy(a, order_of(a)));
  }
  Array to = allocate(DType::kF32, a.dims, order_of(from));
  const int64_t n = from.elements();
  const Array in[] = {from}, out[] = {to};
  Step& step = add_step("dequantize", in, out, n / 8, nullptr);
  step.run = [from, to, n, parts = step.parts, k = &kernels_](const Run& run, int, int part) {
    const Range r = part_of(n, part, parts, 64);
    k->from_u8(run.data<uint8_t>(from) + r.begin, run.data<float>(to) + r.begin, r.end - r.begin,
               from.grid->scale, from.grid->zero);
  };
  return to;
}

Array Lowering::quantize_planes(const Array& a, const Grid& grid) {
  const Array to = allocate(DType::kU8, a.dims, channels_last(a.rank()), grid);
  const int64_t channels = a.dims[1], pixels = a.elements() / a.dims[0] / channels;
  const Array in[] = {a}, out[] = {to};
  Step& step = add_step("quantize_planes", in, out, a.elements() / 4, nullptr);
  step.run = [from = a, to, channels, pixels, images = a.dims[0], parts = step.parts,
              k = &kernels_](const Run& run, int, int part) {
    // Some pixels at a time, so that their bytes are still in the first cache level.
    uint8_t planes[kPlanePixels * kMostPlanes];
    const Range r = part_of(images * pixels, part, parts, kPlanePixels);
    for (int64_t at = r.begin; at < r.end;) {
      const int64_t image = at / pixels, pixel = at % pixels;
      const int64_t n = std::min({kPlanePixels, pixels - pixel, r.end - at});
      const float* x = run.data<float>(from) + image * channels * pixels + pixel;
      for (int64_t c = 0; c < channels; ++c)
        k->to_u8(x + c * pixels, planes + c * kPlanePixels, n, to.grid->scale, to.grid->zero);
      k->transpose(planes, run.data<uint8_t>(to) + at * channels, channels, n, kPlanePixels,
                   channels, 1);
      at += n;
    }
  };
  return to;
}

Result<Array> Lowering::quantize(const Array& a, const Grid& grid) {
  Array from = a;
  if (!is_dense(a)) {
    MNN_ASSIGN_OR_RETURN(from, copy(a, order_of(a)));
  }
  Array to = allocate(DType::kU8, a.dims, order_of(from), grid);
  const int64_t n = from.elements();
  const Array in[] = {from}, out[] = {to};
  Step& step = add_step("quantize", in, out, n / 4, nullptr);
  step.run = [from, to, n, parts = step.parts, k = &kernels_](const Run& run, int, int part) {
    const Range r = part_of(n, part, parts, 64);
    k->to_u8(run.data<float>(from) + r.begin, run.data<uint8_t>(to) + r.begin, r.end - r.begin,
             to.grid->scale, to.grid->zero);
  };
  return to;
}

namespace {

// A grid per element of a pixel, as the kernels read them.
struct PixelGrids {
  std::vector<float> scales, zeros;
  explicit PixelGrids(const ChannelGrid& grid)
      : scales(grid.scales), zeros(grid.zeros.begin(), grid.zeros.end()) {}
};

}  // namespace

void Lowering::quantize_channels(ValueId v, const Array& a) {
  const Order order = channels_last(a.rank());
  Array from = a;
  if (!is_dense(a, order)) {
    from = allocate(a.dtype, a.dims, order);
    copy_into(a, from);
  }
  const Array to = allocate(DType::kU8, a.dims, order);
  const int64_t channels = a.dims[1], pixels = a.elements() / channels;
  const auto grids = std::make_shared<const PixelGrids>(*channel_grid(v));
  const Array in[] = {from}, out[] = {to};
  Step& step = add_step("quantize_channels", in, out, a.elements() / 4, nullptr);
  step.run = [from, to, channels, pixels, grids, parts = step.parts, k = &kernels_](const Run& run,
                                                                                    int, int part) {
    const Range r = part_of(pixels, part, parts);
    for (int64_t p = r.begin; p < r.end; ++p) {
      k->to_u8_row(run.data<float>(from) + p * channels, run.data<uint8_t>(to) + p * channels,
                   channels, grids->scales.data(), grids->zeros.data());
    }
  };
  define_channel_bytes(v, to);
}

Array Lowering::dequantize_channels(ValueId v) {
  const Array from = *channel_bytes(v);
  const Array to = allocate(DType::kF32, from.dims, channels_last(from.rank()));
  const int64_t channels = from.dims[1], pixels = from.elements() / channels;
  const auto grids = std::make_shared<const PixelGrids>(*channel_grid(v));
  const Array in[] = {from}, out[] = {to};
  Step& step = add_step("dequantize_channels", in, out, from.elements() / 8, nullptr);
  step.run = [from, to, channels, pixels, grids, parts = step.parts, k = &kernels_](const Run& run,
                                                                                    int, int part) {
    const Range r = part_of(pixels, part, parts);
    for (int64_t p = r.begin; p < r.end; ++p) {
      k->from_u8_row(run.data<uint8_t>(from) + p * channels, run.data<float>(to) + p * channels,
                     channels, grids->scales.data(), grids->zeros.data());
    }
  };
  return to;
}

Result<Array> Lowering::map_bytes(std::string kernel, const Array& a, Tensor table, DType dtype,
                                  const std::optional<Grid>& grid) {
  Array from = a;
  if (!is_dense(a)) {
    MNN_ASSIGN_OR_RETURN(from, copy(a, order_of(a)));
  }
  const Array entries = constant_array(std::move(table));
  const Array to = allocate(dtype, a.dims, order_of(from), grid);
  const int64_t n = from.elements();
  const Array in[] = {from, entries}, out[] = {to};
  Step& step = add_step(std::move(kernel), in, out, n / 2, nullptr);
  step.run = [from, to, entries, n, parts = step.parts, k = &kernels_](const Run& run, int,
                                                                       int part) {
    const Range r = part_of(n, part, parts, 64);
    k->lookup(run.data<uint8_t>(from) + r.begin, run.data<uint8_t>(to) + r.begin, r.end - r.begin,
              run.data<uint8_t>(entries));
  };
  return to;
}

Result<Array> Lowering::turn_top_bit(std::string kernel, const Array& a, DType dtype,
                                     const std::optional<Grid>& grid) {
  Array from = a;
  if (!is_dense(a)) {
    MNN_ASSIGN_OR_RETURN(from, copy(a, order_of(a)));
  }
  const Array to = allocate(dtype, a.dims, order_of(from), grid);
  const Array in[] = {from}, out[] = {to};
  Step& step = add_step(std::move(kernel), in, out, from.elements() / 16, nullptr);
  step.run = [from, to, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(from.elements(), part, parts, 64);
    const uint8_t* x = run.data<uint8_t>(from);
    uint8_t* y = run.data<uint8_t>(to);
    int64_t i = r.begin;
    for (; i + 8 <= r.end; i += 8) {
      uint64_t word;
      std::memcpy(&word, x + i, 8);
      word ^= 0x8080808080808080;
      std::memcpy(y + i, &word, 8);
    }
    for (; i < r.end; ++i) y[i] = x[i] ^ 0x80;
  };
  return to;
}

Result<Array> Lowering::requantize(const Array& a, const Grid& grid) {
  MNN_ASSIGN_OR_RETURN(Tensor numbers, Tensor::allocate(DType::kU8, {256}));
  float reals[256];
  for (int i = 0; i < 256; ++i) numbers.data<uint8_t>()[i] = static_cast<uint8_t>(i);
  kernels_.from_u8(numbers.data<uint8_t>(), reals, 256, a.grid->scale, a.grid->zero);
  kernels_.to_u8(reals, numbers.data<uint8_t>(), 256, grid.scale, grid.zero);
  return map_bytes("requantize", a, std::move(numbers), DType::kU8, grid);
}

Result<Array> Lowering::on_grid(ValueId v, const std::optional<Grid>& grid) {
  if (!grid) return real(v);
  const Array a = stored(v);
  if (!a.grid) return quantize(a, *grid);
  return *a.grid == *grid ? Result<Array>(a) : requantize(a, *grid);
}

}  // namespace mnn::cpu
