# The Vulkan backend, where its headers and a compiler of GLSL are there to build it.
find_path(MNN_VULKAN_INCLUDE vulkan/vulkan_core.h)
find_program(MNN_GLSLC glslc)
if(NOT MNN_VULKAN_INCLUDE OR NOT MNN_GLSLC)
  message(STATUS "The Vulkan backend is off: it takes vulkan/vulkan_core.h and glslc (Debian: libvulkan-dev, glslc)")
  return()
endif()
set(MNN_SPIRV ${PROJECT_BINARY_DIR}/libruntime/kernels_spirv.inc)
add_custom_command(OUTPUT ${MNN_SPIRV}
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/compile_kernels.sh $<TARGET_FILE:mnn_print_kernels> ${MNN_GLSLC}
    ${CMAKE_CURRENT_BINARY_DIR}/glsl ${MNN_SPIRV}
  DEPENDS mnn_print_kernels ${CMAKE_CURRENT_LIST_DIR}/compile_kernels.sh
  COMMENT "Compiling the device kernels to SPIR-V" VERBATIM)
file(GLOB MNN_VULKAN_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cc)
target_sources(mnn_runtime PRIVATE ${MNN_VULKAN_SOURCES} ${MNN_SPIRV})
set_source_files_properties(${MNN_VULKAN_SOURCES} PROPERTIES COMPILE_OPTIONS
  "-I${PROJECT_BINARY_DIR}/libruntime;-idirafter;${MNN_VULKAN_INCLUDE}")
set_property(SOURCE ${CMAKE_CURRENT_SOURCE_DIR}/backends/builtin.cc PROPERTY COMPILE_DEFINITIONS MNN_WITH_VULKAN)
