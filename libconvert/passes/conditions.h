// What the conditions of rules ask about values and nodes.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// The only element of an unquantized numeric constant.
std::optional<double> scalar_of(const Graph& graph, ValueId id);
// Whether `id` is a one-element constant within a relative 1e-6 of `expected`, or `expected` as f16
// or bf16 has it: exporters round the constants of a formula differently.
bool is_scalar(const Graph& graph, ValueId id, double expected);
// Whether `id` is a numeric constant all of whose elements are exactly `expected`.
bool is_filled_with(const Graph& graph, ValueId id, double expected);
// The elements of an integer constant.
std::optional<std::vector<int64_t>> ints_of(const Graph& graph, ValueId id);
bool is_tensor_of(const Graph& graph, ValueId id, DType dtype);
// Both are tensors of one dtype and provably one shape.
bool same_type(const Graph& graph, ValueId a, ValueId b);
// Whether x op c has the shape of x for a one-element constant c, whatever x's dims are.
bool scalar_keeps_shape(const Graph& graph, ValueId x, ValueId c);

// Whether rounding `b`, which holds elements of `a` in another order, changes nothing: `b` has no
// grid, or both have the same one for the whole tensor.
bool adds_no_rounding(const Graph& graph, ValueId a, ValueId b);

// Attributes with the defaults of the operator's row.
int64_t attr_int(const Node& node, std::string_view name);
double attr_float(const Node& node, std::string_view name);
std::string attr_string(const Node& node, std::string_view name);
std::vector<int64_t> attr_ints(const Node& node, std::string_view name);

// Input i of a node, kNoValue when it has none there.
ValueId input_of(const Node& node, size_t i);

// The activations that kernels of layers have in their epilogue, by name; the node's own parameters
// decide whether they have it as it is.
std::span<const std::string_view> kernel_activations();
bool is_kernel_activation(const Graph& graph, const Node& node);

// A float constant that varies along one axis of a tensor of rank `rank` only: one value per index
// of that axis (or one for all of them, then repeated). nullopt when `id` is anything else, or
// would change the shape of what it meets.
std::optional<std::vector<double>> along_axis(const Graph& graph, ValueId id, size_t rank,
                                              size_t axis, int64_t count);

// A f32 constant from doubles; nullopt when one is not finite as f32.
std::optional<Tensor> to_f32(const std::vector<double>& values, std::vector<int64_t> dims);

}  // namespace mnn
