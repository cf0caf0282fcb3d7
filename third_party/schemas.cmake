# mnn_schema(LIBRARY FILE): a library with the code of third_party/FILE. A .proto becomes classes of
# protobuf in STEM.pb.h, a .fbs accessors of FlatBuffers in STEM_generated.h. The generated code is
# not ours to judge: no warnings.
set(MNN_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${MNN_GENERATED_DIR})

function(mnn_schema library file)
  set(schema ${PROJECT_SOURCE_DIR}/third_party/${file})
  get_filename_component(stem ${file} NAME_WE)
  if(file MATCHES "\\.proto$")
    find_package(Protobuf REQUIRED)
    add_custom_command(
      OUTPUT ${MNN_GENERATED_DIR}/${stem}.pb.cc ${MNN_GENERATED_DIR}/${stem}.pb.h
      COMMAND protobuf::protoc --cpp_out=${MNN_GENERATED_DIR} -I${PROJECT_SOURCE_DIR}/third_party ${schema}
      DEPENDS ${schema} protobuf::protoc)
    add_library(${library} STATIC ${MNN_GENERATED_DIR}/${stem}.pb.cc)
    target_include_directories(${library} SYSTEM PUBLIC ${MNN_GENERATED_DIR})
    target_link_libraries(${library} PUBLIC protobuf::libprotobuf)
  else()
    find_program(MNN_FLATC flatc REQUIRED)
    add_custom_command(
      OUTPUT ${MNN_GENERATED_DIR}/${stem}_generated.h
      COMMAND ${MNN_FLATC} --cpp --cpp-std c++17 -o ${MNN_GENERATED_DIR} ${schema}
      DEPENDS ${schema})
    # Whoever links the library waits for the header.
    add_custom_target(${library}_header DEPENDS ${MNN_GENERATED_DIR}/${stem}_generated.h)
    add_library(${library} INTERFACE)
    add_dependencies(${library} ${library}_header)
    target_include_directories(${library} SYSTEM INTERFACE ${MNN_GENERATED_DIR})
    target_link_libraries(${library} INTERFACE flatbuffers::flatbuffers)
  endif()
endfunction()
