// A .mnn file over 4 GiB: written, mapped and read back.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdio>

#include "libruntime/core/io/mnn_file.h"

namespace mnn {
namespace {

TEST(MnnFile, FilesOverFourGibibytes) {
  constexpr int64_t kBytes = (int64_t{4} << 30) + 12345;
  // Zero pages that are only read take no memory.
  void* const zeros = mmap(nullptr, static_cast<size_t>(kBytes), PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(zeros, MAP_FAILED);
  std::vector<float> numbers(100);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  Model model;
  model.graph.add_constant(
      Tensor::wrap(DType::kU8, {kBytes}, static_cast<std::byte*>(zeros), nullptr), "zeros");
  model.graph.add_constant(Tensor::of<float>({100}, numbers), "numbers");
  const std::string path = testing::TempDir() + "/large.mnn";
  const Status written = write_model(model, path);
  munmap(zeros, static_cast<size_t>(kBytes));
  ASSERT_TRUE(written.ok()) << written.message();
  const Result<Model> again = read_model(path);
  std::remove(path.c_str());
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->graph.values[0].data.elements(), kBytes);
  EXPECT_EQ(again->graph.values[1].data.data<float>()[99], 99.0f);
}

}  // namespace
}  // namespace mnn
