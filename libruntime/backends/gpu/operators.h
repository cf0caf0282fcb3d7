// The operators of elementwise expressions as text in the language of kernels (kernel.h).
#pragma once

#include <string>
#include <vector>

#include "libruntime/lower/epilogue.h"
#include "libruntime/lower/expression.h"

namespace mnn::gpu {

// Functions that operators call; every kernel that computes elements has them.
std::string math_functions();
// float unary(int op, float x, float a, float b) and float binary(int op, float x, float y) for
// all.
std::string operator_switch();
// float activation(int kind, float x, float a, float b), by Activation; of these kinds alone, or of
// all when there are none.
std::string activation_switch(const std::vector<int>& kinds);
// One operator as text, of registers and parameters given as text.
std::string operator_text(const Expression::Op& op, const std::string& x, const std::string& y,
                          const std::string& z, const std::string& a, const std::string& b);

}  // namespace mnn::gpu
