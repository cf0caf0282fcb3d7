// What a backend is. Partitioning asks why_not(), the quantizer why_not_form(), reports ask cost();
// compile() turns a segment into something that runs. Values at a segment's border are dense and
// row-major, of the declared type, in host memory or in that of the backend's device (device.h);
// layouts, packed weights and quantized storage are private to the backend.
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

#include "libruntime/compile/device.h"
#include "libruntime/compile/profile.h"
#include "libruntime/core/graph.h"

namespace mnn {

class ThreadPool;
class WeightsCache;

// Where an executable's memory lies once it is bound.
struct BoundMemory {
  // Of one in host memory: a place for each of its workspaces.
  std::span<std::byte* const> host;
  // Of one on a device: its inputs and outputs in the order of the segment, and its workspaces.
  std::span<const Region> in, out, workspaces;
};

// Runs a segment: in host memory (run), or queued on the stream of its device (start).
class Executable {
 public:
  virtual ~Executable() = default;
  // Bytes of each block of scratch it needs while it runs; executables of a session share them.
  virtual std::vector<int64_t> workspaces() const { return {}; }
  // The copies of weights it holds, its own and shared ones.
  virtual void count_weights(PackedBytes& sum) const { (void)sum; }
  // Called once, before the first run.
  virtual Status bind(const BoundMemory& memory) {
    (void)memory;
    return {};
  }
  // In host memory: fills `out`, whose tensors have their final type and memory; where an output's
  // shape depends on data the executable replaces the tensor. Allocates nothing otherwise.
  virtual Status run(std::span<const Tensor> in, std::span<Tensor> out);
  // On a device: queues its work on the stream it was compiled for. Allocates nothing.
  virtual Status start();
  // After start(), once the stream has been waited for: what was wrong with the data, if anything.
  virtual Status finish() { return {}; }
  virtual std::vector<StepInfo> steps() const = 0;
  // Null: no timing. On a device the times come with finish().
  virtual void set_timer(StepTimer timer) { (void)timer; }
};

// How an executable hands over what it made elsewhere: into the memory of `out` where it has some
// (type and dims must then agree), else by sharing the tensor.
Status deliver_output(const Tensor& made, Tensor& out);

// What executables share; all of it outlives the executable.
struct CompileOptions {
  ThreadPool* pool = nullptr;       // never null
  WeightsCache* weights = nullptr;  // kernels/weights.h, never null: packed once for all sessions
  Stream* stream = nullptr;         // the session's, of this backend (Backend::open)
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  // What it runs on. Opens the driver when it is first asked and keeps the answer; kUnsupported,
  // naming what was not found, where there is no such device. Nothing else but open() and
  // compile() needs one. Lives as long as the backend.
  virtual Result<const DeviceInfo*> device() const = 0;
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
  // Nothing for a backend in host memory.
  virtual DeviceWork work() const { return {}; }
  // A queue of one session; null for a backend in host memory.
  virtual Result<std::unique_ptr<Stream>> open() const { return std::unique_ptr<Stream>(); }
};

// MACs of one node for its inferred shapes (OpDef::macs); 0 for operators without
// multiply-accumulates, when shapes are open or the number does not fit. An If has those of the
// branch with the most, a Loop or Scan those of its body once per trip.
int64_t count_macs(const Graph& graph, const Node& node);

// The profile line of one node as far as its graph tells: all but kernel and backend. Its form is
// that of plain loops: f32, f64 or i32.
StepInfo describe_step(const Graph& graph, const Node& node);

}  // namespace mnn
