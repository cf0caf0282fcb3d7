#include "tests/convert/lines_frontend.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/order.h"
#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/sniff.h"

namespace mnn::testing {
namespace {

using namespace frontend;
using Words = std::vector<std::string>;

struct Line {
  Words words;
  std::vector<std::vector<Line>> branches;
};

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

Dim dim_of(const std::string& text, DimSymbols& symbols) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? Dim(number)
                                                                  : symbols.named(text);
}

// Lines up to "else", "end" or the last one, whose word is put into `last`.
std::vector<Line> read_lines(std::istringstream& in, std::string& last) {
  std::vector<Line> lines;
  for (std::string text; last.clear(), std::getline(in, text);) {
    std::istringstream words(text);
    Line line;
    for (std::string word; words >> word;) line.words.push_back(word);
    if (line.words.empty()) continue;
    last = line.words[0];
    line.words.resize(std::max<size_t>(2, line.words.size()));
    if (last == "else" || last == "end") return lines;
    while (line.words[0] == "If" && last != "end") {
      line.branches.push_back(read_lines(in, last));
      if (last.empty()) return lines;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

// A branch gives what its last line makes.
const std::string& result_of(const std::vector<Line>& branch) { return branch.back().words[1]; }

void collect_names(const Line& line, NodeNames& names) {
  names.reads.insert(names.reads.end(), line.words.begin() + 2, line.words.end());
  for (const auto& branch : line.branches) {
    for (const Line& inner : branch) collect_names(inner, names);
  }
}

class Importer {
 public:
  Importer(SourceFiles& files, int64_t budget)
      : files_(files), budget_(budget), log_(out_.diagnostics) {}

  Result<ImportedModel> run(const std::string& text, const ShapeMap& shapes) {
    std::istringstream in(text);
    std::string word;
    const std::vector<Line> lines = read_lines(in, word);
    GraphDraft draft(out_.graph);
    Scope scope(draft, nullptr);
    std::vector<Line> nodes;
    Words outputs;
    for (size_t i = 1; i < lines.size(); ++i) {
      const Words& words = lines[i].words;
      if (words[1].empty()) return invalid("line '" + words[0] + "' is too short");
      if (words[0] == "output")
        outputs.push_back(words[1]);
      else if (words[0] == "input" || words[0] == "weights") {
        MNN_RETURN_IF_ERROR(add_value(words, scope));
      } else
        nodes.push_back(lines[i]);
    }
    out_.format = "lines";
    MNN_RETURN_IF_ERROR(bind_input_shapes(out_.graph, shapes, symbols_).status());
    MNN_RETURN_IF_ERROR(add_nodes(nodes, {outputs.begin(), outputs.end()}, scope));
    for (const std::string& name : outputs) {
      MNN_ASSIGN_OR_RETURN(const ValueId id, resolve(scope, name));
      MNN_RETURN_IF_ERROR(add_output(draft, name, id, budget_));
    }
    MNN_RETURN_IF_ERROR(out_.diagnostics.status());
    MNN_RETURN_IF_ERROR(verify(out_.graph));
    return std::move(out_);
  }

 private:
  Status add_value(const Words& words, Scope& scope) {
    if (words.size() != 3) return invalid("expected " + words[0] + " NAME and one word more");
    if (words[0] == "weights") {
      constexpr int64_t kMost = 1 << 10;
      MNN_ASSIGN_OR_RETURN(const MappedFile file, files_.open(words[2], kMost));
      std::istringstream in(text_of(file));
      std::vector<float> values;
      for (float f = 0; in >> f;) values.push_back(f);
      Tensor data = Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
      return define(scope, words[1], out_.graph.add_constant(std::move(data), words[1]));
    }
    std::istringstream in(words[2]);
    Shape shape;
    for (std::string dim; std::getline(in, dim, ',');) shape.push_back(dim_of(dim, symbols_));
    const DType dtype = words[1].starts_with("is_") ? DType::kBool : DType::kF32;
    out_.source_inputs.emplace_back(words[1], static_cast<int>(out_.graph.inputs.size()));
    return define(scope, words[1], out_.graph.add_input(words[1], tensor_type(dtype, shape)));
  }

  Status add_nodes(const std::vector<Line>& lines, const std::vector<std::string_view>& outputs,
                   Scope& scope) {
    std::vector<NodeNames> names(lines.size());
    for (size_t n = 0; n < lines.size(); ++n) {
      names[n].makes = {lines[n].words[1]};
      collect_names(lines[n], names[n]);
    }
    const auto display = [&](size_t n) { return lines[n].words[0] + " " + lines[n].words[1]; };
    MNN_ASSIGN_OR_RETURN(NodeOrder order, order_nodes(names, outputs, display));
    scope.read = std::move(order.read);
    for (const int n : order.sequence) {
      const Words& words = lines[static_cast<size_t>(n)].words;
      scope.node_live = scope.live && order.live[static_cast<size_t>(n)] != 0;
      const std::string name = log_.unique_name(words[0], true);
      const Status status = add_node(lines[static_cast<size_t>(n)], name, scope);
      if (!status.ok()) log_.report(name, words[0], status, scope.node_live);
      leave_undefined(scope, {words[1]}, "");
    }
    return {};
  }

  Status add_node(const Line& line, const std::string& name, Scope& scope) {
    const Words outputs = {line.words[1]};
    SourceNode node(scope.draft, budget_);
    node.op = line.words[0];
    node.name = name;
    MNN_ASSIGN_OR_RETURN(node.inputs,
                         resolve_all(scope, {line.words.begin() + 2, line.words.end()}));
    for (const ValueId v : node.inputs) {
      if (is_undefined(scope, v)) return {};
    }
    node.wanted = wanted_outputs(scope, outputs);
    if (node.op == "If") {
      if (line.branches.size() != 2) return invalid("expected two branches");
      const std::optional<bool> taken = known_condition(scope.draft, node.in(0));
      if (taken) {
        Scope inside(scope.draft, &scope);
        return put_in_place(scope, outputs, "", [&]() -> Result<std::vector<ValueId>> {
          return add_branch(line.branches[*taken ? 0 : 1], inside);
        });
      }
      MNN_RETURN_IF_ERROR(add_subgraphs(scope, node, 2, 2, [&](size_t g, Scope& inside) -> Status {
        MNN_ASSIGN_OR_RETURN(inside.draft.graph.outputs, add_branch(line.branches[g], inside));
        return {};
      }));
    }
    if (node.op == "Twice") {  // a row that puts another node in its place
      node.results = {node.emit("Add", {node.in(0), node.in(0)})};
    }
    MNN_RETURN_IF_ERROR(node.status);
    MNN_RETURN_IF_ERROR(node.append());
    return define_results(scope, outputs, node.results, "");
  }

  Result<std::vector<ValueId>> add_branch(const std::vector<Line>& lines, Scope& inside) {
    if (lines.empty()) return invalid("an empty branch");
    MNN_RETURN_IF_ERROR(add_nodes(lines, {result_of(lines)}, inside));
    MNN_ASSIGN_OR_RETURN(const ValueId id, resolve(inside, result_of(lines)));
    return std::vector<ValueId>{id};
  }

  SourceFiles& files_;
  int64_t budget_;
  ImportedModel out_;
  NodeLog log_;
  DimSymbols symbols_;
};

constexpr const char* kMain = "net.lines";

bool recognizes(std::span<const std::byte> bytes, const SourceFiles& source) {
  return source.is_folder() ? source.list(kMain) == Words{kMain} : begins(bytes, "lines\n");
}

Result<ImportedModel> import(SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int64_t budget, int_key(options, "max_nodes", 1000, 1, 1000));
  MNN_ASSIGN_OR_RETURN(const MappedFile file, source.open_main(kMain));
  return Importer(source, budget).run(text_of(file), options.shapes);
}

std::vector<std::string> operators() { return {"lines::Twice 1"}; }

}  // namespace

Frontend lines_frontend() {
  return {"lines",   "a folder with a net.lines",  recognizes, import,
          operators, {{"max_nodes", "Most nodes"}}};
}

}  // namespace mnn::testing
