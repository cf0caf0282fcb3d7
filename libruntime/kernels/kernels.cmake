# CPU kernels. Sources in isa/ are compiled once per instruction set, each in its own namespace; the
# rest is plain code that calls them through KernelTable. Sets MNN_KERNEL_OBJECTS.
set(MNN_KERNEL_DIR ${CMAKE_CURRENT_LIST_DIR})
file(GLOB MNN_ISA_SOURCES CONFIGURE_DEPENDS ${MNN_KERNEL_DIR}/isa/*.cc)
set_property(GLOBAL PROPERTY MNN_ISA_SOURCES ${MNN_ISA_SOURCES})

# Instrumented unrolled tiles take minutes to optimize.
if(MNN_SANITIZE)
  set(MNN_KERNEL_OPTIMIZATION -O1)
else()
  set(MNN_KERNEL_OPTIMIZATION -O3)
endif()

# mnn_add_isa(NAME BYTES [BASE isa] flags…): the object library mnn_kernels_NAME, registers of BYTES
# bytes. With BASE only the integer products are compiled again, the rest is that set's.
function(mnn_add_isa name bytes)
  cmake_parse_arguments(ARG "" "BASE" "" ${ARGN})
  get_property(sources GLOBAL PROPERTY MNN_ISA_SOURCES)
  if(ARG_BASE)
    list(FILTER sources INCLUDE REGEX "(fill|gemm_int8|gemm_codes)[.]cc$")
  endif()
  add_library(mnn_kernels_${name} OBJECT ${sources})
  target_link_libraries(mnn_kernels_${name} PRIVATE mnn_options)
  # -Wno-psabi: vectors are passed to inlined functions only.
  target_compile_options(mnn_kernels_${name} PRIVATE ${MNN_KERNEL_OPTIMIZATION} -fno-exceptions -fno-rtti -Wno-psabi
    ${ARG_UNPARSED_ARGUMENTS})
  # One body for every width, under the same names: nothing to share in a unity build.
  set_target_properties(mnn_kernels_${name} PROPERTIES UNITY_BUILD OFF)
  target_compile_definitions(mnn_kernels_${name} PRIVATE MNN_ISA=${name} MNN_VECTOR_BYTES=${bytes})
  if(ARG_BASE)
    target_compile_definitions(mnn_kernels_${name} PRIVATE MNN_ISA_BASE=${ARG_BASE})
  endif()
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(MNN_ISAS sse41 avx2 avx512 avx512vnni)
  # GCC 12 finds the deliberately undefined registers of its own avx512fintrin.h uninitialized.
  set(MNN_AVX512_FLAGS -mprefer-vector-width=512 -Wno-maybe-uninitialized -Wno-uninitialized)
  mnn_add_isa(sse41 16 -msse4.1)
  mnn_add_isa(avx2 32 -mavx2 -mfma -mf16c)
  mnn_add_isa(avx512 64 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
    ${MNN_AVX512_FLAGS})
  mnn_add_isa(avx512vnni 64 BASE avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma
    -mf16c ${MNN_AVX512_FLAGS})
else()
  set(MNN_ISAS generic)
  mnn_add_isa(generic 16 -DMNN_SIMD_GENERIC)
endif()

set_property(GLOBAL PROPERTY MNN_ISAS ${MNN_ISAS})
set(MNN_KERNEL_OBJECTS "")
foreach(isa ${MNN_ISAS})
  list(APPEND MNN_KERNEL_OBJECTS $<TARGET_OBJECTS:mnn_kernels_${isa}>)
endforeach()

file(GLOB MNN_KERNEL_HOST_SOURCES CONFIGURE_DEPENDS ${MNN_KERNEL_DIR}/*.cc)
add_library(mnn_kernels_host OBJECT ${MNN_KERNEL_HOST_SOURCES})
target_link_libraries(mnn_kernels_host PRIVATE mnn_options)
set_target_properties(mnn_kernels_host PROPERTIES UNITY_BUILD OFF)
list(APPEND MNN_KERNEL_OBJECTS $<TARGET_OBJECTS:mnn_kernels_host>)
