// A Loop seen from inside: what stays as it is, what counts its trips, what it computes from
// constants alone, how often it runs.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// Borrows the graph and its node.
class LoopBody {
 public:
  LoopBody(const Graph& around, const Node& loop);

  const Graph& outer;
  const Node& loop;
  const Graph& body;

  // What is carried from trip to trip: as the trip gets it, as it hands it on, where it starts (in
  // the graph around).
  size_t carried() const { return loop.inputs.size() - kFirstCarried; }
  ValueId input(size_t k) const { return body.inputs[kFirstCarried + k]; }
  ValueId next(size_t k) const { return behind(body.outputs[1 + k]); }
  ValueId initial(size_t k) const { return loop.inputs[kFirstCarried + k]; }
  // What the trips hand out one after the other.
  size_t scanned() const { return body.outputs.size() - 1 - carried(); }
  ValueId scan(size_t k) const { return behind(body.outputs[1 + carried() + k]); }

  // The value behind Identity nodes, and the node that makes that; null for what no node makes and
  // nodes with post-ops.
  ValueId behind(ValueId v) const;
  const Node* maker(ValueId v) const;

  // The value of the graph around that `v` is in every trip; kNoValue when it is none.
  ValueId invariant(ValueId v) const;
  // What `v` is in every trip where that is known before a run: a constant, or computed from some.
  std::optional<Tensor> constant(ValueId v) const { return constant(v, kDepth); }
  // The c for which an integer is the number of the trip + c.
  std::optional<int64_t> count(ValueId v) const { return count(v, kDepth); }

  // The trips it makes, each of these being known or told by `dim_of` a value of the graph around;
  // the least of them counts. Empty when something else may end it, or keep it from beginning.
  std::vector<Dim> limits(const std::function<Dim(ValueId)>& dim_of) const;

 private:
  static constexpr size_t kFirstCarried = 2;
  static constexpr int kDepth = 8;
  std::optional<Tensor> constant(ValueId v, int depth) const;
  std::optional<Tensor> compute(ValueId v, int depth) const;
  std::optional<int64_t> count(ValueId v, int depth) const;

  std::vector<NodeId> makers_;           // per value of the body
  std::map<ValueId, size_t> carried_;    // input of the body -> which carried value
  std::map<ValueId, ValueId> captured_;  // input of the body -> value around
  mutable std::map<ValueId, std::optional<Tensor>> computed_;  // by compute()
};

}  // namespace mnn
