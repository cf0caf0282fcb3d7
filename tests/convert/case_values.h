// What the cases of operators share: files of them, and the numbers in them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "libconvert/convert.h"

namespace mnn::testing {

using Values = std::vector<double>;

// The lines behind "case NAME", without comments.
struct Case {
  std::string where;
  std::vector<std::string> lines;
};
// Of all .txt files of a folder, by name.
std::vector<Case> read_cases(const std::string& folder);

// The bytes of elements; types that are not known as bytes each.
std::string packed(DType dtype, const Values& values);
// Numbers spread from -0.5 to 0.5.
Values ramp(int64_t elements);
// Expects the elements, each within `tolerance` or 2e-5 of its magnitude.
void expect_values(const Tensor& found, const Values& expected, double tolerance,
                   const std::string& where);
// Runs the model as it was imported, and as the passes leave it, and checks both results.
void run_both_ways(
    ImportedModel& model, const std::vector<Tensor>& feeds, const std::string& where,
    const std::function<void(const std::vector<Tensor>&, const std::string& where)>& check);

}  // namespace mnn::testing
