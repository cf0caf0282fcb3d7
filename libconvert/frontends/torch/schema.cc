#include "libconvert/frontends/torch/schema.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace mnn::torch {
namespace {

// Reads a schema from left to right.
class SchemaReader {
 public:
  explicit SchemaReader(std::string_view text) : rest_(text) {}

  Result<Schema> read() {
    Schema schema;
    schema.text = std::string(rest_);
    schema.name = word(":_");
    if (schema.name.find("::") == std::string::npos) schema.name = "aten::" + schema.name;
    if (take(".")) schema.overload = word("_");
    if (!take("(")) return slip("expected '('");
    bool keyword_only = false;
    while (!take(")")) {
      if (take("*")) {
        keyword_only = true;
      } else {
        MNN_ASSIGN_OR_RETURN(Param param, read_param());
        param.keyword_only = keyword_only;
        schema.params.push_back(std::move(param));
      }
      take(",");
    }
    if (!take("->")) return slip("expected '->'");
    const bool several = take("(");
    while (!rest_.empty() && !take(")")) {
      schema.results.push_back(word("[]?"));
      if (take("(")) skip_alias();
      if (take("[]")) schema.results.back() += "[]";
      if (several) word("_");  // its name
      take(",");
    }
    return schema;
  }

 private:
  Result<Param> read_param() {
    Param p;
    const std::string type = word("");
    MNN_ASSIGN_OR_RETURN(p.kind, kind_of(type));
    if (take("(")) {
      p.view = true;
      p.written = skip_alias();
    }
    bool question = take("?");
    if (take("[")) {
      p.list = true;
      p.optional_items = question;
      question = false;
      const std::string size = word("");
      if (!size.empty()) p.list_size = std::stoll(size);
      if (!take("]")) return slip("expected ']'");
      question = take("?");
    }
    p.optional = question;
    p.name = word("_");
    if (take("=")) {
      MNN_ASSIGN_OR_RETURN(p.fallback, read_default(p));
    }
    return p;
  }

  Result<Arg> read_default(const Param& p) {
    if (take("None")) return Arg();
    if (take("True")) return Arg::of_bool(true);
    if (take("False")) return Arg::of_bool(false);
    if (take("\"")) {
      const size_t end = rest_.find('"');
      if (end == std::string_view::npos) return slip("an open string");
      Arg text(std::string(rest_.substr(0, end)));
      rest_.remove_prefix(end + 1);
      return text;
    }
    if (take("[")) {
      ListArg items;
      while (!take("]")) {
        MNN_ASSIGN_OR_RETURN(Arg item, read_number());
        items.push_back(std::move(item));
        take(",");
      }
      return Arg(std::move(items));
    }
    MNN_ASSIGN_OR_RETURN(const Arg number, read_number());
    if (!p.list) return number;
    return Arg(ListArg(static_cast<size_t>(std::max<int64_t>(p.list_size, 1)), number));
  }

  Result<Arg> read_number() {
    const std::string text = word("-+.");
    const char* end = text.data() + text.size();
    int64_t whole = 0;
    if (std::from_chars(text.data(), end, whole).ptr == end && !text.empty()) {
      return Arg::of_int(whole);
    }
    if (text == "inf" || text == "-inf") {
      const double most = std::numeric_limits<double>::infinity();
      return Arg::of_float(text == "inf" ? most : -most);
    }
    double real = 0;
    if (text.empty() || std::from_chars(text.data(), end, real).ptr != end) {
      return slip("expected a number");
    }
    return Arg::of_float(real);
  }

  Result<ParamKind> kind_of(const std::string& type) const {
    if (type == "Tensor") return ParamKind::kTensor;
    if (type == "int" || type == "SymInt") return ParamKind::kInt;
    if (type == "float") return ParamKind::kFloat;
    if (type == "bool") return ParamKind::kBool;
    if (type == "Scalar") return ParamKind::kScalar;
    if (type == "str") return ParamKind::kString;
    if (type == "ScalarType") return ParamKind::kScalarType;
    if (type == "Packed") return ParamKind::kPacked;
    if (type == "Device" || type == "Layout" || type == "MemoryFormat" || type == "Generator") {
      return ParamKind::kIgnored;
    }
    return slip("unknown type '" + type + "'");
  }

  // "a!)" after "(": whether it is written.
  bool skip_alias() {
    const size_t end = rest_.find(')');
    const bool written = rest_.substr(0, end).find('!') != std::string_view::npos;
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return written;
  }
  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  bool take(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  // Letters, digits and `more`.
  std::string word(std::string_view more) {
    skip_spaces();
    size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) != 0 ||
                                more.find(rest_[n]) != std::string_view::npos)) {
      ++n;
    }
    std::string text(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return text;
  }
  Status slip(const std::string& what) const {
    return internal_error("schema: " + what + " before '" + std::string(rest_.substr(0, 40)) + "'");
  }

  std::string_view rest_;
};

bool is_number(const Arg& a) {
  return a.get<IntArg>() != nullptr || a.get<FloatArg>() != nullptr || a.get<BoolArg>() != nullptr;
}

bool fits_item(const Param& p, const Arg& a, Fit fit) {
  const bool loose = fit == Fit::kLoose;
  const bool tensor = a.get<TensorArg>() != nullptr;
  switch (p.kind) {
    case ParamKind::kTensor: return tensor || (loose && is_number(a));
    case ParamKind::kInt: return a.get<IntArg>() != nullptr || (loose && (tensor || is_number(a)));
    case ParamKind::kFloat:
      return a.get<FloatArg>() != nullptr || (loose && (tensor || is_number(a)));
    case ParamKind::kBool: return a.get<BoolArg>() != nullptr || (loose && tensor);
    case ParamKind::kScalar: return is_number(a) || (loose && tensor);
    case ParamKind::kString: return a.get<std::string>() != nullptr;
    case ParamKind::kScalarType: return a.get<DType>() != nullptr || a.get<IntArg>() != nullptr;
    case ParamKind::kPacked: return a.get<ListArg>() != nullptr;
    case ParamKind::kIgnored: return true;
  }
  return false;
}

// The argument as the parameter takes it; nullopt when it does not.
std::optional<Arg> fitted(const Param& p, const Arg& a, Fit fit) {
  if (p.kind == ParamKind::kIgnored) return Arg();
  if (a.is_none()) return p.optional ? std::optional<Arg>(a) : std::nullopt;
  if (!p.list) {
    if (!fits_item(p, a, fit)) return std::nullopt;
    const IntArg* number = a.get<IntArg>();
    if (p.kind == ParamKind::kScalarType && number != nullptr) {
      if (!number->known()) return std::nullopt;
      return Arg(dtype_of_scalar_type(number->value));
    }
    if (p.kind == ParamKind::kFloat && number != nullptr && number->known()) {
      return Arg::of_float(static_cast<double>(number->value));
    }
    return a;
  }
  if (const ListArg* list = a.get<ListArg>()) {
    for (const Arg& item : *list) {
      if (item.is_none() ? !p.optional_items : !fits_item(p, item, fit)) return std::nullopt;
    }
    // One item of a list of a fixed size stands for all.
    if (p.list_size > 1 && list->size() == 1) {
      return Arg(ListArg(static_cast<size_t>(p.list_size), (*list)[0]));
    }
    return a;
  }
  if (p.list_size == 0 || !fits_item(p, a, fit)) return std::nullopt;
  return Arg(ListArg(static_cast<size_t>(p.list_size), a));
}

}  // namespace

Result<Schema> parse_schema(std::string_view text) {
  Result<Schema> schema = SchemaReader(text).read();
  return schema.ok() ? std::move(schema) : schema.status().context(text);
}

Result<std::vector<Arg>> match_arguments(const Schema& schema, const AtenCall& call, Fit fit) {
  std::vector<Arg> values(schema.params.size());
  std::vector<char> given(schema.params.size());
  const auto put = [&](size_t i, const Arg& arg) -> Status {
    const Param& p = schema.params[i];
    std::optional<Arg> value = fitted(p, arg, fit);
    if (!value) return invalid("argument '" + p.name + "' does not fit");
    if (given[i] != 0) return invalid("argument '" + p.name + "' is given twice");
    values[i] = std::move(*value);
    given[i] = 1;
    return {};
  };
  for (size_t i = 0; i < call.args.size(); ++i) {
    if (i >= schema.params.size() || (schema.params[i].keyword_only && fit == Fit::kExact)) {
      return invalid("more arguments than it takes");
    }
    MNN_RETURN_IF_ERROR(put(i, call.args[i]));
  }
  for (const auto& [name, arg] : call.kwargs) {
    if (name == "out") continue;
    const auto p = std::ranges::find(schema.params, name, &Param::name);
    if (p == schema.params.end()) return invalid("it has no argument '" + name + "'");
    MNN_RETURN_IF_ERROR(put(static_cast<size_t>(p - schema.params.begin()), arg));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const Param& p = schema.params[i];
    if (given[i] != 0) continue;
    if (!p.fallback && !p.optional && p.kind != ParamKind::kIgnored) {
      return invalid("argument '" + p.name + "' is missing");
    }
    values[i] = p.fallback.value_or(Arg());
  }
  return values;
}

}  // namespace mnn::torch
