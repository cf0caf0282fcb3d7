#include "libruntime/core/op.h"

#include <algorithm>
#include <unordered_map>

namespace mnn {

// One function per file of core/ops/.
#define MNN_OPS(family) std::vector<OpDef> define_##family();
#include "libruntime/core/op_list.inc"
#undef MNN_OPS

namespace {

struct OpTable {
  std::vector<OpDef> rows;
  std::unordered_map<std::string_view, const OpDef*> by_name;
  std::vector<const OpDef*> sorted;

  OpTable() {
    auto add = [&](std::vector<OpDef> more) {
      for (OpDef& def : more) rows.push_back(std::move(def));
    };
#define MNN_OPS(family) add(define_##family());
#include "libruntime/core/op_list.inc"
#undef MNN_OPS
    for (const OpDef& def : rows) {
      const bool fresh = by_name.emplace(def.name, &def).second;
      assert(fresh && "an operator is defined twice");
      (void)fresh;
      sorted.push_back(&def);
    }
    std::sort(sorted.begin(), sorted.end(),
              [](const OpDef* a, const OpDef* b) { return a->name < b->name; });
  }
};

const OpTable& table() {
  static const OpTable t;
  return t;
}

}  // namespace

const OpDef* find_op(std::string_view name) {
  const auto it = table().by_name.find(name);
  return it == table().by_name.end() ? nullptr : it->second;
}

const std::vector<const OpDef*>& all_ops() { return table().sorted; }

bool has_traits(std::string_view op, OpTraits kind) {
  const OpDef* def = find_op(op);
  return def != nullptr && def->is(kind);
}

bool reads_first_only(const Node& node) {
  const OpDef* def = find_op(node.op);
  if (def == nullptr) return false;
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    if (node.inputs[i] != kNoValue && def->traits.data_input(i) != (i == 0)) return false;
  }
  return node.own_inputs() > 0;
}

std::vector<std::string> ops_with(OpTraits kind) {
  std::vector<std::string> names;
  for (const OpDef* def : all_ops()) {
    if (def->is(kind)) names.push_back(def->name);
  }
  return names;
}

int64_t macs_of(const Graph& graph, const Node& node) {
  const OpDef* def = find_op(node.op);
  if (def == nullptr || !def->multiplies()) return 0;
  MacsContext c(node, *def);
  auto dims_of = [&](ValueId v) -> std::optional<MacsContext::Dims> {
    if (v == kNoValue || !graph.value(v).type.is_static()) return std::nullopt;
    return known_dims(*graph.value(v).type.shape);
  };
  for (size_t i = 0; i < node.own_inputs(); ++i) c.in_dims.push_back(dims_of(node.inputs[i]));
  for (const ValueId v : node.outputs) c.out_dims.push_back(dims_of(v));
  return def->macs(c);
}

const Attribute* AttributeReader::find(std::string_view name) const {
  const auto it = node.attributes.find(name);
  if (it != node.attributes.end()) return &it->second;
  for (const AttrDef& a : def.attributes) {
    if (a.name == name) return &a.default_value;
  }
  return nullptr;
}

namespace {

template <typename T>
T get_or(const Attribute* attribute) {
  const T* value = attribute ? std::get_if<T>(attribute) : nullptr;
  return value ? *value : T{};
}

}  // namespace

bool AttributeReader::has(std::string_view name) const { return node.attributes.contains(name); }
int64_t AttributeReader::attr_int(std::string_view name) const {
  return get_or<int64_t>(find(name));
}
double AttributeReader::attr_float(std::string_view name) const {
  return get_or<double>(find(name));
}
std::string AttributeReader::attr_string(std::string_view name) const {
  return get_or<std::string>(find(name));
}
std::vector<int64_t> AttributeReader::attr_ints(std::string_view name) const {
  return get_or<std::vector<int64_t>>(find(name));
}
std::vector<double> AttributeReader::attr_floats(std::string_view name) const {
  return get_or<std::vector<double>>(find(name));
}
std::vector<std::string> AttributeReader::attr_strings(std::string_view name) const {
  return get_or<std::vector<std::string>>(find(name));
}
const Tensor* AttributeReader::attr_tensor(std::string_view name) const {
  const Attribute* a = find(name);
  const Tensor* t = a ? std::get_if<Tensor>(a) : nullptr;
  return t && t->defined() ? t : nullptr;
}

Result<size_t> normalize_axis(int64_t axis, size_t rank) {
  const auto r = static_cast<int64_t>(rank);
  if (axis < -r || axis >= r) {
    return invalid("axis " + std::to_string(axis) + " is not in [" + std::to_string(-r) + ", " +
                   std::to_string(r) + ")");
  }
  return static_cast<size_t>(axis < 0 ? axis + r : axis);
}

Result<size_t> AttributeReader::attr_axis(std::string_view name, size_t rank) const {
  return normalize_axis(attr_int(name), rank);
}

std::optional<ShapeValues> OpContext::values(size_t i) const {
  if (i < constants.size() && constants[i] != nullptr) {
    const Tensor& t = *constants[i];
    if (t.elements() > kMaxShapeValues || (!is_integer(t.dtype()) && t.dtype() != DType::kBool)) {
      return std::nullopt;
    }
    const Result<std::vector<int64_t>> v = t.to_ints();
    if (!v.ok()) return std::nullopt;
    return ShapeValues(v->begin(), v->end());
  }
  if (i < known_values.size() && known_values[i] != nullptr) return *known_values[i];
  return std::nullopt;
}

std::optional<std::vector<int64_t>> OpContext::ints(size_t i) const {
  const std::optional<ShapeValues> v = values(i);
  if (!v || !all_known(*v)) return std::nullopt;
  return known_dims(*v);
}

Result<Tensor*> KernelContext::make(size_t i) {
  if (!types[i].is_static()) {
    return internal_error("output " + std::to_string(i) + " of " + node.op + " has open type " +
                          types[i].str());
  }
  return make(i, types[i].dtype, known_dims(*types[i].shape));
}

Result<Tensor*> KernelContext::make(size_t i, DType dtype, std::vector<int64_t> dims) {
  MNN_ASSIGN_OR_RETURN(out[i], Tensor::allocate(dtype, std::move(dims)));
  return &out[i];
}

}  // namespace mnn
