// What kernels that read or write bytes have in common.
#pragma once

namespace mnn::gpu {

// Values on a grid lie in words of four neighbouring channels, the first lowest, each a signed
// byte: what the grid says less 128. BYTE(w, k): byte k. TO_BYTE(v): the byte of v, a number of a
// grid of unsigned bytes that is clamped to it here.
inline constexpr const char* kByteFunctions = R"(
#define BYTE(w, k) ((w) << (24 - 8 * (k)) >> 24)
#define TO_BYTE(v) ((int(min(max((v), 0.0f), 255.0f)) - 128) & 255)
)";

}  // namespace mnn::gpu
