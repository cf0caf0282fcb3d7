#include "libconvert/formats.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "libconvert/convert.h"
#include "libconvert/sniff.h"
#include "libruntime/core/io/zip.h"

namespace mnn {
namespace {

using Kind = KnownFormat::Kind;
using Bytes = std::span<const std::byte>;

// Any entry of a folder or of a zip archive, by the end of its name.
bool any_ends(const std::vector<std::string>& names, std::string_view ending) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& n) { return n.ends_with(ending); });
}

std::vector<std::string> zipped(Bytes bytes) {
  if (!begins(bytes, "PK\x03\x04")) return {};
  auto names = zip_names(bytes);
  return names.ok() ? std::move(names).value() : std::vector<std::string>{};
}

template <const char* const& Ending>
bool zip_with(Bytes bytes, const std::string&) {
  return any_ends(zipped(bytes), Ending);
}
constexpr const char* kTorchData = "/data.pkl";
constexpr const char* kKerasWeights = "model.weights.h5";
constexpr const char* kOnnxFile = ".onnx";
constexpr const char* kNumpyFile = ".npy";

template <const char* const& Name>
bool folder_with(Bytes, const std::string& path) {
  std::error_code ec;
  return std::filesystem::is_directory(path, ec) &&
         std::filesystem::exists(std::filesystem::path(path) / Name, ec);
}
constexpr const char* kKerasFolder = "keras_metadata.pb";
constexpr const char* kManifest = "Manifest.json";
constexpr const char* kPaddleProgram = "__model__";
constexpr const char* kHuggingFace = "config.json";

// The files that TensorFlow keeps variables in: PREFIX.index, PREFIX.data-00000-of-00001, and
// beside them PREFIX.meta and "checkpoint".
bool is_checkpoint_index(Bytes bytes, const std::string&) { return is_leveldb_table(bytes); }

bool is_checkpoint_data(Bytes, const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  constexpr std::string_view kShard = ".data-", kOf = "-of-";
  constexpr size_t kDigits = 5;
  const size_t shard = name.rfind(kShard);
  return shard != std::string::npos &&
         name.size() == shard + kShard.size() + kDigits + kOf.size() + kDigits &&
         name.compare(shard + kShard.size() + kDigits, kOf.size(), kOf) == 0;
}

bool is_checkpoint_list(Bytes bytes, const std::string&) {
  return lower_text(bytes, 64).starts_with("model_checkpoint_path:");
}

bool is_checkpoint_folder(Bytes, const std::string& path) {
  std::error_code ec;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    names.push_back(it->path().filename().string());
  }
  return std::ranges::any_of(names, [&](const std::string& name) {
    return name.ends_with(".index") && std::ranges::any_of(names, [&](const std::string& n) {
             return n.starts_with(name.substr(0, name.size() - 6) + ".data-");
           });
  });
}

bool is_folder(Bytes, const std::string& path) {
  std::error_code ec;
  return std::filesystem::is_directory(path, ec);
}

template <const char* const& Magic, size_t Offset>
bool magic(Bytes bytes, const std::string&) {
  return bytes.size() > Offset && begins(bytes.subspan(Offset), Magic);
}
constexpr const char* kOrt = "ORTM";
constexpr const char* kExecuTorch = "ET1";
constexpr const char* kGguf = "GGUF";
constexpr const char* kGgml = "tjgg";
constexpr const char* kGgmlOld = "lmgg";
constexpr const char* kHdf5 = "\x89HDF\r\n\x1a\n";
constexpr const char* kTensorRt = "ptrt";
constexpr const char* kTensorRtNew = "ftrt";
constexpr const char* kRknn = "RKNN";
constexpr const char* kGzip = "\x1f\x8b";
constexpr const char* kXz =
    "\xfd"
    "7zXZ";
constexpr const char* kBzip2 = "BZh";
constexpr const char* kZstd = "\x28\xb5\x2f\xfd";
constexpr const char* kTar = "ustar";
constexpr const char* k7z = "7z\xbc\xaf\x27\x1c";
constexpr const char* kRar = "Rar!";
constexpr const char* kZip = "PK\x03\x04";
constexpr const char* kPng = "\x89PNG";
constexpr const char* kJpeg = "\xff\xd8\xff";
constexpr const char* kPdf = "%PDF";
constexpr const char* kElf =
    "\x7f"
    "ELF";
constexpr const char* kNpy = "\x93NUMPY";

bool is_empty(Bytes bytes, const std::string& path) {
  return bytes.empty() && !is_folder(bytes, path);
}

bool is_lfs_pointer(Bytes bytes, const std::string&) {
  return begins(bytes, "version https://git-lfs.github.com/spec/");
}

bool is_html(Bytes bytes, const std::string&) {
  const std::string text = lower_text(bytes, 1024);
  return text.starts_with("<!doctype html") || text.starts_with("<html") ||
         (text.starts_with("<?xml") && text.find("<html") != std::string::npos);
}

bool is_openvino(Bytes bytes, const std::string&) {
  const std::string text = lower_text(bytes, 1024);
  return text.starts_with("<net ") ||
         (text.starts_with("<?xml") && text.find("<net ") != std::string::npos);
}

bool is_ncnn_param(Bytes bytes, const std::string&) { return begins(bytes, "7767517\n"); }

bool is_darknet(Bytes bytes, const std::string&) {
  const std::string text = lower_text(bytes, 1024);
  return text.find("[net]") != std::string::npos && text.find("width") != std::string::npos;
}

bool is_safetensors(Bytes bytes, const std::string&) {
  if (bytes.size() < 10) return false;
  const uint64_t header = little_endian(bytes, 8);
  return header >= 2 && header <= bytes.size() - 8 && begins(bytes.subspan(8), "{");
}

bool is_legacy_torch(Bytes bytes, const std::string&) {
  // The pickled magic number of torch.save before 1.6.
  return begins(bytes,
                std::string_view("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14));
}

bool is_pickle(Bytes bytes, const std::string&) {
  // PROTO with its version first, STOP last.
  return bytes.size() > 3 && begins(bytes, "\x80") && at(bytes, 1) >= 2 && at(bytes, 1) <= 5 &&
         at(bytes, bytes.size() - 1) == '.';
}

bool is_json(Bytes bytes, const std::string&) {
  const std::string text = lower_text(bytes, 64);
  return text.starts_with("{") || text.starts_with("[");
}

bool is_tfjs(Bytes bytes, const std::string&) {
  const std::string text = lower_text(bytes, 4096);
  return text.starts_with("{") && (text.find("\"modeltopology\"") != std::string::npos ||
                                   text.find("\"format\": \"graph-model\"") != std::string::npos);
}

bool is_text(Bytes bytes, const std::string&) { return is_plain_text(bytes); }

constexpr std::string_view kFile = "FILE";
constexpr const char* kTorchAdvice =
    "save the network where it is defined: torch.export.save(torch.export.export(network, "
    "example_inputs), \"model.pt2\"), torch.jit.save(torch.jit.script(network), \"model.pt\"), or "
    "torch.onnx.export(network, example_inputs, \"model.onnx\")";
constexpr const char* kKerasAdvice =
    "in Python: keras.models.load_model(\"FILE\").export(\"FOLDER\"); then give FOLDER, a "
    "SavedModel";
constexpr const char* kHdf5Advice =
    "in Python: keras.models.load_model(\"FILE\").export(\"FOLDER\"), or where it holds weights "
    "alone "
    "network.load_weights(\"FILE\"); network.export(\"FOLDER\"); then give FOLDER, a SavedModel";
constexpr const char* kCheckpointAdvice =
    "of a SavedModel give the folder that holds saved_model.pb; otherwise, in Python where the "
    "network "
    "is defined: tf.train.Checkpoint(model=network).restore(\"PREFIX\"); "
    "tf.saved_model.save(network, "
    "\"FOLDER\"); then give FOLDER";
constexpr const char* kMetaGraphAdvice =
    "in Python: with tf.compat.v1.Session() as s: "
    "tf.compat.v1.train.import_meta_graph(\"FILE\").restore(s, \"PREFIX\"); "
    "tf.compat.v1.saved_model.simple_save(s, \"FOLDER\", {\"x\": INPUT}, {\"y\": OUTPUT}); then "
    "give "
    "FOLDER, a SavedModel";
constexpr const char* kCaffeAdvice =
    "give the network they belong to: mnn convert NET.prototxt --import weights=FILE";
constexpr const char* kPaddleAdvice =
    "pip install paddle2onnx; paddle2onnx --model_dir FOLDER --model_filename F --params_filename "
    "F --save_file model.onnx";
constexpr const char* kFromSource = "convert the model it was made from";
constexpr bool kVague = true;
constexpr const char* kUnpack = "unpack it and give the model in it";

}  // namespace

// What is told by a sure sign comes before what is told by likeness.
const std::vector<KnownFormat>& known_formats() {
  static const std::vector<KnownFormat> rows = {
      {Kind::kOther, "an empty file", is_empty, "download or export it again"},
      {Kind::kOther, "a Git LFS pointer, not the file it stands for", is_lfs_pointer,
       "fetch the file: git lfs pull"},
      {Kind::kOther, "an HTML page", is_html,
       "the download gave a page instead of the file; look at it, and use the address of the file "
       "itself"},

      {Kind::kModel, "an ONNX Runtime (.ort) model", magic<kOrt, 4>, kFromSource},
      {Kind::kModel, "an ExecuTorch program", magic<kExecuTorch, 4>, kTorchAdvice},
      {Kind::kModel, "a GGUF language model", magic<kGguf, 0>,
       "export the model it was made from: optimum-cli export onnx --model NAME FOLDER"},
      {Kind::kModel, "a GGML language model", magic<kGgml, 0>, kFromSource},
      {Kind::kModel, "a GGML language model", magic<kGgmlOld, 0>, kFromSource},
      {Kind::kModel, "a safetensors file, which holds weights and no network", is_safetensors,
       "load it into its network and export that: torch.onnx.export, or optimum-cli export onnx "
       "--model FOLDER OUT"},
      {Kind::kModel, "an HDF5 file, as Keras writes models", magic<kHdf5, 0>, kHdf5Advice},
      {Kind::kModel, "a TensorRT engine", magic<kTensorRt, 0>, kFromSource},
      {Kind::kModel, "a TensorRT engine", magic<kTensorRtNew, 0>, kFromSource},
      {Kind::kModel, "an RKNN model", magic<kRknn, 0>, kFromSource},

      {Kind::kModel, "a Keras 3 model", zip_with<kKerasWeights>, kKerasAdvice},
      {Kind::kModel, "a PyTorch checkpoint (.pt), which holds weights or pickled objects",
       zip_with<kTorchData>, kTorchAdvice, kVague},
      {Kind::kModel, "a PyTorch checkpoint (.pt) of before 1.6", is_legacy_torch, kTorchAdvice},
      {Kind::kModel, "a Python pickle", is_pickle,
       "load it in the program that made it and export the model to ONNX from there"},

      {Kind::kModel, "a Keras folder without its saved_model.pb", folder_with<kKerasFolder>,
       "copy the whole folder"},
      {Kind::kModel, "a folder with a TensorFlow checkpoint, which holds weights and no network",
       is_checkpoint_folder, kCheckpointAdvice},
      {Kind::kModel, "a Core ML package", folder_with<kManifest>, kFromSource},
      {Kind::kModel, "a Paddle folder", folder_with<kPaddleProgram>, kPaddleAdvice},
      {Kind::kModel, "a Hugging Face folder", folder_with<kHuggingFace>,
       "there is no .onnx file in it; make one: optimum-cli export onnx --model FILE OUT"},

      {Kind::kModel, "the index of a TensorFlow checkpoint, which holds weights and no network",
       is_checkpoint_index, kCheckpointAdvice},
      {Kind::kModel, "the weights of a TensorFlow checkpoint, without a network",
       is_checkpoint_data, kCheckpointAdvice},
      {Kind::kModel, "the list of TensorFlow's checkpoints in a folder", is_checkpoint_list,
       kCheckpointAdvice},
      {Kind::kModel, "the graph of a TensorFlow checkpoint (.meta), without weights", is_meta_graph,
       kMetaGraphAdvice},
      {Kind::kModel, "a Core ML model", is_core_ml, kFromSource},
      {Kind::kModel, "a Paddle program", is_paddle, kPaddleAdvice},
      {Kind::kModel, "the weights of a Caffe model (.caffemodel)", is_caffe_model, kCaffeAdvice},
      {Kind::kModel, "a model of Alibaba's MNN, which shares the ending .mnn", is_alibaba_mnn,
       kFromSource},
      {Kind::kModel, "an OpenVINO model", is_openvino, kFromSource},
      {Kind::kModel, "an ncnn network", is_ncnn_param, kFromSource},
      {Kind::kModel, "a Darknet network", is_darknet, kFromSource},
      {Kind::kModel, "a TensorFlow.js model", is_tfjs, kFromSource},

      {Kind::kOther, "a gzip file", magic<kGzip, 0>, "gunzip -c FILE > model"},
      {Kind::kOther, "an xz file", magic<kXz, 0>, "xz -dc FILE > model"},
      {Kind::kOther, "a bzip2 file", magic<kBzip2, 0>, "bunzip2 -c FILE > model"},
      {Kind::kOther, "a zstd file", magic<kZstd, 0>, "zstd -dc FILE > model"},
      {Kind::kOther, "a tar archive", magic<kTar, 257>, kUnpack},
      {Kind::kOther, "a 7z archive", magic<k7z, 0>, kUnpack},
      {Kind::kOther, "a RAR archive", magic<kRar, 0>, kUnpack},
      {Kind::kOther, "a zip archive with an ONNX model in it", zip_with<kOnnxFile>, kUnpack,
       kVague},
      {Kind::kOther, "a NumPy archive (.npz)", zip_with<kNumpyFile>,
       "it holds tensors: --calibration takes it", kVague},
      {Kind::kOther, "a zip archive", magic<kZip, 0>, kUnpack, kVague},
      {Kind::kOther, "a NumPy tensor (.npy)", magic<kNpy, 0>,
       "it is an input, not a model: --inputs takes its folder"},
      {Kind::kOther, "a PNG image", magic<kPng, 0>, "give a model"},
      {Kind::kOther, "a JPEG image", magic<kJpeg, 0>, "give a model"},
      {Kind::kOther, "a PDF document", magic<kPdf, 0>, "give a model"},
      {Kind::kOther, "a program or shared library", magic<kElf, 0>, "give a model"},
      {Kind::kOther, "an ONNX tensor (TensorProto)", is_onnx_tensor,
       "it is an input, not a model: --inputs takes its folder"},
      {Kind::kOther, "a JSON text", is_json, "give the model file", kVague},
      {Kind::kOther, "a text", is_text, "give the model file", kVague},
  };
  return rows;
}

const KnownFormat* find_format(std::span<const std::byte> bytes, const std::string& path) {
  for (const KnownFormat& row : known_formats()) {
    if (row.recognizes(bytes, path)) return &row;
  }
  return nullptr;
}

namespace {

// "onnx": what there are front ends for.
std::string readable() {
  std::string names;
  for (const Frontend& f : frontends()) names += (names.empty() ? "" : ", ") + f.format;
  return names;
}

}  // namespace

Status format_status(const KnownFormat& format, const std::string& path) {
  std::string advice;
  for (size_t at = 0; at < format.advice.size();) {
    const size_t next = std::min(format.advice.find(kFile, at), format.advice.size());
    advice += format.advice.substr(at, next - at);
    if (next < format.advice.size()) advice += path;
    at = next + kFile.size();
  }
  const bool model = format.kind == Kind::kModel;
  const std::string text = path + ": is " + format.name +
                           (model ? " (this version reads " + readable() + "); " : "; ") + advice;
  return model ? unsupported(text) : invalid(text);
}

}  // namespace mnn
