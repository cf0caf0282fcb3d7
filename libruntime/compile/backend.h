// What a backend is. Partitioning asks why_not(), reports ask cost(); compile() turns a segment
// into something that runs. Values at a segment's border are dense row-major host tensors of the
// declared type; layouts, packed weights and quantized storage are private to the backend.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

class ThreadPool;

// One line of a profile: what one step of an executable did.
struct StepInfo {
  std::string op;      // "Conv+Relu"
  std::string kernel;  // "conv_f32_winograd4_avx2"
  std::string backend;
  std::vector<std::string> origin;  // source layers
  std::vector<int64_t> out_dims;
  std::string out_dtype;  // as stored, "f32", "u8"
  int64_t macs = 0;
  int64_t bytes = 0;  // read and written, weights included
  bool int8 = false;  // its MACs run on an int8 kernel
  // Of an outline (Session::outline) only: Backend::cost, and why no preferred backend takes it.
  double seconds = 0;
  std::string why;
};

// The backend of steps in an outline whose shapes, and so whose backend, only a run can tell.
inline constexpr const char* kUnplanned = "unplanned";

// Called by an executable around each step when profiling: step index, nanoseconds.
using StepTimer = std::function<void(size_t step, int64_t ns)>;

class Executable {
 public:
  virtual ~Executable() = default;
  // Scratch bytes it needs while it runs, 64-byte aligned; executables of a session share them.
  virtual int64_t workspace_bytes() const { return 0; }
  virtual int64_t weight_bytes() const { return 0; }  // packed copies it owns
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

struct CompileOptions {
  ThreadPool* pool = nullptr;  // never null when a backend is called
  std::string isa;             // empty: the best this CPU has
  bool winograd = true;
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
  // Estimated seconds of one run of a step, from its operator, MACs and bytes; of one thread,
  // comparable between backends.
  virtual double cost(const StepInfo& step) const = 0;
  // `segment` has static shapes at its border; its nodes are all supported.
  virtual Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                                      const CompileOptions& options) const = 0;
};

std::unique_ptr<Backend> make_reference_backend();
std::unique_ptr<Backend> make_cpu_backend();
// Takes only Conv and Gemm (fp32 and int8) and computes them with the reference kernels: proves
// partition, transfer and fallback.
std::unique_ptr<Backend> make_test_backend();
// By name: "cpu", "reference", "test". Null when there is none.
std::unique_ptr<Backend> make_backend(std::string_view name);
std::vector<std::string> backend_names();

// MACs of one node for its inferred shapes (OpDef::macs); 0 for operators without
// multiply-accumulates, when shapes are open or the number does not fit. An If has those of the
// branch with the most, a Loop or Scan those of its body once per trip.
int64_t count_macs(const Graph& graph, const Node& node);

// The profile line of one node as far as its graph tells: all but kernel, backend and int8.
StepInfo describe_step(const Graph& graph, const Node& node);

}  // namespace mnn
