#include "apps/flows/samples.h"

#include <algorithm>
#include <memory>

#include "apps/flows/tensors.h"
#include "libruntime/core/half.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

// Whether samples of f32 may stand for the input's own type.
bool takes_f32(DType dtype) { return is_half(dtype) || dtype == DType::kF64; }

// The tensor as the model takes it: its own type (f32 becomes the input's float type) and dims, a
// missing batch dim of 1 added, no NaN.
Result<Tensor> fit(const Value& value, Tensor t, const std::string& where) {
  const Type& type = value.type;
  if (type.shape && t.rank() + 1 == type.rank()) {
    std::vector<int64_t> dims = t.dims();
    dims.insert(dims.begin(), 1);
    t = t.reshaped(std::move(dims));
  }
  if (t.dtype() == DType::kF32 && takes_f32(type.dtype)) {
    MNN_ASSIGN_OR_RETURN(t, convert_floats(t, type.dtype));
  }
  bool fits = t.dtype() == type.dtype && (!type.shape || type.rank() == t.rank());
  for (size_t i = 0; fits && type.shape && i < t.rank(); ++i) {
    const Dim& d = (*type.shape)[i];
    fits = !d.known() || d.value() == t.dims()[i];
  }
  if (!fits) {
    return invalid(where + ": expected " + type.str() + " for input " + value.name + ", found " +
                   t.type_str());
  }
  if (is_float(t.dtype())) {
    MNN_ASSIGN_OR_RETURN(const std::vector<double> x, t.to_doubles());
    for (const double v : x) {
      if (!(v - v == 0.0)) return invalid(where + ": holds NaN or infinity");
    }
  }
  return t;
}

// The spatial size an image gets: the options', else the input's own.
Result<ImageOptions> image_options_for(const Value& value, ImageOptions o, int64_t& channels) {
  const DType dtype = value.type.dtype;
  if ((dtype != DType::kF32 && !takes_f32(dtype)) || !value.type.shape || value.type.rank() != 4) {
    return usage_error("images fit an input of floats with 4 dims, input " + value.name + " is " +
                       value.type.str() + ": give .npy files");
  }
  const Shape& s = *value.type.shape;
  const bool nhwc = o.layout == "nhwc";
  const Dim &h = s[nhwc ? 1 : 2], &w = s[nhwc ? 2 : 3], &c = s[nhwc ? 3 : 1];
  if (o.height == 0 && h.known()) o.height = h.value();
  if (o.width == 0 && w.known()) o.width = w.value();
  channels = c.known() ? c.value() : (o.color == "gray" ? 1 : 3);
  return o;
}

Result<Samples> open_npz(const std::string& path, const Graph& graph) {
  MNN_ASSIGN_OR_RETURN(auto arrays, read_npz(path));
  auto shared = std::make_shared<std::map<std::string, Tensor>>(std::move(arrays));
  int64_t count = -1;
  // Along the first dim there may be several samples: as many as the input's batch goes into it.
  for (const ValueId v : graph.inputs) {
    const Value& value = graph.value(v);
    const auto it = shared->find(value.name);
    if (it == shared->end()) return invalid(path + ": no array named " + value.name);
    const Tensor& t = it->second;
    int64_t n = 1;
    if (value.type.shape && value.type.rank() == t.rank() && t.rank() > 0) {
      const Dim& batch = (*value.type.shape)[0];
      const int64_t b = batch.known() ? batch.value() : 1;
      if (b > 0 && t.dims()[0] % b == 0) n = t.dims()[0] / b;
    }
    if (count >= 0 && n != count)
      return invalid(path + ": the inputs hold different numbers of samples");
    count = n;
  }
  if (count <= 0) return invalid(path + ": holds no sample");
  Samples samples;
  for (int64_t i = 0; i < count; ++i) samples.names.push_back(path + "[" + std::to_string(i) + "]");
  std::vector<Value> inputs;
  for (const ValueId v : graph.inputs) inputs.push_back(graph.value(v));
  samples.load = [shared, inputs, count, path](size_t i) -> Result<std::vector<Tensor>> {
    std::vector<Tensor> out;
    for (const Value& value : inputs) {
      const Tensor& all = shared->at(value.name);
      Tensor one = all;
      if (count > 1) {
        std::vector<int64_t> dims = all.dims();
        dims[0] /= count;
        MNN_ASSIGN_OR_RETURN(one, Tensor::allocate(all.dtype(), dims));
        std::copy_n(all.raw() + static_cast<int64_t>(i) * one.bytes(), one.bytes(), one.raw());
      }
      MNN_ASSIGN_OR_RETURN(Tensor fitted, fit(value, one, path));
      out.push_back(std::move(fitted));
    }
    return out;
  };
  return samples;
}

// What a folder's entries are to a model.
struct Entries {
  std::vector<std::string> samples;  // paths, in name order
  std::vector<std::string> skipped;  // names
};

bool is_sample_file(const std::string& name) {
  return is_image_name(name) || name.ends_with(".npy");
}

// Samples of a folder of one class: files only.
Status add_class(const std::string& folder, const std::string& name, Entries& entries) {
  MNN_ASSIGN_OR_RETURN(const std::vector<std::string> files, list_folder(folder));
  size_t found = 0;
  for (const std::string& file : files) {
    if (file[0] != '.' && is_sample_file(file) && !is_folder(folder + "/" + file)) {
      entries.samples.push_back(folder + "/" + file);
      ++found;
    } else if (found > 0) {
      entries.skipped.push_back(name + "/" + file);
    }
  }
  if (found == 0) entries.skipped.push_back(name + "/");
  return {};
}

// An entry is a sample when it is an .npy, an image, or a sub-folder with one file per input. Where
// the model has one input, a sub-folder of anything else is a class: each of its files is a sample.
Result<Entries> list_samples(const std::string& path, const Graph& graph,
                             const std::vector<std::pair<std::string, int>>& source_inputs) {
  MNN_ASSIGN_OR_RETURN(const std::vector<std::string> names, list_folder(path));
  Entries entries;
  for (const std::string& name : names) {
    const std::string entry = path + "/" + name;
    if (name[0] == '.') {
      entries.skipped.push_back(name);
    } else if (!is_folder(entry)) {
      (is_sample_file(name) ? entries.samples : entries.skipped)
          .push_back(is_sample_file(name) ? entry : name);
    } else if (graph.inputs.size() != 1 || holds_inputs(entry, graph, source_inputs)) {
      entries.samples.push_back(entry);
    } else {
      MNN_RETURN_IF_ERROR(add_class(entry, name, entries));
    }
  }
  return entries;
}

Samples samples_of(Entries entries, const Graph& graph,
                   const std::vector<std::pair<std::string, int>>& source_inputs,
                   const ImageOptions& images) {
  Samples samples;
  samples.names = std::move(entries.samples);
  samples.skipped = std::move(entries.skipped);
  const Graph* g = &graph;
  std::vector<Value> inputs;
  for (const ValueId v : graph.inputs) {
    Value value = graph.value(v);
    inputs.push_back(std::move(value));
  }
  samples.load = [names = samples.names, inputs, g, source_inputs,
                  images](size_t i) -> Result<std::vector<Tensor>> {
    const std::string& name = names[i];
    if (is_folder(name)) {
      MNN_ASSIGN_OR_RETURN(std::vector<Tensor> read, read_inputs(name, *g, source_inputs));
      for (size_t k = 0; k < read.size(); ++k) {
        MNN_ASSIGN_OR_RETURN(read[k], fit(inputs[k], read[k], name));
      }
      return read;
    }
    if (inputs.size() != 1) {
      return invalid(name + ": the model has " + std::to_string(inputs.size()) +
                     " inputs: expected a sub-folder with one file each");
    }
    if (is_image_name(name)) {
      int64_t channels = 0;
      MNN_ASSIGN_OR_RETURN(const ImageOptions o, image_options_for(inputs[0], images, channels));
      MNN_ASSIGN_OR_RETURN(Tensor t, read_image(name, o, channels));
      MNN_ASSIGN_OR_RETURN(t, fit(inputs[0], t, name));
      return std::vector<Tensor>{t};
    }
    MNN_ASSIGN_OR_RETURN(const Tensor t, read_npy(name));
    MNN_ASSIGN_OR_RETURN(Tensor fitted, fit(inputs[0], t, name));
    return std::vector<Tensor>{fitted};
  };
  return samples;
}

}  // namespace

Result<Samples> open_samples(const std::string& path, const Graph& graph,
                             const std::vector<std::pair<std::string, int>>& source_inputs,
                             const ImageOptions& images) {
  if (!is_folder(path)) {
    if (path.ends_with(".npz")) return open_npz(path, graph);
    MNN_RETURN_IF_ERROR(map_file(path).status());
    return not_accessible(path + ": expected a folder of samples or an .npz file");
  }
  MNN_ASSIGN_OR_RETURN(Entries entries, list_samples(path, graph, source_inputs));
  if (entries.samples.empty() && entries.skipped.empty()) {
    return invalid(path + ": the calibration folder is empty");
  }
  if (entries.samples.empty()) {
    return invalid(path + ": holds no sample: expected .npy, .png, .jpg or sub-folders, found " +
                   entries.skipped[0]);
  }
  return samples_of(std::move(entries), graph, source_inputs, images);
}

void tell_skipped(const std::string& path, const Samples& samples, const Events& events) {
  const std::vector<std::string>& skipped = samples.skipped;
  if (skipped.empty()) return;
  constexpr size_t kNamed = 5;
  std::string names;
  for (size_t i = 0; i < std::min(skipped.size(), kNamed); ++i)
    names += (i ? ", " : "") + skipped[i];
  if (skipped.size() > kNamed) names += ", …";
  const std::string text =
      path + ": " + std::to_string(skipped.size()) +
      (skipped.size() == 1 ? " entry is no sample" : " entries are no samples") +
      " (.npy, .png, .jpg) and skipped: " + names;
  const bool images = std::any_of(skipped.begin(), skipped.end(), is_other_image_name);
  const auto& tell = images ? events.warning : events.info;
  if (tell) tell(text);
}

Result<Samples> open_inputs(const std::string& path, const Graph& graph,
                            const std::vector<std::pair<std::string, int>>& source_inputs,
                            const ImageOptions& images) {
  if (!is_folder(path) && is_sample_file(path)) {
    MNN_RETURN_IF_ERROR(map_file(path).status());
    return samples_of({{path}, {}}, graph, source_inputs, images);
  }
  if (!is_folder(path)) return open_samples(path, graph, source_inputs, images);
  if (!holds_inputs(path, graph, source_inputs)) {
    MNN_ASSIGN_OR_RETURN(Entries entries, list_samples(path, graph, source_inputs));
    // Without any sample it was to be a folder of inputs: that says which file is missing.
    if (entries.samples.empty()) {
      MNN_RETURN_IF_ERROR(read_inputs(path, graph, source_inputs).status());
    }
    return samples_of(std::move(entries), graph, source_inputs, images);
  }
  Samples samples;
  samples.names = {path};
  samples.load = [path, g = &graph, source_inputs](size_t) {
    return read_inputs(path, *g, source_inputs);
  };
  return samples;
}

}  // namespace mnn::flows
