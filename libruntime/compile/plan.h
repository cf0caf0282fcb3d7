// A plan: a graph with bound shapes cut into executables over one arena, ready to run.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/compile/legalize.h"

namespace mnn {

struct PlanOptions {
  Backends backends;  // in order of preference, the last one takes everything
  // Per backend the session's queue; null for those in host memory. Missing ones are null.
  std::vector<Stream*> streams;
  CompileOptions compile;
  // Backends that must take every node: from this index on they are a fallback that nobody wants.
  size_t wanted = SIZE_MAX;
  // Says what would run, and nothing more: no weights are packed, no memory is planned, and what
  // waits for shapes that depend on data is planned for made-up ones.
  bool outline = false;
};

// Where a plan's inputs live.
enum class InputMemory {
  kOwned,  // in the arena, to be filled before each run
  kFed,    // tensors of the caller, set before each run
};

struct Segment;

class Plan {
 public:
  // Infers, folds, assigns, cuts, compiles, places. `depth`: how many plans this one is nested in.
  static Result<std::unique_ptr<Plan>> compile(Graph graph, const PlanOptions& options,
                                               InputMemory memory, int depth);
  ~Plan();

  size_t input_count() const { return graph_.inputs.size(); }
  // An owned input's buffer; an undefined tensor for one that has none (strings).
  const Tensor& input(size_t i) const { return inputs_[i]; }
  // Sets an input that has no buffer. The tensor must stay unchanged during the run.
  void feed(size_t i, const Tensor& tensor);
  // Allocates nothing when all values have buffers.
  Status run();
  // The backend of the device that failed in the last run, in this plan itself; -1: none did.
  int failed_device() const { return failed_device_; }
  // Valid until the next run.
  const Tensor& output(size_t i) const { return outputs_[i]; }

  const Graph& graph() const { return graph_; }
  // Adds what this plan and the plans inside it take; packed weights to `packed`.
  void add_memory(MemoryInfo& info, PackedBytes& packed) const;
  void add_steps(std::vector<StepInfo>& steps) const;
  MacCounts macs() const;
  // Nanoseconds all runs together have waited for devices, of plans inside too.
  int64_t waited_ns() const;
  void set_profiling(bool on);
  void add_profile(std::vector<StepProfile>& profile) const;

 private:
  struct Step;
  struct Slot {  // input or output `index` of a step is value `value`, which has no buffer
    size_t index;
    ValueId value;
  };
  enum class Storage : uint8_t { kNone, kBuffer, kLoose, kFixed };
  struct Space;  // the memory of a device

  Plan(Graph graph, const PlanOptions& options, InputMemory memory, int depth);
  Status build();
  Status add_segment(const Segment& segment);
  Status add_control(const Segment& segment);
  void add_late(const Segment& segment);
  void add_step(std::unique_ptr<Step> step);
  // Queues the copy of `v` to a device; that of what a device has made to the host.
  void add_upload(ValueId v, int device);
  void add_download(ValueId v, int device);
  Status refuse_fallback() const;
  bool needed_on_host(ValueId v, int device) const;
  void find_waits();
  int next_wait(int after, int device) const;
  Status place();
  Status place_on(int device);
  Status connect();
  Status run_step(Step& step);
  Status wait_for(int device);
  Status wait_for_all();
  void start_timer(Step& step);
  Stream* stream_of(int lane) const;
  bool in_arena(const Tensor& tensor) const;

  Graph graph_;
  const PlanOptions& options_;
  const InputMemory memory_;
  const int depth_;
  const int64_t most_bytes_;  // a buffer may have
  std::vector<int> lanes_;    // per node
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<std::unique_ptr<Space>> spaces_;  // per backend; null: host memory
  std::vector<Storage> storage_;                // per value
  // Per value: the buffer, or the fixed tensor of a constant or state, or what a step made last.
  std::vector<Tensor> tensors_;
  std::shared_ptr<Tensor> arena_;
  int64_t arena_bytes_ = 0;
  std::vector<Tensor> inputs_, outputs_;
  bool loose_outputs_ = false;
  bool grows_ = false;
  bool profiling_ = false;
  int64_t waited_ns_ = 0;
  int failed_device_ = -1;
};

class PlanCache;

// An executable whose work is done by plans.
class NestedExecutable : public Executable {
 public:
  // Whether it takes memory beyond the arenas of its plans.
  virtual bool grows() const = 0;
  // Of one run, with what is inside.
  virtual MacCounts macs() const = 0;
  virtual void for_each_cache(const std::function<void(PlanCache&)>& f) = 0;
};
// If, Loop or Scan. Takes the node's present inputs, then its captures.
// Outputs the node does not have are left out.
std::unique_ptr<NestedExecutable> make_control(const Graph& graph, Node node,
                                               const PlanOptions& options, int depth);
// What the nodes of a segment would be as steps of the backend `lane`.
std::unique_ptr<Executable> make_outline(const Graph& segment, const Backends& backends, int lane);
// Runs a graph whose input shapes are known only at run time.
std::unique_ptr<NestedExecutable> make_late(Graph graph, const PlanOptions& options, int depth);

}  // namespace mnn
