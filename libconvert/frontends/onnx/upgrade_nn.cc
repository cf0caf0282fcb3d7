// Normalizations, activations and sampling operators whose meaning changed.
#include <cfloat>

#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {
namespace {

// One mean and variance per element instead of one per channel.
void per_element_norm(NodeUpgrade& u, double epsilon) {
  const ValueId eps = u.add_scalar(epsilon, u.dtype(0));
  const ValueId centered = u.emit("Sub", {u.in(0), u.in(3)});
  const ValueId deviation = u.emit("Sqrt", {u.emit("Add", {u.in(4), eps})});
  const ValueId normal = u.emit("Div", {centered, deviation});
  u.results = {u.emit("Add", {u.emit("Mul", {normal, u.in(1)}), u.in(2)})};
  u.results.resize(u.wanted.size(), kNoValue);
}

// One value per group made one per channel.
ValueId spread_groups(NodeUpgrade& u, ValueId groups, int64_t count) {
  const Dim channels = u.dim(0, 1);
  const ValueId column = u.reshape(groups, {count, 1});
  if (channels.known()) {
    if (channels.value() % count != 0) {
      u.fail(invalid(std::to_string(channels.value()) + " channels do not divide into " +
                     std::to_string(count) + " groups"));
      return kNoValue;
    }
    const ValueId shape = u.add_ints({count, channels.value() / count});
    return u.reshape(u.emit("Expand", {column, shape}), {channels.value()});
  }
  const ValueId dim = u.emit("Shape", {u.in(0)}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
  const ValueId each = u.emit("Div", {dim, u.add_ints({count})});
  const ValueId shape = u.emit("Concat", {u.add_ints({count}), each}, {{"axis", int64_t{0}}});
  return u.emit("Reshape", {u.emit("Expand", {column, shape}), u.add_ints({-1})});
}

}  // namespace

void upgrade_batch_norm(NodeUpgrade& u) {
  if (u.version < 7) {
    u.drop_attr("consumed_inputs");
    u.drop_attr("is_test");
  }
  if (u.version < 9 && u.take_int("spatial").value_or(1) == 0) {
    return per_element_norm(u, u.take_float("epsilon").value_or(1e-5));
  }
  if (u.version >= 14) return;
  // Asking for the statistics meant training; the last two were buffers without a meaning.
  if (u.wants(3) || u.wants(4)) {
    return u.fail(unsupported("outputs saved_mean and saved_var have no meaning of their own"));
  }
  if (u.wants(1) || u.wants(2)) u.attributes["training_mode"] = int64_t{1};
  u.wanted.resize(u.wants(1) || u.wants(2) ? 3 : 1);
}

void upgrade_clip(NodeUpgrade& u) {
  if (u.version < 6) u.drop_attr("consumed_inputs");
  if (u.version >= 11) return;
  // The defaults were the ends of the type: no bound at all.
  const double low = u.take_float("min").value_or(-FLT_MAX);
  const double high = u.take_float("max").value_or(FLT_MAX);
  if (low > -FLT_MAX) u.set_input(1, u.add_scalar(low, u.dtype(0)));
  if (high < FLT_MAX) u.set_input(2, u.add_scalar(high, u.dtype(0)));
}

void upgrade_dropout(NodeUpgrade& u) {
  if (u.version >= 12) return;
  for (const char* key : {"ratio", "is_test", "consumed_inputs"}) u.drop_attr(key);
  if (u.version >= 10 || !u.wants(1)) return;
  // The mask had the type of the data.
  const std::vector<ValueId> made = u.emit_n("Dropout", {u.in(0)}, 2);
  if (!u.status.ok()) return;
  u.results = {made[0], u.cast(made[1], u.dtype(0))};
}

void upgrade_grid_sample(NodeUpgrade& u) {
  if (u.version >= 20) return;
  const std::string mode = u.take_string("mode").value_or("bilinear");
  u.attributes["mode"] = std::string(mode == "bilinear"  ? "linear"
                                     : mode == "bicubic" ? "cubic"
                                                         : mode);
}

void upgrade_group_norm(NodeUpgrade& u) {
  if (u.version >= 21) return;
  const int64_t* count = u.find_attr<int64_t>("num_groups");
  if (count == nullptr) return u.fail(invalid("attribute num_groups is missing"));
  if (*count < 1) return u.fail(invalid("num_groups is " + std::to_string(*count)));
  if (!u.has(1) || !u.has(2)) return u.fail(invalid("scale or bias is missing"));
  const int64_t n = *count;
  u.inputs[1] = spread_groups(u, u.inputs[1], n);
  if (u.status.ok()) u.inputs[2] = spread_groups(u, u.inputs[2], n);
}

void upgrade_roi_align(NodeUpgrade& u) {
  if (u.version < 16) {
    u.attributes["coordinate_transformation_mode"] = std::string("output_half_pixel");
  }
}

// Softmax, LogSoftmax and Hardmax worked on a matrix: the axes from `axis` on were its rows.
void upgrade_softmax(NodeUpgrade& u) {
  if (u.version >= 13) return;
  const int64_t axis = u.take_int("axis").value_or(1);
  if (const std::optional<size_t> rank = u.rank(0)) {
    const Result<size_t> at = normalize_axis(axis, *rank);
    bool alone = at.ok();  // all axes behind it have one entry
    for (size_t i = at.ok() ? *at + 1 : 0; alone && i < *rank; ++i) alone = u.dim(0, i).is(1);
    if (alone || !at.ok()) {
      u.attributes["axis"] = axis;  // an axis out of range is the operator's to refuse
      return;
    }
  }
  if (!u.has(0)) return u.fail(invalid("input 0 is missing"));
  const ValueId shape = u.shape_of(u.in(0));
  const ValueId matrix = u.emit("Flatten", {u.in(0)}, {{"axis", axis}});
  const ValueId rows = u.emit(u.op, {matrix}, {{"axis", int64_t{-1}}});
  u.results = {u.emit("Reshape", {rows, shape}, {{"allowzero", int64_t{1}}})};
}

}  // namespace mnn::onnx
