#include "libconvert/frontends/torch/script_border.h"

#include <algorithm>
#include <charconv>

namespace mnn::torch {
namespace {

// The name of a type and what is between its brackets.
std::string head_of(const Expr& type) {
  return type.kind == Expr::Kind::kIndex ? type.items[0].text : type.text;
}
std::vector<const Expr*> inner_of(const Expr& type) {
  std::vector<const Expr*> inner;
  if (type.kind != Expr::Kind::kIndex) return inner;
  if (type.items[1].kind != Expr::Kind::kTuple) return {&type.items[1]};
  for (const Expr& item : type.items[1].items) inner.push_back(&item);
  return inner;
}

void collect_texts(const Expr& expr, std::vector<std::string>& texts) {
  if (expr.kind == Expr::Kind::kString) texts.push_back(expr.text);
  for (const Expr& item : expr.items) collect_texts(item, texts);
}
void collect_texts(const std::vector<Stmt>& body, std::vector<std::string>& texts) {
  for (const Stmt& stmt : body) {
    collect_texts(stmt.value, texts);
    collect_texts(stmt.body, texts);
    collect_texts(stmt.orelse, texts);
  }
}

class Arguments {
 public:
  Arguments(Interpreter& interpreter, const Function& method, const ScriptSettings& settings,
            const Hints& hints, std::vector<std::pair<std::string, int>>& inputs)
      : interpreter_(interpreter),
        method_(method),
        settings_(settings),
        hints_(hints),
        inputs_(inputs) {}

  Result<ScriptValue> make(const Expr& type, const std::string& name, const Pickled* traced,
                           const Expr* fallback) {
    const std::string head = head_of(type);
    const std::vector<const Expr*> inner = inner_of(type);
    const auto given = settings_.arguments.find(name);
    if (given != settings_.arguments.end()) return from_text(given->second, head, name);
    if (head == "Optional" && inner.size() == 1) {
      const bool wanted =
          has_shape(name) || (traced != nullptr && traced->kind != Pickled::Kind::kNone);
      if (wanted) return make(*inner[0], name, traced, nullptr);
      return fallback != nullptr ? Result<ScriptValue>(Undefined{}) : ScriptValue(None{});
    }
    if (head == "Tensor" || head.empty()) {
      // A default is taken unless the input is asked for.
      if (fallback != nullptr && !has_shape(name)) return ScriptValue(Undefined{});
      return add_input(name, traced, DType::kF32);
    }
    if (head == "Tuple") {
      if (fallback != nullptr && !has_shape(name)) return ScriptValue(Undefined{});
      std::vector<ScriptValue> items;
      for (size_t i = 0; i < inner.size(); ++i) {
        MNN_ASSIGN_OR_RETURN(ScriptValue item, make(*inner[i], name + "." + std::to_string(i),
                                                    item_of(traced, i), nullptr));
        items.push_back(std::move(item));
      }
      return ScriptValue(interpreter_.add_list(std::move(items), true));
    }
    if (head == "List" && inner.size() == 1) return make_list(*inner[0], name, traced, fallback);
    if (head == "Dict" && inner.size() == 2) return make_dict(*inner[1], name, traced, fallback);
    if (fallback != nullptr && !has_shape(name)) return ScriptValue(Undefined{});
    if (head == "int") return add_number(name, DType::kI64, SymbolicNumber::Kind::kInt);
    if (head == "float") return add_number(name, DType::kF32, SymbolicNumber::Kind::kFloat);
    if (head == "bool") return add_number(name, DType::kBool, SymbolicNumber::Kind::kBool);
    return usage_error("the argument " + name + " (" + head +
                       ") needs a value: --import arguments=" + name + "=VALUE");
  }

 private:
  bool has_shape(const std::string& name) const {
    return std::ranges::any_of(settings_.shapes, [&](const auto& entry) {
      return entry.first == name || entry.first.starts_with(name + ".");
    });
  }
  static const Pickled* item_of(const Pickled* list, size_t i) {
    const bool has = list != nullptr && i < list->items.size() &&
                     (list->kind == Pickled::Kind::kTuple || list->kind == Pickled::Kind::kList);
    return has ? list->items[i] : nullptr;
  }

  Result<ScriptValue> add_input(const std::string& name, const Pickled* traced, DType dtype) {
    Type type;
    type.dtype = dtype;
    const auto rank = hints_.ranks.find(name);
    if (rank != hints_.ranks.end()) {
      type.shape.emplace();
      for (size_t i = 0; i < rank->second; ++i) type.shape->push_back(symbols_.fresh(name, i));
    }
    if (traced != nullptr && traced->kind == Pickled::Kind::kTensor) {
      type.dtype = traced->tensor.dtype();
      const std::vector<int64_t>& dims = traced->tensor.dims();
      type.shape.emplace();
      for (size_t i = 0; i < dims.size(); ++i) {
        type.shape->push_back(settings_.traced_shapes ? Dim(dims[i]) : symbols_.fresh(name, i));
      }
    }
    const auto hinted = hints_.dtypes.find(name);
    if (hinted != hints_.dtypes.end() && traced == nullptr) type.dtype = hinted->second;
    const auto said = settings_.dtypes.find(name);
    if (said != settings_.dtypes.end()) type.dtype = said->second;
    const auto shape = settings_.shapes.find(name);
    if (shape != settings_.shapes.end()) {
      MNN_RETURN_IF_ERROR(frontend::check_rank(shape->second.size()));
      type.shape = to_shape(shape->second);
    }
    Graph& graph = interpreter_.draft().graph;
    inputs_.emplace_back(name, static_cast<int>(graph.inputs.size()));
    const ValueId id = graph.add_input(name, std::move(type));
    interpreter_.name_input(id, name);
    return interpreter_.add_tensor({id});
  }

  Result<ScriptValue> add_number(const std::string& name, DType dtype, SymbolicNumber::Kind kind) {
    Graph& graph = interpreter_.draft().graph;
    inputs_.emplace_back(name, static_cast<int>(graph.inputs.size()));
    const ValueId id = graph.add_input(name, tensor_type(dtype, {}));
    const ScriptValue tensor = interpreter_.add_tensor({id});
    return ScriptValue(SymbolicNumber{kind, *as<TensorRef>(tensor)});
  }

  // As many as there are in the example, or shapes for.
  Result<ScriptValue> make_list(const Expr& item, const std::string& name, const Pickled* traced,
                                const Expr* fallback) {
    std::vector<ScriptValue> items;
    for (size_t i = 0;; ++i) {
      const std::string inner = name + "." + std::to_string(i);
      const Pickled* example = item_of(traced, i);
      if (example == nullptr && !has_shape(inner)) break;
      MNN_ASSIGN_OR_RETURN(ScriptValue value, make(item, inner, example, nullptr));
      items.push_back(std::move(value));
    }
    if (items.empty() && fallback != nullptr) return ScriptValue(Undefined{});
    if (items.empty()) {
      return usage_error("the argument " + name +
                         " is a list; give the shape of each item: --shape " + name +
                         ".0=1,3,224,224 --shape " + name + ".1=…");
    }
    return ScriptValue(interpreter_.add_list(std::move(items)));
  }

  // The keys are in the order in which the code names them.
  Result<ScriptValue> make_dict(const Expr& item, const std::string& name, const Pickled* traced,
                                const Expr* fallback) {
    std::vector<std::pair<std::string, const Pickled*>> keys;
    if (traced != nullptr && traced->kind == Pickled::Kind::kDict) {
      for (size_t i = 0; i + 1 < traced->items.size(); i += 2) {
        keys.emplace_back(traced->items[i]->text, traced->items[i + 1]);
      }
    } else {
      std::vector<std::string> texts;
      collect_texts(method_.body, texts);
      for (const auto& [shape, dims] : settings_.shapes) {
        if (shape.starts_with(name + "."))
          keys.emplace_back(shape.substr(name.size() + 1), nullptr);
      }
      std::ranges::stable_sort(keys, {}, [&](const auto& key) {
        return std::ranges::find(texts, key.first) - texts.begin();
      });
    }
    if (keys.empty() && fallback != nullptr) return ScriptValue(Undefined{});
    if (keys.empty()) {
      return usage_error("the argument " + name +
                         " is a dict; give the shape of each item: --shape " + name +
                         ".KEY=1,3,224,224");
    }
    DictValue* dict = interpreter_.add_dict();
    for (const auto& [key, example] : keys) {
      MNN_ASSIGN_OR_RETURN(ScriptValue value, make(item, name + "." + key, example, nullptr));
      dict->items.emplace_back(key, std::move(value));
    }
    return ScriptValue(dict);
  }

  static Result<ScriptValue> from_text(const std::string& text, const std::string& type,
                                       const std::string& name) {
    const char *first = text.data(), *last = text.data() + text.size();
    if (text == "None") return ScriptValue(None{});
    if (text == "True" || text == "False") return ScriptValue(text == "True");
    int64_t number = 0;
    if (const auto [end, error] = std::from_chars(first, last, number);
        type != "float" && type != "str" && error == std::errc() && end == last) {
      return ScriptValue(number);
    }
    double real = 0;
    if (const auto [end, error] = std::from_chars(first, last, real);
        type != "str" && error == std::errc() && end == last) {
      return ScriptValue(real);
    }
    if (type == "str") return ScriptValue(text);
    return usage_error("the argument " + name + " is of type " + type + ", not " + text);
  }

  Interpreter& interpreter_;
  const Function& method_;
  const ScriptSettings& settings_;
  const Hints& hints_;
  std::vector<std::pair<std::string, int>>& inputs_;
  frontend::DimSymbols symbols_;
};

}  // namespace

Result<std::vector<ScriptValue>> add_arguments(Interpreter& interpreter, const Function& method,
                                               const ScriptSettings& settings, const Hints& hints,
                                               const Pickled* traced,
                                               std::vector<std::pair<std::string, int>>& inputs) {
  Arguments arguments(interpreter, method, settings, hints, inputs);
  // `restore_type_tag` of a list; a single example is no list.
  std::vector<ScriptValue> values;
  for (size_t i = 1; i < method.parameters.size(); ++i) {
    const Parameter& parameter = method.parameters[i];
    const bool listed = traced != nullptr && traced->kind == Pickled::Kind::kList;
    const Pickled* example =
        listed && i - 1 < traced->items.size() ? traced->items[i - 1] : nullptr;
    MNN_ASSIGN_OR_RETURN(ScriptValue value,
                         arguments.make(parameter.type, parameter.name, example,
                                        parameter.has_default ? &parameter.fallback : nullptr));
    values.push_back(std::move(value));
  }
  return values;
}

Status flatten(Interpreter& interpreter, const ScriptValue& value, std::vector<ScriptValue>& out,
               int depth) {
  if (depth > kMaxPickleDepth) return limit_exceeded("the outputs are nested too deeply");
  if (is_none(value)) return {};
  if (const auto* list = as<ListValue*>(value)) {
    for (const ScriptValue& item : (*list)->items) {
      MNN_RETURN_IF_ERROR(flatten(interpreter, item, out, depth + 1));
    }
    return {};
  }
  if (const auto* dict = as<DictValue*>(value)) {
    for (const auto& [key, item] : (*dict)->items) {
      MNN_RETURN_IF_ERROR(flatten(interpreter, item, out, depth + 1));
    }
    return {};
  }
  out.push_back(value);
  return {};
}

}  // namespace mnn::torch
