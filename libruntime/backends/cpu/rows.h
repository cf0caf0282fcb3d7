// The operators of each family, for find_row.
#pragma once

#include "libruntime/backends/cpu/lowering.h"

namespace mnn::cpu {

std::span<const OpRow> conv_rows();
std::span<const OpRow> matmul_rows();
std::span<const OpRow> pool_rows();
std::span<const OpRow> gradient_rows();
std::span<const OpRow> reduce_rows();
std::span<const OpRow> norm_rows();
std::span<const OpRow> view_rows();
std::span<const OpRow> move_rows();
std::span<const OpRow> quantize_rows();
std::span<const OpRow> resize_rows();
std::span<const OpRow> recurrent_rows();
std::span<const OpRow> sample_rows();
std::span<const OpRow> rotary_rows();
std::span<const OpRow> integer_rows();
std::span<const OpRow> cast_rows();
std::span<const OpRow> select_rows();
std::span<const OpRow> index_rows();
std::span<const OpRow> scan_rows();
std::span<const OpRow> attention_rows();

}  // namespace mnn::cpu
