#include "apps/flows/labelled.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/core/splitmix.h"

namespace mnn::flows {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostFiles = int64_t{1} << 24;

bool is_sample(const fs::path& path) {
  return is_image_name(path.string()) || path.extension() == ".npy";
}

bool hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

// Numbers by value, before other names.
bool class_less(const std::string& a, const std::string& b) {
  auto number = [](const std::string& s, int64_t& n) {
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
    return error == std::errc() && end == s.data() + s.size();
  };
  int64_t x = 0, y = 0;
  const bool na = number(a, x), nb = number(b, y);
  if (na != nb) return na;
  return na && x != y ? x < y : a < b;
}

// Gives each name its label; names that are not among `given` are an error where some are given.
Status label_files(std::vector<std::pair<std::string, std::string>> named,
                   const std::vector<std::string>& given, const std::string& path,
                   LabelledFiles& out) {
  out.classes = given;
  if (given.empty()) {
    std::set<std::string> names;
    for (const auto& [file, name] : named) names.insert(name);
    out.classes.assign(names.begin(), names.end());
    std::ranges::sort(out.classes, class_less);
  }
  std::map<std::string, int64_t> labels;
  for (size_t i = 0; i < out.classes.size(); ++i) labels[out.classes[i]] = static_cast<int64_t>(i);
  for (auto& [file, name] : named) {
    const auto it = labels.find(name);
    if (it == labels.end()) {
      return invalid(path + ": class '" + name + "' of " + file + " is not among --classes");
    }
    out.files.push_back({std::move(file), it->second});
  }
  if (out.classes.size() < 2) {
    return invalid(path + ": expected at least two classes, found " +
                   std::to_string(out.classes.size()));
  }
  std::vector<int64_t> counts(out.classes.size());
  for (const LabelledFile& f : out.files) ++counts[static_cast<size_t>(f.label)];
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) return invalid(path + ": class '" + out.classes[i] + "' has no samples");
  }
  return {};
}

Result<LabelledFiles> open_folder(const std::string& path, const std::vector<std::string>& given) {
  LabelledFiles out;
  std::vector<std::pair<std::string, std::string>> named;
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (hidden(it->path())) continue;
    if (it->is_directory(error)) {
      folders.push_back(it->path());
    } else {
      out.skipped.push_back(it->path().filename().string());
    }
  }
  if (error) return not_accessible(path + ": " + error.message());
  if (folders.empty()) {
    return invalid(path + ": expected a folder for each class with its images, found none");
  }
  std::ranges::sort(folders);
  for (const fs::path& folder : folders) {
    std::vector<std::string> files;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (hidden(it->path())) continue;
      if (is_sample(it->path())) {
        files.push_back(it->path().string());
      } else {
        out.skipped.push_back((folder.filename() / it->path().filename()).string());
      }
      if (std::ssize(files) > kMostFiles)
        return limit_exceeded(folder.string() + ": too many files");
    }
    if (error) return not_accessible(folder.string() + ": " + error.message());
    std::ranges::sort(files);
    for (std::string& f : files) named.emplace_back(std::move(f), folder.filename().string());
  }
  MNN_RETURN_IF_ERROR(label_files(std::move(named), given, path, out));
  return out;
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t' || s.front() == '"'))
    s.remove_prefix(1);
  while (!s.empty() &&
         (s.back() == ' ' || s.back() == '\t' || s.back() == '"' || s.back() == '\r')) {
    s.remove_suffix(1);
  }
  return s;
}

Result<LabelledFiles> open_csv(const std::string& path, const std::vector<std::string>& given) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  std::string_view text(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  const fs::path folder = fs::path(path).parent_path();
  std::vector<std::pair<std::string, std::string>> named;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const size_t comma = line.rfind(',');
    const std::string at = path + ": line " + std::to_string(number) + ": ";
    if (comma == std::string_view::npos) return invalid(at + "expected FILE,CLASS");
    const std::string name(trimmed(line.substr(comma + 1)));
    const fs::path sample = folder / std::string(trimmed(line.substr(0, comma)));
    std::error_code error;
    if (!fs::is_regular_file(sample, error)) {
      if (number == 1) continue;  // a heading
      return not_accessible(at + "there is no file " + sample.string());
    }
    if (name.empty()) return invalid(at + "expected FILE,CLASS, found no class");
    if (!is_sample(sample)) {
      return invalid(at + sample.string() + ": expected a .png, .jpg or .npy file");
    }
    named.emplace_back(sample.string(), name);
    if (std::ssize(named) > kMostFiles) return limit_exceeded(path + ": too many lines");
  }
  if (named.empty()) return invalid(path + ": expected lines FILE,CLASS, found none");
  LabelledFiles out;
  MNN_RETURN_IF_ERROR(label_files(std::move(named), given, path, out));
  return out;
}

// Numbers in [0, 1) of one seed.
struct Random {
  uint64_t state;
  double next() {
    state = splitmix(state);
    return static_cast<double>(state >> 11) * 0x1p-53;
  }
};

}  // namespace

Result<LabelledFiles> open_labelled(const std::string& path,
                                    const std::vector<std::string>& classes) {
  std::error_code error;
  if (fs::is_directory(path, error)) return open_folder(path, classes);
  if (!fs::exists(path, error)) return not_accessible(path + ": no such file or folder");
  if (fs::path(path).extension() == ".csv") return open_csv(path, classes);
  return usage_error(path + ": expected a folder of classes or a .csv");
}

LabelledFiles split_off(LabelledFiles& files, double share, uint64_t seed) {
  LabelledFiles out;
  out.classes = files.classes;
  std::vector<LabelledFile> kept;
  for (size_t c = 0; c < files.classes.size(); ++c) {
    std::vector<LabelledFile> own;
    for (const LabelledFile& f : files.files) {
      if (f.label == static_cast<int64_t>(c)) own.push_back(f);
    }
    Random random{splitmix(seed + c)};
    for (size_t i = own.size(); i > 1; --i) {
      std::swap(own[i - 1], own[static_cast<size_t>(random.next() * static_cast<double>(i))]);
    }
    // One at least on both sides, where there are two.
    auto held = static_cast<size_t>(std::lround(share * static_cast<double>(own.size())));
    held = own.size() < 2 ? 0 : std::clamp<size_t>(held, 1, own.size() - 1);
    out.files.insert(out.files.end(), own.begin(), own.begin() + static_cast<int64_t>(held));
    kept.insert(kept.end(), own.begin() + static_cast<int64_t>(held), own.end());
  }
  files.files = std::move(kept);
  return out;
}

Result<Augmentation> parse_augmentation(const std::string& text) {
  Augmentation a;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (word == "flip") {
      a.flip = true;
    } else if (word == "shift") {
      a.shift = true;
    } else if (word == "light") {
      a.light = true;
    } else if (word != "none" || text != "none") {
      return usage_error("--augment: expected flip, shift, light or none, found '" + word + "'");
    }
  }
  return a;
}

Result<Tensor> read_sample(const std::string& path, const std::vector<int64_t>& dims,
                           const ImageOptions& images) {
  if (is_image_name(path)) {
    const bool last = images.layout == "nhwc";
    if (dims.size() != 4) return usage_error(path + ": the model's input is no image");
    ImageOptions options = images;
    if (options.height == 0) {
      options.height = dims[last ? 1 : 2];
      options.width = dims[last ? 2 : 3];
    }
    MNN_ASSIGN_OR_RETURN(Tensor image, read_image(path, options, dims[last ? 3 : 1]));
    if (image.dims() != dims) {
      return invalid(path + ": makes " + image.type_str() + ", the model's input is another size");
    }
    return image;
  }
  MNN_ASSIGN_OR_RETURN(Tensor t, read_npy(path));
  int64_t elements = 1;
  for (const int64_t d : dims) elements *= d;
  if (t.elements() != elements) {
    return invalid(path + ": expected " + std::to_string(elements) + " numbers, found " +
                   t.type_str());
  }
  if (t.dtype() != DType::kF32) {
    const Result<std::vector<double>> values = t.to_doubles();
    if (!values.ok()) return invalid(path + ": expected numbers, found " + t.type_str());
    MNN_ASSIGN_OR_RETURN(Tensor floats, Tensor::allocate(DType::kF32, dims));
    for (int64_t i = 0; i < elements; ++i) {
      floats.data<float>()[i] = static_cast<float>((*values)[static_cast<size_t>(i)]);
    }
    return floats;
  }
  return t.reshaped(dims);
}

void augment(Tensor& image, bool channels_last, const Augmentation& what, uint64_t seed) {
  if (!what.any() || image.rank() != 4) return;
  Random random{seed};
  const auto& d = image.dims();
  const int64_t c = d[channels_last ? 3 : 1], h = d[channels_last ? 1 : 2],
                w = d[channels_last ? 2 : 3];
  const bool mirrored = random.next() < 0.5 && what.flip;
  auto moved = [&](int64_t size) {
    const double most = static_cast<double>(size) / 8.0;
    return what.shift ? std::lround((2.0 * random.next() - 1.0) * most) : 0L;
  };
  const int64_t down = moved(h), right = moved(w);
  const Result<Tensor> copy = image.clone();
  if (!copy.ok()) return;
  const float* from = copy->data<float>();
  float* to = image.data<float>();
  double mean = 0;
  for (int64_t i = 0; i < image.elements(); ++i) mean += from[i];
  mean /= static_cast<double>(image.elements());
  const double contrast = what.light ? 0.8 + 0.4 * random.next() : 1.0;
  double spread = 0;
  for (int64_t i = 0; i < image.elements(); ++i) spread += (from[i] - mean) * (from[i] - mean);
  spread = std::sqrt(spread / static_cast<double>(image.elements()));
  const double shift = what.light ? (0.4 * random.next() - 0.2) * spread : 0.0;
  auto place = [&](int64_t ch, int64_t y, int64_t x) {
    return channels_last ? (y * w + x) * c + ch : (ch * h + y) * w + x;
  };
  for (int64_t ch = 0; ch < c; ++ch) {
    for (int64_t y = 0; y < h; ++y) {
      const int64_t sy = std::clamp<int64_t>(y - down, 0, h - 1);
      for (int64_t x = 0; x < w; ++x) {
        int64_t sx = std::clamp<int64_t>(x - right, 0, w - 1);
        if (mirrored) sx = w - 1 - sx;
        const double v = from[place(ch, sy, sx)];
        to[place(ch, y, x)] = what.light ? static_cast<float>((v - mean) * contrast + mean + shift)
                                         : static_cast<float>(v);
      }
    }
  }
}

}  // namespace mnn::flows
