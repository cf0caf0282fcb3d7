// Control flow of TensorFlow 1 in a body: which branches each node stands in, and its loops.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "libconvert/frontends/tensorflow/body.h"

namespace mnn::tensorflow {

// A Switch on `condition` sends its data this way.
struct Way {
  Edge condition;
  int branch = 0;
  auto operator<=>(const Way&) const = default;
};
using Ways = std::vector<Way>;  // sorted

// A while loop: the nodes that carry values round it. Vectors line up.
struct WhileFrame {
  std::vector<int> merges, nexts;  // Merge and NextIteration of each carried value
  std::vector<Edge> initial;       // what enters it
  std::vector<int> exits;          // Exit, -1 where the value does not leave
  std::vector<Edge> constants;     // what enters and stays as it is
  int condition = -1;              // LoopCond
};

struct Flow {
  // Per node: what must have been chosen so that it runs.
  std::vector<int> ways;  // into `sets`
  std::vector<Ways> sets;
  std::vector<int> depth;    // per node: Merges of branches on the longest way to it
  std::vector<int> loop_of;  // per Merge, Exit and LoopCond of a loop: into `loops`; else -1
  std::vector<std::string_view> names;  // of loops
  std::vector<WhileFrame> loops;
  // Per Merge of branches: what chooses, and the input that each branch takes.
  struct Join {
    Edge condition;
    std::vector<int> input_of;  // by branch
  };
  std::map<int, Join> joins;

  const Ways& ways_of(int node) const {
    return sets[static_cast<size_t>(ways[static_cast<size_t>(node)])];
  }
  // Whether the node runs only where `condition` chose a branch.
  bool stands_in(int node, const Edge& condition) const;
  // What the branches that a Merge joins read from around them.
  std::vector<Edge> outside(const Body& body, int merge, const Edge& condition) const;
};

// An error where nodes form a cycle outside a loop, or a Merge joins what no Switch parted.
Result<Flow> read_flow(const Body& body);

// What an edge stands for, behind nodes that only hand it on.
Edge behind_passes(const Body& body, Edge edge);

}  // namespace mnn::tensorflow
