// Operators of TorchScript's code on lists, tuples, dicts and strings, and those that say nothing
// about values (devices, warnings).
#include <algorithm>
#include <array>
#include <charconv>

#include "libconvert/frontends/torch/script_operators.h"

namespace mnn::torch {
namespace {

constexpr size_t kMaxItems = 1 << 20;
constexpr int kMaxNesting = 64;

ListValue* list_of(const ScriptValue& value) {
  const auto* list = as<ListValue*>(value);
  return list == nullptr ? nullptr : *list;
}
DictValue* dict_of(const ScriptValue& value) {
  const auto* dict = as<DictValue*>(value);
  return dict == nullptr ? nullptr : *dict;
}

Result<std::optional<bool>> equal_nested(Interpreter& interpreter, const ScriptValue& a,
                                         const ScriptValue& b, int depth) {
  if (depth > kMaxNesting) return limit_exceeded("lists are nested too deeply");
  const ListValue *x = list_of(a), *y = list_of(b);
  if (x != nullptr && y != nullptr) {
    if (x->items.size() != y->items.size()) return std::optional(false);
    std::optional<bool> all = true;
    for (size_t i = 0; i < x->items.size(); ++i) {
      MNN_ASSIGN_OR_RETURN(const std::optional<bool> one,
                           equal_nested(interpreter, x->items[i], y->items[i], depth + 1));
      if (one == std::optional(false)) return one;
      if (!one) all = std::nullopt;
    }
    return all;
  }
  const std::optional<Dim> p = interpreter.dim_of(a), q = interpreter.dim_of(b);
  if (p && q) {
    if (p->same(*q)) return std::optional(true);
    if (p->known() && q->known()) return std::optional(false);
    return std::optional<bool>();
  }
  if (as<SymbolicNumber>(a) != nullptr || as<SymbolicNumber>(b) != nullptr) {
    return std::optional<bool>();
  }
  return std::optional(a == b);
}

Result<int64_t> position(const ScriptValue& index, size_t size) {
  const auto* number = as<int64_t>(index);
  if (number == nullptr) return unsupported("an index of a list that depends on the input");
  const auto count = static_cast<int64_t>(size);
  const int64_t at = *number < 0 ? *number + count : *number;
  if (at < 0 || at >= count) {
    return invalid("index " + std::to_string(*number) + " of a list of " + std::to_string(count));
  }
  return at;
}

std::pair<ScriptValue, ScriptValue>* entry_of(DictValue& dict, const ScriptValue& key) {
  const auto found =
      std::ranges::find(dict.items, key, &std::pair<ScriptValue, ScriptValue>::first);
  return found == dict.items.end() ? nullptr : &*found;
}

Result<bool> get_item(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  if (DictValue* dict = dict_of(call.args[0])) {
    const auto* entry = entry_of(*dict, call.args[1]);
    if (entry == nullptr) return invalid("a dict has no such key");
    call.result = entry->second;
    return true;
  }
  if (const auto* text = as<std::string>(call.args[0])) {
    MNN_ASSIGN_OR_RETURN(const int64_t at, position(call.args[1], text->size()));
    call.result = std::string(1, (*text)[static_cast<size_t>(at)]);
    return true;
  }
  const ListValue* list = list_of(call.args[0]);
  if (list == nullptr) return unsupported("an index of " + kind_of(call.args[0]));
  MNN_ASSIGN_OR_RETURN(const int64_t at, position(call.args[1], list->items.size()));
  call.result = list->items[static_cast<size_t>(at)];
  return true;
}

Result<bool> set_item(ScriptCall& call) {
  if (call.args.size() != 3) return false;
  if (DictValue* dict = dict_of(call.args[0])) {
    if (dict->items.size() >= kMaxItems) return limit_exceeded("a dict grows too large");
    call.interpreter.touch(*dict);
    if (auto* entry = entry_of(*dict, call.args[1])) {
      entry->second = call.args[2];
    } else {
      dict->items.emplace_back(call.args[1], call.args[2]);
    }
    return true;
  }
  ListValue* list = list_of(call.args[0]);
  if (list == nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const int64_t at, position(call.args[1], list->items.size()));
  call.interpreter.touch(*list);
  list->items[static_cast<size_t>(at)] = call.args[2];
  call.result = call.args[0];
  return true;
}

Result<bool> length(ScriptCall& call) {
  if (call.args.size() != 1) return false;
  const ScriptValue& a = call.args[0];
  if (const ListValue* list = list_of(a)) {
    call.result = static_cast<int64_t>(list->items.size());
  } else if (const DictValue* dict = dict_of(a)) {
    call.result = static_cast<int64_t>(dict->items.size());
  } else if (const auto* text = as<std::string>(a)) {
    call.result = static_cast<int64_t>(text->size());
  } else if (as<TensorRef>(a) != nullptr) {
    MNN_ASSIGN_OR_RETURN(call.result, call.interpreter.size_of(a, 0));
  } else {
    return invalid("the length of " + kind_of(a));
  }
  return true;
}

Result<bool> append(ScriptCall& call) {
  ListValue* list = call.args.size() == 2 ? list_of(call.args[0]) : nullptr;
  if (list == nullptr) return false;
  if (list->items.size() >= kMaxItems) return limit_exceeded("a list grows too large");
  call.interpreter.touch(*list);
  list->items.push_back(call.args[1]);
  call.result = call.args[0];
  return true;
}

Result<bool> extend(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  ListValue* list = list_of(call.args[0]);
  const ListValue* more = list_of(call.args[1]);
  if (list == nullptr || more == nullptr) return false;
  const std::vector<ScriptValue> items = more->items;
  if (list->items.size() + items.size() > kMaxItems) {
    return limit_exceeded("a list grows too large");
  }
  call.interpreter.touch(*list);
  list->items.insert(list->items.end(), items.begin(), items.end());
  call.result = call.args[0];
  return true;
}

Result<bool> concatenate(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  if (const auto* a = as<std::string>(call.args[0]), *b = as<std::string>(call.args[1]);
      a != nullptr && b != nullptr) {
    if (a->size() + b->size() > kMaxItems) return limit_exceeded("a string grows too long");
    call.result = *a + *b;
    return true;
  }
  const ListValue *x = list_of(call.args[0]), *y = list_of(call.args[1]);
  if (x == nullptr || y == nullptr) return number_operators().at("aten::add")(call);
  if (x->items.size() + y->items.size() > kMaxItems) {
    return limit_exceeded("a list grows too large");
  }
  std::vector<ScriptValue> items = x->items;
  items.insert(items.end(), y->items.begin(), y->items.end());
  call.result = call.interpreter.add_list(std::move(items), x->tuple);
  return true;
}

Result<bool> repeat(ScriptCall& call) {
  const ListValue* list = call.args.size() == 2 ? list_of(call.args[0]) : nullptr;
  if (list == nullptr) return number_operators().at("aten::mul")(call);
  const auto* times = as<int64_t>(call.args[1]);
  if (times == nullptr) return unsupported("a list repeated a number of times that is not known");
  std::vector<ScriptValue> items;
  for (int64_t i = 0; i < *times; ++i) {
    if (list->items.empty()) break;
    if (items.size() + list->items.size() > kMaxItems) {
      return limit_exceeded("a list grows too large");
    }
    items.insert(items.end(), list->items.begin(), list->items.end());
  }
  call.result = call.interpreter.add_list(std::move(items));
  return true;
}

Result<bool> slice(ScriptCall& call) {
  const ListValue* list = call.args.empty() ? nullptr : list_of(call.args[0]);
  if (list == nullptr) return false;
  const auto size = static_cast<int64_t>(list->items.size());
  const auto bound = [&](size_t i, int64_t fallback) -> Result<int64_t> {
    if (i >= call.args.size() || is_none(call.args[i])) return fallback;
    const auto* number = as<int64_t>(call.args[i]);
    if (number == nullptr) return unsupported("a slice of a list that depends on the input");
    return *number;
  };
  MNN_ASSIGN_OR_RETURN(const int64_t step, bound(3, 1));
  if (step == 0) return invalid("a slice with a step of 0");
  if (step < 0 && step != -1) return unsupported("a slice with a negative step");
  MNN_ASSIGN_OR_RETURN(int64_t begin, bound(1, step > 0 ? 0 : size - 1));
  MNN_ASSIGN_OR_RETURN(int64_t end, bound(2, step > 0 ? size : -size - 1));
  if (begin < 0) begin += size;
  if (end < 0) end += size;
  std::vector<ScriptValue> items;
  if (step > 0) {
    for (int64_t i = std::max<int64_t>(begin, 0); i < std::min(end, size);
         i += std::min(step, size)) {
      items.push_back(list->items[static_cast<size_t>(i)]);
    }
  } else {
    for (int64_t i = std::min(begin, size - 1); i > end && i >= 0; --i) {
      items.push_back(list->items[static_cast<size_t>(i)]);
    }
  }
  call.result = call.interpreter.add_list(std::move(items), list->tuple);
  return true;
}

Result<bool> contains(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  if (DictValue* dict = dict_of(call.args[0])) {
    call.result = entry_of(*dict, call.args[1]) != nullptr;
    return true;
  }
  if (const auto* text = as<std::string>(call.args[0]), *part = as<std::string>(call.args[1]);
      text != nullptr && part != nullptr) {
    call.result = text->find(*part) != std::string::npos;
    return true;
  }
  const ListValue* list = list_of(call.args[0]);
  if (list == nullptr) return false;
  bool sure = true;
  for (const ScriptValue& item : list->items) {
    MNN_ASSIGN_OR_RETURN(const std::optional<bool> equal,
                         equal_values(call.interpreter, item, call.args[1]));
    if (equal == std::optional(true)) {
      call.result = true;
      return true;
    }
    sure &= equal.has_value();
  }
  if (!sure) return unsupported("whether a list contains what depends on the input");
  call.result = false;
  return true;
}

template <bool Same>
Result<bool> identity(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  const bool a = is_none(call.args[0]), b = is_none(call.args[1]);
  const bool same = a || b ? a == b : call.args[0] == call.args[1];
  call.result = same == Same;
  return true;
}

Result<bool> pop(ScriptCall& call) {
  ListValue* list = call.args.empty() ? nullptr : list_of(call.args[0]);
  if (list == nullptr) return false;
  const ScriptValue last = int64_t{-1};
  MNN_ASSIGN_OR_RETURN(const int64_t at,
                       position(call.args.size() > 1 ? call.args[1] : last, list->items.size()));
  call.interpreter.touch(*list);
  call.result = list->items[static_cast<size_t>(at)];
  list->items.erase(list->items.begin() + at);
  return true;
}

Result<bool> insert(ScriptCall& call) {
  ListValue* list = call.args.size() == 3 ? list_of(call.args[0]) : nullptr;
  const auto* index = call.args.size() == 3 ? as<int64_t>(call.args[1]) : nullptr;
  if (list == nullptr || index == nullptr) return false;
  if (list->items.size() >= kMaxItems) return limit_exceeded("a list grows too large");
  const auto size = static_cast<int64_t>(list->items.size());
  const int64_t at = std::clamp<int64_t>(*index < 0 ? *index + size : *index, 0, size);
  call.interpreter.touch(*list);
  list->items.insert(list->items.begin() + at, call.args[2]);
  return true;
}

Result<bool> reverse(ScriptCall& call) {
  ListValue* list = call.args.size() == 1 ? list_of(call.args[0]) : nullptr;
  if (list == nullptr) return false;
  call.interpreter.touch(*list);
  std::ranges::reverse(list->items);
  return true;
}

Result<bool> clear(ScriptCall& call) {
  if (call.args.size() != 1) return false;
  if (ListValue* list = list_of(call.args[0])) {
    call.interpreter.touch(*list);
    list->items.clear();
    return true;
  }
  DictValue* dict = dict_of(call.args[0]);
  if (dict == nullptr) return false;
  call.interpreter.touch(*dict);
  dict->items.clear();
  return true;
}

// A list of the same items: list(x), copy(x).
Result<bool> copy_list(ScriptCall& call) {
  if (call.args.size() != 1) return false;
  if (const ListValue* list = list_of(call.args[0])) {
    call.result = call.interpreter.add_list(list->items);
    return true;
  }
  const DictValue* dict = dict_of(call.args[0]);
  if (dict == nullptr) return false;
  DictValue* copy = call.interpreter.add_dict();
  copy->items = dict->items;
  call.result = copy;
  return true;
}

// dict(), dict(x) of another one or of pairs.
Result<bool> make_dict(ScriptCall& call) {
  if (call.args.empty()) {
    call.result = call.interpreter.add_dict();
    return true;
  }
  const ListValue* pairs = call.args.size() == 1 ? list_of(call.args[0]) : nullptr;
  if (pairs == nullptr) return copy_list(call);
  DictValue* dict = call.interpreter.add_dict();
  for (const ScriptValue& item : pairs->items) {
    const ListValue* pair = list_of(item);
    if (pair == nullptr || pair->items.size() != 2) return invalid("a dict is made of pairs");
    auto* entry = entry_of(*dict, pair->items[0]);
    if (entry != nullptr) {
      entry->second = pair->items[1];
    } else {
      dict->items.emplace_back(pair->items[0], pair->items[1]);
    }
  }
  call.result = dict;
  return true;
}

enum class Part : uint8_t { kKeys, kValues, kItems };
template <Part P>
Result<bool> parts(ScriptCall& call) {
  const DictValue* dict = call.args.size() == 1 ? dict_of(call.args[0]) : nullptr;
  if (dict == nullptr) return false;
  std::vector<ScriptValue> out;
  for (const auto& [key, value] : dict->items) {
    if (P == Part::kItems) {
      out.emplace_back(call.interpreter.add_list({key, value}, true));
    } else {
      out.push_back(P == Part::kKeys ? key : value);
    }
  }
  call.result = call.interpreter.add_list(std::move(out));
  return true;
}

Result<bool> get_or(ScriptCall& call) {
  DictValue* dict = call.args.empty() ? nullptr : dict_of(call.args[0]);
  if (dict == nullptr || call.args.size() < 2) return false;
  const auto* entry = entry_of(*dict, call.args[1]);
  if (entry != nullptr) {
    call.result = entry->second;
  } else if (call.args.size() > 2) {
    call.result = call.args[2];
  }
  return true;
}

// The least or greatest of a list of numbers, or of two.
template <bool Least>
Result<bool> extreme(ScriptCall& call) {
  const char* op = Least ? "prim::min" : "prim::max";
  const ListValue* list = call.args.size() == 1 ? list_of(call.args[0]) : nullptr;
  if (list == nullptr) return number_operators().at(op)(call);
  if (list->items.empty()) return invalid("the extreme of an empty list");
  call.result = list->items[0];
  for (size_t i = 1; i < list->items.size(); ++i) {
    std::vector<ScriptValue> args{call.result, list->items[i]};
    ScriptCall pair{call.interpreter, args, call.keywords};
    MNN_ASSIGN_OR_RETURN(const bool done, number_operators().at(op)(pair));
    if (!done) return false;
    call.result = pair.result;
  }
  return true;
}

// Messages of exceptions and warnings: what they say of sizes is of no account.
std::string text_of(const ScriptValue& value) {
  if (const auto* text = as<std::string>(value)) return *text;
  if (const auto* number = as<int64_t>(value)) return std::to_string(*number);
  if (const auto* flag = as<bool>(value)) return *flag ? "True" : "False";
  if (const auto* number = as<double>(value)) {
    char buffer[32];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), *number);
    std::string text(buffer, end);
    return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
  }
  return is_none(value) ? "None" : "<" + kind_of(value) + ">";
}

Result<bool> format(ScriptCall& call) {
  const auto* pattern = call.args.empty() ? nullptr : as<std::string>(call.args[0]);
  if (pattern == nullptr) return false;
  std::string out;
  size_t next = 1;
  for (size_t i = 0; i < pattern->size(); ++i) {
    if (pattern->compare(i, 2, "{}") == 0 && next < call.args.size()) {
      out += text_of(call.args[next++]);
      ++i;
    } else {
      out += (*pattern)[i];
    }
    if (out.size() > kMaxItems) return limit_exceeded("a string grows too long");
  }
  call.result = out;
  return true;
}

Result<bool> to_text(ScriptCall& call) {
  if (call.args.size() != 1) return false;
  call.result = text_of(call.args[0]);
  return true;
}

template <bool Ends>
Result<bool> affix(ScriptCall& call) {
  const auto* text = call.args.size() < 2 ? nullptr : as<std::string>(call.args[0]);
  const auto* part = call.args.size() < 2 ? nullptr : as<std::string>(call.args[1]);
  if (text == nullptr || part == nullptr) return false;
  call.result = Ends ? text->ends_with(*part) : text->starts_with(*part);
  return true;
}

Result<bool> join(ScriptCall& call) {
  const auto* glue = call.args.size() != 2 ? nullptr : as<std::string>(call.args[0]);
  const ListValue* list = glue == nullptr ? nullptr : list_of(call.args[1]);
  if (list == nullptr) return false;
  std::string out;
  for (size_t i = 0; i < list->items.size(); ++i) {
    out += (i > 0 ? *glue : "") + text_of(list->items[i]);
    if (out.size() > kMaxItems) return limit_exceeded("a string grows too long");
  }
  call.result = out;
  return true;
}

// What has no bearing on values: None, False, the argument itself.
Result<bool> nothing(ScriptCall&) { return true; }
Result<bool> never(ScriptCall& call) {
  call.result = false;
  return true;
}
Result<bool> itself(ScriptCall& call) {
  if (call.args.empty()) return false;
  call.result = call.args[0];
  return true;
}
// Devices are all the same.
Result<bool> device(ScriptCall& call) {
  call.result = std::string("cpu");
  return true;
}

Result<bool> has_index(ScriptCall& call) {
  const ListValue* list = call.args.size() == 2 ? list_of(call.args[0]) : nullptr;
  if (list == nullptr) return false;
  for (size_t i = 0; i < list->items.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const std::optional<bool> equal,
                         equal_values(call.interpreter, list->items[i], call.args[1]));
    if (!equal) return unsupported("a search in a list that depends on the input");
    if (!*equal) continue;
    call.result = static_cast<int64_t>(i);
    return true;
  }
  return invalid("a list does not contain what is looked for");
}

}  // namespace

Result<std::optional<bool>> equal_values(Interpreter& interpreter, const ScriptValue& a,
                                         const ScriptValue& b) {
  return equal_nested(interpreter, a, b, 0);
}

const std::map<std::string_view, ScriptOperator>& container_operators() {
  static const std::map<std::string_view, ScriptOperator> table = {
      {"aten::__getitem__", get_item},
      {"aten::_set_item", set_item},
      {"aten::len", length},
      {"builtin::len", length},
      {"aten::append", append},
      {"aten::extend", extend},
      {"aten::add", concatenate},
      {"aten::add_", extend},
      {"aten::mul", repeat},
      {"aten::slice", slice},
      {"aten::__contains__", contains},
      {"aten::__is__", identity<true>},
      {"aten::__isnot__", identity<false>},
      {"aten::pop", pop},
      {"aten::insert", insert},
      {"aten::reverse", reverse},
      {"aten::clear", clear},
      {"aten::list", copy_list},
      {"aten::copy", copy_list},
      {"aten::dict", make_dict},
      {"aten::keys", parts<Part::kKeys>},
      {"aten::values", parts<Part::kValues>},
      {"aten::items", parts<Part::kItems>},
      {"aten::get", get_or},
      {"prim::min", extreme<true>},
      {"prim::max", extreme<false>},
      {"aten::format", format},
      {"aten::str", to_text},
      {"builtin::str", to_text},
      {"aten::startswith", affix<false>},
      {"aten::endswith", affix<true>},
      {"aten::join", join},
      {"aten::index", has_index},
      {"aten::warn", nothing},
      {"prim::Print", nothing},
      {"aten::set_grad_enabled", nothing},
      {"aten::is_grad_enabled", never},
      {"aten::is_scripting", never},
      {"prim::is_cuda", never},
      {"prim::is_sparse", never},
      {"prim::is_mkldnn", never},
      {"prim::is_nested", never},
      {"prim::is_mps", never},
      {"prim::is_xla", never},
      {"prim::is_meta", never},
      {"prim::requires_grad", never},
      {"aten::is_autocast_enabled", never},
      {"aten::is_autocast_cpu_enabled", never},
      {"prim::device", device},
      {"prim::type", device},
      {"aten::device", device},
      {"prim::layout", nothing},
      {"prim::data", itself},
      {"prim::grad", nothing},
      {"aten::cpu", itself},
      {"aten::cuda", itself},
      {"aten::requires_grad_", itself},
  };
  return table;
}

namespace {

std::array<const std::map<std::string_view, ScriptOperator>*, 4> script_tables() {
  return {&container_operators(), &number_operators(), &tensor_operators(), &quantized_operators()};
}

}  // namespace

ScriptOperator find_script_operator(std::string_view op) {
  for (const auto* table : script_tables()) {
    const auto row = table->find(op);
    if (row != table->end()) return row->second;
  }
  return nullptr;
}

std::vector<std::string> script_operators() {
  std::vector<std::string> names;
  for (const auto* table : script_tables()) {
    for (const auto& [name, row] : *table) names.emplace_back(name);
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace mnn::torch
