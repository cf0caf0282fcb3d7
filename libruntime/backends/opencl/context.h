// An OpenCL device that is opened: its context, and the kernels compiled for it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "libruntime/backends/gpu/device.h"
#include "libruntime/backends/opencl/api.h"

namespace mnn::opencl {

// An error as a Status that names the call.
Status check(Int code, const char* call);

class Context {
 public:
  Context(const Functions& functions, ContextId context, DeviceId device, DeviceInfo info)
      : cl(functions), context_(context), device_(device), info_(std::move(info)) {}
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const DeviceInfo& info() const { return info_; }
  ContextId id() const { return context_; }
  DeviceId device() const { return device_; }
  // A kernel of a program with this text: compiled once, or read from the cache on disk.
  Result<KernelId> kernel(const std::string& text, const std::string& name);

  const gpu::KernelCounts& counts() const { return counts_; }

  const Functions cl;

 private:
  Result<ProgramId> program(const std::string& text, const std::string& name);
  Result<ProgramId> build(const std::string& text);
  ProgramId load(std::string_view binary);
  std::string binary_of(ProgramId program);

  const ContextId context_;
  const DeviceId device_;
  const DeviceInfo info_;
  gpu::KernelCounts counts_;
  std::mutex mutex_;                           // of `programs_`, and of compilation
  std::map<std::string, ProgramId> programs_;  // by text
};

// The device with this number or part of a name; empty: the first GPU, else the first one.
// kUnsupported where there is no library, platform or such device.
Result<std::unique_ptr<gpu::Api>> open_api(const std::string& device);
Result<std::unique_ptr<gpu::Queue>> open_queue(std::shared_ptr<Context> context);

}  // namespace mnn::opencl
