#include "libconvert/frontends/torch/tensors.h"

#include <algorithm>
#include <set>

namespace mnn::torch {
namespace {

// Views whose elements are all of the base's, in the base's order.
bool only_reshapes(const std::string& op) {
  static const std::set<std::string> kOps = {
      "aten::view",      "aten::reshape", "aten::view_as",      "aten::reshape_as", "aten::flatten",
      "aten::unflatten", "aten::ravel",   "aten::squeeze",      "aten::unsqueeze",  "aten::alias",
      "aten::detach",    "aten::to",      "aten::resolve_conj", "aten::resolve_neg"};
  return kOps.contains(op);
}

}  // namespace

TensorId Tensors::add(TensorArg value) {
  Entry entry;
  entry.value = value;
  entries_.push_back(std::move(entry));
  return static_cast<TensorId>(entries_.size()) - 1;
}

TensorId Tensors::add_view(TensorId base, AtenCall call, size_t result, TensorArg value) {
  Entry entry;
  entry.value = value;
  entry.base = base;
  entry.call = std::move(call);
  entry.result = result;
  entry.version = entries_[static_cast<size_t>(root_of(base))].root_version;
  entries_.push_back(std::move(entry));
  return static_cast<TensorId>(entries_.size()) - 1;
}

TensorId Tensors::root_of(TensorId id) const {
  while (entries_[static_cast<size_t>(id)].base >= 0) id = entries_[static_cast<size_t>(id)].base;
  return id;
}

bool Tensors::was_written(TensorId id) const {
  return entries_[static_cast<size_t>(root_of(id))].root_version > 0;
}

Result<TensorArg> Tensors::view_of(const Entry& view, TensorArg base) {
  AtenCall call = view.call;
  if (call.args.empty()) {
    call.kwargs[0].second = Arg(base);
  } else {
    call.args[0] = Arg(base);
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<Arg> results, lower_call(draft_, budget_, call));
  const Arg* one = results.empty() ? nullptr : &results[0];
  if (one != nullptr) {
    if (const ListArg* list = one->get<ListArg>()) {
      one = view.result < list->size() ? &(*list)[view.result] : nullptr;
    }
  }
  const TensorArg* made = one == nullptr ? nullptr : one->get<TensorArg>();
  if (made == nullptr) return internal_error("a view became something else");
  return *made;
}

Result<TensorArg> Tensors::read(TensorId id) {
  // From the base that is up to date outwards.
  std::vector<TensorId> stale;
  const int64_t now = entries_[static_cast<size_t>(root_of(id))].root_version;
  for (TensorId at = id; at >= 0; at = entries_[static_cast<size_t>(at)].base) {
    const Entry& e = entries_[static_cast<size_t>(at)];
    if (e.base < 0 || e.version == now) break;
    stale.push_back(at);
  }
  for (auto at = stale.rbegin(); at != stale.rend(); ++at) {
    Entry& e = entries_[static_cast<size_t>(*at)];
    MNN_ASSIGN_OR_RETURN(e.value, view_of(e, entries_[static_cast<size_t>(e.base)].value));
    e.version = now;
  }
  return entries_[static_cast<size_t>(id)].value;
}

// The base with `value` in the place of the view.
Result<TensorArg> Tensors::written_through(const Entry& view, TensorArg base, TensorArg value) {
  MNN_ASSIGN_OR_RETURN(const Resolved resolved, resolve_call(view.call));
  const std::string& op = resolved.row->schema.name;
  const auto given = [&](std::string_view name) {
    const auto& params = resolved.row->schema.params;
    const auto p = std::ranges::find(params, name, &Param::name);
    return p == params.end() ? Arg() : resolved.values[static_cast<size_t>(p - params.begin())];
  };
  AtenCall back;
  back.origin = view.call.origin;
  if (only_reshapes(op)) {
    back.op = "aten::view_as";
    back.args = {Arg(value), Arg(base)};
  } else if (op == "aten::select") {
    back.op = "aten::select_scatter";
    back.args = {Arg(base), Arg(value), given("dim"), given("index")};
  } else if (op == "aten::slice") {
    back.op = "aten::slice_scatter";
    back.args = {Arg(base), Arg(value), given("dim"), given("start"), given("end"), given("step")};
  } else if (op == "aten::narrow" && given("start").get<IntArg>() != nullptr &&
             given("length").get<IntArg>() != nullptr) {
    const IntArg start = *given("start").get<IntArg>(), length = *given("length").get<IntArg>();
    if (!start.known() || !length.known()) return unsupported("a write through " + op);
    back.op = "aten::slice_scatter";
    back.args = {Arg(base), Arg(value), given("dim"), Arg(start),
                 Arg::of_int(start.value + length.value)};
  } else if (op == "aten::unbind") {
    back.op = "aten::select_scatter";
    back.args = {Arg(base), Arg(value), given("dim"),
                 Arg::of_int(static_cast<int64_t>(view.result))};
  } else if (op == "aten::transpose" || op == "aten::t" || op == "aten::mT") {
    back = view.call;
    back.kwargs.clear();
    back.args = {Arg(value)};
    if (op == "aten::transpose") back.args = {Arg(value), given("dim0"), given("dim1")};
  } else if (op == "aten::permute") {
    const Arg dims = given("dims");
    const ListArg* list = dims.get<ListArg>();
    ListArg inverse(list == nullptr ? 0 : list->size());
    for (size_t i = 0; i < inverse.size(); ++i) {
      const IntArg* d = (*list)[i].get<IntArg>();
      const auto n = static_cast<int64_t>(inverse.size());
      if (d == nullptr || !d->known()) return unsupported("a write through " + op);
      const int64_t place = d->value < 0 ? d->value + n : d->value;
      if (place < 0 || place >= n) return invalid("bad dims of a permutation");
      inverse[static_cast<size_t>(place)] = Arg::of_int(static_cast<int64_t>(i));
    }
    back.op = "aten::permute";
    back.args = {Arg(value), Arg(std::move(inverse))};
  } else {
    return unsupported("a write through " + op + ", which shares memory, is not supported");
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<Arg> results, lower_call(draft_, budget_, back));
  const TensorArg* made = results.empty() ? nullptr : results[0].get<TensorArg>();
  if (made == nullptr) return internal_error("a view became something else");
  return *made;
}

Status Tensors::write(TensorId id, TensorArg value) {
  const TensorId written = id;
  const TensorArg content = value;
  while (entries_[static_cast<size_t>(id)].base >= 0) {
    const Entry view = entries_[static_cast<size_t>(id)];
    MNN_ASSIGN_OR_RETURN(const TensorArg base, read(view.base));
    Result<TensorArg> whole = written_through(view, base, value);
    if (!whole.ok()) return whole.status();
    value = *whole;
    id = view.base;
  }
  Entry& root = entries_[static_cast<size_t>(id)];
  root.value = value;
  ++root.root_version;
  Entry& self = entries_[static_cast<size_t>(written)];
  self.value = content;
  self.version = root.root_version;
  return {};
}

}  // namespace mnn::torch
