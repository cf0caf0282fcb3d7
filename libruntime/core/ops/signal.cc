// Signal processing: Fourier transforms, window functions, the mel filter bank.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "libruntime/core/ops/axis.h"
#include "libruntime/core/ops/fourier.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

using Complex = std::complex<double>;

constexpr TypeMask kIndices = mask_of(DType::kI32, DType::kI64);
// Longer transforms only come from malformed files.
constexpr int64_t kMaxTransform = int64_t{1} << 28;

// The one element of input i, when inference knows it.
std::optional<Dim> scalar_value(const OpContext& c, size_t i) {
  const std::optional<ShapeValues> v = c.values(i);
  if (!v || v->size() != 1) return std::nullopt;
  return (*v)[0];
}

Result<int64_t> scalar_input(const KernelContext& c, size_t i) {
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> v, c.in[i]->to_ints());
  if (v.size() != 1) return invalid("input " + std::to_string(i) + ": expected one element");
  return v[0];
}

Status check_length(const Dim& length, const char* what) {
  if (!length.known() || (length.value() >= 1 && length.value() <= kMaxTransform)) return {};
  return invalid(std::string(what) + ": expected 1 to 2^28, found " + length.str());
}

// 1 or 2 numbers a sample: real or complex.
Status check_sample(const OpContext& c, size_t i) {
  if (!c.rank_known(i)) return {};
  const Dim& last = c.in[i].shape->back();
  if (!last.known() || last.is(1) || last.is(2)) return {};
  return invalid("input " + std::to_string(i) + ": expected 1 or 2 numbers a sample, found " +
                 c.in[i].str());
}

// The axis of a transform: the last dimension holds real and imaginary part.
Result<size_t> transform_axis(int64_t axis, size_t rank) {
  MNN_ASSIGN_OR_RETURN(const size_t a, normalize_axis(axis, rank));
  if (a + 1 == rank)
    return invalid("axis " + std::to_string(axis) + " is that of the complex parts");
  return a;
}

Status infer_dft(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  for (size_t i = 1; i < 3; ++i) {
    MNN_RETURN_IF_ERROR(expect_optional_input(c, i, kIndices));
    if (c.has_input(i)) MNN_RETURN_IF_ERROR(expect_scalar(c, i));
  }
  c.out[0].type.dtype = c.in[0].dtype;
  if (!c.rank_known(0)) return {};
  Shape y = *c.in[0].shape;
  if (y.size() < 2) return invalid("input 0: expected rank 2 or more, found " + c.in[0].str());
  MNN_RETURN_IF_ERROR(check_sample(c, 0));
  const bool onesided = c.attr_int("onesided") != 0, inverse = c.attr_int("inverse") != 0;
  y.back() = Dim(onesided && inverse ? 1 : 2);
  int64_t axis = -2;
  if (c.has_input(2)) {
    const std::optional<Dim> given = scalar_value(c, 2);
    if (!given || !given->known()) {
      c.out[0].type.shape = Shape(y.size(), Dim::unknown());
      c.out[0].type.shape->back() = y.back();
      return {};
    }
    axis = given->value();
  }
  MNN_ASSIGN_OR_RETURN(const size_t a, transform_axis(axis, y.size()));
  Dim length = onesided && inverse ? (y[a] - Dim(1)) * Dim(2) : y[a];
  if (c.has_input(1)) length = scalar_value(c, 1).value_or(Dim::unknown());
  MNN_RETURN_IF_ERROR(check_length(length, "dft_length"));
  y[a] = onesided && !inverse ? floor_div(length, Dim(2)) + Dim(1) : length;
  c.out[0].type.shape = std::move(y);
  return {};
}

Status dft(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  int64_t given_axis = -2;
  if (c.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(given_axis, scalar_input(c, 2));
  }
  MNN_ASSIGN_OR_RETURN(const size_t axis, transform_axis(given_axis, x.rank()));
  const bool onesided = c.attr_int("onesided") != 0, inverse = c.attr_int("inverse") != 0;
  int64_t length = onesided && inverse ? 2 * (x.dims()[axis] - 1) : x.dims()[axis];
  if (c.has_input(1)) {
    MNN_ASSIGN_OR_RETURN(length, scalar_input(c, 1));
  }
  if (y->elements() == 0) return {};
  const int64_t parts_in = x.dims().back(), parts_out = y->dims().back();
  // Lines of samples: the parts of a sample are the innermost dimension.
  const AxisLines in(x.dims(), axis), out(y->dims(), axis);
  const int64_t lines = in.outer * (in.inner / std::max<int64_t>(parts_in, 1));
  const int64_t samples = std::min(in.size, length), step_in = in.inner, step_out = out.inner;
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    std::vector<Complex> line;
    for (int64_t l = 0; l < lines; ++l) {
      const int64_t inner = in.inner / parts_in, o = l / inner, i = l % inner;
      const T* const from = x.data<T>() + o * in.size * step_in + i * parts_in;
      T* const to = y->data<T>() + o * out.size * step_out + i * parts_out;
      line.assign(static_cast<size_t>(length), Complex());
      for (int64_t k = 0; k < samples; ++k) {
        const T* const p = from + k * step_in;
        line[static_cast<size_t>(k)] = {load_as_compute(p[0]),
                                        parts_in == 2 ? load_as_compute(p[1]) : 0.0};
      }
      if (onesided && inverse) {
        // The other half of a real signal's spectrum mirrors the first.
        for (int64_t k = length / 2 + 1; k < length; ++k) {
          line[static_cast<size_t>(k)] = std::conj(line[static_cast<size_t>(length - k)]);
        }
      }
      fourier_transform(line, inverse);
      const double scale = inverse ? 1.0 / static_cast<double>(length) : 1.0;
      for (int64_t k = 0; k < out.size; ++k) {
        const Complex v = line[static_cast<size_t>(k)] * scale;
        to[k * step_out] = store_from_compute<T>(v.real());
        if (parts_out == 2) to[k * step_out + 1] = store_from_compute<T>(v.imag());
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// The frame length of STFT as inference sees it.
Dim stft_length(const OpContext& c) {
  if (c.has_input(3)) return scalar_value(c, 3).value_or(Dim::unknown());
  if (c.has_input(2)) return c.rank_known(2) ? (*c.in[2].shape)[0] : Dim::unknown();
  return c.rank_known(0) ? (*c.in[0].shape)[1] : Dim::unknown();
}

Status infer_stft(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, kIndices));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 1));
  if (c.has_input(2)) {
    MNN_RETURN_IF_ERROR(expect_like(c, 2, 0));
    MNN_RETURN_IF_ERROR(expect_rank(c, 2, 1));
  }
  if (c.has_input(3)) {
    MNN_RETURN_IF_ERROR(expect_input(c, 3, kIndices));
    MNN_RETURN_IF_ERROR(expect_scalar(c, 3));
  }
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, 3));
  MNN_RETURN_IF_ERROR(check_sample(c, 0));
  const bool onesided = c.attr_int("onesided") != 0;
  if (onesided && c.rank_known(0) && (*c.in[0].shape)[2].is(2)) {
    return invalid("a complex signal has no one-sided transform");
  }
  const Dim length = stft_length(c), step = scalar_value(c, 1).value_or(Dim::unknown());
  MNN_RETURN_IF_ERROR(check_length(length, "frame_length"));
  MNN_RETURN_IF_ERROR(check_length(step, "frame_step"));
  if (c.has_input(2) && c.rank_known(2)) {
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[2].shape)[0], length, "size of the window"));
  }
  Dim batch = Dim::unknown(), frames = Dim::unknown();
  if (c.rank_known(0)) {
    const Shape& x = *c.in[0].shape;
    batch = x[0];
    if (x[1].known() && length.known() && x[1].value() < length.value()) {
      return invalid("a signal of " + x[1].str() + " samples has no frame of " + length.str());
    }
    frames = floor_div(x[1] - length, step) + Dim(1);
  }
  const Dim bins = onesided ? floor_div(length, Dim(2)) + Dim(1) : length;
  c.out[0].type = tensor_type(c.in[0].dtype, {batch, frames, bins, Dim(2)});
  return {};
}

Status stft(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const int64_t step, scalar_input(c, 1));
  std::vector<double> window;
  int64_t length = x.dims()[1];
  if (c.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(window, c.in[2]->to_doubles());
    length = static_cast<int64_t>(window.size());
  }
  if (c.has_input(3)) {
    MNN_ASSIGN_OR_RETURN(length, scalar_input(c, 3));
  }
  if (window.empty()) window.assign(static_cast<size_t>(length), 1.0);
  const int64_t frames = y->dims()[1], bins = y->dims()[2], parts = x.dims()[2];
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    std::vector<Complex> line(static_cast<size_t>(length));
    T* out = y->data<T>();
    for (int64_t n = 0; n < x.dims()[0]; ++n) {
      for (int64_t f = 0; f < frames; ++f) {
        const T* const from = x.data<T>() + (n * x.dims()[1] + f * step) * parts;
        for (int64_t k = 0; k < length; ++k) {
          const double w = window[static_cast<size_t>(k)];
          line[static_cast<size_t>(k)] = {
              w * load_as_compute(from[k * parts]),
              parts == 2 ? w * load_as_compute(from[k * parts + 1]) : 0.0};
        }
        fourier_transform(line, false);
        for (int64_t k = 0; k < bins; ++k) {
          *out++ = store_from_compute<T>(line[static_cast<size_t>(k)].real());
          *out++ = store_from_compute<T>(line[static_cast<size_t>(k)].imag());
        }
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Result<DType> output_datatype(const AttributeReader& c) {
  const auto dtype = static_cast<DType>(c.attr_int("output_datatype"));
  const int64_t number = c.attr_int("output_datatype");
  if (number < 1 || number > 31 || !(mask_of(dtype) & kNumbers)) {
    return unsupported("output_datatype: expected a type of numbers, found " +
                       std::to_string(number));
  }
  return dtype;
}

Status store_numbers(Tensor& t, const std::vector<double>& values) {
  dispatch_numeric(t.dtype(), [&]<typename T>() {
    for (size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        t.data<T>()[i] = saturate<T>(values[i]);
      } else {
        t.data<T>()[i] = store_from_compute<T>(values[i]);
      }
    }
  });
  return {};
}

Status infer_window(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kIndices));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 0));
  MNN_ASSIGN_OR_RETURN(const DType dtype, output_datatype(c));
  const Dim size = scalar_value(c, 0).value_or(Dim::unknown());
  if (size.known() && size.value() < 0)
    return invalid("size: expected at least 0, found " + size.str());
  c.out[0].type = tensor_type(dtype, {size});
  return {};
}

// a0 - a1 cos(t) + a2 cos(2 t) over one period; a symmetric window ends where it begins.
Status cosine_window(KernelContext& c, double a0, double a1, double a2) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const int64_t n = y->elements();
  const double period =
      static_cast<double>(c.attr_int("periodic") != 0 ? n : std::max<int64_t>(n - 1, 1));
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) {
    const double t = 2.0 * std::numbers::pi * static_cast<double>(i) / period;
    values.push_back(a0 - a1 * std::cos(t) + a2 * std::cos(2.0 * t));
  }
  return store_numbers(*y, values);
}

Status hann(KernelContext& c) { return cosine_window(c, 0.5, 0.5, 0.0); }
Status hamming(KernelContext& c) { return cosine_window(c, 25.0 / 46.0, 21.0 / 46.0, 0.0); }
Status blackman(KernelContext& c) { return cosine_window(c, 0.42, 0.5, 0.08); }

Status infer_mel(OpContext& c) {
  for (size_t i = 0; i < 5; ++i) {
    MNN_RETURN_IF_ERROR(expect_input(c, i, i < 3 ? kIndices : kFloats));
    MNN_RETURN_IF_ERROR(expect_scalar(c, i));
  }
  MNN_ASSIGN_OR_RETURN(const DType dtype, output_datatype(c));
  const Dim bands = scalar_value(c, 0).value_or(Dim::unknown());
  const Dim length = scalar_value(c, 1).value_or(Dim::unknown());
  MNN_RETURN_IF_ERROR(check_length(bands, "num_mel_bins"));
  MNN_RETURN_IF_ERROR(check_length(length, "dft_length"));
  c.out[0].type = tensor_type(dtype, {floor_div(length, Dim(2)) + Dim(1), bands});
  return {};
}

double mel_of(double hertz) { return 2595.0 * std::log10(1.0 + hertz / 700.0); }
double hertz_of(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

// Triangles over the spectrum's bins; their corners are equally spaced on the mel scale.
Status mel_weights(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  MNN_ASSIGN_OR_RETURN(const int64_t length, scalar_input(c, 1));
  MNN_ASSIGN_OR_RETURN(const int64_t rate, scalar_input(c, 2));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> lower, c.in[3]->to_doubles());
  MNN_ASSIGN_OR_RETURN(const std::vector<double> upper, c.in[4]->to_doubles());
  if (rate < 1) return invalid("sample_rate: expected at least 1, found " + std::to_string(rate));
  const int64_t bins = y->dims()[0], bands = y->dims()[1];
  const double low = mel_of(lower[0]), high = mel_of(upper[0]);
  const double step = (high - low) / static_cast<double>(bands + 2);
  std::vector<int64_t> corners;
  for (int64_t i = 0; i < bands + 2; ++i) {
    const double hertz = hertz_of(low + step * static_cast<double>(i));
    const double bin =
        std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    if (!(bin >= 0 && bin < static_cast<double>(bins))) {
      return invalid("the mel band edges " + std::to_string(lower[0]) + " and " +
                     std::to_string(upper[0]) + " Hz leave the spectrum");
    }
    corners.push_back(static_cast<int64_t>(bin));
  }
  std::vector<double> weights(static_cast<size_t>(y->elements()), 0.0);
  auto at = [&](int64_t bin, int64_t band) -> double& {
    return weights[static_cast<size_t>(bin * bands + band)];
  };
  for (int64_t i = 0; i < bands; ++i) {
    const int64_t left = corners[static_cast<size_t>(i)];
    const int64_t centre = corners[static_cast<size_t>(i + 1)];
    const int64_t right = corners[static_cast<size_t>(i + 2)];
    if (centre == left) at(centre, i) = 1.0;
    for (int64_t k = left; centre > left && k <= centre; ++k) {
      at(k, i) = static_cast<double>(k - left) / static_cast<double>(centre - left);
    }
    for (int64_t k = centre; k < right; ++k) {
      at(k, i) = static_cast<double>(right - k) / static_cast<double>(right - centre);
    }
  }
  return store_numbers(*y, weights);
}

}  // namespace

std::vector<OpDef> define_signal() {
  const AttrDef datatype{"output_datatype", int64_t{1}};
  const std::vector<AttrDef> window = {datatype, {"periodic", int64_t{1}}};
  return {
      {"DFT",
       1,
       3,
       shape_inputs(1, 2),
       {{"inverse", int64_t{0}}, {"onesided", int64_t{0}}},
       infer_dft,
       dft},
      {"STFT", 2, 4, shape_inputs(1, 3), {{"onesided", int64_t{1}}}, infer_stft, stft},
      {"HannWindow", 1, 1, shape_inputs(0), window, infer_window, hann},
      {"HammingWindow", 1, 1, shape_inputs(0), window, infer_window, hamming},
      {"BlackmanWindow", 1, 1, shape_inputs(0), window, infer_window, blackman},
      {"MelWeightMatrix", 5, 5, shape_inputs(0, 1), {datatype}, infer_mel, mel_weights},
  };
}

}  // namespace mnn
