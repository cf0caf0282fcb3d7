// Quantized tensors and packed weights of TorchScript archives (torch.ao), and the operators that
// take them apart.
#include <algorithm>

#include "libconvert/frontends/torch/quantized.h"
#include "libconvert/frontends/torch/script_operators.h"
#include "libruntime/core/half.h"

namespace mnn::torch {
namespace {

using PickleKind = Pickled::Kind;

// Whole numbers of a list of ints or of one-element tensors, or of one tensor.
Result<std::vector<int64_t>> whole_numbers(const Pickled& list) {
  if (list.kind == PickleKind::kTensor) return list.tensor.to_ints();
  std::vector<int64_t> numbers;
  for (const Pickled* item : list.items) {
    if (item->kind == PickleKind::kInt) {
      numbers.push_back(item->number);
      continue;
    }
    if (item->kind != PickleKind::kTensor || item->tensor.elements() != 1) {
      return invalid("the geometry of packed weights is no list of whole numbers");
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> one, item->tensor.to_ints());
    numbers.push_back(one[0]);
  }
  return numbers;
}

bool is_sequence(const Pickled& value, size_t least) {
  return (value.kind == PickleKind::kTuple || value.kind == PickleKind::kList) &&
         value.items.size() >= least;
}

// The parts of a convolution's weights in the three forms that PyTorch has written.
struct ConvParts {
  const Pickled *weight = nullptr, *bias = nullptr;
  std::vector<int64_t> stride, padding, dilation, output_padding;
  int64_t groups = 1, transposed = 0;
};

// (number of spatial dims, stride…, padding…, dilation…, output padding…, groups, transposed)
Status split_config(const std::vector<int64_t>& config, ConvParts& parts) {
  const size_t dims =
      config.empty() ? 0 : static_cast<size_t>(std::clamp<int64_t>(config[0], 0, 4));
  if (dims == 0 || config.size() != 4 * dims + 3) {
    return invalid("packed weights have a geometry of " + std::to_string(config.size()) +
                   " numbers");
  }
  auto at = config.begin() + 1;
  for (auto* list : {&parts.stride, &parts.padding, &parts.dilation, &parts.output_padding}) {
    list->assign(at, at + static_cast<int64_t>(dims));
    at += static_cast<int64_t>(dims);
  }
  parts.groups = *at++;
  parts.transposed = *at & 1;
  return {};
}

Status malformed() { return invalid("packed weights are not described as such"); }

Result<ConvParts> conv_parts(const Pickled& state) {
  if (!is_sequence(state, 3)) return malformed();
  const std::vector<Pickled*>& items = state.items;
  ConvParts parts;
  if (items[0]->kind == PickleKind::kTensor) {  // version 1
    if (items.size() < 6) return malformed();
    parts.weight = items[0];
    parts.bias = items[1];
    MNN_ASSIGN_OR_RETURN(parts.stride, whole_numbers(*items[2]));
    MNN_ASSIGN_OR_RETURN(parts.padding, whole_numbers(*items[3]));
    MNN_ASSIGN_OR_RETURN(parts.dilation, whole_numbers(*items[4]));
    parts.output_padding.assign(parts.stride.size(), 0);
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> groups, whole_numbers(*items[5]));
    if (groups.size() != 1) return malformed();
    parts.groups = groups[0];
    return parts;
  }
  const bool second = items[0]->kind == PickleKind::kString && items[0]->text == "2";
  const bool third = items[0]->kind == PickleKind::kInt && items[0]->number == 3;
  if (!second && !third) return unsupported("packed weights of this version");
  if (second) {
    if (!is_sequence(*items[1], 2) || !is_sequence(*items[2], 1)) return malformed();
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> config, whole_numbers(*items[1]->items[0]));
    MNN_RETURN_IF_ERROR(split_config(config, parts));
    parts.weight = items[1]->items[1];
    parts.bias = items[2]->items[0];
  } else {
    if (!is_sequence(*items[2], 3)) return malformed();
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> config, whole_numbers(*items[1]));
    MNN_RETURN_IF_ERROR(split_config(config, parts));
    parts.weight = items[2]->items[1];
    parts.bias = items[2]->items[2];
  }
  return parts;
}

ScriptValue list_of(Interpreter& interpreter, const std::vector<int64_t>& numbers) {
  return interpreter.add_list({numbers.begin(), numbers.end()});
}

// Scale and zero point of a tensor of codes as constants.
struct Numbers {
  Tensor scale, zero_point;
  int64_t axis = -1;
  bool real_zero_points = false;
};
// As a half-precision number.
Result<Tensor> rounded_to_half(const Tensor& t) {
  MNN_ASSIGN_OR_RETURN(const Tensor half, convert_floats(t, DType::kF16));
  return convert_floats(half, DType::kF32);
}

Result<Numbers> grid_numbers(const Pickled& scheme, const Tensor& codes) {
  const Status malformed = invalid("a quantized tensor does not say how it is quantized");
  if (!is_sequence(scheme, 3) || scheme.items[0]->kind != PickleKind::kGlobal) return malformed;
  const std::string& name = scheme.items[0]->text;
  const Pickled &scale = *scheme.items[1], &zero = *scheme.items[2];
  Numbers numbers;
  if (name == "torch.per_tensor_affine") {
    if (scale.kind != PickleKind::kFloat || zero.kind != PickleKind::kInt) return malformed;
    numbers.scale = Tensor::scalar(static_cast<float>(scale.real));
    MNN_ASSIGN_OR_RETURN(numbers.zero_point, with_type(Tensor::scalar(zero.number), codes.dtype()));
    return numbers;
  }
  if (scheme.items.size() < 4 || scale.kind != PickleKind::kTensor ||
      zero.kind != PickleKind::kTensor || scheme.items[3]->kind != PickleKind::kInt) {
    return malformed;
  }
  numbers.axis = scheme.items[3]->number;
  const bool fits = numbers.axis >= 0 && numbers.axis < static_cast<int64_t>(codes.rank()) &&
                    scale.tensor.dims() == zero.tensor.dims() && scale.tensor.rank() == 1 &&
                    scale.tensor.elements() == codes.dims()[static_cast<size_t>(numbers.axis)];
  if (!fits) return malformed;
  MNN_ASSIGN_OR_RETURN(numbers.scale, with_type(scale.tensor, DType::kF32));
  numbers.real_zero_points = name == "torch.per_channel_affine_float_qparams";
  MNN_ASSIGN_OR_RETURN(
      numbers.zero_point,
      with_type(zero.tensor, numbers.real_zero_points ? DType::kF32 : codes.dtype()));
  return numbers;
}

// `quantized::…_prepack`: weight, bias and, of convolutions, the geometry. `transposed` ones have
// the padding of the output before the dilation.
template <bool Transposed>
Result<bool> conv_prepack(ScriptCall& call) {
  const size_t count = Transposed ? 7 : 6;
  if (call.args.size() != count) return false;
  const std::vector<ScriptValue>& a = call.args;
  const auto* stride = as<ListValue*>(a[2]);
  if (stride == nullptr) return false;
  const std::vector<int64_t> none((*stride)->items.size(), 0);
  call.result = call.interpreter.add_list(
      {a[0], a[1], a[2], a[3], Transposed ? a[5] : a[4],
       Transposed ? a[4] : list_of(call.interpreter, none), a[count - 1], Transposed},
      true);
  return true;
}
Result<bool> linear_prepack(ScriptCall& call) {
  if (call.args.empty() || call.args.size() > 2) return false;
  call.result = call.interpreter.add_list(
      {call.args[0], call.args.size() > 1 ? call.args[1] : ScriptValue(None{})}, true);
  return true;
}

// The packed weights of the input and of the state, which have the biases in them.
Result<bool> cell_params(ScriptCall& call) {
  if (call.args.size() < 2 || as<ListValue*>(call.args[0]) == nullptr ||
      as<ListValue*>(call.args[1]) == nullptr) {
    return false;
  }
  call.result = call.interpreter.add_list({call.args[0], call.args[1]}, true);
  return true;
}

Result<bool> is_quantized(ScriptCall& call) {
  const auto* ref = call.args.size() == 1 ? as<TensorRef>(call.args[0]) : nullptr;
  if (ref == nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const TensorArg tensor, call.interpreter.read(*ref));
  call.result = tensor.quantized();
  return true;
}

}  // namespace

Result<ScriptValue> Interpreter::from_codes(const Pickled& value, const std::string& path) {
  MNN_ASSIGN_OR_RETURN(Numbers numbers, grid_numbers(*value.items[0], value.tensor));
  Graph& graph = draft().graph;
  frontend::NodeBuilder builder(draft(), budget_);
  builder.name = path;
  const ValueId codes = graph.add_constant(value.tensor, path);
  frontend::NodeBuilder::Attributes axis;
  if (numbers.axis >= 0) axis["axis"] = numbers.axis;
  if (numbers.real_zero_points) {
    // (code - zero point) * scale, an entry an index along the axis. Of 4 bits PyTorch's operators
    // have scale and -zero point * scale in half precision.
    std::vector<int64_t> dims(value.tensor.rank(), 1);
    dims[static_cast<size_t>(numbers.axis)] = numbers.scale.elements();
    const Tensor& zero = numbers.zero_point;
    MNN_ASSIGN_OR_RETURN(Tensor offset, Tensor::allocate(DType::kF32, zero.dims()));
    for (int64_t i = 0; i < zero.elements(); ++i)
      offset.data<float>()[i] = -zero.data<float>()[i] * numbers.scale.data<float>()[i];
    if (value.tensor.dtype() == DType::kU4) {
      MNN_ASSIGN_OR_RETURN(numbers.scale, rounded_to_half(numbers.scale));
      MNN_ASSIGN_OR_RETURN(offset, rounded_to_half(offset));
    }
    const auto per_row = [&](Tensor t) {
      return builder.reshape(graph.add_constant(std::move(t)), dims);
    };
    const ValueId scaled =
        builder.emit("Mul", {builder.cast(codes, DType::kF32), per_row(numbers.scale)});
    const ValueId made = builder.emit("Add", {scaled, per_row(std::move(offset))});
    MNN_RETURN_IF_ERROR(builder.status);
    return add_tensor({made, false, {}});
  }
  const ValueId scale = graph.add_constant(numbers.scale);
  const ValueId zero = graph.add_constant(numbers.zero_point);
  const ValueId made = builder.emit("DequantizeLinear", {codes, scale, zero}, axis);
  MNN_RETURN_IF_ERROR(builder.status);
  return add_tensor({made, false, {scale, zero, numbers.axis}});
}

Result<ScriptValue> Interpreter::from_packed(const Pickled& value, const std::string& path,
                                             int depth) {
  if (value.items.size() != 1) return invalid("packed weights have no state");
  const Pickled& state = *value.items[0];
  const std::string name = value.text.substr(value.text.rfind('.') + 1);
  std::vector<ScriptValue> items;
  const auto add = [&](const Pickled& item, const char* what) -> Status {
    MNN_ASSIGN_OR_RETURN(ScriptValue made, from_pickle(item, path + "." + what, depth + 1));
    items.push_back(std::move(made));
    return {};
  };
  // XNNPACK's keep their parts in the order of the operator's arguments, limits behind them.
  if (value.text.starts_with("__torch__.torch.classes.xnnpack.")) {
    const bool linear = name == "LinearOpContext", transposed = name.starts_with("Transpose");
    if (!is_sequence(state, linear ? 4 : transposed ? 9 : 8)) return malformed();
    std::vector<size_t> order = {0, 1, 2, 3, 4, 5};
    if (transposed) order = {0, 1, 2, 3, 5, 4, 6};
    if (linear) order = {0, 1};
    for (const size_t i : order) MNN_RETURN_IF_ERROR(add(*state.items[i], "part"));
    if (linear) {
      MNN_RETURN_IF_ERROR(add(*state.items[2], "least"));
      MNN_RETURN_IF_ERROR(add(*state.items[3], "most"));
      return ScriptValue(add_list(std::move(items), true));
    }
    if (!transposed) {
      const size_t dims = state.items[2]->items.size();
      items.insert(items.end() - 1, list_of(*this, std::vector<int64_t>(dims, 0)));
    }
    items.emplace_back(transposed);
    const size_t limits = transposed ? 7 : 6;
    MNN_RETURN_IF_ERROR(add(*state.items[limits], "least"));
    MNN_RETURN_IF_ERROR(add(*state.items[limits + 1], "most"));
    return ScriptValue(add_list(std::move(items), true));
  }
  if (name.starts_with("Conv")) {
    MNN_ASSIGN_OR_RETURN(const ConvParts parts, conv_parts(state));
    MNN_RETURN_IF_ERROR(add(*parts.weight, "weight"));
    MNN_RETURN_IF_ERROR(add(*parts.bias, "bias"));
    for (const auto* list :
         {&parts.stride, &parts.padding, &parts.dilation, &parts.output_padding}) {
      items.push_back(list_of(*this, *list));
    }
    items.emplace_back(parts.groups);
    items.emplace_back(parts.transposed != 0);
    return ScriptValue(add_list(std::move(items), true));
  }
  if (name == "LinearPackedParamsBase" && is_sequence(state, 2)) {
    MNN_RETURN_IF_ERROR(add(*state.items[0], "weight"));
    MNN_RETURN_IF_ERROR(add(*state.items[1], "bias"));
    return ScriptValue(add_list(std::move(items), true));
  }
  // (kind, [biases], [], [whether 7 bits are enough], [weights of the input, of the state])
  if (name == "CellParamsBase" && is_sequence(state, 5) && is_sequence(*state.items[4], 2)) {
    const Pickled& kind = *state.items[0];
    if (kind.kind != PickleKind::kString) return malformed();
    if (kind.text != "quantized_dynamic") {
      return unsupported("recurrent weights of the kind '" + kind.text + "'");
    }
    for (const Pickled* part : state.items[4]->items) MNN_RETURN_IF_ERROR(add(*part, "weight"));
    return ScriptValue(add_list(std::move(items), true));
  }
  // (version, [weight], [], [bits])
  if (name == "EmbeddingPackedParamsBase" && is_sequence(state, 4) &&
      is_sequence(*state.items[1], 1)) {
    MNN_RETURN_IF_ERROR(add(*state.items[1]->items[0], "weight"));
    return ScriptValue(add_list(std::move(items), true));
  }
  return unsupported("objects of the class " + value.text);
}

const std::map<std::string_view, ScriptOperator>& quantized_operators() {
  static const std::map<std::string_view, ScriptOperator> table = {
      {"quantized::conv_prepack", conv_prepack<false>},
      {"quantized::conv1d_prepack", conv_prepack<false>},
      {"quantized::conv2d_prepack", conv_prepack<false>},
      {"quantized::conv3d_prepack", conv_prepack<false>},
      {"quantized::conv_transpose1d_prepack", conv_prepack<true>},
      {"quantized::conv_transpose2d_prepack", conv_prepack<true>},
      {"quantized::conv_transpose3d_prepack", conv_prepack<true>},
      {"quantized::linear_prepack", linear_prepack},
      {"quantized::linear_prepack_fp16", linear_prepack},
      {"quantized::embedding_bag_prepack", linear_prepack},
      {"quantized::make_quantized_cell_params_dynamic", cell_params},
      {"prim::is_quantized", is_quantized},
  };
  return table;
}

}  // namespace mnn::torch
