// The loop over layers, and the border.
#include <google/protobuf/stubs/logging.h>

#include <new>
#include <set>

#include "libconvert/frontends/caffe/frontend.h"
#include "libconvert/frontends/caffe/layer.h"
#include "libconvert/frontends/caffe/network.h"
#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/sniff.h"

namespace mnn {
namespace caffe {
namespace {

constexpr const char* kWeightsKey = "weights";
constexpr int64_t kMostNodes = 1 << 20;

class Importer {
 public:
  Importer(const NetParameter& net, const NetParameter& weights, std::string weights_name,
           const ImportOptions& options, ImportedModel& out)
      : net_(net),
        options_(options),
        out_(out),
        log_(out.diagnostics),
        draft_(out.graph),
        scope_(draft_, nullptr),
        weights_name_(std::move(weights_name)) {
    for (const LayerParameter& layer : weights.layer()) weights_.emplace(layer.name(), &layer);
  }

  Status run() {
    out_.graph.name = net_.name();
    MNN_RETURN_IF_ERROR(add_inputs());
    find_live();
    for (int i = 0; i < net_.layer_size(); ++i) MNN_RETURN_IF_ERROR(add_layer(i));
    MNN_RETURN_IF_ERROR(out_.diagnostics.status());
    for (const std::string& name : outputs_) {
      MNN_RETURN_IF_ERROR(add_output(draft_, name, scope_.names.at(name), budget_));
    }
    if (out_.graph.outputs.empty()) return invalid("the network has no outputs");
    MNN_RETURN_IF_ERROR(verify(out_.graph));
    return infer_types(out_.graph);
  }

 private:
  Status add_input(const std::string& name, Shape shape) {
    MNN_RETURN_IF_ERROR(frontend::check_rank(shape.size()));
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d].is_unknown()) shape[d] = symbols_.fresh(name, d);
    }
    out_.source_inputs.emplace_back(name, static_cast<int>(out_.graph.inputs.size()));
    const Status status =
        define(scope_, name, out_.graph.add_input(name, tensor_type(DType::kF32, shape)));
    unread_.push_back(name);
    return status;
  }

  static Result<Shape> shape_of(const BlobShape& blob) {
    Shape shape;
    for (const int64_t d : blob.dim()) {
      if (d < 0) return invalid("an input has a negative dim");
      shape.push_back(Dim(d));
    }
    return shape;
  }

  Status add_inputs() {
    for (int i = 0; i < net_.input_size(); ++i) {
      Shape shape;
      if (i < net_.input_shape_size()) {
        MNN_ASSIGN_OR_RETURN(shape, shape_of(net_.input_shape(i)));
      } else {
        for (int d = 4 * i; d < std::min(4 * i + 4, net_.input_dim_size()); ++d) {
          if (net_.input_dim(d) < 0) return invalid("an input has a negative dim");
          shape.push_back(Dim(net_.input_dim(d)));
        }
        if (shape.size() != 4) shape.assign(4, Dim::unknown());
      }
      MNN_RETURN_IF_ERROR(add_input(net_.input(i), std::move(shape)));
    }
    std::set<std::string> read;
    for (const LayerParameter& layer : net_.layer()) {
      if (!is_dropped(layer.type())) read.insert(layer.bottom().begin(), layer.bottom().end());
    }
    for (const LayerParameter& layer : net_.layer()) {
      if (!is_data(layer.type())) continue;
      const auto& shapes = layer.input_param().shape();
      for (int t = 0; t < layer.top_size(); ++t) {
        // What was given before, and labels, come from nowhere when the network is used.
        if (scope_.names.contains(layer.top(t))) continue;
        if (layer.type() != "Input" && (t > 0 || !read.contains(layer.top(t)))) continue;
        Shape shape(4, Dim::unknown());
        if (shapes.size() > 0) {
          MNN_ASSIGN_OR_RETURN(shape, shape_of(shapes.Get(std::min(t, shapes.size() - 1))));
        }
        MNN_RETURN_IF_ERROR(add_input(layer.top(t), std::move(shape)));
      }
    }
    return bind_input_shapes(out_.graph, options_.shapes, symbols_).status();
  }

  // Layers whose results nobody reads are outputs; all others lead to one.
  void find_live() {
    for (const LayerParameter& layer : net_.layer()) {
      if (is_data(layer.type())) continue;
      if (is_dropped(layer.type())) {
        // What is thrown away on purpose is no output.
        if (layer.type() == "Silence") {
          for (const std::string& name : layer.bottom()) std::erase(unread_, name);
        }
        continue;
      }
      for (const std::string& name : layer.bottom()) std::erase(unread_, name);
      for (const std::string& name : layer.top()) {
        std::erase(unread_, name);
        unread_.push_back(name);
      }
    }
    outputs_ = unread_;
    std::erase_if(outputs_, [&](const std::string& name) { return scope_.names.contains(name); });
  }

  Status add_layer(int index) {
    const LayerParameter& layer = net_.layer(index);
    if (is_data(layer.type()) || is_dropped(layer.type())) return {};
    const std::string name =
        log_.unique_name(layer.name().empty() ? layer.type() : layer.name(), layer.name().empty());
    const Status status = build(layer, name);
    if (status.code() == Code::kLimit) return status.context("layer " + name);
    if (!status.ok()) {
      log_.report(name, layer.type(), status, true);
      for (const std::string& top : layer.top()) scope_.names[top] = out_.graph.add_temporary();
    }
    return {};
  }

  Status build(const LayerParameter& layer, const std::string& name) {
    const LayerRow* row = find_layer(layer.type());
    if (row == nullptr) return unsupported("layer type " + layer.type() + " is not supported");
    const auto weights = weights_.find(layer.name());
    LayerNode node(draft_, budget_, layer, weights == weights_.end() ? nullptr : weights->second);
    node.op = layer.type();
    node.name = name;
    for (const std::string& bottom : layer.bottom()) {
      const auto value = scope_.names.find(bottom);
      if (value == scope_.names.end()) {
        // A label that a loss reads besides.
        if (layer.type().ends_with("Loss") && !node.inputs.empty()) break;
        return invalid("bottom '" + bottom + "' is made by no layer or input");
      }
      if (is_undefined(scope_, value->second)) {
        for (const std::string& top : layer.top()) scope_.names[top] = value->second;
        return {};
      }
      node.inputs.push_back(value->second);
    }
    if (row->convert != nullptr) {
      row->convert(node);
    } else if (node.expect_bottoms(1, 1)) {
      node.results = {node.emit(row->target, {node.in(0)})};
    }
    if (!node.status.ok()) {
      const bool about = node.status.message().find("weights=FILE") != std::string::npos;
      return about ? node.status.context(weights_name_) : node.status;
    }
    if (node.results.size() < static_cast<size_t>(layer.top_size())) {
      return invalid("it has " + std::to_string(layer.top_size()) + " tops, expected " +
                     std::to_string(node.results.size()));
    }
    for (int t = 0; t < layer.top_size(); ++t)
      name_result(layer.top(t), node.results[static_cast<size_t>(t)]);
    if (!out_.graph.nodes.empty()) {
      Node& last = out_.graph.nodes.back();
      if (last.name.empty() && last.origin == std::vector<std::string>{name}) last.name = name;
    }
    for (std::string& note : node.notes) log_.note(name, layer.type(), std::move(note));
    return {};
  }

  // A layer may write over what it reads: the name goes to the newest.
  void name_result(const std::string& top, ValueId v) {
    const auto before = scope_.names.find(top);
    if (before != scope_.names.end() && before->second != v) {
      Value& old = out_.graph.value(before->second);
      if (old.kind == ValueKind::kTemporary && old.name == top) old.name.clear();
    }
    Value& value = out_.graph.value(v);
    if (value.kind == ValueKind::kTemporary && value.name.empty()) value.name = top;
    scope_.names[top] = v;
  }

  const NetParameter& net_;
  const ImportOptions& options_;
  ImportedModel& out_;
  frontend::NodeLog log_;
  frontend::GraphDraft draft_;
  frontend::Scope scope_;
  std::string weights_name_;
  int64_t budget_ = kMostNodes;
  frontend::DimSymbols symbols_;
  std::map<std::string, const LayerParameter*> weights_;
  std::vector<std::string> unread_, outputs_;
};

Result<ImportedModel> read_model(std::span<const std::byte> text,
                                 std::span<const std::byte> weights, const std::string& name,
                                 const ImportOptions& options) {
  ImportedModel out;
  out.format = "caffe";
  const auto read = [&]() -> Status {
    try {
      MNN_ASSIGN_OR_RETURN(const NetParameter net, read_network(text, out.diagnostics));
      Result<NetParameter> blobs = read_weights(weights);
      if (!blobs.ok()) return blobs.status().context(name);
      out.facts["name"] = net.name();
      return Importer(net, *blobs, name, options, out).run();
    } catch (const std::bad_alloc&) {
      return limit_exceeded("out of memory");
    }
  };
  const Status status = read();
  if (status.ok()) return out;
  if (options.failed != nullptr) *options.failed = std::move(out);
  return status;
}

bool recognizes(std::span<const std::byte> bytes, const frontend::SourceFiles& source) {
  return !source.is_folder() && has_text_block(bytes, {"layer", "layers"});
}

Result<ImportedModel> import(frontend::SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const MappedFile text, source.open_main());
  const std::string given = frontend::text_key(options, kWeightsKey, "");
  if (!given.empty()) {
    MNN_ASSIGN_OR_RETURN(const MappedFile weights, source.open_given(given));
    return read_model(text.bytes, weights.bytes, given, options);
  }
  std::string stem = source.path().substr(source.path().rfind('/') + 1);
  stem = stem.substr(0, stem.rfind('.')) + ".caffemodel";
  Result<MappedFile> weights = source.open(stem);
  if (weights.status().code() == Code::kNotAccessible) {
    return not_accessible(weights.status().message() +
                          "; --import weights=FILE names the weights of this network");
  }
  MNN_RETURN_IF_ERROR(weights.status());
  return read_model(text.bytes, weights->bytes, stem, options);
}

std::vector<std::string> operators() { return supported_layers(); }

}  // namespace
}  // namespace caffe

Frontend caffe_frontend() {
  return {"caffe",
          "a .prototxt with a .caffemodel beside it",
          caffe::recognizes,
          caffe::import,
          caffe::operators,
          {{caffe::kWeightsKey, "The .caffemodel; default: the one named as the .prototxt is"}}};
}

Result<ImportedModel> import_caffe(std::span<const std::byte> text,
                                   std::span<const std::byte> weights,
                                   const ImportOptions& options) {
  return caffe::read_model(text, weights, "the weights", options);
}

}  // namespace mnn
