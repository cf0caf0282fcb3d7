// PyTorch's tensors: objects that may share memory. A view reads and writes its base; a write
// through any of them shows in all. Both doors keep their tensors here, so that the graph sees
// values only.
#pragma once

#include <string>
#include <vector>

#include "libconvert/frontends/torch/aten.h"

namespace mnn::torch {

// Index into Tensors.
using TensorId = int32_t;

class Tensors {
 public:
  explicit Tensors(frontend::GraphDraft& draft, int64_t& budget) : draft_(draft), budget_(budget) {}

  // A tensor with memory of its own.
  TensorId add(TensorArg value);
  // What a view operator made of `base`, which is `call`'s first argument. `result`: which of the
  // operator's list.
  TensorId add_view(TensorId base, AtenCall call, size_t result, TensorArg value);
  // The content now: made anew from the base when that was written since.
  Result<TensorArg> read(TensorId id);
  // What an in-place operator leaves in the tensor, and so in its base and all of its views.
  Status write(TensorId id, TensorArg value);
  // Whether a write through one shows in the other.
  bool share_memory(TensorId a, TensorId b) const { return root_of(a) == root_of(b); }
  // Whether its memory was written since it was added.
  bool was_written(TensorId id) const;

 private:
  struct Entry {
    TensorArg value;
    TensorId base = -1;  // of a view
    AtenCall call;
    size_t result = 0;
    int64_t version = 0;       // writes its memory has seen when `value` was made
    int64_t root_version = 0;  // of a base: writes so far
  };
  TensorId root_of(TensorId id) const;
  Result<TensorArg> view_of(const Entry& view, TensorArg base);
  Result<TensorArg> written_through(const Entry& view, TensorArg base, TensorArg value);

  frontend::GraphDraft& draft_;
  int64_t& budget_;
  std::vector<Entry> entries_;
};

}  // namespace mnn::torch
