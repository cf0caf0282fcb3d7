#include "libconvert/frontends/torch/aten.h"

#include <algorithm>
#include <map>

#include "libconvert/frontends/torch/call.h"
#include "libconvert/frontends/torch/schema.h"

namespace mnn::torch {
namespace {

using Families = std::vector<RowText> (*)();
constexpr Families kFamilies[] = {
    pointwise_rows, activation_rows, compare_rows, reduce_rows,    view_rows,        join_rows,
    create_rows,    index_rows,      scatter_rows, matmul_rows,    transformer_rows, conv_rows,
    pool_rows,      norm_rows,       resize_rows,  recurrent_rows, embedding_rows,   complex_rows,
    scalar_rows,    quantized_rows,  packed_rows,  order_rows,     backward_rows,    misc_rows};

std::vector<AtenRow> build_table() {
  std::vector<AtenRow> rows;
  for (const Families family : kFamilies) {
    for (const RowText& text : family()) {
      Result<Schema> schema = parse_schema(text.schema);
      // A test builds the table; a slip shows there as an operator without a name.
      rows.push_back({schema.ok() ? std::move(schema).value() : Schema{}, text.form, text.lower});
      if (!schema.ok()) rows.back().schema.text = schema.status().message();
    }
  }
  std::ranges::stable_sort(
      rows, [](const AtenRow& a, const AtenRow& b) { return a.schema.name < b.schema.name; });
  return rows;
}

// Other names of operators. In-place and out variants need none.
const std::map<std::string_view, std::string_view>& other_names() {
  static const std::map<std::string_view, std::string_view> names = {
      {"aten::absolute", "aten::abs"},
      {"aten::arccos", "aten::acos"},
      {"aten::arccosh", "aten::acosh"},
      {"aten::arcsin", "aten::asin"},
      {"aten::arcsinh", "aten::asinh"},
      {"aten::arctan", "aten::atan"},
      {"aten::arctan2", "aten::atan2"},
      {"aten::arctanh", "aten::atanh"},
      {"aten::clip", "aten::clamp"},
      {"aten::concat", "aten::cat"},
      {"aten::concatenate", "aten::cat"},
      {"aten::divide", "aten::div"},
      {"aten::fix", "aten::trunc"},
      {"aten::greater", "aten::gt"},
      {"aten::greater_equal", "aten::ge"},
      {"aten::less", "aten::lt"},
      {"aten::less_equal", "aten::le"},
      {"aten::multiply", "aten::mul"},
      {"aten::negative", "aten::neg"},
      {"aten::not_equal", "aten::ne"},
      {"aten::subtract", "aten::sub"},
      {"aten::__and__", "aten::bitwise_and"},
      {"aten::__iand__", "aten::bitwise_and"},
      {"aten::__ior__", "aten::bitwise_or"},
      {"aten::__ixor__", "aten::bitwise_xor"},
      {"aten::__or__", "aten::bitwise_or"},
      {"aten::__xor__", "aten::bitwise_xor"},
      {"aten::__lshift__", "aten::bitwise_left_shift"},
      {"aten::__rshift__", "aten::bitwise_right_shift"},
      {"aten::special_erf", "aten::erf"},
      {"aten::special_exp2", "aten::exp2"},
      {"aten::special_expit", "aten::sigmoid"},
      {"aten::special_expm1", "aten::expm1"},
      {"aten::special_log1p", "aten::log1p"},
      {"aten::special_logit", "aten::logit"},
      {"aten::special_logsumexp", "aten::logsumexp"},
      {"aten::special_round", "aten::round"},
  };
  return names;
}

using Range = std::pair<std::vector<AtenRow>::const_iterator, std::vector<AtenRow>::const_iterator>;
Range rows_named(std::string_view op) {
  const auto found = std::ranges::equal_range(
      aten_rows(), op, {}, [](const AtenRow& r) -> std::string_view { return r.schema.name; });
  return {found.begin(), found.end()};
}

// The rows of an operator and whether the name is that of its in-place variant.
std::pair<Range, bool> find_rows(std::string_view op) {
  Range rows = rows_named(op);
  if (rows.first != rows.second) return {rows, false};
  const auto alias = other_names().find(op);
  if (alias != other_names().end()) {
    const bool in_place = op.starts_with("aten::__i") && op.ends_with("__");
    return {rows_named(alias->second), in_place};
  }
  if (op.size() > 1 && op.back() == '_' && op[op.size() - 2] != '_') {
    const std::pair<Range, bool> plain = find_rows(op.substr(0, op.size() - 1));
    if (plain.first.first != plain.first.second) return {plain.first, true};
  }
  return {rows, false};
}

std::string overloads_text(const Range& rows) {
  std::string text;
  for (auto r = rows.first; r != rows.second; ++r) {
    text += (text.empty() ? "" : ", ") +
            (r->schema.overload.empty() ? std::string("default") : r->schema.overload);
  }
  return text;
}

}  // namespace

DType dtype_of_scalar_type(int64_t number) {
  constexpr DType kTypes[] = {DType::kU8,        DType::kI8,  DType::kI16,  DType::kI32,
                              DType::kI64,       DType::kF16, DType::kF32,  DType::kF64,
                              DType::kUndefined, DType::kC64, DType::kC128, DType::kBool,
                              DType::kI8,        DType::kU8,  DType::kI32,  DType::kBF16};
  constexpr int64_t kU16 = 27, kU32 = 28, kU64 = 29, kE5M2 = 23, kE4M3 = 24;
  if (number >= 0 && number < static_cast<int64_t>(std::size(kTypes))) {
    return kTypes[static_cast<size_t>(number)];
  }
  switch (number) {
    case kU16: return DType::kU16;
    case kU32: return DType::kU32;
    case kU64: return DType::kU64;
    case kE5M2: return DType::kF8E5M2;
    case kE4M3: return DType::kF8E4M3FN;
    default: return DType::kUndefined;
  }
}

const std::vector<AtenRow>& aten_rows() {
  static const std::vector<AtenRow> rows = build_table();
  return rows;
}

const AtenRow* row_named(std::string_view op, std::string_view overload) {
  const Range rows = find_rows(op).first;
  for (auto row = rows.first; row != rows.second; ++row) {
    if (row->schema.overload == (overload == "default" ? "" : overload)) return &*row;
  }
  return nullptr;
}

bool has_operator(std::string_view op) {
  const Range rows = find_rows(op).first;
  return rows.first != rows.second;
}

Result<Resolved> resolve_call(const AtenCall& call) {
  const auto [rows, in_place] = find_rows(call.op);
  if (rows.first == rows.second) {
    return unsupported("operator " + call.op + " is not supported");
  }
  const bool any_overload =
      call.overload.empty() || call.overload == "out" || call.overload.ends_with("_out");
  const std::string wanted = call.overload == "default" ? "" : call.overload;
  const bool out = std::ranges::any_of(call.kwargs, [](const auto& k) { return k.first == "out"; });
  Status why;
  bool named = false;
  for (const Fit fit : {Fit::kExact, Fit::kLoose}) {
    for (auto row = rows.first; row != rows.second; ++row) {
      if (!any_overload && row->schema.overload != wanted) continue;
      named = true;
      Result<std::vector<Arg>> values = match_arguments(row->schema, call, fit);
      if (values.ok()) return Resolved{&*row, in_place || out, std::move(values).value()};
      why = values.status();
    }
  }
  if (!named) {
    return unsupported("operator " + call.op + " has no overload " +
                       (wanted.empty() ? "default" : wanted) + " here (it has " +
                       overloads_text(rows) + ")");
  }
  return why.context(call.op);
}

Result<std::vector<Arg>> lower_resolved(frontend::GraphDraft& draft, int64_t& budget,
                                        const Resolved& resolved, const std::string& origin) {
  Call call(draft, budget, resolved);
  call.name = origin;
  resolved.row->lower(call);
  keep_grid(call);
  MNN_RETURN_IF_ERROR(call.status);
  return std::move(call.results);
}

Result<std::vector<Arg>> lower_call(frontend::GraphDraft& draft, int64_t& budget,
                                    const AtenCall& call) {
  MNN_ASSIGN_OR_RETURN(const Resolved resolved, resolve_call(call));
  return lower_resolved(draft, budget, resolved, call.origin);
}

}  // namespace mnn::torch
