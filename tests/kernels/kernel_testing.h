// Runs kernels on small random problems and compares them with plain loops.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/isa.h"

namespace mnn::testing {

// Every instruction set of this CPU, and the emulated wide one ("wide") where it can run.
std::vector<std::string> test_isas();

// Seeded values in [low, high); the same on every machine.
std::vector<float> random_floats(size_t n, uint32_t seed, float low = -1, float high = 1);
std::vector<int8_t> random_s8(size_t n, uint32_t seed, int low = -127, int high = 127);
std::vector<uint8_t> random_u8(size_t n, uint32_t seed);

// Runs all phases and parts. The phases' parts run in reverse order when `reverse`, which must not
// change the result. Scratch is filled with garbage first.
void run_kernel(const MatrixKernel& kernel, KernelArgs args, bool reverse = false);

double activate(const PostOp& op, double x);
double finish(const Epilogue& e, double x, double residual);

// Plain loops in double. x, y, residual dense NHWC or with the strides of the geometry.
std::vector<double> conv_reference(const ConvGeometry& g, const std::vector<float>& x,
                                   const std::vector<float>& w, const std::vector<float>& bias);
std::vector<double> conv_transpose_reference(const ConvGeometry& g, const std::vector<float>& x,
                                             const std::vector<float>& w,
                                             const std::vector<float>& bias);

std::string describe(const ConvGeometry& g);

}  // namespace mnn::testing
