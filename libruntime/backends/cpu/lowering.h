// Turns a segment into a plan: gives every value a place in memory and every node its steps.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libruntime/backends/cpu/plan.h"
#include "libruntime/core/op.h"
#include "libruntime/kernels/kernel.h"
#include "libruntime/kernels/vector_kernels.h"
#include "libruntime/lower/grid.h"
#include "libruntime/lower/node_view.h"

namespace mnn::cpu {

inline constexpr std::string_view kDevice = "CPU";  // in reasons

// How the backend was opened.
struct CpuSettings {
  std::string isa;  // empty: find_kernels chooses
  bool winograd = true;
};

class Lowering {
 public:
  Lowering(const Graph& graph, const CompileOptions& options, const CpuSettings& settings,
           const VectorKernels& kernels);

  // All of it: inputs, nodes, outputs.
  Result<Plan> run();

  const Graph& graph() const { return graph_; }
  const VectorKernels& kernels() const { return kernels_; }
  KernelOptions kernel_options() const;
  int threads() const { return threads_; }
  Dims dims(ValueId v) const { return known_dims(*graph_.value(v).type.shape); }
  DType dtype(ValueId v) const { return graph_.value(v).type.dtype; }
  // The grid a value is stored on; nullopt for values that are kept as they are.
  std::optional<Grid> grid(ValueId v) const;

  // The grids of a value that is stored with one per channel. To readers that do not ask for
  // channel_bytes() it is a float value, rounded to them.
  std::optional<ChannelGrid> channel_grid(ValueId v) const;

  // A value's elements wherever they lie, as they are stored (u8 on a grid, or the value's type).
  // Of a constant that cannot be read an array without elements of its own: see constant().
  const Array& stored(ValueId v);
  // As the value's own type, any strides.
  Result<Array> real(ValueId v);
  // As the value's own type, dense in `order`.
  Result<Array> real(ValueId v, const Order& order);
  // As the value's own type, dense in the order its axes have.
  Result<Array> dense(ValueId v);
  // On its grid, dense in `order`; only for values with a grid.
  Result<Array> stored(ValueId v, const Order& order);
  // The bytes of a value with a grid per channel, dense with the channels last; null for others.
  const Array* channel_bytes(ValueId v) const;
  // The first form of a value that `f(form)` accepts; null when there is none.
  template <typename F>
  const Array* find_form(ValueId v, F&& f) {
    (void)stored(v);
    for (const Array& a : forms_[static_cast<size_t>(v)]) {
      if (f(a)) return &a;
    }
    return nullptr;
  }
  // The elements of a constant as numbers; null when `v` is none, or when its numbers cannot be
  // read (storage, memory), which ends the lowering behind the current node.
  const Tensor* constant(ValueId v);
  // constant() for what is decoded outside.
  ReadConstant reader() {
    return [this](ValueId v) { return constant(v); };
  }
  // A constant as the weights of a kernel, its numbers as constant() gives them and read only when
  // they must be; they must not outlive the lowering.
  Weights<float> weights(ValueId v);
  // What a constant's bytes and the way they are read are known by.
  WeightId weight_id(ValueId v) const;

  // Room for `dims` elements, dense in `order`.
  Array allocate(DType dtype, const Dims& dims, const Order& order,
                 std::optional<Grid> grid = std::nullopt);
  // Room for the output `v` of a node, dense in `order` or a slice of the channels of the Concat it
  // goes into: its neighbours along the last axis of `order` are neighbours in memory.
  Array allocate_output(ValueId v, const Order& order, const std::optional<Grid>& grid);
  // Whether allocate_output gave `v` its place in the result of the Concat that reads it.
  bool placed(ValueId v) const { return placed_[static_cast<size_t>(v)]; }
  // The whole result of a Concat some of whose inputs may have been placed already.
  Array concat_output(const Node& concat, const Order& order);
  Array constant_array(Tensor tensor);
  bool constant_storage(const Array& a) const {
    return plan_.storages[static_cast<size_t>(a.storage)].place == Place::kConstant;
  }
  // A dense copy of any array.
  Result<Array> copy(const Array& a, const Order& order);
  // Writes the elements of `from` to the places of `to`; same dims and type.
  void copy_into(const Array& from, const Array& to);
  Result<Array> dequantize(const Array& a);
  Result<Array> quantize(const Array& a, const Grid& grid);
  // A dense row-major image of at most kMostPlanes channels as bytes with the channels last.
  static constexpr int64_t kMostPlanes = 16;
  Array quantize_planes(const Array& a, const Grid& grid);
  // table[byte] for every byte of `a`, as elements of `dtype`.
  Result<Array> map_bytes(std::string kernel, const Array& a, Tensor table, DType dtype,
                          const std::optional<Grid>& grid);
  // Signed bytes as unsigned ones 128 higher, or the other way: the same grid, the top bit turned.
  Result<Array> turn_top_bit(std::string kernel, const Array& a, DType dtype,
                             const std::optional<Grid>& grid);
  // Bytes of one grid as bytes of another.
  Result<Array> requantize(const Array& a, const Grid& grid);
  // The value on `grid`, or as its own type without one; any strides.
  Result<Array> on_grid(ValueId v, const std::optional<Grid>& grid);

  // The step's reads and writes are taken from `in` and `out`; scratch goes to the writes.
  Step& add_step(std::string kernel, std::span<const Array> in, std::span<const Array> out,
                 int64_t work, StepFn run);
  Step& last_step() { return plan_.steps.back(); }
  // Scratch bytes for the last step.
  int add_scratch(int64_t bytes);
  // How many parts a step with about `work` elementary operations is worth.
  int parts_for(int64_t work) const;

  // `a` is the value's only form, exactly as it is to be stored (as floats when it is to have a
  // grid per channel).
  void define(ValueId v, Array a);
  // The same with its bytes, dense with the channels last, each channel on its grid.
  void define_channel_bytes(ValueId v, const Array& bytes);
  // `y` holds the node's first output before fused post-ops [fused_from, …) and before it is put
  // on its grid; does both, then defines the value.
  Status finish(const Node& node, Array y, size_t fused_from = 0);
  // Gives the output's forms to a value that has the same elements (an alias).
  Status define_view(const Node& node, Array view);

  // What a kernel has packed, for the report.
  void count_weights(const MatrixKernel& kernel) {
    plan_.packed.insert(plan_.packed.end(), kernel.packed().begin(), kernel.packed().end());
  }

  NodeId single_reader(const Node& node) const { return mnn::single_reader(uses_, node); }
  const Node& maker(ValueId v) const;
  bool made_here(ValueId v) const { return uses_.producer[static_cast<size_t>(v)] >= 0; }
  // The node that makes `v` inside the expression of the value's reader; null when there is none.
  const Node* absorbed_maker(ValueId v) const;

 private:
  Status lower_node(NodeId n);
  Status lower_current();
  void forget_reals(const Node& node);
  bool is_image_input(ValueId v) const;
  Array dequantize_channels(ValueId v);
  void quantize_channels(ValueId v, const Array& a);
  Status store_outputs();
  void find_places();

  const Graph& graph_;
  const Uses uses_;
  const CpuSettings settings_;
  const int threads_;
  WeightsCache& weights_;
  const VectorKernels& kernels_;
  Plan plan_;
  std::vector<std::vector<Array>> forms_;
  std::map<ValueId, Array> channel_bytes_;
  std::vector<Tensor> reals_;         // dequantized constants, large ones during their node only
  Status unread_;                     // why a constant could not be read
  const std::vector<bool> absorbed_;  // per node: an expression computes it with its reader
  // Per value: the Concat whose result it may be written into (-1: none), and its first channel.
  struct Slot {
    NodeId concat = -1;
    int64_t channel = 0;
  };
  std::vector<Slot> slots_;
  std::vector<bool> placed_;
  std::map<ValueId, Array> concats_;  // results allocated before their Concat is lowered
  const Node* current_ = nullptr;
};

using WhyNotFn = std::optional<std::string> (*)(const Graph&, const Node&);
// Backend::why_not_form for an int8 form.
using WhyNotFormFn = std::optional<std::string> (*)(const Graph&, const Node&, ComputeForm);
using LowerFn = Status (*)(Lowering&, const Node&);
struct OpRow {
  std::string_view op;
  WhyNotFn why_not;
  LowerFn lower;
  bool needs_first = true;              // nodes whose first output nobody wants are not for it
  WhyNotFormFn why_not_form = nullptr;  // null: it has no int8 kernel
};
// Null when the CPU backend has no kernel for `op`.
const OpRow* find_row(std::string_view op);

}  // namespace mnn::cpu
