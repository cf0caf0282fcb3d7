#include "libruntime/backends/cpu/lowering.h"

#include <algorithm>
#include <cassert>

#include "libruntime/backends/cpu/element.h"
#include "libruntime/core/quant.h"
#include "libruntime/kernels/weight_id.h"
#include "libruntime/thread_pool.h"

namespace mnn::cpu {
namespace {

// Elementary operations a thread must have to do before it is worth waking.
constexpr int64_t kWorkPerPart = 32768;

}  // namespace

Lowering::Lowering(const Graph& graph, const CompileOptions& options, const CpuSettings& settings,
                   const VectorKernels& kernels)
    : graph_(graph),
      uses_(index_uses(graph)),
      settings_(settings),
      threads_(options.pool->threads()),
      weights_(*options.weights),
      kernels_(kernels),
      forms_(graph.values.size()),
      reals_(graph.values.size()),
      absorbed_(find_absorbed(graph, uses_)),
      slots_(graph.values.size()),
      placed_(graph.values.size(), false) {}

KernelOptions Lowering::kernel_options() const {
  KernelOptions options;
  options.isa = settings_.isa;
  options.threads = threads_;
  options.winograd = settings_.winograd;
  options.weights = &weights_;
  return options;
}

Result<Plan> Lowering::run() {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const ValueId v = graph_.inputs[i];
    Array a;
    a.storage = static_cast<int>(plan_.storages.size());
    a.dtype = dtype(v);
    a.dims = dims(v);
    a.strides = dense_strides(a.dims, row_major(a.rank()));
    plan_.storages.push_back({Place::kInput, static_cast<int>(i), a.bytes(), {}});
    if (const auto g = grid(v)) {
      if (is_image_input(v)) {
        a = quantize_planes(a, *g);
      } else {
        MNN_ASSIGN_OR_RETURN(a, quantize(a, *g));
      }
    }
    define(v, a);
  }
  find_places();
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (absorbed_[n]) continue;
    const Node& node = graph_.nodes[n];
    const Status status = lower_node(static_cast<NodeId>(n));
    if (!status.ok()) {
      return status.context("node " + display_name(graph_, node) + " (" + node.op + ")");
    }
    forget_reals(node);
  }
  current_ = nullptr;
  MNN_RETURN_IF_ERROR(store_outputs());
  MNN_RETURN_IF_ERROR(unread_);
  return std::move(plan_);
}

// Large constants that were made real for this node: kernels have packed what they want of them.
void Lowering::forget_reals(const Node& node) {
  constexpr int64_t kLarge = 1 << 20;  // bytes
  for (const ValueId v : node.inputs) {
    if (v == kNoValue || !graph_.value(v).quant) continue;
    Tensor& real = reals_[static_cast<size_t>(v)];
    if (real.defined() && real.bytes() >= kLarge) real = Tensor();
  }
}

// Whether a convolution reads the value, of few channels, and wants them last.
bool Lowering::is_image_input(ValueId v) const {
  const Dims d = dims(v);
  if (d.size() < 3 || d.size() > 4 || d[1] == 1 || d[1] > kMostPlanes || product(d) == 0) {
    return false;
  }
  const auto& readers = uses_.consumers[static_cast<size_t>(v)];
  return std::any_of(readers.begin(), readers.end(),
                     [&](NodeId n) { return graph_.node(n).op == "Conv"; });
}

Status Lowering::lower_node(NodeId n) {
  current_ = &graph_.node(n);
  const Status status = lower_current();
  return unread_.ok() ? status : unread_;
}

Status Lowering::lower_current() {
  if (is_elementwise(graph_, *current_)) return lower_elementwise(*this, *current_);
  const OpRow* row = find_row(current_->op);
  if (row == nullptr) return internal_error("no CPU kernel");
  return row->lower(*this, *current_);
}

// What a convolution or an elementwise node makes for one Concat of channels alone can be written
// right into the result.
void Lowering::find_places() {
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    const Node& node = graph_.nodes[n];
    if (node.op != "Concat" || !node.fused.empty()) continue;
    const NodeView view(graph_, node);
    const Dims out = view.out_dims();
    if (out.size() < 3 || out.size() > 4 || view.axis("axis", out.size()) != 1) continue;
    int64_t channel = 0;
    bool convolution = false;
    for (const ValueId v : node.inputs) {
      convolution = convolution || (made_here(v) && maker(v).op == "Conv");
    }
    for (const ValueId v : node.inputs) {
      const int64_t first = channel;
      channel += dims(v)[1];
      if (!convolution || !made_here(v) || single_reader(maker(v)) != static_cast<NodeId>(n) ||
          channel_grid(v)) {
        continue;
      }
      slots_[static_cast<size_t>(v)] = {static_cast<NodeId>(n), first};
    }
  }
}

const Node& Lowering::maker(ValueId v) const {
  return graph_.node(uses_.producer[static_cast<size_t>(v)]);
}

const Node* Lowering::absorbed_maker(ValueId v) const {
  const NodeId n = uses_.producer[static_cast<size_t>(v)];
  return n >= 0 && absorbed_[static_cast<size_t>(n)] ? &graph_.node(n) : nullptr;
}

std::optional<Grid> Lowering::grid(ValueId v) const { return grid_of(graph_.value(v)); }

std::optional<ChannelGrid> Lowering::channel_grid(ValueId v) const {
  return channel_grid_of(graph_.value(v));
}

const Array* Lowering::channel_bytes(ValueId v) const {
  const auto it = channel_bytes_.find(v);
  return it == channel_bytes_.end() ? nullptr : &it->second;
}

const Tensor* Lowering::constant(ValueId v) {
  const Value& value = graph_.value(v);
  if (value.kind != ValueKind::kConstant) return nullptr;
  Tensor& real = reals_[static_cast<size_t>(v)];
  if (!real.defined()) {
    Result<Tensor> t = constant_as_real(value);
    if (!t.ok()) {
      unread_ = t.status().context("constant '" + value.name + "'");
      return nullptr;
    }
    real = std::move(t).value();
  }
  return &real;
}

WeightId Lowering::weight_id(ValueId v) const { return mnn::weight_id(weights_, graph_.value(v)); }

Weights<float> Lowering::weights(ValueId v) {
  using Elements = Weights<float>::Elements;
  return {weight_id(v), [this, v]() -> Result<Elements> {
            const Tensor* t = constant(v);
            if (t == nullptr) return unread_.ok() ? internal_error("no constant") : unread_;
            return Elements(read_once<float>(*t));
          }};
}

const Array& Lowering::stored(ValueId v) {
  auto& forms = forms_[static_cast<size_t>(v)];
  if (forms.empty() && channel_bytes(v)) {
    Array made = dequantize_channels(v);
    forms.push_back(std::move(made));
  } else if (forms.empty()) {
    const Tensor* t = constant(v);
    forms.push_back(t != nullptr ? constant_array(*t)
                                 : allocate(dtype(v), dims(v), row_major(dims(v).size())));
  }
  return forms[0];
}

Result<Array> Lowering::real(ValueId v) {
  const Array first = stored(v);
  if (!first.grid) return first;
  for (const Array& a : forms_[static_cast<size_t>(v)]) {
    if (!a.grid) return a;
  }
  MNN_ASSIGN_OR_RETURN(const Array made, dequantize(first));
  forms_[static_cast<size_t>(v)].push_back(made);
  return made;
}

Result<Array> Lowering::real(ValueId v, const Order& order) {
  (void)stored(v);
  for (const Array& a : forms_[static_cast<size_t>(v)]) {
    if (!a.grid && is_dense(a, order)) return a;
  }
  Result<Array> from = stored(v);
  // Moving bytes is cheaper than moving floats.
  if (from->grid) {
    MNN_ASSIGN_OR_RETURN(const Array moved, stored(v, order));
    MNN_ASSIGN_OR_RETURN(const Array made, dequantize(moved));
    forms_[static_cast<size_t>(v)].push_back(made);
    return made;
  }
  MNN_ASSIGN_OR_RETURN(const Array made, copy(*from, order));
  forms_[static_cast<size_t>(v)].push_back(made);
  return made;
}

Result<Array> Lowering::dense(ValueId v) {
  MNN_ASSIGN_OR_RETURN(const Array x, real(v));
  if (is_dense(x)) return x;
  return real(v, order_of(x));
}

Result<Array> Lowering::stored(ValueId v, const Order& order) {
  const Array first = stored(v);
  assert(first.grid);
  for (const Array& a : forms_[static_cast<size_t>(v)]) {
    if (a.grid && is_dense(a, order)) return a;
  }
  MNN_ASSIGN_OR_RETURN(const Array made, copy(first, order));
  forms_[static_cast<size_t>(v)].push_back(made);
  return made;
}

Array Lowering::allocate(DType dtype, const Dims& dims, const Order& order,
                         std::optional<Grid> grid) {
  Array a;
  a.storage = static_cast<int>(plan_.storages.size());
  a.dtype = grid ? DType::kU8 : dtype;
  a.grid = grid;
  a.dims = dims;
  a.strides = dense_strides(dims, order);
  plan_.storages.push_back({Place::kWorkspace, 0, a.bytes(), {}});
  return a;
}

Array Lowering::allocate_output(ValueId v, const Order& order, const std::optional<Grid>& grid) {
  const Slot& slot = slots_[static_cast<size_t>(v)];
  const Dims d = dims(v);
  if (slot.concat < 0 || order != channels_last(d.size())) {
    return allocate(dtype(v), d, order, grid);
  }
  const Node& concat = graph_.node(slot.concat);
  if (grid != this->grid(v) || grid != this->grid(concat.outputs[0])) {
    return allocate(dtype(v), d, order, grid);
  }
  Array place = concat_output(concat, order);
  place.offset += slot.channel * place.strides[1];
  place.dims = d;
  placed_[static_cast<size_t>(v)] = true;
  return place;
}

Array Lowering::concat_output(const Node& concat, const Order& order) {
  const ValueId v = concat.outputs[0];
  const auto it = concats_.find(v);
  if (it != concats_.end()) return it->second;
  const std::optional<Grid> on = concat.fused.empty() ? grid(v) : std::nullopt;
  return concats_.emplace(v, allocate(dtype(v), dims(v), order, on)).first->second;
}

Array Lowering::constant_array(Tensor tensor) {
  Array a;
  a.storage = static_cast<int>(plan_.storages.size());
  a.dtype = tensor.dtype();
  a.dims = tensor.dims();
  a.strides = dense_strides(a.dims, row_major(a.rank()));
  plan_.storages.push_back({Place::kConstant, 0, tensor.bytes(), std::move(tensor)});
  return a;
}

int Lowering::parts_for(int64_t work) const {
  return static_cast<int>(std::clamp<int64_t>(work / kWorkPerPart, 1, threads_));
}

Step& Lowering::add_step(std::string kernel, std::span<const Array> in, std::span<const Array> out,
                         int64_t work, StepFn run) {
  Step step;
  step.info.backend = "cpu";
  step.info.kernel = std::move(kernel);
  if (current_ != nullptr) {
    step.info.op = current_->op;
    for (const FusedOp& f : current_->fused) step.info.op += "+" + f.op;
    step.info.name = display_name(graph_, *current_);
    step.info.origin = current_->origin;
    if (step.info.origin.empty()) step.info.origin.push_back(display_name(graph_, *current_));
  } else {
    step.info.op = "Output";
  }
  for (const Array& a : in) {
    step.reads.push_back(a.storage);
    step.info.bytes += a.bytes();
  }
  for (const Array& a : out) {
    step.writes.push_back(a.storage);
    step.info.bytes += a.bytes();
  }
  if (!out.empty()) {
    step.info.out_dims = out[0].dims;
    step.info.out_dtype = dtype_name(out[0].dtype);
  }
  step.parts = parts_for(work);
  step.run = std::move(run);
  plan_.steps.push_back(std::move(step));
  return plan_.steps.back();
}

int Lowering::add_scratch(int64_t bytes) {
  const int id = static_cast<int>(plan_.storages.size());
  plan_.storages.push_back({Place::kWorkspace, 0, bytes, {}});
  plan_.steps.back().writes.push_back(id);
  return id;
}

void Lowering::define(ValueId v, Array a) {
  if (channel_grid(v)) {
    quantize_channels(v, a);
    return;
  }
  auto& forms = forms_[static_cast<size_t>(v)];
  assert(forms.empty());
  forms.push_back(std::move(a));
}

void Lowering::define_channel_bytes(ValueId v, const Array& bytes) {
  assert(forms_[static_cast<size_t>(v)].empty());
  channel_bytes_.emplace(v, bytes);
}

Status Lowering::finish(const Node& node, Array y, size_t fused_from) {
  const ValueId v = node.outputs[0];
  if (fused_from < node.fused.size() || (grid(v) && !y.grid)) {
    return apply_post_ops(*this, node, std::move(y), fused_from);
  }
  define(v, std::move(y));
  return {};
}

Status Lowering::define_view(const Node& node, Array view) {
  const ValueId v = node.outputs[0];
  if (!node.fused.empty()) {
    // Post-ops work in place, so they need elements of their own.
    if (view.grid) {
      MNN_ASSIGN_OR_RETURN(view, dequantize(view));
    }
    const Array own = allocate(view.dtype, view.dims, order_of(view));
    copy_into(view, own);
    return finish(node, own);
  }
  const std::optional<Grid> want = grid(v);
  if (view.grid != want) {
    if (!view.grid) {
      MNN_ASSIGN_OR_RETURN(view, quantize(view, *want));
    } else {
      MNN_ASSIGN_OR_RETURN(view, want ? requantize(view, *want) : dequantize(view));
    }
  }
  define(v, std::move(view));
  return {};
}

// Outputs leave as dense row-major tensors of their own type. A value that is so already, in
// memory of its own, is computed right in the output tensor.
Status Lowering::store_outputs() {
  std::vector<bool> taken(plan_.storages.size(), false);
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId v = graph_.outputs[i];
    const Order order = row_major(dims(v).size());
    MNN_ASSIGN_OR_RETURN(const Array a, real(v, order));
    const auto s = static_cast<size_t>(a.storage);
    taken.resize(plan_.storages.size(), false);
    if (a.offset == 0 && !taken[s] && plan_.storages[s].place == Place::kWorkspace &&
        plan_.storages[s].bytes == a.bytes()) {
      plan_.storages[s].place = Place::kOutput;
      plan_.storages[s].index = static_cast<int>(i);
      taken[s] = true;
      continue;
    }
    const Array made = allocate(a.dtype, a.dims, order);
    copy_into(a, made);
    plan_.storages[static_cast<size_t>(made.storage)].place = Place::kOutput;
    plan_.storages[static_cast<size_t>(made.storage)].index = static_cast<int>(i);
  }
  return {};
}

}  // namespace mnn::cpu
