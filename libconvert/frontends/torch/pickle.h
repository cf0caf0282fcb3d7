// Python pickles as data: what torch.save and torch.jit.save write. Nothing is ever called: the few
// callables these files name build values here, all others are refused by name.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "libconvert/frontends/torch/archive.h"

namespace mnn::torch {

// A value of a pickle. Values may be shared and, in a malformed file, contain themselves.
struct Pickled {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kTensor,
    kList,
    kTuple,
    kDict,    // keys and values in turn
    kGlobal,  // a class or a function by its name
    kObject,  // of a class: `text`; its state is items[0]
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;  // of kBool and kInt
  double real = 0;
  std::string text;  // of kString, kGlobal ("torch.FloatStorage") and kObject
  Tensor tensor;
  std::vector<Pickled*> items;

  // The value under a string key of a dict, or of an object's state; null when there is none.
  const Pickled* find(std::string_view key) const;
};

// Owns the values of one pickle.
struct Pickle {
  std::deque<Pickled> values;
  const Pickled* root = nullptr;
};

// How deep what is made of a pickle may nest.
inline constexpr int kMaxPickleDepth = 256;

// Reads the pickle `name` of an archive; its tensors lie in the folder `storages`. Classes that
// begin with "__torch__." are kept as objects. kInvalidArgument when it is malformed, kUnsupported
// when it names a callable that is not known, kLimit when it is too large.
Result<Pickle> read_pickle(Archive& archive, const std::string& name, const std::string& storages);
// The same of bytes, with `storage` giving the storage of a key. Without one tensors have a type
// and dims only: their elements must not be looked at.
Result<Pickle> parse_pickle(std::span<const std::byte> bytes,
                            const std::function<Result<MappedFile>(const std::string&)>& storage);

}  // namespace mnn::torch
