#include "libruntime/core/builder.h"

#include <cassert>

namespace mnn {

ValueId Builder::op(std::string_view name, std::vector<ValueId> inputs, Attributes attributes) {
  return op_n(name, std::move(inputs), 1, std::move(attributes))[0];
}

std::vector<ValueId> Builder::op_n(std::string_view name, std::vector<ValueId> inputs,
                                   size_t outputs, Attributes attributes) {
  Node node;
  node.op = std::string(name);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.origin = origin_;
  for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(graph_.add_temporary());
  std::vector<ValueId> made = node.outputs;
  made_.push_back(graph_.add_node(std::move(node)));
  return made;
}

ValueId Builder::constant(Tensor tensor) { return graph_.add_constant(std::move(tensor)); }

ValueId Builder::scalar(double value, DType dtype) {
  Result<Tensor> tensor = Tensor::allocate(dtype, {});
  if (tensor.status().code() == Code::kLimit) throw std::bad_alloc();
  assert(tensor.ok());
  dispatch_numeric(dtype, [&]<typename T>() {
    *tensor->template data<T>() = store_from_compute<T>(static_cast<compute_t<T>>(value));
  });
  return constant(std::move(tensor).value());
}

}  // namespace mnn
