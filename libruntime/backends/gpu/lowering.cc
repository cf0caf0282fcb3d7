#include "libruntime/backends/gpu/lowering.h"

#include <algorithm>
#include <cstring>

#include "libruntime/core/quant.h"
#include "libruntime/kernels/weight_id.h"

namespace mnn::gpu {
namespace {

// A kernel's items are counted in an int.
constexpr int64_t kMostItems = INT32_MAX - kGroup;

}  // namespace

int64_t words_of(const Array& a) { return a.elements() * words_per(a.dtype); }

const OpRow* find_row(std::string_view op) {
  static const std::map<std::string_view, const OpRow*> rows = [] {
    std::map<std::string_view, const OpRow*> all;
    for (const auto family : {move_rows(), matrix_rows(), conv_rows(), row_rows(), gather_rows(),
                              recurrent_rows(), attention_rows(), cast_rows(), integer_rows()}) {
      for (const OpRow& row : family) all.emplace(row.op, &row);
    }
    return all;
  }();
  const auto it = rows.find(op);
  return it == rows.end() ? nullptr : it->second;
}

Lowering::Lowering(const Graph& graph, const CompileOptions& options, std::string backend,
                   const DeviceTraits& traits)
    : graph_(graph),
      weights_cache_(*options.weights),
      backend_(std::move(backend)),
      traits_(traits),
      uses_(index_uses(graph)),
      absorbed_(find_absorbed(graph, uses_, kMaxSources)) {}

Result<Program> Lowering::run() {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const ValueId v = graph_.inputs[i];
    const int64_t elements = product(dims(v));
    const bool bytes = dtype(v) == DType::kBool;
    const Array a = in_storage(dtype(v), dims(v),
                               {Place::kInput, static_cast<int>(i),
                                bytes ? elements : elements * 4 * words_per(dtype(v))});
    if (!bytes) {
      arrays_[v] = {a};
      continue;
    }
    const Array unpacked = allocate(DType::kBool, dims(v));
    Launch& l = launch("mnn_unpack_bytes", elements);
    l.buffers = {a.storage, unpacked.storage};
    l.params = {word(elements)};
    arrays_[v] = {unpacked};
  }
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (absorbed_[n]) continue;
    const Node& node = graph_.nodes[n];
    current_ = &node;
    const Status status = lower(node);
    if (!unread_.ok()) return unread_;
    if (!status.ok()) {
      return status.context("node " + display_name(graph_, node) + " (" + node.op + ")");
    }
  }
  current_ = nullptr;
  MNN_RETURN_IF_ERROR(store_outputs());
  for (const Launch& l : program_.launches) {
    if (l.groups * kGroup > kMostItems) {
      return unsupported("a kernel of more than " + std::to_string(kMostItems) + " items");
    }
  }
  return std::move(program_);
}

Status Lowering::lower(const Node& node) {
  if (is_device_expression(graph_, node)) return lower_expression(node);
  const OpRow* row = find_row(node.op);
  if (row == nullptr) return internal_error("no kernel");
  return row->lower(*this, node);
}

const Tensor* Lowering::constant(ValueId v) {
  const Value& value = graph_.value(v);
  if (value.kind != ValueKind::kConstant) return nullptr;
  Tensor& real = reals_[v];
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

Array Lowering::in_storage(DType dtype, const Dims& dims, Storage storage) {
  Array a;
  a.storage = static_cast<int>(program_.storages.size());
  a.dtype = dtype;
  a.dims = dims;
  a.strides = dense_strides(dims, row_major(dims.size()));
  program_.storages.push_back(storage);
  return a;
}

Array Lowering::allocate(DType dtype, const Dims& dims) {
  return in_storage(dtype, dims, {Place::kWorkspace, 0, product(dims) * 4 * words_per(dtype)});
}

Result<Array> Lowering::array(ValueId v) {
  auto& forms = arrays_[v];
  if (!forms.empty()) return forms[0];
  if (const Bytes* b = find_bytes(v)) {
    const Array y = allocate(DType::kF32, b->dims);
    Launch& l = launch("mnn_from_bytes", y.elements());
    l.buffers = {b->storage, y.storage};
    l.params = {word(y.elements()), word(b->channels()), word(b->inner()), word(b->grid.scale),
                word(b->zero())};
    forms.push_back(y);
    return y;
  }
  if (graph_.value(v).kind != ValueKind::kConstant) return internal_error("a value nobody made");
  const DType type = dtype(v);
  Array a;
  a.dtype = type;
  a.dims = dims(v);
  a.strides = dense_strides(a.dims, row_major(a.rank()));
  a.storage = weights(v, "words", words_of(a), [type](const Tensor& real, uint32_t* words) {
    if (type != DType::kBool) {
      std::memcpy(words, real.raw(), static_cast<size_t>(real.bytes()));
      return Status();
    }
    for (int64_t i = 0; i < real.elements(); ++i) words[i] = real.data<bool>()[i] ? 1 : 0;
    return Status();
  });
  forms.push_back(a);
  return a;
}

Result<Array> Lowering::dense(const Array& a) {
  if (a.offset == 0 && is_dense(a, row_major(a.rank()))) return a;
  const Array made = allocate(a.dtype, a.dims);
  copy(a, made);
  return made;
}

Result<Array> Lowering::dense(ValueId v) {
  MNN_ASSIGN_OR_RETURN(const Array first, array(v));
  for (const Array& a : arrays_[v]) {
    if (a.offset == 0 && is_dense(a, row_major(a.rank()))) return a;
  }
  MNN_ASSIGN_OR_RETURN(const Array made, dense(first));
  arrays_[v].push_back(made);
  return made;
}

int Lowering::weights(ValueId v, std::string_view how, int64_t words,
                      std::function<Status(const Tensor& real, uint32_t* words)> make) {
  return weights_of(v, how, words,
                    [make = std::move(make)](const Value& value, uint32_t* to) -> Status {
                      MNN_ASSIGN_OR_RETURN(const Tensor real, constant_as_real(value));
                      return make(real, to);
                    });
}

int Lowering::weights_of(ValueId v, std::string_view how, int64_t words,
                         std::function<Status(const Value& value, uint32_t* words)> make) {
  DeviceWeights w;
  const Value& value = graph_.value(v);
  w.id = weight_id(weights_cache_, value);
  w.layout = how;
  w.words = words;
  // The constant's bytes outlive the executable; its value need not.
  w.make = [value, make = std::move(make)](uint32_t* to) { return make(value, to); };
  const int index = static_cast<int>(program_.weights.size());
  program_.weights.push_back(std::move(w));
  program_.storages.push_back({Place::kWeights, index, words * 4});
  return static_cast<int>(program_.storages.size()) - 1;
}

int Lowering::weights(const std::vector<float>& numbers) {
  DeviceWeights w;
  const auto bytes = static_cast<int64_t>(numbers.size() * sizeof(float));
  w.id = weights_cache_.identify(numbers.data(), bytes);
  w.layout = "numbers";
  w.words = static_cast<int64_t>(numbers.size());
  w.make = [numbers, bytes](uint32_t* to) {
    std::memcpy(to, numbers.data(), static_cast<size_t>(bytes));
    return Status();
  };
  const int index = static_cast<int>(program_.weights.size());
  program_.weights.push_back(std::move(w));
  program_.storages.push_back({Place::kWeights, index, bytes});
  return static_cast<int>(program_.storages.size()) - 1;
}

int Lowering::table(std::vector<int> words) {
  const auto bytes = static_cast<int64_t>(words.size()) * 4;
  const int index = static_cast<int>(program_.tables.size());
  program_.tables.push_back(std::move(words));
  program_.storages.push_back({Place::kTable, index, bytes});
  return static_cast<int>(program_.storages.size()) - 1;
}

int Lowering::error() {
  if (error_ < 0) {
    error_ = static_cast<int>(program_.storages.size());
    program_.storages.push_back({Place::kError, 0, 4});
  }
  return error_;
}

void Lowering::define(ValueId v, const Array& y) { arrays_[v] = {y}; }

Array Lowering::constant_array(const Tensor& numbers) {
  Array a;
  a.dtype = DType::kF32;
  a.dims = numbers.dims();
  a.strides = dense_strides(a.dims, row_major(a.rank()));
  const float* data = numbers.data<float>();
  a.storage = weights(std::vector<float>(data, data + numbers.elements()));
  return a;
}

Array Bytes::array() const {
  Array a;
  a.storage = storage;
  a.dtype = DType::kI32;
  a.dims = dims;
  a.dims[axis] = blocks();
  a.strides = dense_strides(a.dims, row_major(a.rank()));
  return a;
}

const Bytes* Lowering::find_bytes(ValueId v) const {
  const auto it = bytes_.find(v);
  return it == bytes_.end() ? nullptr : &it->second;
}

void Lowering::define_bytes(ValueId v, const Bytes& y) { bytes_[v] = y; }

Bytes Lowering::allocate_bytes(ValueId v, size_t axis) {
  Bytes b;
  b.grid = *grid_of(graph_.value(v));
  b.dims = dims(v);
  b.axis = axis;
  b.storage = in_storage(DType::kI32, {b.words()}, {Place::kWorkspace, 0, b.words() * 4}).storage;
  return b;
}

Result<Bytes> Lowering::bytes(ValueId v, size_t axis) {
  const Bytes* known = find_bytes(v);
  if (known != nullptr && known->axis == axis) return *known;
  MNN_ASSIGN_OR_RETURN(const Array x, dense(v));
  const Bytes b = allocate_bytes(v, axis);
  Launch& l = launch("mnn_to_bytes", b.words());
  l.buffers = {x.storage, b.storage};
  l.params = {word(b.words()), word(b.channels()), word(b.inner()), word(b.grid.scale),
              word(static_cast<float>(b.grid.zero))};
  if (known == nullptr) define_bytes(v, b);
  return b;
}

void Lowering::describe(const std::vector<const Node*>& nodes, StepInfo& info) const {
  info.op.clear();
  info.origin.clear();
  for (const Node* n : nodes) {
    const StepInfo own = describe_step(graph_, *n);
    info.op += (info.op.empty() ? "" : "+") + own.op;
    for (const std::string& name : own.origin) {
      if (std::find(info.origin.begin(), info.origin.end(), name) == info.origin.end()) {
        info.origin.push_back(name);
      }
    }
  }
}

Launch& Lowering::launch_groups(std::string_view kernel, int64_t groups) {
  Launch l;
  l.row = find_kernel_row(kernel);
  l.groups = groups;
  if (current_ != nullptr) {
    l.info = describe_step(graph_, *current_);
    // The kernel that computes the products says so.
    l.info.macs = 0;
    l.info.form = ComputeForm::kNone;
  } else {
    l.info.op = "Border";
  }
  l.info.backend = backend_;
  l.info.kernel = kernel;
  program_.launches.push_back(std::move(l));
  return program_.launches.back();
}

Launch& Lowering::launch(std::string_view kernel, int64_t items) {
  return launch_groups(kernel, (items + kGroup - 1) / kGroup);
}

void Lowering::copy(const Array& from, const Array& to) {
  auto words = [](const Array& a) {
    Array w = a;
    if (words_per(a.dtype) == 1) return w;
    for (int64_t& s : w.strides) s *= 2;
    w.offset *= 2;
    w.dims.push_back(2);
    w.strides.push_back(1);
    return w;
  };
  const Array x = words(from), y = words(to);
  const Dims strides[] = {y.strides, x.strides};
  const Loops loops = make_loops(y.dims, order_of(y), strides);
  std::vector<int> t;
  for (const Dims* list : {&loops.extents, &loops.strides[1], &loops.strides[0]}) {
    for (const int64_t v : *list) t.push_back(static_cast<int>(v));
  }
  const int at = table(std::move(t));
  Launch& l = launch("mnn_copy", product(y.dims));
  l.buffers = {x.storage, at, y.storage};
  l.params = {word(product(y.dims)), word(static_cast<int64_t>(loops.extents.size())),
              word(x.offset), word(y.offset)};
}

// Outputs leave row-major; truth values as bytes. A value in memory of its own is computed there.
Status Lowering::store_outputs() {
  std::vector<bool> taken(program_.storages.size(), false);
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId v = graph_.outputs[i];
    const auto index = static_cast<int>(i);
    MNN_ASSIGN_OR_RETURN(const Array a, dense(v));
    taken.resize(program_.storages.size(), false);
    Storage& s = program_.storages[static_cast<size_t>(a.storage)];
    if (dtype(v) == DType::kBool) {
      const Array packed = in_storage(DType::kBool, a.dims, {Place::kOutput, index, a.elements()});
      Launch& l = launch("mnn_pack_bytes", (a.elements() + 3) / 4);
      l.buffers = {a.storage, packed.storage};
      l.params = {word(a.elements())};
      continue;
    }
    const int64_t bytes = words_of(a) * 4;
    if (s.place == Place::kWorkspace && !taken[static_cast<size_t>(a.storage)] &&
        s.bytes == bytes) {
      s.place = Place::kOutput;
      s.index = index;
      taken[static_cast<size_t>(a.storage)] = true;
      continue;
    }
    const Array made = in_storage(a.dtype, a.dims, {Place::kOutput, index, bytes});
    copy(a, made);
  }
  return {};
}

}  // namespace mnn::gpu
