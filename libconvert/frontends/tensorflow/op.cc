#include "libconvert/frontends/tensorflow/op.h"

#include <algorithm>
#include <array>

#include "libconvert/frontends/tensorflow/types.h"

namespace mnn::tensorflow {

const AttrValue* OpNode::find(const std::string& key, AttrValue::ValueCase kind) {
  const auto it = tf.attr().find(key);
  if (it == tf.attr().end()) return nullptr;
  if (it->second.value_case() == kind) return &it->second;
  // An empty list is written as nothing at all.
  if (it->second.value_case() != AttrValue::VALUE_NOT_SET) {
    fail(invalid("attribute " + key + " is of another kind than expected"));
  }
  return nullptr;
}

int64_t OpNode::attr_int(const std::string& key, int64_t fallback) {
  const AttrValue* value = find(key, AttrValue::kI);
  return value != nullptr ? value->i() : fallback;
}

bool OpNode::attr_bool(const std::string& key, bool fallback) {
  const AttrValue* value = find(key, AttrValue::kB);
  return value != nullptr ? value->b() : fallback;
}

double OpNode::attr_float(const std::string& key, double fallback) {
  const AttrValue* value = find(key, AttrValue::kF);
  return value != nullptr ? double{value->f()} : fallback;
}

std::string OpNode::attr_text(const std::string& key, const std::string& fallback) {
  const AttrValue* value = find(key, AttrValue::kS);
  return value != nullptr ? value->s() : fallback;
}

Ints OpNode::attr_ints(const std::string& key) {
  const AttrValue* value = find(key, AttrValue::kList);
  if (value == nullptr) return {};
  return {value->list().i().begin(), value->list().i().end()};
}

std::vector<float> OpNode::attr_floats(const std::string& key) {
  const AttrValue* value = find(key, AttrValue::kList);
  if (value == nullptr) return {};
  return {value->list().f().begin(), value->list().f().end()};
}

DType OpNode::attr_type(const std::string& key, DType fallback) {
  const AttrValue* value = find(key, AttrValue::kType);
  if (value == nullptr) return fallback;
  const DType dtype = dtype_of(value->type());
  if (dtype == DType::kUndefined) {
    fail(unsupported("type " + std::to_string(value->type()) + " is not supported"));
  }
  return dtype;
}

bool OpNode::is_complex() const {
  return std::ranges::any_of(std::array{"T", "Tcomplex"}, [&](const char* key) {
    const auto it = tf.attr().find(key);
    if (it == tf.attr().end()) return false;
    const DType dtype = dtype_of(it->second.type());
    return dtype == DType::kC64 || dtype == DType::kC128;
  });
}

bool OpNode::is_channels_first() {
  const std::string format = attr_text("data_format", "NHWC");
  if (format == "NHWC" || format == "NDHWC" || format == "NWC") return false;
  if (format == "NCHW" || format == "NCDHW" || format == "NCW") return true;
  fail(unsupported("data_format " + format + " is not supported"));
  return false;
}

Ints OpNode::plane(const std::string& key, size_t space) {
  const Ints all = attr_ints(key);
  if (all.empty()) return Ints(space, 1);
  if (all.size() != space + 2) {
    fail(invalid("expected " + std::to_string(space + 2) + " numbers in " + key + ", found " +
                 std::to_string(all.size())));
    return Ints(space, 1);
  }
  const size_t first = is_channels_first() ? 2 : 1;
  Ints out;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i >= first && i < first + space) {
      out.push_back(all[i]);
    } else if (all[i] != 1) {
      fail(unsupported(key + " over batch or channels are not supported"));
    }
  }
  return out;
}

}  // namespace mnn::tensorflow
