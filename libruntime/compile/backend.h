// What a backend is. Partitioning asks why_not(), the quantizer why_not_form(), reports ask cost();
// compile() turns a segment into something that runs. Values at a segment's border are dense
// row-major host tensors of the declared type; layouts, packed weights and quantized storage are
// private to the backend.
//
// A backend belongs to an Engine (libruntime/engine.h) and serves all its sessions: its functions
// are const and may be called from several threads at once. An executable belongs to one plan of
// one session; nobody calls it from two threads.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libruntime/compile/profile.h"
#include "libruntime/core/graph.h"

namespace mnn {

class ThreadPool;
class WeightsCache;

class Executable {
 public:
  virtual ~Executable() = default;
  // Scratch bytes it needs while it runs, 64-byte aligned; executables of a session share them.
  virtual int64_t workspace_bytes() const { return 0; }
  // The copies of weights it holds, its own and shared ones.
  virtual void count_weights(PackedBytes& sum) const { (void)sum; }
  // Called once, before the first run.
  virtual Status bind(std::byte* workspace) {
    (void)workspace;
    return {};
  }
  // Fills `out`, whose tensors have their final type and memory; where an output's shape depends on
  // data the executable replaces the tensor. Allocates nothing otherwise.
  virtual Status run(std::span<const Tensor> in, std::span<Tensor> out) = 0;
  virtual std::vector<StepInfo> steps() const = 0;
  // Null: no timing.
  virtual void set_timer(StepTimer timer) { (void)timer; }
};

// How an executable hands over what it made elsewhere: into the memory of `out` where it has some
// (type and dims must then agree), else by sharing the tensor.
Status deliver_output(const Tensor& made, Tensor& out);

// What executables share; neither is null when a backend is called, both outlive the executable.
struct CompileOptions {
  ThreadPool* pool = nullptr;
  WeightsCache* weights = nullptr;  // kernels/weights.h: what is packed once for all sessions
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  virtual std::string device() const = 0;  // one line: what it runs on
  // By name: what it runs for some types and shapes; why_not() tells for which.
  virtual std::vector<std::string> operators() const = 0;
  // nullopt: yes. Otherwise the reason why not.
  virtual std::optional<std::string> why_not(const Graph& graph, const Node& node) const = 0;
  // Why compile() would not compute the products of `node` in `form` once its operands are stored
  // as the form says (u8xs8: the input on a grid of u8, the constant weights as signed bytes;
  // u8xu8: both inputs on such grids); nullopt where it would. What the shapes decide is taken to
  // be well while they are open. Asked of a graph before it is quantized.
  virtual std::optional<std::string> why_not_form(const Graph& graph, const Node& node,
                                                  ComputeForm form) const;
  // Estimated seconds of one run of a step, from its operator, MACs and bytes; of one thread,
  // comparable between backends. For reports: a node goes to the first backend of the list the user
  // gave that takes it, so that where it runs can be told without a model of the machine.
  virtual double cost(const StepInfo& step) const = 0;
  // `segment` has static shapes at its border; its nodes are all supported.
  virtual Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                                      const CompileOptions& options) const = 0;
};

// MACs of one node for its inferred shapes (OpDef::macs); 0 for operators without
// multiply-accumulates, when shapes are open or the number does not fit. An If has those of the
// branch with the most, a Loop or Scan those of its body once per trip.
int64_t count_macs(const Graph& graph, const Node& node);

// The profile line of one node as far as its graph tells: all but kernel and backend. Its form is
// that of plain loops: f32, f64 or i32.
StepInfo describe_step(const Graph& graph, const Node& node);

}  // namespace mnn
