// Turns a segment into a Program: where values lie, and which kernel computes them.
//
// On a device f32, i32 and truth values take one word an element, i64 two (low, high). At the
// segment's border truth values are bytes: they are unpacked when they are first read. A value's
// array may be a view (a transpose, a slice); what a kernel reads densely is copied first.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libruntime/backends/gpu/program.h"
#include "libruntime/compile/backend.h"
#include "libruntime/lower/array.h"
#include "libruntime/lower/expression.h"
#include "libruntime/lower/post_op.h"

namespace mnn::gpu {

inline constexpr const char* kDevice = "device";

class Lowering;

// A value on a grid as words of four channels, [outer][channels / 4][inner] (byte_kernels.h).
struct Bytes {
  int storage = -1;
  Grid grid;        // of unsigned bytes; what is stored is less by 128
  Dims dims;        // of the value
  size_t axis = 1;  // that of the channels

  int64_t channels() const { return dims[axis]; }
  int64_t blocks() const { return (channels() + 3) / 4; }
  int64_t outer() const { return product(std::span(dims).first(axis)); }
  int64_t inner() const { return product(std::span(dims).subspan(axis + 1)); }
  int64_t words() const { return outer() * blocks() * inner(); }
  int64_t zero() const { return grid.zero - 128; }  // as stored
  // The words as an array of i32: the dims with blocks for channels.
  Array array() const;
};

struct OpRow {
  std::string_view op;
  std::optional<std::string> (*why_not)(const NodeView& n);
  Status (*lower)(Lowering& l, const Node& node);
};
// Null: no kernel, or an elementwise operator.
const OpRow* find_row(std::string_view op);
std::span<const OpRow> move_rows();
std::span<const OpRow> matrix_rows();
std::span<const OpRow> conv_rows();
std::span<const OpRow> row_rows();
std::span<const OpRow> gather_rows();
std::span<const OpRow> recurrent_rows();
std::span<const OpRow> attention_rows();
std::span<const OpRow> cast_rows();
std::span<const OpRow> integer_rows();
// Whether the node's product is one of bytes: its input has a grid, its weights are constant signed
// bytes.
bool multiplies_bytes(const Graph& graph, const Node& node);
// Why nodes have no such kernel; also of a graph that is not quantized yet.
std::optional<std::string> why_not_byte_product(const Graph& graph, const Node& node);
// Whether the node runs as an expression on a device.
bool is_device_expression(const Graph& graph, const Node& node);

class Lowering {
 public:
  Lowering(const Graph& graph, const CompileOptions& options, std::string backend,
           const DeviceTraits& traits);
  Result<Program> run();

  const Graph& graph() const { return graph_; }
  bool halves() const { return traits_.halves; }
  Dims dims(ValueId v) const { return known_dims(*graph_.value(v).type.shape); }
  DType dtype(ValueId v) const { return graph_.value(v).type.dtype; }
  // The elements of a constant; null when it is none.
  const Tensor* constant(ValueId v);
  ReadConstant reader() {
    return [this](ValueId v) { return constant(v); };
  }
  ExpressionHooks hooks();

  // Where the value is, perhaps as a view.
  Result<Array> array(ValueId v);
  // Row-major from the start of a storage.
  Result<Array> dense(ValueId v);
  Result<Array> dense(const Array& a);
  Array allocate(DType dtype, const Dims& dims);
  // A value that has a grid as bytes, with this axis for the channels.
  Result<Bytes> bytes(ValueId v, size_t axis);
  // Null where nobody has made them.
  const Bytes* find_bytes(ValueId v) const;
  Bytes allocate_bytes(ValueId v, size_t axis);
  void define_bytes(ValueId v, const Bytes& y);
  // Words of a constant in a layout of the kernel's own; `how` tells all that makes them.
  int weights_of(ValueId v, std::string_view how, int64_t words,
                 std::function<Status(const Value& value, uint32_t* words)> make);
  // The same from the numbers that it means.
  int weights(ValueId v, std::string_view how, int64_t words,
              std::function<Status(const Tensor& real, uint32_t* words)> make);
  int weights(const std::vector<float>& numbers);
  // An f32 constant that was made for an expression.
  Array constant_array(const Tensor& numbers);
  int table(std::vector<int> words);
  int error();

  // The first output is `y`, then come post-ops [from, …) and the rounding to its grid.
  Status finish(const Node& node, Array y, size_t from = 0);
  void define(ValueId v, const Array& y);
  // A launch of `items` items, or of as many groups.
  Launch& launch(std::string_view kernel, int64_t items);
  Launch& launch_groups(std::string_view kernel, int64_t groups);
  void copy(const Array& from, const Array& to);

  Status lower_expression(const Node& node);
  // An expression over values and the array `so_far`, into a new array of these dims.
  Result<Array> add_expression(const Expression& e, const Dims& dims, DType result,
                               const std::optional<Array>& so_far, const Node* node = nullptr);
  // The same of bytes, into bytes: nullopt where the sources do not lie so.
  Result<std::optional<Bytes>> add_byte_expression(const Expression& e, const Node& node);

 private:
  Status lower(const Node& node);
  Status add_parts(const Node& node, ExpressionList list, std::optional<Array> so_far, Array& y);
  void describe(const std::vector<const Node*>& nodes, StepInfo& info) const;
  Status store_outputs();
  Array in_storage(DType dtype, const Dims& dims, Storage storage);
  void add_loops(Launch& launch, DeviceExpression d, const Loops& loops, const Dims& offsets,
                 const Dims& lanes, const Array& y);

  const Graph& graph_;
  WeightsCache& weights_cache_;
  const std::string backend_;
  const DeviceTraits traits_;
  const Uses uses_;
  const std::vector<bool> absorbed_;
  Program program_;
  std::map<ValueId, std::vector<Array>> arrays_;
  std::map<ValueId, Bytes> bytes_;
  std::map<ValueId, Tensor> reals_;
  const Node* current_ = nullptr;
  Status unread_;
  int error_ = -1;
};

// kMasked: rows of minus infinities give zeros.
enum class SoftmaxForm : uint8_t { kPlain, kLog, kMasked };
// Of a dense x, along an axis.
Array add_softmax(Lowering& l, const Array& x, size_t axis, SoftmaxForm form);

// Integers of another size, cut where they do not fit.
Array add_integer_cast(Lowering& l, const Array& x, DType to);

int64_t words_of(const Array& a);
inline int words_per(DType dtype) { return dtype == DType::kI64 ? 2 : 1; }

}  // namespace mnn::gpu
