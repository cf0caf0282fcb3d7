// Runs a graph in text form on the CPU backend and on the reference kernels.
#pragma once

#include <string>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/core/graph.h"

namespace mnn::testing {

struct CpuRun {
  std::vector<Tensor> expected, outputs;
  std::vector<StepInfo> steps;
};

// Parses `text`, feeds every input with seeded numbers in [-range, range] (integers and bools 0 or
// 1), and runs both. A node the backend does not take, or any error, fails the test.
CpuRun run_on_cpu(const std::string& text, int threads = 1, const std::string& isa = "",
                  float range = 1);
CpuRun run_on_cpu(Graph graph, int threads, const std::string& isa, float range);

// Largest difference over the largest reference number; infinite on a NaN the reference has not.
double relative_error(const Tensor& expected, const Tensor& actual);

// Runs `text` for every instruction set of this CPU with one and two threads: outputs within
// `tolerance` of the reference (relative to its largest number), and the same bits for any number
// of threads.
void check_on_cpu(const std::string& text, double tolerance = 2e-6, float range = 1);

// How many steps of that kernel there are (a prefix of its name).
int count_steps(const CpuRun& run, std::string_view kernel);

}  // namespace mnn::testing
