// Complex numbers (a last dim of two) and Fourier transforms.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

struct Operand {
  ValueId id = kNoValue;
  bool complex = false;
  int64_t rank = 0;  // without the last dim of two
};
Operand operand(Call& c, std::string_view name = "self") {
  const TensorArg* t = c.arg(name).get<TensorArg>();
  Operand o{t != nullptr ? t->id : c.tensor(name), t != nullptr && t->complex};
  o.rank = static_cast<int64_t>(c.rank(o.id)) - (o.complex ? 1 : 0);
  return o;
}
// A real tensor with a last dim of one or, with zeros, two.
ValueId with_last(Call& c, const Operand& x, bool two) {
  if (x.complex) return x.id;
  const ValueId real = c.expand_dims(x.id, {x.rank});
  if (!two) return real;
  return c.concat({real, c.binary("Mul", real, c.number(0, c.dtype_of(real)))}, x.rank);
}

void view_as_real(Call& c) {
  const Operand x = operand(c);
  if (!x.complex) return c.fail(invalid("expected complex numbers"));
  c.give(x.id);
}
void view_as_complex(Call& c) { c.give(c.tensor("self"), true); }
void make_complex(Call& c) {
  const auto last = [&](std::string_view name) {
    return c.emit("Unsqueeze", {c.tensor(name), c.add_ints({-1})});
  };
  c.give(c.concat({last("real"), last("imag")}, -1), true);
}
void polar(Call& c) {
  const ValueId r = c.tensor("abs"), a = c.tensor("angle");
  const auto last = [&](ValueId v) { return c.emit("Unsqueeze", {v, c.add_ints({-1})}); };
  c.give(c.concat({last(c.binary("Mul", r, c.unary("Cos", a))),
                   last(c.binary("Mul", r, c.unary("Sin", a)))},
                  -1),
         true);
}
void part(Call& c) {
  const Operand x = operand(c);
  const int64_t which = c.op() == "aten::imag" ? 1 : 0;
  if (!x.complex) {
    return which == 0 ? c.give(x.id) : c.fail(invalid("a real tensor has no imaginary part"));
  }
  c.give(c.select(x.id, x.rank, IntArg{which}));
}
void conj(Call& c) {
  const Operand x = operand(c);
  if (!x.complex) return c.give(x.id);
  const std::vector<float> signs = {1, -1};
  const ValueId s = c.cast(c.add_constant(Tensor::of<float>({2}, signs)), c.dtype_of(x.id));
  c.give(c.binary("Mul", x.id, s), true);
}

// What one transform is scaled by: 1, 1/n or 1/sqrt(n).
double factor(Call& c, const std::string& norm, bool inverse, double n) {
  if (norm == "ortho") return 1 / std::sqrt(n);
  if (norm == "forward") return inverse ? 1 : 1 / n;
  if (!norm.empty() && norm != "backward") c.fail(invalid("norm '" + norm + "'"));
  return inverse ? 1 / n : 1;
}

ValueId scaled(Call& c, ValueId x, double by) {
  return by == 1 ? x : c.binary("Mul", x, c.number(by, c.dtype_of(x)));
}

// Cut or filled with zeros to n along an axis.
ValueId resized(Call& c, ValueId x, int64_t axis, int64_t n) {
  const int64_t have = c.known_dim(x, static_cast<size_t>(axis));
  if (have > n) return c.slice(x, axis, IntArg{0}, IntArg{n});
  if (have == n) return x;
  return c.emit("Pad",
                {x, c.add_ints({0, n - have}), c.number(0, c.dtype_of(x)), c.add_ints({axis})});
}

// One transform of [*, 1 or 2]: unscaled forward, inverse as ONNX has it with 1/n.
ValueId transform(Call& c, ValueId x, int64_t axis, bool inverse, bool onesided) {
  return c.emit("DFT", {x, kNoValue, c.add_constant(Tensor::scalar(axis))},
                {{"inverse", int64_t{inverse}}, {"onesided", int64_t{onesided}}});
}

// fft, ifft, rfft, irfft and hfft-free relatives along one dim.
void fft(Call& c) {
  const Operand x = operand(c);
  const std::string& op = c.op();
  const bool inverse = op == "aten::fft_ifft" || op == "aten::fft_irfft";
  const bool to_real = op == "aten::fft_irfft", onesided = op == "aten::fft_rfft";
  const int64_t axis = c.axis("dim", static_cast<size_t>(x.rank));
  const std::string norm = c.text("norm");
  if (!c.status.ok()) return;
  ValueId v = with_last(c, x, to_real || inverse);
  int64_t n = c.known_dim(v, static_cast<size_t>(axis));
  if (to_real) n = 2 * (n - 1);
  if (!c.none("n")) n = c.integer("n");
  if (n < 1 || n > (int64_t{1} << 26)) return c.fail(invalid("bad length of a transform"));
  if (to_real) {
    const int64_t half = n / 2 + 1;
    v = resized(c, v, axis, half);
    const ValueId y =
        c.emit("DFT", {v, c.add_constant(Tensor::scalar(n)), c.add_constant(Tensor::scalar(axis))},
               {{"inverse", int64_t{1}}, {"onesided", int64_t{1}}});
    return c.give(scaled(c, c.squeeze(y, {x.rank}),
                         factor(c, norm, true, static_cast<double>(n)) * static_cast<double>(n)));
  }
  v = resized(c, v, axis, n);
  const double by =
      factor(c, norm, inverse, static_cast<double>(n)) * (inverse ? static_cast<double>(n) : 1);
  c.give(scaled(c, transform(c, v, axis, inverse, onesided), by), true);
}

// Transforms along several dims, as the core operators have them: normalization 0 none, 1 by
// 1/sqrt(n), 2 by 1/n.
void fft_core(Call& c) {
  const Operand x = operand(c);
  const bool real = c.op() == "aten::_fft_r2c";
  const bool forward = real || c.flag("forward");
  const bool onesided = real && c.flag("onesided");
  std::vector<int64_t> dims = c.ints("dim");
  for (int64_t& d : dims) d = c.normalized(d, static_cast<size_t>(x.rank));
  ValueId v = with_last(c, x, !real);
  double n = 1;
  for (size_t i = dims.size(); i-- > 0 && c.status.ok();) {
    const auto length = static_cast<double>(c.known_dim(v, static_cast<size_t>(dims[i])));
    n *= length;
    v = transform(c, v, dims[i], !forward, onesided && i + 1 == dims.size());
    if (!forward) v = scaled(c, v, length);
  }
  const int64_t normalization = c.integer("normalization");
  c.give(scaled(c, v,
                normalization == 1   ? 1 / std::sqrt(n)
                : normalization == 2 ? 1 / n
                                     : 1),
         true);
}
void fft_c2r(Call& c) {
  const Operand x = operand(c);
  const std::vector<int64_t> dims = c.ints("dim");
  const int64_t n = c.integer("last_dim_size");
  if (dims.size() != 1 || n < 1) return c.refuse("transforms to real numbers over several dims");
  const int64_t axis = c.normalized(dims[0], static_cast<size_t>(x.rank));
  const ValueId v = resized(c, with_last(c, x, true), axis, n / 2 + 1);
  const ValueId y =
      c.emit("DFT", {v, c.add_constant(Tensor::scalar(n)), c.add_constant(Tensor::scalar(axis))},
             {{"inverse", int64_t{1}}, {"onesided", int64_t{1}}});
  const int64_t how = c.integer("normalization");
  const auto d = static_cast<double>(n);
  c.give(scaled(c, c.squeeze(y, {x.rank}), how == 0 ? d : how == 1 ? std::sqrt(d) : 1));
}

// The window of stft and istft, ones where none is given, with zeros around it to `n` elements.
ValueId window_of(Call& c, int64_t width, int64_t n, DType type) {
  ValueId window =
      c.none("window") ? c.filled({IntArg{width}}, c.number(1, type)) : c.tensor("window");
  if (width < n) {
    const int64_t before = (n - width) / 2;
    window = c.emit("Pad", {window, c.add_ints({before, n - width - before}), c.number(0, type),
                            c.add_ints({0})});
  }
  return window;
}

// Frames of n_fft, windowed, transformed: [*, frequencies, frames].
void stft(Call& c) {
  const Operand in = operand(c);
  if (in.complex || in.rank < 1 || in.rank > 2)
    return c.refuse("stft of complex or stacked signals");
  const int64_t n = c.integer("n_fft");
  const int64_t hop = c.none("hop_length") ? n / 4 : c.integer("hop_length");
  const int64_t width = c.none("win_length") ? n : c.integer("win_length");
  const bool centred = c.has_param("center") && c.flag("center");
  const bool onesided = c.none("onesided") || c.flag("onesided");
  if (!c.status.ok()) return;
  if (n < 1 || hop < 1 || width < 1 || width > n)
    return c.fail(invalid("bad n_fft, hop_length or win_length"));
  ValueId x = in.rank == 1 ? c.expand_dims(in.id, {0}) : in.id;
  if (centred) {
    const std::string mode = c.text("pad_mode");
    if (mode != "reflect" && mode != "constant") return c.refuse("pad mode '" + mode + "' of stft");
    x = c.emit("Pad", {x, c.add_ints({n / 2, n / 2}), kNoValue, c.add_ints({1})}, {{"mode", mode}});
  }
  const DType type = c.dtype_of(x);
  const ValueId window = window_of(c, width, n, type);
  ValueId y = c.emit("STFT",
                     {c.expand_dims(x, {2}), c.add_constant(Tensor::scalar(hop)), window,
                      c.add_constant(Tensor::scalar(n))},
                     {{"onesided", int64_t{onesided}}});
  y = c.swap_axes(y, 1, 2);  // [N, frames, frequencies, 2]
  if (in.rank == 1) y = c.squeeze(y, {0});
  if (c.flag("normalized")) y = scaled(c, y, 1 / std::sqrt(static_cast<double>(n)));
  c.give(y, c.none("return_complex") || c.flag("return_complex"));
}

// What stft took apart: frames are transformed back, windowed, added where they overlap and divided
// by what the windows add up to.
void istft(Call& c) {
  const Operand in = operand(c);
  if (!in.complex || in.rank < 2 || in.rank > 3)
    return c.fail(invalid("expected [*, frequencies, frames]"));
  const int64_t n = c.integer("n_fft");
  const int64_t hop = c.none("hop_length") ? n / 4 : c.integer("hop_length");
  const int64_t width = c.none("win_length") ? n : c.integer("win_length");
  const bool centred = c.flag("center");
  const ValueId z = in.rank == 2 ? c.expand_dims(in.id, {0}) : in.id;
  const int64_t frequencies = c.known_dim(z, 1), frames = c.known_dim(z, 2);
  if (!c.status.ok()) return;
  constexpr int64_t kMost = 1 << 13;
  if (n < 1 || n > kMost || hop < 1 || width < 1 || width > n || frequencies != n / 2 + 1 ||
      frames < 1) {
    return c.refuse("istft with these lengths");
  }
  if (c.flag("return_complex")) return c.refuse("istft to complex numbers");
  const DType type = c.dtype_of(z);
  // [N, frames, n]
  ValueId y = c.emit("DFT",
                     {c.transpose(z, {0, 2, 1, 3}), c.add_constant(Tensor::scalar(n)),
                      c.add_constant(Tensor::scalar(int64_t{2}))},
                     {{"inverse", int64_t{1}}, {"onesided", int64_t{1}}});
  y = c.squeeze(y, {3});
  if (c.flag("normalized")) y = scaled(c, y, std::sqrt(static_cast<double>(n)));
  const ValueId window = window_of(c, width, n, type);
  // Overlapping frames are added by a transposed convolution with the identity.
  std::vector<float> identity(static_cast<size_t>(n * n), 0);
  for (int64_t i = 0; i < n; ++i) identity[static_cast<size_t>(i * n + i)] = 1;
  const ValueId w = c.cast(c.add_constant(Tensor::of<float>({n, 1, n}, identity)), type);
  const auto overlapped = [&](ValueId v) {  // [N, frames, n] -> [N, length]
    const ValueId sum =
        c.emit("ConvTranspose", {c.transpose(v, {0, 2, 1}), w},
               {{"kernel_shape", std::vector<int64_t>{n}}, {"strides", std::vector<int64_t>{hop}}});
    return c.squeeze(sum, {1});
  };
  const ValueId squares = c.binary("Mul", window, window);
  const ValueId envelope = overlapped(c.expand(squares, c.add_ints({1, frames, n})));
  y = overlapped(c.binary("Mul", y, window));
  const int64_t whole = n + hop * (frames - 1);
  const int64_t begin = centred ? n / 2 : 0;
  int64_t end = centred ? whole - n / 2 : whole;
  const int64_t wanted = c.none("length") ? end - begin : c.integer("length");
  if (!c.none("length")) end = std::min(whole, begin + wanted);
  const auto cut = [&](ValueId v) { return c.slice(v, 1, IntArg{begin}, IntArg{end}); };
  y = c.binary("Div", cut(y), cut(envelope));
  if (end - begin < wanted) y = resized(c, y, 1, wanted);
  c.give(in.rank == 2 ? c.squeeze(y, {0}) : y);
}

}  // namespace

std::vector<RowText> complex_rows() {
  return {
      {"view_as_real(Tensor(a) self) -> Tensor(a)", "none", view_as_real},
      {"view_as_real_copy(Tensor self) -> Tensor", "none", view_as_real},
      {"view_as_complex(Tensor(a) self) -> Tensor(a)", "none", view_as_complex},
      {"complex(Tensor real, Tensor imag) -> Tensor", "Unsqueeze, Concat", make_complex},
      {"polar(Tensor abs, Tensor angle) -> Tensor", "Cos, Sin, Mul, Concat", polar},
      {"real(Tensor(a) self) -> Tensor(a)", "Gather", part},
      {"imag(Tensor(a) self) -> Tensor(a)", "Gather", part},
      {"conj(Tensor(a) self) -> Tensor(a)", "Mul", conj},
      {"_conj(Tensor(a) self) -> Tensor(a)", "Mul", conj},
      {"conj_physical(Tensor self) -> Tensor", "Mul", conj},
      {"fft_fft(Tensor self, int? n=None, int dim=-1, str? norm=None) -> Tensor", "DFT", fft},
      {"fft_ifft(Tensor self, int? n=None, int dim=-1, str? norm=None) -> Tensor", "DFT", fft},
      {"fft_rfft(Tensor self, int? n=None, int dim=-1, str? norm=None) -> Tensor", "DFT", fft},
      {"fft_irfft(Tensor self, int? n=None, int dim=-1, str? norm=None) -> Tensor", "DFT", fft},
      {"_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> Tensor", "DFT",
       fft_core},
      {"_fft_c2c(Tensor self, int[] dim, int normalization, bool forward) -> Tensor", "DFT",
       fft_core},
      {"_fft_c2r(Tensor self, int[] dim, int normalization, int last_dim_size) -> Tensor", "DFT",
       fft_c2r},
      {"istft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? "
       "window=None, bool center=True, bool normalized=False, bool? onesided=None, int? "
       "length=None, bool return_complex=False) -> Tensor",
       "DFT, Mul, ConvTranspose, Div", istft},
      {"stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? "
       "window=None, bool normalized=False, bool? onesided=None, bool? return_complex=None, bool? "
       "align_to_window=None) -> Tensor",
       "STFT, Transpose", stft},
      {"stft.center(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? "
       "window=None, bool center=True, str pad_mode=\"reflect\", bool normalized=False, bool? "
       "onesided=None, bool? return_complex=None, bool? align_to_window=None) -> Tensor",
       "Pad, STFT, Transpose", stft},
  };
}

}  // namespace mnn::torch
