// What a program includes to run a model.
//   auto session = Session::create(std::move(graph), {});
//   session->prepare(shapes);  fill session->input(i);  session->run();  read session->output(i)
// Which of it may be used from several threads is told in libruntime/engine.h.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/compile/profile.h"
#include "libruntime/core/graph.h"
#include "libruntime/engine.h"

namespace mnn {

// Where the nodes of a session go.
struct BackendChoice {
  BackendChoice();
  BackendChoice(std::vector<std::string> names);            // NOLINT(google-explicit-constructor)
  BackendChoice(std::initializer_list<std::string> names);  // NOLINT(google-explicit-constructor)
  // In order of preference ("cpu"). What they do not take goes to cpu behind a device, and to
  // reference.
  std::vector<std::string> backends;
  // Without it prepare() fails with kUnsupported where they do not take all, naming every node.
  bool fallback = true;
};

struct SessionOptions : EngineOptions, BackendChoice {
  SessionOptions();
};

class Session {
 public:
  // With an engine of its own.
  static Result<std::unique_ptr<Session>> create(Graph graph, const SessionOptions& options);
  // Sharing an engine. kUnsupported where a backend has no device here.
  static Result<std::unique_ptr<Session>> create(Graph graph, std::shared_ptr<Engine> engine,
                                                 const BackendChoice& choice);
  ~Session();
  // The steps a session would have, node by node and with their estimated cost; nothing is packed
  // or run. Parts whose shapes depend on data are planned for made-up ones, or left out.
  static Result<std::vector<StepInfo>> outline(Graph graph,
                                               const std::vector<std::vector<int64_t>>& input_dims,
                                               const SessionOptions& options);

  // Binds the input shapes: one list of dims per graph input. Plans, packs and allocates. A second
  // call with other shapes plans anew, with the weights that are packed; plans of the last few
  // shapes are kept.
  Status prepare(const std::vector<std::vector<int64_t>>& input_dims);
  // When every input shape is static.
  Status prepare();

  // After prepare: the session's own buffer, to be filled.
  Tensor& input(size_t i);
  // Runs without allocating when all shapes are static. A device that fails is not used again by
  // this session: where a fallback is allowed and no state may be half written, the run is planned
  // anew without it and done again.
  Status run();
  // What devices that are not used any more have failed with, "opencl: clFinish: …".
  const std::vector<std::string>& barred() const;
  const Tensor& output(size_t i) const;
  // prepare (if shapes changed), copy in, run, clone out.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  // State values start fresh again.
  void reset_states();
  // The live content of the state of that name: between runs it may be read, and written in place.
  // An error (wrong usage) when there is none.
  Result<Tensor> state(std::string_view name) const;

  const Graph& graph() const;    // as given
  const Graph& planned() const;  // with shapes bound and folded; after prepare
  MemoryInfo memory() const;
  std::vector<StepInfo> steps() const;
  // MACs of one run: every operator that count_macs() knows, sub-graphs included.
  MacCounts macs() const;
  // The share of them on int8 kernels, 0…1; 0 without MACs. 1 only when it is all of them.
  double int8_mac_share() const;
  // Nanoseconds that runs with the current shapes have waited for devices so far.
  int64_t waited_ns() const;
  void set_profiling(bool on);
  std::vector<StepProfile> profile() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mnn
