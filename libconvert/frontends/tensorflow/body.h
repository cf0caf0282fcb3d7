// The nodes of a graph or function of TensorFlow with their names resolved.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libruntime/core/status.h"
#include "tensorflow.pb.h"

namespace mnn::tensorflow {

// Output `output` of node `node` of a body.
struct Edge {
  int node = -1;
  int output = 0;
  bool operator==(const Edge&) const = default;
  auto operator<=>(const Edge&) const = default;
};

struct BodyNode {
  const NodeDef* def = nullptr;  // null: argument `argument` of a function
  std::string_view name, op;
  int argument = -1;
  std::vector<Edge> inputs;
  std::vector<int> controls;  // nodes it waits for
  int outputs = 0;            // one more than the last output that is read, at least 1
};

using Functions = std::unordered_map<std::string_view, const FunctionDef*>;

// Borrows the messages it is made of.
struct Body {
  std::string name;  // of the function; empty: the main graph
  std::vector<BodyNode> nodes;
  std::vector<Edge> results;  // of a function
  std::vector<int> controls;  // of a function: what runs before it is done
  size_t arguments = 0;

  // -1: none
  int find(std::string_view node) const;

  std::unordered_map<std::string_view, int> by_name;
};

// Two nodes of one name and inputs that nothing makes are errors.
Result<Body> read_graph(const GraphDef& graph);
Result<Body> read_function(const FunctionDef& function, const Functions& functions);

// "node", "node:1" or "^node": an error when the body has no such node.
Result<Edge> find_tensor(const Body& body, std::string_view text);

// How many outputs a node has by its operator; 1 where the table does not tell.
int output_count(const BodyNode& node, const Functions& functions);

}  // namespace mnn::tensorflow
