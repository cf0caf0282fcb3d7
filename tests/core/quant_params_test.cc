// Encodings against the formula of quant_params.h, written out by hand here.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/packed.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/row_codes.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

Tensor tensor(std::string_view text) {
  Result<Tensor> t = parse_tensor(text);
  EXPECT_TRUE(t.ok()) << text << ": " << t.status().message();
  return t.ok() ? *t : Tensor();
}

std::vector<float> real_of(const Tensor& stored, const QuantParams& p) {
  const Result<Tensor> real = dequantize_tensor(stored, p);
  EXPECT_TRUE(real.ok()) << real.status().message();
  if (!real.ok()) return {};
  return {real->span<float>().begin(), real->span<float>().end()};
}

TEST(Packed, EveryWidthKeepsItsNeighbours) {
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8}) {
    std::vector<std::byte> data(40, std::byte(0xa5));
    std::mt19937 random(7);
    std::vector<uint8_t> want;
    for (int64_t i = 0; i < 40; ++i) want.push_back(packed_get(data.data(), bits, i));
    for (int round = 0; round < 400; ++round) {
      const auto i = static_cast<int64_t>(random() % 40);
      const auto value = static_cast<uint8_t>(random() & ((1u << bits) - 1u));
      packed_set(data.data(), bits, i, value);
      want[static_cast<size_t>(i)] = value;
      for (int64_t k = 0; k < 40; ++k) {
        ASSERT_EQ(packed_get(data.data(), bits, k), want[static_cast<size_t>(k)]) << bits;
      }
    }
  }
}

TEST(Storage, EveryRowPacksWhatItUnpacks) {
  for (const StorageType& row : storage_types()) {
    EXPECT_EQ(row.bits, dtype_bits(row.dtype)) << dtype_name(row.dtype);
    std::vector<double> codes;
    if (row.bits <= 8 && row.integer) {
      for (double c = row.low; c <= row.high; ++c) codes.push_back(c);
    } else if (row.integer) {
      codes = {row.low, row.low + 1, -1 < row.low ? 0.0 : -1.0, 0, 1, row.high - 1, row.high};
    } else if (row.bits == 16) {
      codes = {row.low, -1.5, 0, 0.15625, row.high};
    } else {
      for (int c = 0; c < 1 << row.bits; ++c) {
        const double v = small_float_value(row.dtype, static_cast<uint8_t>(c));
        if (std::isfinite(v)) codes.push_back(v);
      }
      EXPECT_EQ(*std::max_element(codes.begin(), codes.end()), row.high) << dtype_name(row.dtype);
    }
    const auto count = static_cast<int64_t>(codes.size());
    Tensor t = *Tensor::allocate(row.dtype, {count + 3});
    row.pack(codes.data(), 3, count, t.raw());
    std::vector<double> back(codes.size());
    row.unpack(t.raw(), 3, count, back.data());
    EXPECT_EQ(back, codes) << dtype_name(row.dtype);
  }
  EXPECT_EQ(find_storage(DType::kF32), nullptr);
  EXPECT_EQ(find_storage(DType::kBool), nullptr);
}

TEST(Quant, GroupsAlongTheLastAxis) {
  QuantParams p;
  p.storage = DType::kU4;
  p.axis = 1;
  p.group = 2;
  p.scale = tensor("f16[2,2] = 1 0.5 2 4");
  p.zero_point = tensor("u4[2,2] = 8 0 1 2");
  // Rows of three: groups of two and of one.
  const auto got = real_of(tensor("u4[2,3] = 0 1 2 2 3 10"), p);
  EXPECT_EQ(got, (std::vector<float>{-8, -7, 1, 2, 4, 32}));
}

TEST(Quant, GroupsAlongAnInnerAxis) {
  QuantParams p;
  p.storage = DType::kI8;
  p.axis = 0;
  p.group = 2;
  p.scale = tensor("f32[2,2] = 1 10 100 1000");
  EXPECT_EQ(real_of(tensor("i8[3,2] = 1 2 3 4 5 6"), p),
            (std::vector<float>{1, 20, 3, 40, 500, 6000}));
}

// GGUF Q4_K: y = d * sc * q - dmin * m, here with blocks of 2 and super blocks of 4.
TEST(Quant, SecondLevelScalesAndOffsets) {
  QuantParams p;
  p.storage = DType::kU4;
  p.axis = 1;
  p.group = 2;
  p.scale = tensor("u6[1,4] = 1 2 3 63");
  p.offset = tensor("u6[1,4] = 4 3 2 1");
  p.super_group = 2;
  p.super_scale = tensor("f16[1,2] = 0.5 0.25");
  p.super_offset = tensor("f16[1,2] = -2 -1");
  const auto got = real_of(tensor("u4[1,8] = 0 1 2 3 4 5 6 15"), p);
  EXPECT_EQ(got, (std::vector<float>{0 - 8, 0.5f - 8, 2 - 6, 3 - 6, 0.75f * 4 - 2, 0.75f * 5 - 2,
                                     15.75f * 6 - 1, 15.75f * 15 - 1}));
}

// NVFP4: f4e2m1 codes, f8e4m3 scales a block, one f32 scale for the tensor. MXFP4: e8m0 scales.
TEST(Quant, SmallFloats) {
  QuantParams p;
  p.storage = DType::kF4E2M1;
  p.axis = 0;
  p.group = 2;
  p.scale = tensor("f8e4m3fn[2] = 0x38 0x40");  // 1, 2
  p.super_scale = tensor("f32[] = 0.5");
  EXPECT_EQ(real_of(tensor("f4e2m1[4] = 0x1 0x7 0xf 0x2"), p),
            (std::vector<float>{0.25f, 3, -6, 1}));
  p.super_scale = {};
  p.scale = tensor("f8e8m0[2] = 0x7f 0x81");  // 1, 4
  EXPECT_EQ(real_of(tensor("f4e2m1[4] = 0x1 0x7 0xf 0x2"), p),
            (std::vector<float>{0.5f, 6, -24, 4}));
  const Result<Tensor> codes = quantize_tensor(tensor("f32[4] = 0.3 100 -9 4.9"), p);
  ASSERT_TRUE(codes.ok());
  EXPECT_EQ(print_tensor(*codes), "f4e2m1[4] = 0x1 0x7 0xc 0x2");
}

TEST(Quant, Codebook) {
  QuantParams p = tensor_quant(DType::kU2, 2, 0);
  p.zero_point = {};
  p.codebook = tensor("f32[4] = -1 -0.25 0.25 1");
  EXPECT_EQ(real_of(tensor("u2[4] = 3 2 1 0"), p), (std::vector<float>{2, 0.5f, -0.5f, -2}));
  EXPECT_EQ(print_tensor(*quantize_tensor(tensor("f32[4] = 9 0 -0.9 nan"), p)), "u2[4] = 3 1 1 1");
}

TEST(Quant, RotationIsUndone) {
  QuantParams p = axis_quant(DType::kI16, 0, std::vector<float>{1e-3f, 1e-3f});
  p.rotation = Rotation{1, 4, tensor("i8[8] = 1 -1 1 1 -1 -1 1 1")};
  const Tensor real = tensor("f32[2,8] = random 3 -1 1");
  const Result<Tensor> back = round_to_grid(real, p);
  ASSERT_TRUE(back.ok()) << back.status().message();
  for (int64_t i = 0; i < real.elements(); ++i) {
    EXPECT_NEAR(back->data<float>()[i], real.data<float>()[i], 2e-3);
  }
  // H4 / 2 of the first block, by hand.
  Tensor turned = tensor("f32[1,4] = 1 2 3 4");
  ASSERT_TRUE(rotate(turned, Rotation{1, 4, tensor("i8[4] = 1 -1 1 1")}, false).ok());
  EXPECT_EQ(print_tensor(turned), "f32[1,4] = 3 1 -4 2");
}

TEST(Quant, HalfTypedConstantsStayHalf) {
  Value v;
  v.kind = ValueKind::kConstant;
  v.type = tensor_type(DType::kF16, {Dim(2)});
  v.data = tensor("i8[2] = 3 -4");
  v.quant = tensor_quant(DType::kI8, 0.5f, 0);
  EXPECT_EQ(print_tensor(*constant_as_real(v)), "f16[2] = 1.5 -2");
}

TEST(Quant, WhatMakesNoSenseIsRefused) {
  const Type type = tensor_type(DType::kF32, {Dim(2), Dim(6)});
  const QuantParams good = axis_quant(DType::kI8, 1, std::vector<float>(6, 1.0f));
  EXPECT_TRUE(check_quant(good, type).ok());
  auto refused = [&](auto change) {
    QuantParams p = good;
    change(p);
    const bool bad = !check_quant(p, type).ok();
    EXPECT_TRUE(
        !bad ||
        !dequantize_tensor(
             *Tensor::allocate(p.storage == DType::kF32 ? DType::kI8 : p.storage, {2, 6}), p)
             .ok());
    return bad;
  };
  EXPECT_TRUE(refused([](QuantParams& p) { p.storage = DType::kF32; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.storage = DType::kString; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.axis = 2; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.axis = -2; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.axis = -1; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.axis = 0; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.group = 2; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.group = -1; }));
  EXPECT_TRUE(refused([](QuantParams& p) {
    p.super_group = INT64_MAX;
    p.super_scale = p.scale;
  }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.scale = {}; }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.scale = tensor("i32[6] = 1 1 1 1 1 1"); }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.zero_point = tensor("i32[2] = 0 0"); }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.zero_point = tensor("i64[6] = 0 0 0 0 0 0"); }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.offset = tensor("f32[1] = 0"); }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.super_offset = tensor("f32[] = 0"); }));
  EXPECT_TRUE(refused([](QuantParams& p) { p.codebook = tensor("f32[16] = iota 0 1"); }));
  for (const int64_t block : {0, 3, -4, 8}) {
    EXPECT_TRUE(refused([&](QuantParams& p) {
      p.rotation = Rotation{1, block, tensor("i8[6] = 1 1 1 1 1 1")};
    }));
  }
  EXPECT_TRUE(refused([](QuantParams& p) {
    p.rotation = Rotation{2, 2, tensor("i8[6] = iota 1 0")};
  }));
  EXPECT_TRUE(refused([](QuantParams& p) {
    p.rotation = Rotation{0, 2, tensor("i8[6] = iota 1 0")};
  }));
  EXPECT_TRUE(refused([](QuantParams& p) {
    p.rotation = Rotation{0, int64_t{1} << 62, *Tensor::allocate(DType::kI8, {0})};
  }));
}

TEST(Quant, EqualityLooksAtElements) {
  const QuantParams a = axis_quant(DType::kI8, 0, std::vector<float>{1, 2});
  EXPECT_EQ(a, axis_quant(DType::kI8, 0, std::vector<float>{1, 2}));
  EXPECT_NE(a, axis_quant(DType::kI8, 0, std::vector<float>{1, 3}));
  EXPECT_NE(a, axis_quant(DType::kI8, 0, std::vector<float>{1, 2}, std::vector<int32_t>{0, 0}));
  EXPECT_NE(a, axis_quant(DType::kU8, 0, std::vector<float>{1, 2}));
}

TEST(RowCodes, RowsAreThoseOfTheWholeTable) {
  const std::vector<int64_t> dims = {5, 300};
  for (const StorageType& row : storage_types()) {
    if (row.bits > 16) continue;
    SCOPED_TRACE(dtype_name(row.dtype));
    Tensor stored = *Tensor::allocate(row.dtype, dims);
    std::vector<double> codes;
    for (int64_t i = 0; i < stored.elements(); ++i)
      codes.push_back(
          std::clamp(std::floor(static_cast<double>(i * 7 % 23) - 8), row.low, row.high));
    row.pack(codes.data(), 0, stored.elements(), stored.raw());
    for (int form = 0; form < 4; ++form) {
      QuantParams p;
      p.storage = row.dtype;
      std::vector<int64_t> entries;
      if (form == 1) p.axis = 0, entries = {5};
      if (form >= 2) p.axis = 1, p.group = 32, entries = {5, 10};
      p.scale = *Tensor::allocate(DType::kF32, entries);
      for (int64_t i = 0; i < p.scale.elements(); ++i)
        p.scale.data<float>()[i] = 0.01f * static_cast<float>(i + 1);
      if (form == 3) {
        p.offset = *Tensor::allocate(DType::kF32, entries);
        for (int64_t i = 0; i < p.offset.elements(); ++i)
          p.offset.data<float>()[i] = 0.3f * static_cast<float>(i);
      }
      const auto table = RowCodes::of(stored, p);
      ASSERT_TRUE(table.has_value());
      const auto whole = dequantize_tensor(stored, p);
      ASSERT_TRUE(whole.ok());
      std::vector<float> line(300);
      for (int64_t r = 0; r < 5; ++r) {
        table->read(r, line.data());
        for (int64_t c = 0; c < 300; ++c)
          ASSERT_EQ(line[static_cast<size_t>(c)], whole->data<float>()[r * 300 + c]) << form;
      }
    }
  }
  QuantParams columns = axis_quant(DType::kU8, 1, std::vector<float>(300, 1));
  EXPECT_FALSE(RowCodes::of(*Tensor::allocate(DType::kU8, dims), columns).has_value());
}

}  // namespace
}  // namespace mnn
