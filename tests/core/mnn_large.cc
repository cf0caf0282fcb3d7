// .mnn files over 4 GiB: written, mapped and read back.
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

// The scales of 7 billion 4-bit weights in groups of 32 beside them: 875 MB that are mapped, not
// decoded into lists and not copied with the graph.
TEST(MnnFile, ScalesOfSevenBillionWeights) {
  constexpr int64_t kRows = 53408, kColumns = 131072, kGroup = 32;  // 7.0e9
  const auto zeros = [](DType dtype, std::vector<int64_t> dims, int64_t bytes) {
    void* const p = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(p, MAP_FAILED);
    return Tensor::wrap(dtype, std::move(dims), static_cast<std::byte*>(p), nullptr);
  };
  Model model;
  const int64_t scales = kRows * kColumns / kGroup;
  Value value;
  value.kind = ValueKind::kConstant;
  value.type = tensor_type(DType::kF32, {Dim(kRows), Dim(kColumns)});
  value.data = zeros(DType::kU4, {kRows, kColumns}, kRows * kColumns / 2);
  value.quant = QuantParams();
  value.quant->storage = DType::kU4;
  value.quant->axis = 1;
  value.quant->group = kGroup;
  value.quant->scale = zeros(DType::kF32, {kRows, kColumns / kGroup}, scales * 4);
  model.graph.outputs = {model.graph.add_value(std::move(value))};
  const std::string path = testing::TempDir() + "/seven_billion.mnn";
  const Status written = write_model(model, path);
  ASSERT_TRUE(written.ok()) << written.message();
  ReadOptions trusting;
  trusting.check_weights = false;
  const Result<Model> again = read_model(path, trusting);
  std::remove(path.c_str());
  ASSERT_TRUE(again.ok()) << again.status().message();
  const QuantParams& q = *again->graph.values[0].quant;
  EXPECT_EQ(q.entries(), scales);
  const Graph copy = again->graph;
  EXPECT_EQ(copy.values[0].quant->scale.raw(), q.scale.raw());
  const auto& data = model.graph.values[0];
  munmap(const_cast<std::byte*>(data.data.raw()), static_cast<size_t>(data.data.bytes()));
  munmap(const_cast<std::byte*>(data.quant->scale.raw()),
         static_cast<size_t>(data.quant->scale.bytes()));
}

}  // namespace
}  // namespace mnn
