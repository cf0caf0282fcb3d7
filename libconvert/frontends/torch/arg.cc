#include "libconvert/frontends/torch/arg.h"

namespace mnn::torch {

Arg::Arg() = default;
Arg::Arg(const Arg& other) = default;
Arg::Arg(Arg&& other) noexcept = default;
Arg& Arg::operator=(const Arg& other) = default;
Arg& Arg::operator=(Arg&& other) noexcept = default;
Arg::~Arg() = default;

}  // namespace mnn::torch
