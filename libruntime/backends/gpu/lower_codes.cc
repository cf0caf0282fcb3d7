#include "libruntime/backends/gpu/lower_codes.h"

#include <algorithm>

#include "libruntime/core/quant.h"
#include "libruntime/kernels/code_panels.h"

namespace mnn::gpu {
namespace {

int64_t words_of_codes(int64_t codes, int bits) { return (codes * bits + 31) / 32; }

bool has_offset(const Value& value) { return value.quant && value.quant->offset.defined(); }

}  // namespace

uint32_t half_bits(float x) {
  const uint32_t bits = word(x), sign = bits >> 16 & 0x8000;
  const float size = std::fabs(x);
  if (!(size < 65520.0f)) return sign | 0x7bff;  // infinities and NaN are no weights
  // Below 2^-14 halves are multiples of 2^-24.
  if (size < 6.103515625e-5f) {
    return sign | static_cast<uint32_t>(std::nearbyint(size * 16777216.0f));
  }
  const uint32_t rest = bits & 0x7fffffff;
  return sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13;
}

int code_bits(const Value& value) {
  if (value.kind != ValueKind::kConstant || !value.quant) return 0;
  const QuantParams& q = *value.quant;
  const StorageType* row = find_storage(q.storage);
  if (row == nullptr || !row->integer || row->bits > 8 || q.codebook.defined() || q.rotation) {
    return 0;
  }
  return row->bits <= 2 ? 2 : row->bits <= 4 ? 4 : 8;
}

std::optional<MatrixCodes> matrix_codes(Lowering& l, ValueId v, bool turned, float alpha) {
  const Value& value = l.graph().value(v);
  const Dims dims = l.dims(v);
  const int64_t k = dims[turned ? 1 : 0], n = dims[turned ? 0 : 1], o8 = (n + 7) / 8;
  MatrixCodes codes;
  codes.bits = code_bits(value);
  if (codes.bits > 0 && takes_codes(*value.quant, dims, turned)) {
    const QuantParams& q = *value.quant;
    codes.group = q.group > 0 ? q.group : k;
    codes.parts = (k + codes.group - 1) / codes.group;
    codes.offset = has_offset(value);
    codes.scales = l.weights(
        make_scales(q, codes.parts, o8 * 8, alpha, [&](int64_t part, int64_t c) -> int64_t {
          if (c >= n) return -1;
          if (q.axis < 0) return 0;
          if (q.group == 0) return c;
          return turned ? c * codes.parts + part : part * n + c;
        }));
  } else if (l.halves()) {
    codes.bits = 16;
    codes.group = k;
  } else {
    return std::nullopt;
  }
  const int bits = codes.bits;
  codes.words =
      l.weights_of(v, layout_name("matrix codes", {turned, bits, std::bit_cast<int32_t>(alpha)}),
                   words_of_codes(k * o8 * 8, bits), [=](const Value& from, uint32_t* words) {
                     return pack_codes(from, bits, alpha, words, [=](int64_t i) {
                       return turned ? i % k * o8 * 8 + i / k : i / n * o8 * 8 + i % n;
                     });
                   });
  return codes;
}

std::optional<ConvCodes> conv_codes(Lowering& l, ValueId v, int64_t groups, int64_t taps) {
  const Value& value = l.graph().value(v);
  const Dims dims = l.dims(v);
  const int64_t oc = dims[0] / groups, ic = dims[1], o = (oc + 7) / 8 * 8;
  ConvCodes codes;
  codes.bits = code_bits(value);
  const bool per_output =
      codes.bits > 0 && (value.quant->axis < 0 || (value.quant->axis == 0 && !value.quant->group));
  const bool per_inputs = codes.bits > 0 && value.quant->axis == 1 && value.quant->group > 0;
  if (per_output || per_inputs) {
    const QuantParams& q = *value.quant;
    codes.offset = has_offset(value);
    codes.group = per_inputs ? q.group : 0;
    const int64_t pieces = per_inputs ? (ic + q.group - 1) / q.group : 1;
    codes.parts = per_inputs ? groups * taps * pieces : groups;
    codes.scales =
        l.weights(make_scales(q, codes.parts, o, 1.0f, [&](int64_t part, int64_t c) -> int64_t {
          const int64_t g = per_inputs ? part / pieces / taps : part;
          if (c >= oc) return -1;
          if (q.axis < 0) return 0;
          const int64_t output = g * oc + c;
          if (!per_inputs) return output;
          return (output * pieces + part % pieces) * taps + part / pieces % taps;
        }));
  } else if (l.halves()) {
    codes.bits = 16;
  } else {
    return std::nullopt;
  }
  const int bits = codes.bits;
  codes.words = l.weights_of(
      v, layout_name("conv codes", {groups, bits}), words_of_codes(groups * taps * ic * o, bits),
      [=](const Value& from, uint32_t* words) {
        return pack_codes(from, bits, 1.0f, words, [=](int64_t i) {
          const int64_t tap = i % taps, c = i / taps % ic, output = i / taps / ic;
          return ((output / oc * taps + tap) * ic + c) * o + output % oc;
        });
      });
  return codes;
}

std::optional<DeviceCodes> channel_codes(Lowering& l, ValueId v) {
  const Value& value = l.graph().value(v);
  DeviceCodes codes;
  codes.bits = code_bits(value);
  if (codes.bits == 0 || value.quant->group > 0 || value.quant->axis > 0) return std::nullopt;
  const QuantParams& q = *value.quant;
  codes.offset = has_offset(value);
  codes.scales = l.weights(make_scales(q, l.dims(v)[0], 1, 1.0f, [&](int64_t part, int64_t) {
    return q.axis < 0 ? int64_t{0} : part;
  }));
  const int bits = codes.bits;
  codes.words =
      l.weights_of(v, layout_name("codes", {bits}), words_of_codes(product(l.dims(v)), bits),
                   [=](const Value& from, uint32_t* words) {
                     return pack_codes(from, bits, 1.0f, words, [](int64_t i) { return i; });
                   });
  return codes;
}

std::optional<TableCodes> table_codes(Lowering& l, ValueId v) {
  const Value& value = l.graph().value(v);
  const Dims dims = l.dims(v);
  TableCodes codes;
  codes.bits = code_bits(value);
  if (codes.bits == 0 || dims.size() < 2) return std::nullopt;
  const QuantParams& q = *value.quant;
  const int64_t inner = product(std::span(dims).subspan(1));
  if (q.axis < 0 || (q.axis == 0 && q.group == 0)) {
    codes.per_row = q.axis < 0 ? 0 : 1;
    codes.group = inner;
  } else if (q.axis == 1 && q.group > 0 && dims.size() == 2) {
    codes.per_row = (inner + q.group - 1) / q.group;
    codes.group = q.group;
  } else {
    return std::nullopt;
  }
  codes.offset = has_offset(value);
  codes.scales = l.weights(make_scales(q, std::max<int64_t>(1, codes.per_row * dims[0]), 1, 1.0f,
                                       [](int64_t part, int64_t) { return part; }));
  const int bits = codes.bits;
  codes.words =
      l.weights_of(v, layout_name("codes", {bits}), words_of_codes(product(dims), bits),
                   [=](const Value& from, uint32_t* words) {
                     return pack_codes(from, bits, 1.0f, words, [](int64_t i) { return i; });
                   });
  return codes;
}

}  // namespace mnn::gpu
