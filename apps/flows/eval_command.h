// A verdict of the user's own: a program that is given the outputs of both models and prints a
// number.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::flows {

struct EvalCommand {
  std::string command;   // for /bin/sh -c, as given; empty: none
  double timeout = 600;  // seconds; the program and all it started are killed then
};

// Gathers outputs of samples in two folders and runs the command on them:
// REF/step_<k>/output_<i>.npy and TEST/step_<k>/output_<i>.npy as `mnn run` writes them, and
// samples.txt in both with the name of each step, line by line.
class Evaluation {
 public:
  static Result<Evaluation> create();  // a temporary folder
  Evaluation(Evaluation&& other) noexcept : dir_(std::move(other.dir_)) { other.dir_.clear(); }
  Evaluation& operator=(Evaluation&&) = delete;
  ~Evaluation();  // removes it

  // One tensor per output of `graph` each.
  Status add(const Graph& graph, const std::string& name, const std::vector<Tensor>& reference,
             const std::vector<Tensor>& test);
  // The last number the program prints. {ref} and {test} in the command are replaced by the quoted
  // folders; without either both are appended. kThreshold is never returned: an exit code other
  // than 0, no number, a number that is not finite and the timeout are kInvalidArgument.
  Result<double> run(const EvalCommand& command) const;

 private:
  explicit Evaluation(std::string dir) : dir_(std::move(dir)) {}
  std::string dir_;
  std::string names_;
  size_t count_ = 0;
};

}  // namespace mnn::flows
