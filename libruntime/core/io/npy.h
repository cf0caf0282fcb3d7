// NumPy's .npy (versions 1 to 3, C and Fortran order, little and big endian) and .npz (stored or
// deflated zip of .npy).
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/tensor.h"

namespace mnn {

Result<Tensor> read_npy(const std::string& path);
Result<Tensor> parse_npy(std::span<const std::byte> bytes);
// Version 1, C order, little endian. Fails for types NumPy lacks (bf16, 8-bit floats, 4-bit, str).
Status write_npy(const std::string& path, const Tensor& tensor);
Result<std::string> npy_bytes(const Tensor& tensor);
bool npy_has_type(DType dtype);
// Entries by name without ".npy". Bounded by `max_bytes` unpacked.
Result<std::map<std::string, Tensor>> read_npz(const std::string& path,
                                               int64_t max_bytes = int64_t{8} << 30);
Result<std::map<std::string, Tensor>> parse_npz(std::span<const std::byte> bytes,
                                                int64_t max_bytes = int64_t{8} << 30);

}  // namespace mnn
