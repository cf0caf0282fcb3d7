# mnn_print_kernels: writes the device kernels in the languages that are compiled when this is built.
file(GLOB MNN_KERNEL_TEXT_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_kernels.cc)
add_executable(mnn_print_kernels EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/tools/print_kernels.cc
  ${CMAKE_CURRENT_LIST_DIR}/print.cc ${CMAKE_CURRENT_LIST_DIR}/operators.cc ${MNN_KERNEL_TEXT_SOURCES})
target_link_libraries(mnn_print_kernels PRIVATE mnn_options)
set_target_properties(mnn_print_kernels PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
