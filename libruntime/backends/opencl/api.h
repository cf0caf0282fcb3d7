// The part of OpenCL 1.2 that the backend calls: names and numbers of the standard, so that nothing
// of it need be installed to build.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mnn::opencl {

using Int = int32_t;
using Uint = uint32_t;
using Ulong = uint64_t;
using Bool = uint32_t;
using PlatformId = struct PlatformTag*;
using DeviceId = struct DeviceTag*;
using ContextId = struct ContextTag*;
using QueueId = struct QueueTag*;
using MemId = struct MemTag*;
using ProgramId = struct ProgramTag*;
using KernelId = struct KernelTag*;
using EventId = struct EventTag*;

inline constexpr Int kSuccess = 0;
inline constexpr Int kDeviceNotFound = -1;
inline constexpr Int kMemObjectAllocationFailure = -4;
inline constexpr Int kOutOfResources = -5;
inline constexpr Int kOutOfHostMemory = -6;
inline constexpr Int kInvalidBufferSize = -61;
inline constexpr Int kPlatformNotFound = -1001;  // of the loader
inline constexpr Ulong kDeviceTypeAll = 0xFFFFFFFF;
inline constexpr Ulong kDeviceTypeCpu = 2, kDeviceTypeGpu = 4;
inline constexpr Ulong kMemReadWrite = 1;
inline constexpr Ulong kQueueProfilingEnable = 2;
inline constexpr Uint kBufferCreateTypeRegion = 0x1220;
inline constexpr Uint kPlatformName = 0x0902, kPlatformVersion = 0x0901;
inline constexpr Uint kDeviceType = 0x1000, kDeviceMaxWorkGroupSize = 0x1004,
                      kDeviceMaxMemAllocSize = 0x1010, kDeviceMemBaseAddrAlign = 0x1019,
                      kDeviceAvailable = 0x1027, kDeviceCompilerAvailable = 0x1028,
                      kDeviceName = 0x102B, kDeviceVendor = 0x102C, kDriverVersion = 0x102D,
                      kDeviceVersion = 0x102F;
inline constexpr Uint kProgramBinarySizes = 0x1165, kProgramBinaries = 0x1166;
inline constexpr Uint kProgramBuildLog = 0x1183;
inline constexpr Uint kProfilingCommandStart = 0x1282, kProfilingCommandEnd = 0x1283;

struct BufferRegion {
  size_t origin, size;
};

// name, result, parameters
#define MNN_OPENCL_FUNCTIONS(F)                                                                  \
  F(GetPlatformIDs, Int, (Uint, PlatformId*, Uint*))                                             \
  F(GetPlatformInfo, Int, (PlatformId, Uint, size_t, void*, size_t*))                            \
  F(GetDeviceIDs, Int, (PlatformId, Ulong, Uint, DeviceId*, Uint*))                              \
  F(GetDeviceInfo, Int, (DeviceId, Uint, size_t, void*, size_t*))                                \
  F(CreateContext, ContextId,                                                                    \
    (const intptr_t*, Uint, const DeviceId*, void (*)(const char*, const void*, size_t, void*),  \
     void*, Int*))                                                                               \
  F(ReleaseContext, Int, (ContextId))                                                            \
  F(CreateCommandQueue, QueueId, (ContextId, DeviceId, Ulong, Int*))                             \
  F(ReleaseCommandQueue, Int, (QueueId))                                                         \
  F(CreateBuffer, MemId, (ContextId, Ulong, size_t, void*, Int*))                                \
  F(CreateSubBuffer, MemId, (MemId, Ulong, Uint, const void*, Int*))                             \
  F(ReleaseMemObject, Int, (MemId))                                                              \
  F(CreateProgramWithSource, ProgramId, (ContextId, Uint, const char**, const size_t*, Int*))    \
  F(CreateProgramWithBinary, ProgramId,                                                          \
    (ContextId, Uint, const DeviceId*, const size_t*, const unsigned char**, Int*, Int*))        \
  F(BuildProgram, Int,                                                                           \
    (ProgramId, Uint, const DeviceId*, const char*, void (*)(ProgramId, void*), void*))          \
  F(GetProgramInfo, Int, (ProgramId, Uint, size_t, void*, size_t*))                              \
  F(GetProgramBuildInfo, Int, (ProgramId, DeviceId, Uint, size_t, void*, size_t*))               \
  F(ReleaseProgram, Int, (ProgramId))                                                            \
  F(CreateKernel, KernelId, (ProgramId, const char*, Int*))                                      \
  F(SetKernelArg, Int, (KernelId, Uint, size_t, const void*))                                    \
  F(ReleaseKernel, Int, (KernelId))                                                              \
  F(EnqueueNDRangeKernel, Int,                                                                   \
    (QueueId, KernelId, Uint, const size_t*, const size_t*, const size_t*, Uint, const EventId*, \
     EventId*))                                                                                  \
  F(EnqueueReadBuffer, Int,                                                                      \
    (QueueId, MemId, Bool, size_t, size_t, void*, Uint, const EventId*, EventId*))               \
  F(EnqueueWriteBuffer, Int,                                                                     \
    (QueueId, MemId, Bool, size_t, size_t, const void*, Uint, const EventId*, EventId*))         \
  F(GetEventProfilingInfo, Int, (EventId, Uint, size_t, void*, size_t*))                         \
  F(ReleaseEvent, Int, (EventId))                                                                \
  F(Flush, Int, (QueueId))                                                                       \
  F(Finish, Int, (QueueId))

// The functions of a loaded library, called as cl.Finish(…).
struct Functions {
#define MNN_OPENCL_DECLARE(name, result, parameters) result(*name) parameters = nullptr;
  MNN_OPENCL_FUNCTIONS(MNN_OPENCL_DECLARE)
#undef MNN_OPENCL_DECLARE
};

}  // namespace mnn::opencl
