// Builds small TensorFlow Lite models for the tests of the front end.
#pragma once

#include <string>
#include <vector>

#include "libconvert/convert.h"
#include "libconvert/frontends/tflite/frontend.h"
#include "tflite_generated.h"

namespace mnn::testing {

// One field of an operator's options: slot 0 of type "i32" is "1".
struct TfField {
  int slot = 0;
  std::string type, value;
};

struct TfTensor {
  std::string name = {};
  int8_t type = 0;
  std::vector<int32_t> dims = {};
  std::string data = {};  // of a constant
  std::vector<float> scales = {};
  std::vector<int64_t> zeros = {};
  int32_t axis = 0;
  bool variable = false;
  std::vector<int32_t> signature = {};
};

struct TfOperator {
  int code = 0;
  std::vector<int32_t> inputs = {}, outputs = {};
  int kind = 0;
  std::vector<TfField> options = {};
  std::string custom = {}, custom_options = {};
};

struct TfGraph {
  std::vector<TfTensor> tensors;
  std::vector<int32_t> inputs, outputs;
  std::vector<TfOperator> operators;

  int32_t add(TfTensor t) {
    tensors.push_back(std::move(t));
    return static_cast<int32_t>(tensors.size()) - 1;
  }
};

struct TfSignature {
  std::string key;
  std::vector<std::pair<std::string, uint32_t>> inputs, outputs;
  uint32_t subgraph = 0;
};

struct TfModel {
  std::vector<TfGraph> graphs;
  std::vector<TfSignature> signatures = {};
  uint32_t version = 3;

  std::string bytes() const;
  Result<ImportedModel> import(const ImportOptions& options = {}) const;
};

// The bytes of a constant.
template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace mnn::testing
