#include "libruntime/core/quant.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "libruntime/core/entry_reader.h"
#include "libruntime/core/half.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/ops/convert.h"

namespace mnn {
namespace {

// Calls f(element index, channel) for every element.
template <typename F>
void for_each_channel(const Tensor& t, size_t axis, F&& f) {
  int64_t inner = 1;
  for (size_t d = axis + 1; d < t.rank(); ++d) inner *= t.dims()[d];
  const int64_t channels = t.dims()[axis];
  for (int64_t i = 0; i < t.elements(); ++i) f(i, static_cast<size_t>(i / inner % channels));
}

constexpr int64_t kChunk = 1024;  // codes converted at once

bool same(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return identical(a, b);
}

int64_t parts(int64_t extent, int64_t part) { return extent / part + (extent % part != 0); }

// Element i of a tensor of the types that scales and zero points may have.
double number_at(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kF32: return static_cast<double>(t.data<float>()[i]);
    case DType::kF16: return static_cast<double>(static_cast<float>(t.data<Half>()[i]));
    case DType::kBF16: return static_cast<double>(static_cast<float>(t.data<BFloat16>()[i]));
    case DType::kF8E8M0: return small_float_value(t.dtype(), t.data<uint8_t>()[i]);
    default: break;
  }
  double value = 0;
  if (const StorageType* row = find_storage(t.dtype())) row->unpack(t.raw(), i, 1, &value);
  return value;
}

bool is_plain_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}
bool holds_factors(DType dtype, bool second_level) {
  if (is_plain_float(dtype) || dtype == DType::kF8E8M0 || dtype == DType::kF8E4M3FN) return true;
  const StorageType* row = find_storage(dtype);
  return second_level && row != nullptr && row->integer;
}

// Which entry each element has, and walks all elements in order.
class Layout {
 public:
  static Result<Layout> of(const QuantParams& p, const std::vector<int64_t>& dims) {
    MNN_RETURN_IF_ERROR(check_quant(p, tensor_type(DType::kF32, to_shape(dims))));
    Layout layout;
    const auto elements = checked_elements(dims);
    layout.elements_ = elements.value_or(0);
    if (p.axis < 0) {
      layout.inner_ = std::max<int64_t>(layout.elements_, 1);
      return layout;
    }
    const auto axis = static_cast<size_t>(p.axis);
    layout.extent_ = dims[axis];
    for (size_t d = axis + 1; d < dims.size(); ++d) layout.inner_ *= dims[d];
    layout.group_ = p.group;
    return layout;
  }

  // Calls f(first element, count, entry of each) for runs of at most kChunk elements in order.
  template <typename F>
  Status each_chunk(F&& f) const {
    int64_t entries[kChunk];
    int64_t outer = 0, k = 0, i = 0;
    const int64_t groups = group_ > 0 ? parts(extent_, group_) : 0;
    for (int64_t begin = 0; begin < elements_; begin += kChunk) {
      const int64_t count = std::min(kChunk, elements_ - begin);
      for (int64_t j = 0; j < count; ++j) {
        entries[j] = group_ > 0 ? (outer * groups + k / group_) * inner_ + i : k;
        if (++i < inner_) continue;
        i = 0;
        if (++k < extent_) continue;
        k = 0;
        ++outer;
      }
      MNN_RETURN_IF_ERROR(f(begin, count, static_cast<const int64_t*>(entries)));
    }
    return {};
  }

 private:
  int64_t elements_ = 0, extent_ = 1, inner_ = 1, group_ = 0;
};

// Whether codes are the numbers themselves.
bool is_unscaled(const QuantParams& p) {
  return p.axis < 0 && !p.zero_point.defined() && !p.offset.defined() && !p.super_scale.defined() &&
         !p.super_offset.defined() && !p.codebook.defined() && !p.rotation && p.scale_at(0) == 1;
}

size_t super_index(const QuantParams& p, int64_t entry) {
  if (p.super_group == 0) return 0;
  if (p.group == 0) return static_cast<size_t>(entry / p.super_group);
  // Entries along the axis are `inner` apart.
  const auto& dims = p.scale.dims();
  const auto axis = static_cast<size_t>(p.axis);
  int64_t inner = 1;
  for (size_t d = axis + 1; d < dims.size(); ++d) inner *= dims[d];
  const int64_t groups = dims[axis], supers = parts(groups, p.super_group);
  const int64_t i = entry % inner, k = entry / inner % groups, outer = entry / inner / groups;
  return static_cast<size_t>((outer * supers + k / p.super_group) * inner + i);
}

// The code of the entry of the codebook nearest to `value`, the first one of equals.
double nearest_code(const Tensor& codebook, double value) {
  const auto entries = codebook.span<float>();
  size_t best = 0;
  for (size_t i = 1; i < entries.size(); ++i) {
    if (std::fabs(static_cast<double>(entries[i]) - value) <
        std::fabs(static_cast<double>(entries[best]) - value)) {
      best = i;
    }
  }
  return static_cast<double>(best);
}

std::string short_number(double value) {
  char buffer[32];
  const auto r =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 5);
  return std::string(buffer, r.ptr);
}

}  // namespace

float QuantParams::scale_at(int64_t i) const {
  const auto own = static_cast<float>(number_at(scale, i));
  if (!super_scale.defined()) return own;
  return own *
         static_cast<float>(number_at(super_scale, static_cast<int64_t>(super_index(*this, i))));
}

float QuantParams::zero_point_at(int64_t i) const {
  return zero_point.defined() ? static_cast<float>(number_at(zero_point, i)) : 0.0f;
}

float QuantParams::offset_at(int64_t i) const {
  if (!offset.defined()) return 0.0f;
  const auto own = static_cast<float>(number_at(offset, i));
  if (!super_offset.defined()) return own;
  return own *
         static_cast<float>(number_at(super_offset, static_cast<int64_t>(super_index(*this, i))));
}

bool QuantParams::is_plain() const {
  const StorageType* row = find_storage(storage);
  return row != nullptr && row->integer && group == 0 && !offset.defined() &&
         !super_scale.defined() && !codebook.defined() && !rotation &&
         (!zero_point.defined() || !is_float(zero_point.dtype()));
}

bool operator==(const QuantParams& a, const QuantParams& b) {
  const bool rotated = a.rotation.has_value();
  return a.storage == b.storage && a.axis == b.axis && a.group == b.group &&
         a.super_group == b.super_group && same(a.scale, b.scale) &&
         same(a.zero_point, b.zero_point) && same(a.offset, b.offset) &&
         same(a.super_scale, b.super_scale) && same(a.super_offset, b.super_offset) &&
         same(a.codebook, b.codebook) && rotated == b.rotation.has_value() &&
         (!rotated ||
          (a.rotation->axis == b.rotation->axis && a.rotation->block == b.rotation->block &&
           same(a.rotation->signs, b.rotation->signs)));
}

QuantParams tensor_quant(DType storage, float scale, int32_t zero_point) {
  QuantParams p;
  p.storage = storage;
  p.scale = Tensor::scalar(scale);
  p.zero_point = Tensor::scalar(zero_point);
  return p;
}

QuantParams axis_quant(DType storage, int axis, std::span<const float> scales,
                       std::span<const int32_t> zero_points) {
  QuantParams p;
  p.storage = storage;
  p.axis = axis;
  const std::vector<int64_t> dims = {static_cast<int64_t>(scales.size())};
  p.scale = Tensor::of<float>(dims, scales);
  if (!zero_points.empty()) p.zero_point = Tensor::of<int32_t>(dims, zero_points);
  return p;
}

Status check_quant(const QuantParams& p, const Type& type) {
  const StorageType* row = find_storage(p.storage);
  if (row == nullptr) {
    return unsupported("quantized storage " + std::string(dtype_name(p.storage)));
  }
  const bool real =
      type.dtype == DType::kF32 || type.dtype == DType::kF16 || type.dtype == DType::kBF16;
  if (type.defined() && (type.kind != Type::Kind::kTensor || !real)) {
    return invalid("expected a quantized value of type f32, f16 or bf16, found " + type.str());
  }
  if (p.axis < -1 || p.group < 0 || p.super_group < 0) {
    return invalid("quantization axis " + std::to_string(p.axis) + ", group " +
                   std::to_string(p.group) + ", super group " + std::to_string(p.super_group) +
                   " make no sense");
  }
  if (p.axis < 0 && (p.group > 0 || p.super_group > 0)) {
    return invalid("quantization in groups needs an axis");
  }
  // Dims that scale must have; unknown ones match any.
  std::vector<std::optional<int64_t>> expected;
  if (p.axis >= 0 && p.group == 0) expected.resize(1);
  if (type.shape) {
    const Shape& shape = *type.shape;
    const auto axis = static_cast<size_t>(p.axis);
    if (p.axis >= 0 && axis >= shape.size()) {
      return invalid("quantization axis " + std::to_string(p.axis) + " does not fit " + type.str());
    }
    if (p.group > 0) expected.resize(shape.size());
    for (size_t d = 0; p.axis >= 0 && d < shape.size(); ++d) {
      if (!shape[d].known()) continue;
      const int64_t extent = shape[d].value();
      if (p.group == 0 && d == axis) expected[0] = extent;
      if (p.group == 0) continue;
      expected[d] = d == axis ? parts(extent, p.group) : extent;
    }
  } else if (p.group > 0) {
    expected.resize(p.scale.rank());
  }
  auto fits = [&](const Tensor& t, const std::vector<std::optional<int64_t>>& dims) {
    if (!t.is_tensor() || t.rank() != dims.size()) return false;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] && *dims[d] != t.dims()[d]) return false;
    }
    return true;
  };
  auto misfit = [&](const char* what, const Tensor& t) {
    return invalid("quantization " + std::string(what) + " of type " +
                   (t.defined() ? t.type_str() : "none") + " does not fit " + type.str() +
                   (p.axis < 0 ? "" : " along axis " + std::to_string(p.axis)) +
                   (p.group == 0 ? "" : " in groups of " + std::to_string(p.group)));
  };
  if (!p.scale.defined() || !fits(p.scale, expected) ||
      !holds_factors(p.scale.dtype(), p.super_scale.defined())) {
    return misfit("scale", p.scale);
  }
  const std::vector<int64_t>& dims = p.scale.dims();
  if (p.zero_point.defined()) {
    const StorageType* zero_row = find_storage(p.zero_point.dtype());
    if (p.zero_point.dims() != dims ||
        !(is_plain_float(p.zero_point.dtype()) || (zero_row != nullptr && zero_row->integer))) {
      return misfit("zero point", p.zero_point);
    }
  }
  if (p.offset.defined() &&
      (p.offset.dims() != dims || !holds_factors(p.offset.dtype(), p.super_offset.defined()))) {
    return misfit("offset", p.offset);
  }
  std::vector<std::optional<int64_t>> super_dims;
  if (p.super_group > 0) {
    super_dims.assign(dims.begin(), dims.end());
    auto& along = super_dims[p.group > 0 ? static_cast<size_t>(p.axis) : 0];
    along = parts(*along, p.super_group);
  }
  for (const Tensor* t : {&p.super_scale, &p.super_offset}) {
    if (!t->defined()) continue;
    if (!fits(*t, super_dims) || !is_plain_float(t->dtype())) return misfit("second level", *t);
  }
  if (p.super_offset.defined() && !p.offset.defined()) return misfit("offset", p.offset);
  if (p.codebook.defined()) {
    const bool small = row->integer && row->low == 0 && row->bits <= 8;
    if (!small || p.codebook.dtype() != DType::kF32 || p.codebook.rank() != 1 ||
        p.codebook.elements() != int64_t{1} << row->bits) {
      return invalid("a codebook of type " + p.codebook.type_str() + " does not fit " +
                     std::string(dtype_name(p.storage)) + " codes");
    }
  }
  if (p.rotation) {
    const Rotation& r = *p.rotation;
    const bool power = r.block > 0 && (r.block & (r.block - 1)) == 0;
    if (!power || r.axis < 0 || r.signs.dtype() != DType::kI8 || r.signs.rank() != 1 ||
        r.signs.elements() < r.block || r.signs.elements() % r.block != 0) {
      return invalid("a rotation in blocks of " + std::to_string(r.block) + " with signs of type " +
                     r.signs.type_str() + " makes no sense");
    }
    const auto axis = static_cast<size_t>(r.axis);
    if (type.shape &&
        (axis >= type.shape->size() ||
         ((*type.shape)[axis].known() && (*type.shape)[axis].value() != r.signs.elements()))) {
      return invalid("a rotation of " + std::to_string(r.signs.elements()) +
                     " entries along axis " + std::to_string(r.axis) + " does not fit " +
                     type.str());
    }
  }
  return {};
}

Status rotate(Tensor& tensor, const Rotation& r, bool back) {
  const auto axis = static_cast<size_t>(r.axis);
  const int64_t extent = tensor.dims()[axis];
  int64_t inner = 1, outer = 1;
  for (size_t d = 0; d < tensor.rank(); ++d) {
    if (d < axis) outer *= tensor.dims()[d];
    if (d > axis) inner *= tensor.dims()[d];
  }
  const auto* signs = r.signs.data<int8_t>();
  const float factor = 1.0f / std::sqrt(static_cast<float>(r.block));
  std::vector<float> line(static_cast<size_t>(r.block));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t b = 0; b < extent; b += r.block) {
        float* x = tensor.data<float>() + (o * extent + b) * inner + i;
        for (int64_t k = 0; k < r.block; ++k) {
          line[static_cast<size_t>(k)] = x[k * inner] * (back || signs[b + k] >= 0 ? 1.0f : -1.0f);
        }
        for (size_t half = 1; half < line.size(); half *= 2) {
          for (size_t k = 0; k < line.size(); ++k) {
            if (k & half) continue;
            const float a = line[k], c = line[k + half];
            line[k] = a + c;
            line[k + half] = a - c;
          }
        }
        for (int64_t k = 0; k < r.block; ++k) {
          x[k * inner] =
              line[static_cast<size_t>(k)] * factor * (back && signs[b + k] < 0 ? -1.0f : 1.0f);
        }
      }
    }
  }
  return {};
}

Result<Tensor> quantize_tensor(const Tensor& real, const QuantParams& params) {
  if (real.dtype() != DType::kF32) return invalid("cannot quantize " + real.type_str());
  MNN_ASSIGN_OR_RETURN(const Layout layout, Layout::of(params, real.dims()));
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(params.storage, real.dims()));
  Tensor rotated;
  if (params.rotation) {
    MNN_ASSIGN_OR_RETURN(rotated, real.clone());
    MNN_RETURN_IF_ERROR(rotate(rotated, *params.rotation, false));
  }
  const StorageType& row = *find_storage(params.storage);
  const float* x = (params.rotation ? rotated : real).data<float>();
  const bool plain = params.is_plain();
  EntryReader entry(params);
  const auto code_of = [&](float v) -> double {
    if (plain) return quantize_one(v, entry.scale, entry.zero_point, row);
    const double scaled = static_cast<double>((v - entry.offset) / entry.scale) + entry.zero_point;
    const double number = scaled == scaled ? scaled : entry.zero_point;
    if (params.codebook.defined()) return nearest_code(params.codebook, number);
    return std::clamp(row.integer ? std::nearbyint(number) : number, row.low, row.high);
  };
  double codes[kChunk];
  MNN_RETURN_IF_ERROR(
      layout.each_chunk([&](int64_t begin, int64_t count, const int64_t* entries) -> Status {
        for (int64_t j = 0; j < count; ++j) {
          entry.move_to(entries[j]);
          codes[j] = code_of(x[begin + j]);
        }
        row.pack(codes, begin, count, out.raw());
        return {};
      }));
  return out;
}

Result<Tensor> dequantize_tensor(const Tensor& stored, const QuantParams& params) {
  if (stored.dtype() != params.storage) {
    return invalid("expected stored type " + std::string(dtype_name(params.storage)) + ", found " +
                   stored.type_str());
  }
  if (is_half(params.storage) && is_unscaled(params)) return convert_floats(stored, DType::kF32);
  MNN_ASSIGN_OR_RETURN(const Layout layout, Layout::of(params, stored.dims()));
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kF32, stored.dims()));
  const StorageType& row = *find_storage(params.storage);
  EntryReader entry(params);
  float* y = out.data<float>();
  double codes[kChunk];
  MNN_RETURN_IF_ERROR(
      layout.each_chunk([&](int64_t begin, int64_t count, const int64_t* entries) -> Status {
        row.unpack(stored.raw(), begin, count, codes);
        for (int64_t j = 0; j < count; ++j) {
          entry.move_to(entries[j]);
          y[begin + j] = entry.real(codes[j]);
        }
        return {};
      }));
  if (params.rotation) MNN_RETURN_IF_ERROR(rotate(out, *params.rotation, true));
  return out;
}

Result<Tensor> round_to_grid(const Tensor& real, const QuantParams& params) {
  MNN_ASSIGN_OR_RETURN(const Tensor stored, quantize_tensor(real, params));
  return dequantize_tensor(stored, params);
}

Result<Tensor> without_smoothing(const Tensor& t, const ChannelDivisors& smoothing) {
  if (t.dtype() != DType::kF32) return invalid("smoothing is for f32, found " + t.type_str());
  const auto rank = static_cast<int64_t>(t.rank());
  const int64_t axis = smoothing.axis < 0 ? smoothing.axis + rank : smoothing.axis;
  if (axis < 0 || axis >= rank ||
      t.dims()[static_cast<size_t>(axis)] != static_cast<int64_t>(smoothing.divisors.size())) {
    return invalid(std::to_string(smoothing.divisors.size()) + " divisors along axis " +
                   std::to_string(smoothing.axis) + " do not fit " + t.type_str());
  }
  MNN_ASSIGN_OR_RETURN(Tensor out, t.clone());
  float* y = out.data<float>();
  for_each_channel(out, static_cast<size_t>(axis),
                   [&](int64_t i, size_t c) { y[i] *= smoothing.divisors[c]; });
  return out;
}

bool ends_in_smoothing(const Graph& graph, const Node& node) {
  if (node.outputs.empty() || node.outputs[0] == kNoValue) return false;
  const auto& smoothing = graph.value(node.outputs[0]).smoothing;
  if (!smoothing || node.fused.empty() || node.fused.back().op != "Mul") return false;
  const int operand = node.fused.back().operand();
  const Tensor* factors =
      operand < 0 ? nullptr : graph.constant(node.inputs[static_cast<size_t>(operand)]);
  if (factors == nullptr || factors->dtype() != DType::kF32) return false;
  const std::span<const float> f = factors->span<float>();
  return std::equal(f.begin(), f.end(), smoothing->divisors.begin(), smoothing->divisors.end(),
                    [](float factor, float divisor) { return factor == 1.0f / divisor; });
}

Result<Tensor> constant_as_real(const Value& value) {
  if (!value.quant) return value.data;
  MNN_ASSIGN_OR_RETURN(Tensor real, dequantize_tensor(value.data, *value.quant));
  release_pages({value.data.raw(), static_cast<size_t>(value.data.bytes())});
  if (value.type.dtype == DType::kF32 || !is_float(value.type.dtype)) return real;
  return convert_elements(real, value.type.dtype);
}

int64_t encoding_bytes(const QuantParams& p) {
  int64_t bytes = 0;
  for (const Tensor* t :
       {&p.scale, &p.zero_point, &p.offset, &p.super_scale, &p.super_offset, &p.codebook}) {
    if (t->defined()) bytes += t->bytes();
  }
  return bytes + (p.rotation ? p.rotation->signs.bytes() : 0);
}

namespace {

int64_t unseen_bytes(const Graph& graph, std::set<const std::byte*>& seen) {
  int64_t bytes = 0;
  for (const Value& v : graph.values) {
    if (v.kind != ValueKind::kConstant || !v.data.defined()) continue;
    if (seen.insert(v.data.raw()).second) bytes += v.data.bytes();
    if (v.quant) bytes += encoding_bytes(*v.quant);
  }
  for (const Node& node : graph.nodes) {
    for (const Graph& g : node.subgraphs) bytes += unseen_bytes(g, seen);
  }
  return bytes;
}

}  // namespace

int64_t constant_bytes(const Graph& graph) {
  std::set<const std::byte*> seen;
  return unseen_bytes(graph, seen);
}

std::string describe_quant(const QuantParams& p) {
  std::string text(dtype_name(p.storage));
  if (p.axis < 0) {
    text += ", scale " + short_number(static_cast<double>(p.scale_at(0)));
    if (p.zero_point.defined()) {
      text += ", zero " + short_number(static_cast<double>(p.zero_point_at(0)));
    }
  } else {
    if (p.group > 0) text += " in groups of " + std::to_string(p.group);
    text += ", " + std::to_string(p.entries()) + " " + std::string(dtype_name(p.scale.dtype())) +
            " scales along axis " + std::to_string(p.axis);
  }
  if (p.super_scale.defined()) text += " of two levels";
  if (p.offset.defined()) text += ", offsets";
  if (p.codebook.defined()) text += ", codebook";
  if (p.rotation) text += ", rotated in blocks of " + std::to_string(p.rotation->block);
  return text;
}

}  // namespace mnn
