// What a program includes to run a model.
//   auto session = Session::create(std::move(graph), {});
//   session->prepare(shapes);  fill session->input(i);  session->run();  read session->output(i)
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/core/graph.h"

namespace mnn {

struct SessionOptions {
  std::vector<std::string> backends = {"cpu"};  // in order of preference; reference takes the rest
  int threads = 1;                              // 0: all the process may use
  std::string isa;  // "sse41", "avx2", "avx512", "avx512vnni"; "" = best
  bool winograd = true;
};

struct MemoryInfo {
  int64_t arena_bytes = 0;   // planned activations and scratch
  int64_t weight_bytes = 0;  // constants the file maps
  int64_t packed_bytes = 0;  // copies in kernel layout
  bool grows = false;        // shapes that depend on data: the arena is only a lower bound
};

// The steps inside an If count for the branch with the most, those inside a Loop or Scan once per
// trip, where the trips can be counted.
struct MacCounts {
  double all = 0;
  double int8 = 0;  // those on int8 kernels
};

struct StepProfile {
  StepInfo info;
  int64_t calls = 0;
  int64_t total_ns = 0;
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> create(Graph graph, const SessionOptions& options);
  ~Session();
  // The steps a session would have, node by node and with their estimated cost; nothing is packed
  // or run. Parts whose shapes depend on data are planned for made-up ones, or left out.
  static Result<std::vector<StepInfo>> outline(Graph graph,
                                               const std::vector<std::vector<int64_t>>& input_dims,
                                               const SessionOptions& options);

  // Binds the input shapes: one list of dims per graph input. Plans, packs and allocates. A second
  // call with other shapes plans anew; plans of the last few shapes are kept.
  Status prepare(const std::vector<std::vector<int64_t>>& input_dims);
  // When every input shape is static.
  Status prepare();

  // After prepare: the session's own buffer, to be filled.
  Tensor& input(size_t i);
  // Runs without allocating when all shapes are static.
  Status run();
  const Tensor& output(size_t i) const;
  // prepare (if shapes changed), copy in, run, clone out.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  // State values start fresh again.
  void reset_states();

  const Graph& graph() const;    // as given
  const Graph& planned() const;  // with shapes bound and folded; after prepare
  MemoryInfo memory() const;
  std::vector<StepInfo> steps() const;
  // MACs of one run: every operator that count_macs() knows, sub-graphs included.
  MacCounts macs() const;
  // The share of them on int8 kernels, 0…1; 0 without MACs. 1 only when it is all of them.
  double int8_mac_share() const;
  void set_profiling(bool on);
  std::vector<StepProfile> profile() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The instruction sets this CPU can run, worst first.
std::vector<std::string> available_isas();

}  // namespace mnn
