// print_kernels glsl FOLDER: NAME.comp for every kernel row. print_kernels host FILE: all of them
// as C++, and their table.
#include <cstdio>
#include <fstream>
#include <string>

#include "libruntime/backends/gpu/kernel.h"

namespace mnn::gpu {
namespace {

bool write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  return static_cast<bool>(file.flush());
}

bool print_glsl(const std::string& folder) {
  for (const KernelRow& row : kernel_rows()) {
    if (!write(folder + "/" + row.name + ".comp", print_kernel(row, Dialect::kGlsl, {}))) {
      return false;
    }
  }
  return true;
}

bool print_host(const std::string& path) {
  std::string text, table = "const HostKernel kHostKernels[] = {\n";
  for (const KernelRow& row : kernel_rows()) {
    text += print_kernel(row, Dialect::kHost, {});
    table += "    {\"" + row.name + "\", kernel_" + row.name + "::call},\n";
  }
  return write(path, text + table + "};\n");
}

}  // namespace
}  // namespace mnn::gpu

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  const bool done = what == "glsl"   ? mnn::gpu::print_glsl(argv[2])
                    : what == "host" ? mnn::gpu::print_host(argv[2])
                                     : false;
  if (!done) std::fprintf(stderr, "print_kernels: nothing was written\n");
  return done ? 0 : 1;
}
