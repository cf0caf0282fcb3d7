#include <charconv>
#include <limits>
#include <unordered_map>

#include "libruntime/core/text.h"
#include "libruntime/core/text_scanner.h"

namespace mnn {
namespace {

constexpr int kMaxSubgraphDepth = 32;

using Attributes = std::map<std::string, Attribute, std::less<>>;

bool is_integer_text(std::string_view w) {
  return w.find_first_not_of("0123456789", w.substr(0, 1) == "-" ? 1 : 0) == std::string_view::npos;
}

// A number as an attribute writes it: an integer, a double or the number of a dtype.
Result<Attribute> parse_number(TextScanner& s) {
  s.skip_blanks();
  const size_t begin = s.position();
  const std::string_view w = s.word();
  const char* const end = w.data() + w.size();
  if (const std::optional<DType> dtype = parse_dtype(w)) {
    return Attribute(static_cast<int64_t>(*dtype));
  }
  if (!w.empty() && is_integer_text(w)) {
    int64_t value = 0;
    const auto r = std::from_chars(w.data(), end, value);
    if (r.ec == std::errc() && r.ptr == end) return Attribute(value);
  } else if (!w.empty()) {
    double value = 0;
    const auto r = std::from_chars(w.data(), end, value);
    if (r.ec == std::errc() && r.ptr == end) {
      return Attribute(value == value ? value : std::numeric_limits<double>::quiet_NaN());
    }
  }
  s.seek(begin);
  return s.fail("expected a value, found " + s.found());
}

// After '['. `type` is the word before it; without one the first element decides.
Result<Attribute> parse_list(TextScanner& s, std::string_view type) {
  std::vector<Attribute> items;
  if (!s.eat_line(']')) {
    do {
      s.skip_lines();
      if (s.peek() == '"') {
        MNN_ASSIGN_OR_RETURN(std::string text, s.quoted());
        items.emplace_back(std::move(text));
      } else {
        MNN_ASSIGN_OR_RETURN(Attribute number, parse_number(s));
        items.push_back(std::move(number));
      }
      if (items.back().index() != items.front().index()) {
        return s.fail("a list has elements of one type: integers, floats (with a dot) or strings");
      }
    } while (s.eat_line(','));
    MNN_RETURN_IF_ERROR(s.expect(']'));
  }
  auto collect = [&]<typename T>(std::string_view name) -> std::optional<Attribute> {
    if (items.empty() ? type != name : !std::holds_alternative<T>(items.front())) return {};
    if (!type.empty() && type != name) return {};
    std::vector<T> list;
    list.reserve(items.size());
    for (Attribute& item : items) list.push_back(std::get<T>(std::move(item)));
    return Attribute(std::move(list));
  };
  if (auto list = collect.operator()<int64_t>("ints")) return *std::move(list);
  if (auto list = collect.operator()<double>("floats")) return *std::move(list);
  if (auto list = collect.operator()<std::string>("strings")) return *std::move(list);
  if (type.empty()) return s.fail("an empty list is written ints[], floats[] or strings[]");
  return s.fail("the elements do not fit " + std::string(type) + "[]");
}

Result<Attribute> parse_attribute(TextScanner& s) {
  s.skip_lines();
  if (s.peek() == '"') {
    MNN_ASSIGN_OR_RETURN(std::string text, s.quoted());
    return Attribute(std::move(text));
  }
  if (s.eat('[')) return parse_list(s, "");
  for (const std::string_view type : {"ints", "floats", "strings"}) {
    if (!s.eat_word(type)) continue;
    MNN_RETURN_IF_ERROR(s.expect('['));
    return parse_list(s, type);
  }
  if (s.eat_word("tensor")) {
    if (s.eat_word("none")) return Attribute(Tensor());
    MNN_ASSIGN_OR_RETURN(const Type type, s.type());
    if (!type.is_static()) return s.fail("a tensor needs a static type, found " + type.str());
    MNN_ASSIGN_OR_RETURN(Tensor tensor, s.elements(type.dtype, known_dims(*type.shape)));
    return Attribute(std::move(tensor));
  }
  return parse_number(s);
}

// After '{'.
Result<Attributes> parse_attributes(TextScanner& s) {
  Attributes attributes;
  do {
    s.skip_lines();
    const size_t begin = s.position();
    MNN_ASSIGN_OR_RETURN(const TextName name, s.name());
    MNN_RETURN_IF_ERROR(s.expect('='));
    MNN_ASSIGN_OR_RETURN(Attribute value, parse_attribute(s));
    if (!attributes.emplace(name.text, std::move(value)).second) {
      return s.fail_at(begin, "attribute " + name.text + " is set twice");
    }
  } while (s.eat_line(','));
  MNN_RETURN_IF_ERROR(s.expect('}'));
  return attributes;
}

// A tensor of an encoding: a list "[1,2]" of type `natural`, or a type and its elements.
Status parse_quant_tensor(TextScanner& s, DType natural, Tensor& out) {
  s.skip_blanks();
  if (natural != DType::kUndefined && s.peek() == '[') {
    MNN_ASSIGN_OR_RETURN(out, s.list(natural));
    return {};
  }
  MNN_ASSIGN_OR_RETURN(const Type type, s.type());
  if (!type.is_static()) return s.fail("expected a static type, found " + type.str());
  MNN_ASSIGN_OR_RETURN(out, s.elements(type.dtype, known_dims(*type.shape)));
  return {};
}

Result<Rotation> parse_rotation(TextScanner& s) {
  Rotation r;
  MNN_RETURN_IF_ERROR(s.expect_word("axis"));
  MNN_ASSIGN_OR_RETURN(const int64_t axis, s.integer());
  if (axis < 0 || axis > std::numeric_limits<int>::max()) {
    return s.fail("axis " + std::to_string(axis) + " is out of range");
  }
  r.axis = static_cast<int>(axis);
  MNN_RETURN_IF_ERROR(s.expect_word("block"));
  MNN_ASSIGN_OR_RETURN(r.block, s.integer());
  MNN_RETURN_IF_ERROR(s.expect_word("signs"));
  MNN_RETURN_IF_ERROR(parse_quant_tensor(s, DType::kUndefined, r.signs));
  return r;
}

// ["axis" INTEGER]
Status parse_axis(TextScanner& s, int least, int& axis) {
  if (!s.eat_word("axis")) return {};
  MNN_ASSIGN_OR_RETURN(const int64_t number, s.integer());
  if (number < least || number > std::numeric_limits<int>::max()) {
    return s.fail("axis " + std::to_string(number) + " is out of range");
  }
  axis = static_cast<int>(number);
  return {};
}

// After "quant".
Result<QuantParams> parse_quant(TextScanner& s) {
  QuantParams q;
  s.skip_blanks();
  const size_t begin = s.position();
  const std::optional<DType> storage = parse_dtype(s.word());
  if (!storage) return s.fail_at(begin, "expected the storage type of a quantized value");
  q.storage = *storage;
  // Lists of one number stand for scalars unless an axis follows.
  std::vector<Tensor*> lists;
  auto numbers = [&](const char* word, DType natural, Tensor& out) -> Status {
    if (!s.eat_word(word)) return {};
    s.skip_blanks();
    if (s.peek() == '[') lists.push_back(&out);
    return parse_quant_tensor(s, natural, out);
  };
  MNN_RETURN_IF_ERROR(numbers("scale", DType::kF32, q.scale));
  if (!q.scale.defined()) return s.fail("expected 'scale', found " + s.found());
  MNN_RETURN_IF_ERROR(numbers("zero", DType::kI32, q.zero_point));
  MNN_RETURN_IF_ERROR(numbers("offset", DType::kF32, q.offset));
  MNN_RETURN_IF_ERROR(parse_axis(s, -1, q.axis));
  if (s.eat_word("group")) {
    MNN_ASSIGN_OR_RETURN(q.group, s.integer());
  }
  MNN_RETURN_IF_ERROR(numbers("super_scale", DType::kF32, q.super_scale));
  MNN_RETURN_IF_ERROR(numbers("super_offset", DType::kF32, q.super_offset));
  if (s.eat_word("super_group")) {
    MNN_ASSIGN_OR_RETURN(q.super_group, s.integer());
  }
  if (s.eat_word("codebook")) {
    MNN_RETURN_IF_ERROR(parse_quant_tensor(s, DType::kUndefined, q.codebook));
  }
  if (s.eat_word("rotation")) {
    MNN_ASSIGN_OR_RETURN(q.rotation, parse_rotation(s));
  }
  for (Tensor* list : lists) {
    if (q.axis < 0 && list->elements() == 1) *list = list->reshaped({});
  }
  return q;
}

// After "smoothing".
Result<ChannelDivisors> parse_smoothing(TextScanner& s) {
  ChannelDivisors d;
  s.skip_blanks();
  MNN_ASSIGN_OR_RETURN(const Tensor divisors, s.list(DType::kF32));
  d.divisors.assign(divisors.span<float>().begin(), divisors.span<float>().end());
  MNN_RETURN_IF_ERROR(parse_axis(s, std::numeric_limits<int>::min(), d.axis));
  return d;
}

class GraphParser {
 public:
  GraphParser(TextScanner& scanner, int depth) : s_(scanner), depth_(depth) {}

  Result<Graph> parse() {
    if (depth_ > kMaxSubgraphDepth) {
      return s_.fail("sub-graphs nest deeper than " + std::to_string(kMaxSubgraphDepth));
    }
    MNN_RETURN_IF_ERROR(s_.expect_word("graph"));
    s_.skip_blanks();
    if (s_.peek() != '(') {
      MNN_ASSIGN_OR_RETURN(TextName name, s_.name());
      g_.name = std::move(name.text);
    }
    MNN_RETURN_IF_ERROR(parse_border(g_.inputs));
    if (s_.eat_word("captures")) MNN_RETURN_IF_ERROR(parse_border(g_.captures));
    MNN_RETURN_IF_ERROR(s_.expect('-'));
    MNN_RETURN_IF_ERROR(s_.expect('>'));
    MNN_RETURN_IF_ERROR(s_.expect('('));
    // Values get their ids in order of definition, so uses in the head wait for the body.
    std::vector<std::pair<TextName, size_t>> outputs;
    if (!s_.eat_line(')')) {
      do {
        s_.skip_lines();
        const size_t begin = s_.position();
        MNN_ASSIGN_OR_RETURN(TextName name, s_.name());
        outputs.emplace_back(std::move(name), begin);
      } while (s_.eat_line(','));
      MNN_RETURN_IF_ERROR(s_.expect(')'));
    }
    MNN_RETURN_IF_ERROR(s_.expect('{'));
    while (!s_.eat_line('}')) {
      MNN_RETURN_IF_ERROR(parse_statement());
      if (!s_.at_statement_end()) {
        return s_.fail("expected the end of the statement, found " + s_.found());
      }
    }
    for (const auto& [name, position] : outputs) {
      g_.outputs.push_back(use(name, position));
    }
    for (size_t v = 0; v < g_.values.size(); ++v) {
      if (defined_[v]) continue;
      return s_.fail_at(first_use_[v],
                        "value " + quote_text(g_.values[v].name) + " is used but never defined");
    }
    for (const auto& [name, position] : outputs) {
      if (name.is_none()) return s_.fail_at(position, "a graph output needs a value, found _");
    }
    return std::move(g_);
  }

 private:
  ValueId use(const TextName& name, size_t position) {
    if (name.is_none()) return kNoValue;
    const auto [it, fresh] = ids_.emplace(name.key(), static_cast<ValueId>(g_.values.size()));
    if (fresh) {
      g_.add_temporary(name.numbered ? std::string() : name.text);
      defined_.push_back(false);
      first_use_.push_back(position);
    }
    return it->second;
  }

  Result<ValueId> parse_use() {
    s_.skip_lines();
    const size_t begin = s_.position();
    MNN_ASSIGN_OR_RETURN(const TextName name, s_.name());
    return use(name, begin);
  }

  // NAME ["source name"] [: TYPE] [quant …] [smoothing …]
  Result<ValueId> parse_definition() {
    s_.skip_lines();
    const size_t begin = s_.position();
    MNN_ASSIGN_OR_RETURN(const TextName name, s_.name());
    const ValueId id = use(name, begin);
    if (id == kNoValue) return id;
    if (defined_[static_cast<size_t>(id)]) {
      return s_.fail_at(begin, "value " + quote_text(name.text) + " is defined twice");
    }
    defined_[static_cast<size_t>(id)] = true;
    s_.skip_blanks();
    if (s_.peek() == '"') {
      MNN_ASSIGN_OR_RETURN(g_.value(id).name, s_.quoted());
    }
    if (s_.eat(':')) {
      MNN_ASSIGN_OR_RETURN(g_.value(id).type, s_.type());
    }
    if (s_.eat_word("quant")) {
      MNN_ASSIGN_OR_RETURN(g_.value(id).quant, parse_quant(s_));
    }
    if (s_.eat_word("smoothing")) {
      MNN_ASSIGN_OR_RETURN(g_.value(id).smoothing, parse_smoothing(s_));
    }
    return id;
  }

  // ( definitions of inputs or captures )
  Status parse_border(std::vector<ValueId>& ids) {
    MNN_RETURN_IF_ERROR(s_.expect('('));
    if (s_.eat_line(')')) return {};
    do {
      MNN_ASSIGN_OR_RETURN(const ValueId id, parse_definition());
      if (id == kNoValue) return s_.fail("expected a name for this value, found _");
      g_.value(id).kind = ValueKind::kInput;
      ids.push_back(id);
    } while (s_.eat_line(','));
    return s_.expect(')');
  }

  Status parse_statement() {
    s_.skip_lines();
    const size_t begin = s_.position();
    for (const ValueKind kind : {ValueKind::kConstant, ValueKind::kState}) {
      if (!s_.eat_word(kind == ValueKind::kConstant ? "const" : "state")) continue;
      s_.skip_blanks();
      if (s_.at_name()) return parse_stored(kind);
      s_.seek(begin);  // a value of that name
    }
    if (s_.eat_word("update")) {
      s_.skip_blanks();
      if (s_.at_name()) return parse_update();
      s_.seek(begin);
    }
    return parse_node();
  }

  Status parse_stored(ValueKind kind) {
    MNN_ASSIGN_OR_RETURN(const ValueId id, parse_definition());
    if (id == kNoValue) return s_.fail("expected a name for this value, found _");
    Value& value = g_.value(id);
    value.kind = kind;
    if (!s_.eat('=')) return {};
    Type type = value.type;
    if (value.quant) type.dtype = value.quant->storage;
    if (s_.eat_word("stored")) {
      MNN_ASSIGN_OR_RETURN(type, s_.type());
    }
    if (!type.is_static()) {
      return s_.fail("elements need a static type before them, found " + type.str());
    }
    MNN_ASSIGN_OR_RETURN(value.data, s_.elements(type.dtype, known_dims(*type.shape)));
    return {};
  }

  // update STATE = VALUE
  Status parse_update() {
    MNN_ASSIGN_OR_RETURN(const ValueId state, parse_use());
    MNN_RETURN_IF_ERROR(s_.expect('='));
    MNN_ASSIGN_OR_RETURN(const ValueId next, parse_use());
    if (state == kNoValue || next == kNoValue)
      return s_.fail("an update needs two values, found _");
    g_.updates.push_back({state, next});
    return {};
  }

  Status parse_node() {
    Node node;
    if (!s_.eat('=')) {
      do {
        MNN_ASSIGN_OR_RETURN(const ValueId id, parse_definition());
        node.outputs.push_back(id);
      } while (s_.eat(','));
      MNN_RETURN_IF_ERROR(s_.expect('='));
    }
    MNN_ASSIGN_OR_RETURN(TextName op, s_.name());
    node.op = std::move(op.text);
    MNN_RETURN_IF_ERROR(s_.expect('('));
    MNN_RETURN_IF_ERROR(parse_uses(node.inputs));
    if (at_attributes()) {
      MNN_ASSIGN_OR_RETURN(node.attributes, parse_attributes(s_));
    }
    while (s_.eat('+')) MNN_RETURN_IF_ERROR(parse_fused(node));
    if (s_.eat_word("captures")) {
      MNN_RETURN_IF_ERROR(s_.expect('('));
      MNN_RETURN_IF_ERROR(parse_uses(node.captures));
    }
    if (s_.eat('{')) MNN_RETURN_IF_ERROR(parse_subgraphs(node));
    if (s_.eat_word("name")) {
      MNN_ASSIGN_OR_RETURN(node.name, s_.quoted());
    }
    if (s_.eat('@')) {
      do {
        MNN_ASSIGN_OR_RETURN(std::string origin, s_.quoted());
        node.origin.push_back(std::move(origin));
        s_.skip_blanks();
      } while (s_.peek() == '"');
    }
    g_.add_node(std::move(node));
    return {};
  }

  // After '(', up to ')'.
  Status parse_uses(std::vector<ValueId>& ids) {
    if (s_.eat_line(')')) return {};
    do {
      MNN_ASSIGN_OR_RETURN(const ValueId id, parse_use());
      ids.push_back(id);
    } while (s_.eat_line(','));
    return s_.expect(')');
  }

  // "{ name =" opens attributes and is eaten up to the name; "{ label :" opens sub-graphs.
  bool at_attributes() {
    const size_t begin = s_.position();
    if (!s_.eat('{')) return false;
    s_.skip_lines();
    const size_t first = s_.position();
    const bool attributes = s_.name().ok() && s_.eat('=');
    s_.seek(attributes ? first : begin);
    return attributes;
  }

  Status parse_fused(Node& node) {
    FusedOp f;
    MNN_ASSIGN_OR_RETURN(TextName op, s_.name());
    f.op = std::move(op.text);
    if (s_.eat('(')) {
      std::vector<ValueId> operands;
      MNN_RETURN_IF_ERROR(parse_uses(operands));
      for (const ValueId id : operands) {
        f.operands.push_back(id == kNoValue ? -1 : static_cast<int>(node.inputs.size()));
        if (id != kNoValue) node.inputs.push_back(id);
      }
    }
    if (at_attributes()) {
      MNN_ASSIGN_OR_RETURN(f.attributes, parse_attributes(s_));
    }
    node.fused.push_back(std::move(f));
    return {};
  }

  Status parse_subgraphs(Node& node) {
    do {
      s_.skip_lines();
      MNN_RETURN_IF_ERROR(s_.expect_word(subgraph_label(node, node.subgraphs.size())));
      MNN_RETURN_IF_ERROR(s_.expect(':'));
      s_.skip_lines();
      MNN_ASSIGN_OR_RETURN(Graph g, GraphParser(s_, depth_ + 1).parse());
      node.subgraphs.push_back(std::move(g));
      s_.eat(',');
    } while (!s_.eat_line('}'));
    return {};
  }

  TextScanner& s_;
  int depth_;
  Graph g_;
  std::unordered_map<std::string, ValueId> ids_;
  std::vector<bool> defined_;      // per value
  std::vector<size_t> first_use_;  // per value: where the text names it first
};

}  // namespace

Result<Graph> parse_graph(std::string_view text, int64_t max_constant_bytes) {
  TextScanner s(text, max_constant_bytes);
  s.skip_lines();
  MNN_ASSIGN_OR_RETURN(Graph graph, GraphParser(s, 0).parse());
  s.skip_lines();
  if (!s.at_end()) return s.fail("expected the end of the text, found " + s.found());
  return graph;
}

}  // namespace mnn
