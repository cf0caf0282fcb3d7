#include "libruntime/backends/opencl/context.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "libruntime/compile/blob_cache.h"

namespace mnn::opencl {
namespace {

std::string code_name(Int code) {
  switch (code) {
    case kDeviceNotFound: return "no device found";
    case kMemObjectAllocationFailure:
    case kOutOfResources: return "out of device memory or resources";
    case kOutOfHostMemory: return "out of host memory";
    case kInvalidBufferSize: return "buffer too large";
    case kPlatformNotFound: return "no driver is installed";
    default: return "error";
  }
}

// The library stays loaded: drivers do not like to be unloaded.
Result<Functions> load_library() {
  const char* given = std::getenv("MNN_OPENCL_LIBRARY");
  const std::string name = given != nullptr ? given : "libOpenCL.so.1";
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return unsupported("no OpenCL library: " + std::string(dlerror()));
  }
  Functions functions;
  const char* missing = nullptr;
#define MNN_OPENCL_LOAD(symbol, result, parameters)                                        \
  functions.symbol = reinterpret_cast<result(*) parameters>(dlsym(library, "cl" #symbol)); \
  if (functions.symbol == nullptr) missing = "cl" #symbol;
  MNN_OPENCL_FUNCTIONS(MNN_OPENCL_LOAD)
#undef MNN_OPENCL_LOAD
  if (missing != nullptr) {
    dlclose(library);
    return unsupported(name + " has no function " + missing);
  }
  return functions;
}

std::string text_info(const Functions& cl, DeviceId device, Uint what) {
  size_t size = 0;
  if (cl.GetDeviceInfo(device, what, 0, nullptr, &size) != kSuccess || size == 0) return "";
  std::string text(size, '\0');
  if (cl.GetDeviceInfo(device, what, size, text.data(), nullptr) != kSuccess) return "";
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

template <typename T>
T number_info(const Functions& cl, DeviceId device, Uint what, T otherwise) {
  T value = otherwise;
  if (cl.GetDeviceInfo(device, what, sizeof(T), &value, nullptr) != kSuccess) return otherwise;
  return value;
}

struct Found {
  DeviceId id = nullptr;
  std::string name, driver;
  Ulong type = 0;
};

Result<std::vector<Found>> find_devices(const Functions& cl) {
  Uint count = 0;
  MNN_RETURN_IF_ERROR(check(cl.GetPlatformIDs(0, nullptr, &count), "clGetPlatformIDs"));
  std::vector<PlatformId> platforms(count);
  if (count > 0) {
    MNN_RETURN_IF_ERROR(
        check(cl.GetPlatformIDs(count, platforms.data(), nullptr), "clGetPlatformIDs"));
  }
  std::vector<Found> found;
  for (const PlatformId platform : platforms) {
    Uint devices = 0;
    // A platform may have none.
    if (cl.GetDeviceIDs(platform, kDeviceTypeAll, 0, nullptr, &devices) != kSuccess) continue;
    std::vector<DeviceId> ids(devices);
    if (devices == 0) continue;
    MNN_RETURN_IF_ERROR(check(
        cl.GetDeviceIDs(platform, kDeviceTypeAll, devices, ids.data(), nullptr), "clGetDeviceIDs"));
    for (const DeviceId id : ids) {
      if (number_info<Bool>(cl, id, kDeviceAvailable, 0) == 0 ||
          number_info<Bool>(cl, id, kDeviceCompilerAvailable, 0) == 0) {
        continue;
      }
      found.push_back({id, text_info(cl, id, kDeviceName), text_info(cl, id, kDriverVersion),
                       number_info<Ulong>(cl, id, kDeviceType, 0)});
    }
  }
  return found;
}

class OpenClApi : public gpu::Api {
 public:
  explicit OpenClApi(std::shared_ptr<Context> context) : context_(std::move(context)) {}
  const DeviceInfo& info() const override { return context_->info(); }
  void add_work(DeviceWork& work) const override { context_->counts().add_to(work); }
  Result<std::unique_ptr<gpu::Queue>> open() override { return open_queue(context_); }

 private:
  const std::shared_ptr<Context> context_;
};

}  // namespace

Status check(Int code, const char* call) {
  if (code == kSuccess) return {};
  const std::string text =
      std::string(call) + ": " + code_name(code) + " (" + std::to_string(code) + ")";
  switch (code) {
    case kDeviceNotFound:
    case kPlatformNotFound: return unsupported(text);
    case kMemObjectAllocationFailure:
    case kOutOfResources:
    case kOutOfHostMemory:
    case kInvalidBufferSize: return limit_exceeded(text);
    default: return Status(Code::kInternal, text);
  }
}

Context::~Context() {
  for (const auto& [text, program] : programs_) (void)cl.ReleaseProgram(program);
  (void)cl.ReleaseContext(context_);
}

Result<KernelId> Context::kernel(const std::string& text, const std::string& name) {
  const std::lock_guard lock(mutex_);
  MNN_ASSIGN_OR_RETURN(const ProgramId made, program(text, name));
  Int code = 0;
  const KernelId kernel = cl.CreateKernel(made, name.c_str(), &code);
  MNN_RETURN_IF_ERROR(check(code, "clCreateKernel"));
  return kernel;
}

// In memory, on disk, or built; what is built goes to the disk once its kernel exists: some drivers
// compile only then.
Result<ProgramId> Context::program(const std::string& text, const std::string& name) {
  const auto known = programs_.find(text);
  if (known != programs_.end()) return known->second;
  const auto since = std::chrono::steady_clock::now();
  const BlobCache cache = BlobCache::of_user();
  const std::string key = "opencl|" + info_.key + "|" + text;
  if (const auto blob = cache.get(key)) {
    if (const ProgramId loaded = load(*blob)) {
      programs_.emplace(text, loaded);
      counts_.add(true, since);
      return loaded;
    }
    cache.drop(key);
  }
  MNN_ASSIGN_OR_RETURN(const ProgramId built, build(text));
  programs_.emplace(text, built);
  Int code = 0;
  const KernelId kernel = cl.CreateKernel(built, name.c_str(), &code);
  MNN_RETURN_IF_ERROR(check(code, "clCreateKernel"));
  const std::string binary = binary_of(built);
  (void)cl.ReleaseKernel(kernel);
  if (!binary.empty()) cache.put(key, binary);
  counts_.add(false, since);
  return built;
}

// Null when the driver does not take it.
ProgramId Context::load(std::string_view binary) {
  const size_t size = binary.size();
  const auto* bytes = reinterpret_cast<const unsigned char*>(binary.data());
  Int status = 0, code = 0;
  const ProgramId program =
      cl.CreateProgramWithBinary(context_, 1, &device_, &size, &bytes, &status, &code);
  if (program == nullptr || code != kSuccess || status != kSuccess) return nullptr;
  if (cl.BuildProgram(program, 1, &device_, "", nullptr, nullptr) == kSuccess) return program;
  (void)cl.ReleaseProgram(program);
  return nullptr;
}

Result<ProgramId> Context::build(const std::string& text) {
  const char* source = text.c_str();
  const size_t size = text.size();
  Int code = 0;
  const ProgramId program = cl.CreateProgramWithSource(context_, 1, &source, &size, &code);
  MNN_RETURN_IF_ERROR(check(code, "clCreateProgramWithSource"));
  code = cl.BuildProgram(program, 1, &device_, "", nullptr, nullptr);
  if (code == kSuccess) return program;
  size_t length = 0;
  std::string log;
  if (cl.GetProgramBuildInfo(program, device_, kProgramBuildLog, 0, nullptr, &length) == kSuccess) {
    log.resize(length);
    (void)cl.GetProgramBuildInfo(program, device_, kProgramBuildLog, length, log.data(), nullptr);
    while (!log.empty() && (log.back() == '\0' || log.back() == '\n')) log.pop_back();
  }
  (void)cl.ReleaseProgram(program);
  return check(code, "clBuildProgram").context(log.substr(0, 2000));
}

std::string Context::binary_of(ProgramId program) {
  size_t size = 0;
  if (cl.GetProgramInfo(program, kProgramBinarySizes, sizeof(size), &size, nullptr) != kSuccess) {
    return "";
  }
  std::string binary(size, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(binary.data());
  if (cl.GetProgramInfo(program, kProgramBinaries, sizeof(bytes), &bytes, nullptr) != kSuccess) {
    return "";
  }
  return binary;
}

Result<std::unique_ptr<gpu::Api>> open_api(const std::string& device) {
  MNN_ASSIGN_OR_RETURN(const Functions cl, load_library());
  MNN_ASSIGN_OR_RETURN(const std::vector<Found> devices, find_devices(cl));
  std::vector<gpu::DeviceChoice> choices;
  for (const Found& d : devices) choices.push_back({d.name, (d.type & kDeviceTypeGpu) != 0});
  MNN_ASSIGN_OR_RETURN(const size_t chosen, gpu::choose_device("OpenCL", choices, device));
  const Found& found = devices[chosen];
  if (number_info<size_t>(cl, found.id, kDeviceMaxWorkGroupSize, 0) < gpu::kGroup) {
    return unsupported("OpenCL device " + found.name + " has work groups of fewer than " +
                       std::to_string(gpu::kGroup) + " items");
  }
  DeviceInfo info;
  info.kind = (found.type & kDeviceTypeGpu) != 0   ? DeviceKind::kGpu
              : (found.type & kDeviceTypeCpu) != 0 ? DeviceKind::kCpu
                                                   : DeviceKind::kNpu;
  info.text = "OpenCL, " + found.name + (info.kind == DeviceKind::kCpu ? " (CPU driver)" : "");
  info.host_memory = false;
  info.alignment =
      std::max<int64_t>(64, number_info<Uint>(cl, found.id, kDeviceMemBaseAddrAlign, 1024) / 8);
  info.max_buffer_bytes = static_cast<int64_t>(std::min<Ulong>(
      number_info<Ulong>(cl, found.id, kDeviceMaxMemAllocSize, 128 << 20), INT64_MAX));
  info.key = text_info(cl, found.id, kDeviceVendor) + "|" + found.name + "|" + found.driver + "|" +
             text_info(cl, found.id, kDeviceVersion);
  Int code = 0;
  const ContextId context = cl.CreateContext(nullptr, 1, &found.id, nullptr, nullptr, &code);
  MNN_RETURN_IF_ERROR(check(code, "clCreateContext"));
  return std::unique_ptr<gpu::Api>(std::make_unique<OpenClApi>(
      std::make_shared<Context>(cl, context, found.id, std::move(info))));
}

}  // namespace mnn::opencl
