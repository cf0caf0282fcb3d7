#include "libruntime/kernels/weight_id.h"

namespace mnn {

WeightId weight_id(const WeightsCache& weights, const Value& value) {
  const WeightId id = weights.identify(value.data);
  std::string how = value.data.type_str();
  if (value.quant) {
    const QuantParams& q = *value.quant;
    how += layout_name(dtype_name(value.type.dtype),
                       {static_cast<int64_t>(q.storage), q.axis, q.group, q.super_group});
    for (const Tensor* t :
         {&q.scale, &q.zero_point, &q.offset, &q.super_scale, &q.super_offset, &q.codebook}) {
      how += "|";
      if (!t->defined()) continue;
      const WeightId part = weights.identify(*t);
      how += t->type_str();
      how.append(reinterpret_cast<const char*>(&part), sizeof(part));
    }
    if (q.rotation) {
      const WeightId part = weights.identify(q.rotation->signs);
      how += layout_name("rotated", {q.rotation->axis, q.rotation->block});
      how.append(reinterpret_cast<const char*>(&part), sizeof(part));
    }
  }
  return id.derived(how);
}

}  // namespace mnn
