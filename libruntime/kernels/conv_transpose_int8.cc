// Transposed int8 convolution by rows. One product per input row makes the exact sums of all taps
// of all output channels; an output row adds those it is made of, as int32, then goes through the
// epilogue. The input has no border, so its zero point is the same for every tap.
#include <algorithm>
#include <cstring>

#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/int8_plan.h"
#include "libruntime/kernels/isa.h"

namespace mnn {
namespace {

class ConvTransposeInt8 final : public Int8Kernel {
 public:
  ConvTransposeInt8(const ConvGeometry& g, const ConvQuant& quant, const Int8Epilogue& epilogue,
                    const KernelTable& table, int threads)
      : g_(g), table_(table), epilogue_(epilogue), zero_(quant.in.zero_point) {
    name_ = std::string("conv_transpose_int8_") + table.isa;
    taps_ = g.kh * g.kw * g.oc;
    k_ = ceil_div(g.ic, fours() ? 4 : 2);
    panels_ = split_columns(taps_, 1, 0, table.lanes, tiles().vectors);
    columns_ = padded_columns(panels_, table.lanes);
    dense_ = g.y_pixel_stride == g.oc;
    const int64_t rows = g.n * g.oh, row_macs = g.iw * g.ic * taps_;
    parts_ = split_work(rows * 6, 1, g.n * g.ih * row_macs / 2, threads).parts();
    // Input rows that meet in one output row.
    ring_ = ((g.kh - 1) * g.dilation_h) / g.stride_h + 1;
    ring_bytes_ = round_up(ring_ * g.iw * columns_ * 4, 64);
    // Registers may be read and tiles written beyond the end.
    sum_bytes_ = round_up(g.ow * g.oc * 4 + 64, 64);
    a_bytes_ = round_up(g.iw * k_ * 4, 64);
    pointer_bytes_ = round_up(g.iw * 8, 64);
    part_scratch_ = ring_bytes_ + sum_bytes_ + a_bytes_ + 2 * pointer_bytes_;
  }

  // Panels, then the sum of every column.
  Status pack(const Weights<int8_t>& weights, const float* bias, const ConvQuant& quant,
              WeightsCache* cache) {
    const int64_t cells = columns_ * k_;
    const auto pack = [&](int32_t* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
      pack_columns(elements.get(), packed, packed + cells);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(
        packed_, keep<int32_t>(cache, weights.id(),
                               layout_of(table_, fours() ? "int8 rows bytes" : "int8 rows words",
                                         {panels_.front().vectors, g_.ic, g_.oc, g_.kh * g_.kw}),
                               cells + columns_, pack));
    AlignedBuffer<int32_t> start(columns_);
    for (int64_t i = 0; fours() && i < columns_; ++i) start[i] = -packed_[cells + i] * zero_;
    MNN_ASSIGN_OR_RETURN(start_, keep(cache, start));
    const int64_t row = dense_ ? g_.ow * g_.oc : g_.oc;
    Int8Columns made(round_up(row, table_.lanes), epilogue_.y_per_channel);
    for (int64_t i = 0; i < row; ++i) made.set(i, quant, quant.in.scale, bias, i % g_.oc);
    return keep_columns(cache, made);
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = piece(g_.n * g_.oh, parts_, part);
    std::byte* at = args.scratch + part * part_scratch_;
    Scratch s;
    s.ring = reinterpret_cast<int32_t*>(at);
    s.sum = reinterpret_cast<int32_t*>(at += ring_bytes_);
    s.a = reinterpret_cast<uint8_t*>(at += sum_bytes_);
    s.pointers = reinterpret_cast<const uint8_t**>(at += a_bytes_);
    s.offsets = reinterpret_cast<int64_t*>(at + pointer_bytes_);
    for (int64_t i = 0; i < g_.iw; ++i) {
      s.pointers[i] = s.a + i * k_ * 4;
      s.offsets[i] = i * columns_;
    }
    int64_t image = -1, next = 0;  // the ring holds input rows [next - ring_, next) of the image
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t oy = r % g_.oh;
      const auto [first, end] = transposed_input_rows(g_, oy);
      if (r / g_.oh != image) next = 0;
      image = r / g_.oh;
      for (next = std::max(next, first); next < end; ++next)
        multiply(static_cast<const uint8_t*>(args.x) +
                     (image * g_.ih + next) * g_.iw * g_.x_pixel_stride,
                 s, s.ring + next % ring_ * g_.iw * columns_);
      std::memset(s.sum, 0, static_cast<size_t>(sum_bytes_));
      for (int64_t iy = first; iy < end; ++iy) {
        const int64_t down = oy + g_.pad_top - iy * g_.stride_h;
        if (down % g_.dilation_h != 0) continue;
        add_row(s.ring + iy % ring_ * g_.iw * columns_ + down / g_.dilation_h * g_.kw * g_.oc,
                s.sum);
      }
      finish(s.sum, r * g_.ow * g_.y_pixel_stride, args);
    }
  }

 private:
  struct Scratch {
    int32_t* ring;  // sums of input rows: [ring_][iw][columns_]
    int32_t* sum;   // of an output row
    uint8_t* a;     // an input row in groups
    const uint8_t** pointers;
    int64_t* offsets;
  };

  bool fours() const { return !table_.pairs_saturate; }
  const Int8Tiles& tiles() const { return fours() ? table_.bytes_int8 : table_.words_int8; }

  // Columns are kernel row, kernel column, output channel.
  void pack_columns(const int8_t* weights, int32_t* packed, int32_t* sums) const {
    const int64_t area = g_.kh * g_.kw;
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      for (int64_t j = 0; j < p.width; ++j) {
        const int64_t tap = (p.n0 + j) / g_.oc, o = (p.n0 + j) % g_.oc;
        int32_t sum = 0;
        for (int64_t c = 0; c < g_.ic; ++c) {
          const int8_t w = weights[(c * g_.oc + o) * area + tap];
          sum += w;
          int32_t* cell = packed + p.column * k_ + c / (fours() ? 4 : 2) * nr + j;
          if (fours()) {
            reinterpret_cast<int8_t*>(cell)[c % 4] = w;
          } else {
            reinterpret_cast<int16_t*>(cell)[c % 2] = w;
          }
        }
        sums[p.column + j] = sum;
      }
    }
  }

  // The sums of all taps of one input row.
  void multiply(const uint8_t* x, const Scratch& s, int32_t* sums) const {
    for (int64_t i = 0; i < g_.iw; ++i, x += g_.x_pixel_stride) {
      uint8_t* row = s.a + i * k_ * 4;
      std::memset(row + (k_ - 1) * 4, 0, 4);
      if (fours()) {
        std::memcpy(row, x, static_cast<size_t>(g_.ic));
      } else {
        table_.widen_u8(x, zero_, reinterpret_cast<int16_t*>(row), g_.ic);
      }
    }
    TileInt8 t;
    t.taps = 1;
    t.k = k_;
    t.post = &epilogue_.post;
    for (const Panel& p : panels_) {
      t.w = packed_ + p.column * k_;
      t.start = start_ + p.column;
      t.sums = sums + p.column;
      t.n = p.width;
      const auto* tile = tiles().tile[p.vectors];
      for_tiles(g_.iw, tiles().rows[p.vectors], [&](int64_t first, int64_t count) {
        t.a = s.pointers + first;
        t.y_offset = s.offsets + first;
        tile[count](t);
      });
    }
  }

  // Adds one kernel row of every input pixel of a row to the output row.
  void add_row(const int32_t* taps, int32_t* sum) const {
    for (int64_t ix = 0; ix < g_.iw; ++ix, taps += columns_) {
      const int64_t ox = ix * g_.stride_w - g_.pad_left;
      if (g_.dilation_w == 1 && ox >= 0 && ox + g_.kw <= g_.ow) {
        table_.add_i32(taps, sum + ox * g_.oc, g_.kw * g_.oc);
        continue;
      }
      for (int64_t kx = 0; kx < g_.kw; ++kx) {
        const int64_t at = ox + kx * g_.dilation_w;
        if (at >= 0 && at < g_.ow) table_.add_i32(taps + kx * g_.oc, sum + at * g_.oc, g_.oc);
      }
    }
  }

  // One output row, as a single pixel of all its elements when they follow each other.
  void finish(const int32_t* sum, int64_t at, const KernelArgs& args) const {
    SumsInt8 f;
    f.sums = sum;
    f.rows = dense_ ? 1 : g_.ow;
    f.width = g_.oc;
    f.n = dense_ ? g_.ow * g_.oc : g_.oc;
    f.y_stride = g_.y_pixel_stride;
    f.scale = scale_;
    f.bias = bias_;
    f.y_inverse = y_inverse(0);
    f.y_zero = y_zero(0);
    f.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
    if (epilogue_.post.residual != ByteOrFloat::kNone)
      f.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
    f.post = &epilogue_.post;
    table_.finish_int8(f);
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Int8Epilogue epilogue_;
  int zero_;
  std::string name_;
  int64_t taps_ = 0, k_ = 0, columns_ = 0, ring_ = 1;  // k_: groups of input channels
  bool dense_ = false;
  int64_t ring_bytes_ = 0, sum_bytes_ = 0, a_bytes_ = 0, pointer_bytes_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  std::vector<Panel> panels_;
  // Scales and bias: of an output row, or of a pixel where rows have gaps.
  const int32_t *packed_ = nullptr, *start_ = nullptr;
};

}  // namespace

Result<MatrixKernelPtr> make_conv_transpose_int8(const ConvGeometry& geometry,
                                                 const Weights<int8_t>& weights, const float* bias,
                                                 const ConvQuant& quant, const Epilogue& epilogue,
                                                 const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, check_geometry(geometry, 4));
  if (const auto why = why_not_int8(g, true)) return unsupported(*why);
  MNN_ASSIGN_OR_RETURN(const Int8Epilogue e,
                       plan_int8(g, bias, quant, epilogue, g.ic * g.kh * g.kw));
  auto kernel = std::make_unique<ConvTransposeInt8>(g, quant, e, *table, options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, quant, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
