// The discrete Fourier transform in double precision.
#pragma once

#include <complex>
#include <vector>

namespace mnn {

// In place and unscaled, of any length up to 2^30, in O(n log n); `inverse` turns the sign of the
// exponent.
void fourier_transform(std::vector<std::complex<double>>& x, bool inverse);

}  // namespace mnn
