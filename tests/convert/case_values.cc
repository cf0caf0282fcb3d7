#include "tests/convert/case_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "libruntime/core/half.h"
#include "libruntime/core/op.h"

namespace mnn::testing {
namespace {

template <typename T>
std::string packed_as(const Values& values) {
  std::string out;
  for (const double v : values) {
    const T one = static_cast<T>(v);
    out.append(reinterpret_cast<const char*>(&one), sizeof(T));
  }
  return out;
}

}  // namespace

std::string packed(DType dtype, const Values& values) {
  switch (dtype) {
    case DType::kF32: return packed_as<float>(values);
    case DType::kF64: return packed_as<double>(values);
    case DType::kU16: return packed_as<uint16_t>(values);
    case DType::kU32: return packed_as<uint32_t>(values);
    case DType::kI32: return packed_as<int32_t>(values);
    case DType::kI64: return packed_as<int64_t>(values);
    case DType::kI16: return packed_as<int16_t>(values);
    case DType::kI8: return packed_as<int8_t>(values);
    case DType::kI4: {  // of two the first in the low bits
      std::string out((values.size() + 1) / 2, 0);
      for (size_t i = 0; i < values.size(); ++i) {
        const int code = static_cast<int>(values[i]) & 15;
        out[i / 2] = static_cast<char>(out[i / 2] | (code << (i % 2 * 4)));
      }
      return out;
    }
    case DType::kF16: {
      std::string out;
      for (const double v : values) {
        const Half half(static_cast<float>(v));
        out.append(reinterpret_cast<const char*>(&half), 2);
      }
      return out;
    }
    default: return packed_as<uint8_t>(values);
  }
}

Values ramp(int64_t elements) {
  Values values;
  const auto n = static_cast<double>(elements);
  for (int64_t i = 0; i < elements; ++i) {
    values.push_back(static_cast<float>(static_cast<double>((i * 7) % elements) / n - 0.5));
  }
  return values;
}

void expect_values(const Tensor& found, const Values& expected, double tolerance,
                   const std::string& where) {
  const Result<Values> values = found.to_doubles();
  ASSERT_TRUE(values.ok()) << where;
  ASSERT_EQ(values->size(), expected.size()) << where;
  for (size_t i = 0; i < values->size(); ++i) {
    if (std::isnan(expected[i]) || std::isinf(expected[i])) {
      EXPECT_EQ(std::isnan(expected[i]), std::isnan((*values)[i])) << where << " element " << i;
      EXPECT_EQ(std::isinf(expected[i]), std::isinf((*values)[i])) << where << " element " << i;
      continue;
    }
    const double most = std::max(tolerance, 2e-5 * std::max(1.0, std::abs(expected[i])));
    EXPECT_NEAR((*values)[i], expected[i], most) << where << " element " << i;
  }
}

void run_both_ways(
    ImportedModel& model, const std::vector<Tensor>& feeds, const std::string& name,
    const std::function<void(const std::vector<Tensor>&, const std::string& where)>& check) {
  for (const bool optimized : {false, true}) {
    const std::string where = name + (optimized ? " (optimized)" : "");
    if (optimized) {
      const auto report = optimize(model.graph);
      ASSERT_TRUE(report.ok()) << where << ": " << report.status().message();
    }
    const auto out = run_reference(model.graph, feeds);
    ASSERT_TRUE(out.ok()) << where << ": " << out.status().message();
    check(*out, where);
  }
}

std::vector<Case> read_cases(const std::string& folder) {
  std::vector<Case> all;
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") files.insert(entry.path());
  }
  for (const auto& path : files) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("case ")) {
        all.push_back({path.stem().string() + ": " + line.substr(5), {}});
      } else if (!line.empty() && !line.starts_with("#") && !all.empty()) {
        all.back().lines.push_back(line);
      }
    }
  }
  return all;
}

}  // namespace mnn::testing
