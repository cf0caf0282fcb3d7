// Operators on strings: StringConcat, StringSplit, StringNormalizer; and TfIdfVectorizer, which
// counts groups of words or numbers.
#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <set>

#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

constexpr TypeMask kStrings = mask_of(DType::kString);

using Strings = std::vector<std::string>;

// ---- StringConcat ----

Status infer_string_concat(OpContext& c) {
  for (size_t i = 0; i < 2; ++i) MNN_RETURN_IF_ERROR(expect_input(c, i, kStrings));
  MNN_ASSIGN_OR_RETURN(std::optional<Shape> shape, broadcast_inputs(c));
  set_output(c, 0, DType::kString, std::move(shape));
  return {};
}

Status string_concat(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const out, c.make(0));
  const Strings &x = c.in[0]->string_values(), &y = c.in[1]->string_values();
  const std::vector<int64_t>* const operands[] = {&c.in[0]->dims(), &c.in[1]->dims()};
  BroadcastRows rows(out->dims(), operands);
  while (rows.next()) {
    for (int64_t i = 0; i < rows.count(); ++i) {
      out->string_values()[static_cast<size_t>(rows.begin() + i)] =
          x[static_cast<size_t>(rows.offset(0) + i * rows.step(0))] +
          y[static_cast<size_t>(rows.offset(1) + i * rows.step(1))];
    }
  }
  return {};
}

// ---- StringSplit ----

Status infer_string_split(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kStrings));
  std::optional<Shape> parts = c.in[0].shape;
  if (parts) parts->push_back(Dim::unknown());
  set_output(c, 0, DType::kString, std::move(parts));
  set_output(c, 1, DType::kI64, c.in[0].shape);
  return {};
}

bool is_space(char ch) { return std::isspace(static_cast<unsigned char>(ch)) != 0; }

// Words between runs of white space; after `most` splits the rest as it is.
Strings split_at_spaces(const std::string& text, int64_t most) {
  Strings parts;
  size_t at = 0;
  while (true) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size()) return parts;
    size_t end = at;
    while (end < text.size() && !is_space(text[end])) ++end;
    if (static_cast<int64_t>(parts.size()) == most) end = text.size();
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
}

Strings split_at(const std::string& text, const std::string& delimiter, int64_t most) {
  Strings parts;
  size_t at = 0;
  while (static_cast<int64_t>(parts.size()) < most) {
    const size_t end = text.find(delimiter, at);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(at, end - at));
    at = end + delimiter.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

Status string_split(KernelContext& c) {
  const Tensor& x = *c.in[0];
  const std::string delimiter = c.attr_string("delimiter");
  const int64_t most =
      c.has("maxsplit") ? c.attr_int("maxsplit") : std::numeric_limits<int64_t>::max();
  if (most < 0) return invalid("maxsplit " + std::to_string(most) + " is negative");
  std::vector<Strings> all;
  size_t longest = 0;
  for (const std::string& text : x.string_values()) {
    all.push_back(delimiter.empty() ? split_at_spaces(text, most)
                                    : split_at(text, delimiter, most));
    longest = std::max(longest, all.back().size());
  }
  std::vector<int64_t> dims = x.dims();
  dims.push_back(static_cast<int64_t>(longest));
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0, DType::kString, std::move(dims)));
  for (size_t i = 0; i < all.size(); ++i) {
    std::move(all[i].begin(), all[i].end(),
              y->string_values().begin() + static_cast<ptrdiff_t>(i * longest));
  }
  if (!c.has_output(1)) return {};
  MNN_ASSIGN_OR_RETURN(Tensor* const counts, c.make(1));
  for (size_t i = 0; i < all.size(); ++i) {
    counts->data<int64_t>()[i] = static_cast<int64_t>(all[i].size());
  }
  return {};
}

// ---- StringNormalizer ----

Status infer_string_normalizer(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kStrings));
  const std::string action = c.attr_string("case_change_action");
  if (action != "NONE" && action != "LOWER" && action != "UPPER") {
    return invalid("case_change_action: expected NONE, LOWER or UPPER, found " + action);
  }
  set_output(c, 0, DType::kString, std::nullopt);
  if (!c.rank_known(0)) return {};
  Shape shape = *c.in[0].shape;
  const bool row = shape.size() == 2 && (!shape[0].known() || shape[0].is(1));
  if (shape.size() != 1 && !row) {
    return invalid("expected strings of shape [C] or [1,C], found " + c.in[0].str());
  }
  if (row) shape[0] = 1;
  const bool keeps =
      c.attr_strings("stopwords").empty() && shape.back().lower_bound().value_or(0) > 0;
  if (!keeps) shape.back() = Dim::unknown();
  c.out[0].type.shape = std::move(shape);
  return {};
}

// ASCII letters only: what other letters become depends on a locale, which a result must not.
std::string changed_case(std::string text, int (*change)(int)) {
  for (char& ch : text) {
    if (static_cast<unsigned char>(ch) < 128) {
      ch = static_cast<char>(change(static_cast<unsigned char>(ch)));
    }
  }
  return text;
}

Status string_normalizer(KernelContext& c) {
  const Tensor& x = *c.in[0];
  const std::string action = c.attr_string("case_change_action");
  const bool exact = c.attr_int("is_case_sensitive") != 0;
  const auto key = [&](const std::string& s) { return exact ? s : changed_case(s, std::tolower); };
  std::set<std::string> stop;
  for (const std::string& word : c.attr_strings("stopwords")) stop.insert(key(word));
  Strings kept;
  for (const std::string& word : x.string_values()) {
    if (stop.contains(key(word))) continue;
    kept.push_back(action == "LOWER"   ? changed_case(word, std::tolower)
                   : action == "UPPER" ? changed_case(word, std::toupper)
                                       : word);
  }
  if (kept.empty()) kept.emplace_back();
  std::vector<int64_t> dims = x.dims();
  dims.back() = static_cast<int64_t>(kept.size());
  c.out[0] = Tensor::strings(std::move(dims), std::move(kept));
  return {};
}

// ---- TfIdfVectorizer ----

constexpr int64_t kMostColumns = int64_t{1} << 31;

Status infer_tfidf(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kStrings | mask_of(DType::kI32, DType::kI64)));
  const bool words = c.in[0].dtype == DType::kString;
  if (!c.has(words ? "pool_strings" : "pool_int64s")) {
    return invalid("input 0 is " + c.in[0].str() + ", expected the attribute " +
                   (words ? "pool_strings" : "pool_int64s"));
  }
  const std::string mode = c.attr_string("mode");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") {
    return invalid("mode: expected TF, IDF or TFIDF, found " + mode);
  }
  const int64_t least = c.attr_int("min_gram_length"), most = c.attr_int("max_gram_length");
  if (least < 1 || most < least) {
    return invalid("expected 1 <= min_gram_length <= max_gram_length, found " +
                   std::to_string(least) + " and " + std::to_string(most));
  }
  if (c.attr_int("max_skip_count") < 0) return invalid("max_skip_count is negative");
  const std::vector<int64_t> columns = c.attr_ints("ngram_indexes");
  if (columns.empty()) return invalid("ngram_indexes is empty");
  for (const int64_t column : columns) {
    if (column < 0 || column >= kMostColumns) {
      return invalid("ngram_indexes: " + std::to_string(column) + " is not in [0, 2^31)");
    }
  }
  const int64_t width = *std::max_element(columns.begin(), columns.end()) + 1;
  const size_t weights = c.attr_floats("weights").size();
  if (weights != 0 && static_cast<int64_t>(weights) < width) {
    return invalid("weights: expected " + std::to_string(width) + " numbers, found " +
                   std::to_string(weights));
  }
  set_output(c, 0, DType::kF32, std::nullopt);
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  if (shape.size() != 1 && shape.size() != 2) {
    return invalid("expected rank 1 or 2, found " + c.in[0].str());
  }
  c.out[0].type.shape = shape.size() == 1 ? Shape{width} : Shape{shape[0], width};
  return {};
}

// The n-grams of a pool as a tree of tokens.
template <typename T>
class GramTree {
 public:
  static constexpr int64_t kNoColumn = -1;
  struct Node {
    std::map<T, size_t> next;
    int64_t column = kNoColumn;
  };

  void add(const T* tokens, int64_t length, int64_t column) {
    size_t at = 0;
    for (int64_t i = 0; i < length; ++i) {
      const auto [it, fresh] = nodes_[at].next.emplace(tokens[i], nodes_.size());
      at = it->second;
      if (fresh) nodes_.emplace_back();
    }
    nodes_[at].column = column;
  }
  const Node& root() const { return nodes_[0]; }
  const Node* step(const Node& from, const T& token) const {
    const auto it = from.next.find(token);
    return it == from.next.end() ? nullptr : &nodes_[it->second];
  }

 private:
  std::vector<Node> nodes_ = {Node()};
};

// The pool lists all 1-grams, then all 2-grams …; ngram_counts says where each kind starts.
template <typename T>
Result<GramTree<T>> read_pool(const AttributeReader& c, const std::vector<T>& pool) {
  GramTree<T> tree;
  const std::vector<int64_t> starts = c.attr_ints("ngram_counts");
  const std::vector<int64_t> columns = c.attr_ints("ngram_indexes");
  const int64_t least = c.attr_int("min_gram_length"), most = c.attr_int("max_gram_length");
  size_t gram = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto size = static_cast<int64_t>(pool.size());
    const int64_t begin = starts[i], end = i + 1 < starts.size() ? starts[i + 1] : size;
    if (begin < 0 || begin > end || end > size) {
      return invalid("ngram_counts: " + std::to_string(begin) + " to " + std::to_string(end) +
                     " is not a part of the pool of " + std::to_string(size));
    }
    const auto length = static_cast<int64_t>(i) + 1;
    for (int64_t at = begin; at + length <= end; at += length, ++gram) {
      if (gram >= columns.size()) return invalid("ngram_indexes has fewer entries than the pool");
      if (length < least || length > most) continue;
      tree.add(pool.data() + at, length, columns[gram]);
    }
  }
  return tree;
}

// Counts in `row` the n-grams of `tokens` whose tokens lie `distance` apart.
template <typename T>
void count_grams(const GramTree<T>& tree, std::span<const T> tokens, size_t distance, int64_t least,
                 int64_t most, float* row) {
  for (size_t start = 0; start < tokens.size(); ++start) {
    const auto* node = &tree.root();
    int64_t length = 1;
    for (size_t at = start; at < tokens.size() && length <= most; at += distance, ++length) {
      node = tree.step(*node, tokens[at]);
      if (node == nullptr) break;
      if (length >= least && node->column != GramTree<T>::kNoColumn) row[node->column] += 1;
    }
  }
}

template <typename T>
Status count_all(KernelContext& c, const std::vector<T>& pool, std::span<const T> tokens) {
  MNN_ASSIGN_OR_RETURN(const GramTree<T> tree, read_pool(c, pool));
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const auto length = static_cast<size_t>(c.in[0]->dims().back());
  const int64_t least = c.attr_int("min_gram_length"), most = c.attr_int("max_gram_length");
  const int64_t width = y->dims().back(), rows = width == 0 ? 0 : y->elements() / width;
  // Tokens further apart than the row is long make no n-gram.
  const auto skips = std::min<int64_t>(c.attr_int("max_skip_count"), static_cast<int64_t>(length));
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = tokens.subspan(static_cast<size_t>(r) * length, length);
    for (int64_t distance = 1; distance <= skips + 1; ++distance) {
      // Single tokens are the same at any distance: counted once.
      const int64_t from = distance > 1 ? std::max<int64_t>(least, 2) : least;
      count_grams(tree, row, static_cast<size_t>(distance), from, most,
                  y->data<float>() + r * width);
    }
  }
  const std::string mode = c.attr_string("mode");
  const std::vector<double> weights = c.attr_floats("weights");
  for (int64_t i = 0; mode != "TF" && i < y->elements(); ++i) {
    float& count = y->data<float>()[i];
    if (mode == "IDF") count = std::min(count, 1.0F);
    if (!weights.empty()) count *= static_cast<float>(weights[static_cast<size_t>(i % width)]);
  }
  return {};
}

Status tfidf(KernelContext& c) {
  if (c.in[0]->dtype() == DType::kString) {
    const Strings& words = c.in[0]->string_values();
    return count_all<std::string>(c, c.attr_strings("pool_strings"), words);
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, c.in[0]->to_ints());
  return count_all<int64_t>(c, c.attr_ints("pool_int64s"), numbers);
}

}  // namespace

std::vector<OpDef> define_strings() {
  const AttrDef delimiter{"delimiter", std::string()}, maxsplit{"maxsplit", int64_t{0}};
  const std::vector<AttrDef> normalizer = {{"case_change_action", std::string("NONE")},
                                           {"is_case_sensitive", int64_t{0}},
                                           {"locale", std::string()},
                                           {"stopwords", Strings{}}};
  const std::vector<AttrDef> vectorizer = {
      {"max_gram_length", int64_t{0}, true},
      {"max_skip_count", int64_t{0}, true},
      {"min_gram_length", int64_t{0}, true},
      {"mode", std::string(), true},
      {"ngram_counts", std::vector<int64_t>{}, true},
      {"ngram_indexes", std::vector<int64_t>{}, true},
      {"pool_int64s", std::vector<int64_t>{}},
      {"pool_strings", Strings{}},
      {"weights", std::vector<double>{}},
  };
  return {
      {"StringConcat", 2, 2, kElementwise, {}, infer_string_concat, string_concat},
      {"StringSplit",
       1,
       1,
       {},
       {delimiter, maxsplit},
       infer_string_split,
       string_split,
       nullptr,
       1,
       2},
      {"StringNormalizer", 1, 1, {}, normalizer, infer_string_normalizer, string_normalizer},
      {"TfIdfVectorizer", 1, 1, {}, vectorizer, infer_tfidf, tfidf},
  };
}

}  // namespace mnn
