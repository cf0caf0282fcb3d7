#include "libconvert/frontends/torch/arg.h"

#include <memory>

namespace mnn::torch {

Arg::Arg() = default;
Arg::Arg(const Arg& other) = default;
Arg::Arg(Arg&& other) noexcept = default;
Arg& Arg::operator=(const Arg& other) = default;
Arg& Arg::operator=(Arg&& other) noexcept = default;
Arg::~Arg() = default;

Tensor real_pairs(const Tensor& tensor) {
  std::vector<int64_t> dims = tensor.dims();
  dims.push_back(2);
  const DType part = tensor.dtype() == DType::kC64 ? DType::kF32 : DType::kF64;
  auto owner = std::make_shared<Tensor>(tensor);
  std::byte* bytes = owner->raw();
  return Tensor::wrap(part, std::move(dims), bytes, owner);
}

}  // namespace mnn::torch
