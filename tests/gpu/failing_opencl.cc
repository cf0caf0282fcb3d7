// A library in the place of libOpenCL.so.1 whose calls go to that one, until the call whose turn it
// is: it fails and does nothing.
#include <dlfcn.h>

#include <atomic>
#include <type_traits>

#include "libruntime/backends/opencl/api.h"

namespace mnn::opencl {
namespace {

// CL_OUT_OF_RESOURCES, which any call may give.
constexpr Int kFailure = kOutOfResources;

void* real(const char* name) {
  static void* const library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr : dlsym(library, name);
}

std::atomic<int64_t> calls{0}, failing{0};

template <typename T>
Int* last_as_error(T) {
  return nullptr;
}
Int* last_as_error(Int* error) { return error; }
template <typename First, typename... Rest>
Int* error_of(First first, Rest... rest) {
  if constexpr (sizeof...(rest) > 0) {
    return error_of(rest...);
  } else {
    return last_as_error(first);
  }
}

template <typename Result, typename... Args>
Result forward(const char* name, Args... args) {
  if (++calls == failing) {
    if constexpr (std::is_same_v<Result, Int>) {
      return kFailure;
    } else {
      if (Int* error = error_of(args...)) *error = kFailure;
      return nullptr;
    }
  }
  return reinterpret_cast<Result (*)(Args...)>(real(name))(args...);
}

}  // namespace
}  // namespace mnn::opencl

using namespace mnn::opencl;

extern "C" {
// From the next call on: which of them fails (0: none), counted from 1.
void mnn_fail_call(int64_t number) {
  calls = 0;
  failing = number;
}
int64_t mnn_calls() { return calls; }

Int clGetPlatformIDs(Uint a, PlatformId* b, Uint* c) {
  return forward<Int>("clGetPlatformIDs", a, b, c);
}
Int clGetPlatformInfo(PlatformId a, Uint b, size_t c, void* d, size_t* e) {
  return forward<Int>("clGetPlatformInfo", a, b, c, d, e);
}
Int clGetDeviceIDs(PlatformId a, Ulong b, Uint c, DeviceId* d, Uint* e) {
  return forward<Int>("clGetDeviceIDs", a, b, c, d, e);
}
Int clGetDeviceInfo(DeviceId a, Uint b, size_t c, void* d, size_t* e) {
  return forward<Int>("clGetDeviceInfo", a, b, c, d, e);
}
ContextId clCreateContext(const intptr_t* a, Uint b, const DeviceId* c,
                          void (*d)(const char*, const void*, size_t, void*), void* e, Int* f) {
  return forward<ContextId>("clCreateContext", a, b, c, d, e, f);
}
Int clReleaseContext(ContextId a) { return forward<Int>("clReleaseContext", a); }
QueueId clCreateCommandQueue(ContextId a, DeviceId b, Ulong c, Int* d) {
  return forward<QueueId>("clCreateCommandQueue", a, b, c, d);
}
Int clReleaseCommandQueue(QueueId a) { return forward<Int>("clReleaseCommandQueue", a); }
MemId clCreateBuffer(ContextId a, Ulong b, size_t c, void* d, Int* e) {
  return forward<MemId>("clCreateBuffer", a, b, c, d, e);
}
MemId clCreateSubBuffer(MemId a, Ulong b, Uint c, const void* d, Int* e) {
  return forward<MemId>("clCreateSubBuffer", a, b, c, d, e);
}
Int clReleaseMemObject(MemId a) { return forward<Int>("clReleaseMemObject", a); }
ProgramId clCreateProgramWithSource(ContextId a, Uint b, const char** c, const size_t* d, Int* e) {
  return forward<ProgramId>("clCreateProgramWithSource", a, b, c, d, e);
}
ProgramId clCreateProgramWithBinary(ContextId a, Uint b, const DeviceId* c, const size_t* d,
                                    const unsigned char** e, Int* f, Int* g) {
  return forward<ProgramId>("clCreateProgramWithBinary", a, b, c, d, e, f, g);
}
Int clBuildProgram(ProgramId a, Uint b, const DeviceId* c, const char* d,
                   void (*e)(ProgramId, void*), void* f) {
  return forward<Int>("clBuildProgram", a, b, c, d, e, f);
}
Int clGetProgramInfo(ProgramId a, Uint b, size_t c, void* d, size_t* e) {
  return forward<Int>("clGetProgramInfo", a, b, c, d, e);
}
Int clGetProgramBuildInfo(ProgramId a, DeviceId b, Uint c, size_t d, void* e, size_t* f) {
  return forward<Int>("clGetProgramBuildInfo", a, b, c, d, e, f);
}
Int clReleaseProgram(ProgramId a) { return forward<Int>("clReleaseProgram", a); }
KernelId clCreateKernel(ProgramId a, const char* b, Int* c) {
  return forward<KernelId>("clCreateKernel", a, b, c);
}
Int clSetKernelArg(KernelId a, Uint b, size_t c, const void* d) {
  return forward<Int>("clSetKernelArg", a, b, c, d);
}
Int clReleaseKernel(KernelId a) { return forward<Int>("clReleaseKernel", a); }
Int clEnqueueNDRangeKernel(QueueId a, KernelId b, Uint c, const size_t* d, const size_t* e,
                           const size_t* f, Uint g, const EventId* h, EventId* i) {
  return forward<Int>("clEnqueueNDRangeKernel", a, b, c, d, e, f, g, h, i);
}
Int clEnqueueReadBuffer(QueueId a, MemId b, Bool c, size_t d, size_t e, void* f, Uint g,
                        const EventId* h, EventId* i) {
  return forward<Int>("clEnqueueReadBuffer", a, b, c, d, e, f, g, h, i);
}
Int clEnqueueWriteBuffer(QueueId a, MemId b, Bool c, size_t d, size_t e, const void* f, Uint g,
                         const EventId* h, EventId* i) {
  return forward<Int>("clEnqueueWriteBuffer", a, b, c, d, e, f, g, h, i);
}
Int clGetEventProfilingInfo(EventId a, Uint b, size_t c, void* d, size_t* e) {
  return forward<Int>("clGetEventProfilingInfo", a, b, c, d, e);
}
Int clReleaseEvent(EventId a) { return forward<Int>("clReleaseEvent", a); }
Int clFlush(QueueId a) { return forward<Int>("clFlush", a); }
Int clFinish(QueueId a) { return forward<Int>("clFinish", a); }
}
