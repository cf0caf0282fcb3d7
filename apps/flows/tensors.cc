#include "apps/flows/tensors.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "libruntime/core/io/npy.h"
#include "libruntime/core/splitmix.h"
#ifdef MNN_WITH_CONVERT
#include "libconvert/convert.h"
#endif

namespace mnn::flows {
namespace {

namespace fs = std::filesystem;

Result<Tensor> read_pb(const std::string& path, const Type& type) {
#ifdef MNN_WITH_CONVERT
  return read_value_pb(path, type);
#else
  (void)type;
  return unsupported(path + ": this build reads .npy files only");
#endif
}

// The value of `type` stored as `stem`.npy or `stem`.pb; undefined when neither exists.
Result<Tensor> read_stem(const std::string& stem, const Type& type) {
  std::error_code ec;
  for (const char* ending : {".npy", ".pb"}) {
    const std::string path = stem + ending;
    if (!fs::exists(path, ec)) continue;
    return std::string_view(ending) == ".npy" ? read_npy(path) : read_pb(path, type);
  }
  return Tensor();
}

Status check_type(const Value& value, const Tensor& t, const std::string& where) {
  if (!can_hold(value.type, t)) {
    return invalid(where + ": input " + value.name + " is " + value.type.str() + ", found " +
                   t.type_str());
  }
  if (!value.type.shape || !t.is_tensor()) return {};
  const Shape& shape = *value.type.shape;
  bool fits = shape.size() == t.rank();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = !shape[i].known() || shape[i].value() == t.dims()[i];
  }
  if (!fits) {
    return invalid(where + ": input " + value.name + " is " + value.type.str() + ", found " +
                   t.type_str());
  }
  return {};
}

Status cannot_read(const std::string& dir, const std::error_code& why) {
  return not_accessible(dir + ": the folder cannot be read: " + why.message());
}

class Random {
 public:
  explicit Random(uint64_t seed) : numbers_(seed) {}
  uint64_t next() { return numbers_.next(); }
  // In (0, 1).
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }
  double normal() {
    return std::sqrt(-2.0 * std::log(uniform())) * std::cos(6.283185307179586 * uniform());
  }

 private:
  SplitMix64 numbers_;
};

}  // namespace

std::string percent_encode(const std::string& name) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0 || c == '.' || c == '_' || c == '-') {
      out += c;
    } else {
      out += '%';
      out += kHex[u >> 4];
      out += kHex[u & 15];
    }
  }
  return out;
}

Status check_folder(const std::string& dir) {
  std::error_code ec;
  fs::directory_iterator it(dir, ec);
  return ec ? cannot_read(dir, ec) : Status();
}

bool is_folder(const std::string& path) {
  std::error_code ec;
  return fs::is_directory(path, ec);
}

Status make_folder(const std::string& dir) {
  std::error_code ec;
  fs::create_directories(dir, ec);
  if (!ec && is_folder(dir)) return {};
  const std::string why = ec ? ec.message() : "a file of that name is there";
  return not_accessible(dir + ": the folder cannot be made: " + why);
}

Result<std::vector<std::string>> list_folder(const std::string& dir) {
  std::error_code ec;
  fs::directory_iterator it(dir, ec);
  std::vector<std::string> names;
  for (; !ec && it != fs::directory_iterator(); it.increment(ec)) {
    names.push_back(it->path().filename().string());
  }
  if (ec) return cannot_read(dir, ec);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<Tensor>> read_inputs(
    const std::string& dir, const Graph& graph,
    const std::vector<std::pair<std::string, int>>& source_inputs) {
  MNN_RETURN_IF_ERROR(check_folder(dir));
  std::vector<Tensor> inputs(graph.inputs.size());
  for (size_t i = 0; i < source_inputs.size(); ++i) {
    const auto& [name, index] = source_inputs[i];
    if (index < 0 || static_cast<size_t>(index) >= inputs.size()) continue;
    const Type& type = graph.value(graph.inputs[static_cast<size_t>(index)]).type;
    MNN_ASSIGN_OR_RETURN(Tensor t, read_stem(dir + "/input_" + std::to_string(i), type));
    if (!t.defined()) {
      MNN_ASSIGN_OR_RETURN(t, read_stem(dir + "/" + percent_encode(name), type));
    }
    inputs[static_cast<size_t>(index)] = std::move(t);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    if (!inputs[i].defined()) {
      return not_accessible(dir + ": no file for input " + std::to_string(i) + " " + value.name +
                            "; expected input_" + std::to_string(i) + ".npy or " +
                            percent_encode(value.name) + ".npy (or .pb)");
    }
    MNN_RETURN_IF_ERROR(check_type(value, inputs[i], dir));
  }
  return inputs;
}

bool holds_inputs(const std::string& dir, const Graph& graph,
                  const std::vector<std::pair<std::string, int>>& source_inputs) {
  std::vector<bool> found(graph.inputs.size(), false);
  std::error_code ec;
  for (size_t i = 0; i < source_inputs.size(); ++i) {
    const auto& [name, index] = source_inputs[i];
    if (index < 0 || static_cast<size_t>(index) >= found.size()) continue;
    for (const std::string& stem : {"input_" + std::to_string(i), percent_encode(name)}) {
      for (const char* ending : {".npy", ".pb"}) {
        if (fs::is_regular_file(dir + "/" + stem + ending, ec)) {
          found[static_cast<size_t>(index)] = true;
        }
      }
    }
  }
  return std::find(found.begin(), found.end(), false) == found.end();
}

Result<std::vector<Tensor>> read_expected(const std::string& dir, const Graph& graph) {
  MNN_RETURN_IF_ERROR(check_folder(dir));
  std::vector<Tensor> expected;
  bool some = false;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Value& value = graph.value(graph.outputs[i]);
    MNN_ASSIGN_OR_RETURN(Tensor t, read_stem(dir + "/output_" + std::to_string(i), value.type));
    if (!t.defined()) {
      MNN_ASSIGN_OR_RETURN(t, read_stem(dir + "/" + percent_encode(value.name), value.type));
    }
    some |= t.defined();
    expected.push_back(std::move(t));
  }
  if (!some)
    return not_accessible(dir + ": no output_<i>.npy or <name>.npy (or .pb) of this model");
  return expected;
}

Result<std::string> write_tensor(const std::string& stem, const Tensor& tensor,
                                 const std::string& name, bool as_pb, Type::Kind kind) {
  const bool plain = kind == Type::Kind::kTensor && tensor.is_tensor();
  if (!as_pb && plain && npy_has_type(tensor.dtype())) {
    MNN_RETURN_IF_ERROR(write_npy(stem + ".npy", tensor));
    return stem + ".npy";
  }
#ifdef MNN_WITH_CONVERT
  MNN_RETURN_IF_ERROR(write_value_pb(stem + ".pb", tensor, kind, name));
  return stem + ".pb";
#else
  return unsupported("output " + name + ": this build writes .npy files only, which lack " +
                     (plain ? std::string(dtype_name(tensor.dtype())) : tensor.type_str()));
#endif
}

Result<std::vector<WrittenOutput>> write_outputs(const std::string& dir, const Graph& graph,
                                                 const std::vector<Tensor>& outputs, bool as_pb) {
  MNN_RETURN_IF_ERROR(make_folder(dir));
  std::vector<WrittenOutput> written;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Value& value = graph.value(graph.outputs[i]);
    MNN_ASSIGN_OR_RETURN(const std::string file,
                         write_tensor(dir + "/output_" + std::to_string(i), outputs[i], value.name,
                                      as_pb, value.type.kind));
    written.push_back(
        {value.name, file, std::string(dtype_name(outputs[i].dtype())), outputs[i].dims()});
  }
  return written;
}

Result<std::vector<Tensor>> random_inputs(const Graph& graph,
                                          const std::vector<std::vector<int64_t>>& dims,
                                          uint64_t seed) {
  Random random(seed);
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    if (value.type.kind != Type::Kind::kTensor) {
      return unsupported("input " + value.name + ": no random values of type " + value.type.str());
    }
    auto made = Tensor::allocate(value.type.dtype, dims[i]);
    if (!made.ok()) return made.status().context("input " + value.name);
    Tensor& t = *made;
    const bool filled = dispatch_plain(value.type.dtype, [&]<typename T>() {
      T* x = t.data<T>();
      for (int64_t e = 0; e < t.elements(); ++e) {
        if constexpr (std::is_integral_v<T>) {
          x[e] = static_cast<T>(random.next() & 1);
        } else {
          x[e] = store_from_compute<T>(random.normal());
        }
      }
    });
    if (!filled) {
      return unsupported("input " + value.name + ": no random values of type " + value.type.str());
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

}  // namespace mnn::flows
