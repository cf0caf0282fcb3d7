// Einsum over any number of operands, one contraction after the other.
#include "libruntime/core/ops/einsum.h"

#include <algorithm>
#include <set>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

using Labels = std::vector<int>;

bool contains(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// One side's term: letters and at most one "...", which stands for `ellipsis` dimensions.
Result<Labels> parse_term(std::string_view term, size_t ellipsis) {
  Labels labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (is_letter(term[i])) {
      labels.push_back(static_cast<unsigned char>(term[i]));
    } else if (term.substr(i, 3) == "...") {
      for (size_t k = ellipsis; k-- > 0;) {
        labels.push_back(EinsumEquation::kEllipsis + static_cast<int>(k));
      }
      i += 2;
    } else {
      return invalid("equation: expected letters and ..., found '" + std::string(1, term[i]) + "'");
    }
  }
  return labels;
}

size_t count_letters(std::string_view term) {
  return static_cast<size_t>(std::count_if(term.begin(), term.end(), is_letter));
}

size_t count_ellipses(std::string_view term) {
  size_t n = 0;
  for (size_t at = term.find("..."); at != term.npos; at = term.find("...", at + 3)) ++n;
  return n;
}

}  // namespace

Result<EinsumEquation> parse_einsum(std::string_view text, const std::vector<size_t>& ranks) {
  std::string equation;
  for (const char c : text) {
    if (c != ' ') equation += c;
  }
  const size_t arrow = equation.find("->");
  const std::string_view left = std::string_view(equation).substr(0, arrow);
  std::vector<std::string_view> terms;
  for (size_t begin = 0; begin <= left.size();) {
    const size_t end = std::min(left.find(',', begin), left.size());
    terms.push_back(left.substr(begin, end - begin));
    begin = end + 1;
  }
  if (terms.size() != ranks.size()) {
    return invalid("equation " + equation + " has " + std::to_string(terms.size()) + " terms for " +
                   std::to_string(ranks.size()) + " inputs");
  }
  EinsumEquation e;
  size_t widest = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const size_t letters = count_letters(terms[i]), ellipses = count_ellipses(terms[i]);
    if (ellipses > 1 || letters > ranks[i] || (ellipses == 0 && letters != ranks[i])) {
      return invalid("equation " + equation + ": input " + std::to_string(i) + " has rank " +
                     std::to_string(ranks[i]) + ", its term is '" + std::string(terms[i]) + "'");
    }
    const size_t ellipsis = ellipses == 0 ? 0 : ranks[i] - letters;
    widest = std::max(widest, ellipsis);
    MNN_ASSIGN_OR_RETURN(Labels labels, parse_term(terms[i], ellipsis));
    e.terms.push_back(std::move(labels));
  }
  if (arrow != std::string::npos) {
    const std::string_view right = std::string_view(equation).substr(arrow + 2);
    if (count_ellipses(right) > 1)
      return invalid("equation " + equation + ": two ... in the output");
    MNN_ASSIGN_OR_RETURN(e.output, parse_term(right, widest));
  } else {
    for (size_t k = widest; k-- > 0;) {
      e.output.push_back(EinsumEquation::kEllipsis + static_cast<int>(k));
    }
    std::map<int, int> uses;
    for (const Labels& term : e.terms) {
      for (const int label : term) ++uses[label];
    }
    for (const auto& [label, n] : uses) {
      if (n == 1 && label < EinsumEquation::kEllipsis) e.output.push_back(label);
    }
  }
  for (size_t i = 0; i < e.output.size(); ++i) {
    const int label = e.output[i];
    const bool known = std::any_of(e.terms.begin(), e.terms.end(),
                                   [&](const Labels& t) { return contains(t, label); });
    const bool twice = std::count(e.output.begin(), e.output.end(), label) > 1;
    if (!known || twice) {
      return invalid("equation " + equation + ": an output label is " +
                     (twice ? "repeated" : "in no input"));
    }
  }
  return e;
}

namespace {

Result<std::optional<EinsumEquation>> read_equation(const OpContext& c) {
  std::vector<size_t> ranks;
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (!c.rank_known(i)) return std::optional<EinsumEquation>();
    ranks.push_back(c.in[i].rank());
  }
  MNN_ASSIGN_OR_RETURN(EinsumEquation e, parse_einsum(c.attr_string("equation"), ranks));
  return std::optional<EinsumEquation>(std::move(e));
}

Status infer_einsum(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kNumbers));
  for (size_t i = 1; i < c.in.size(); ++i) MNN_RETURN_IF_ERROR(expect_like(c, i, 0));
  c.out[0].type.dtype = c.in[0].dtype;
  MNN_ASSIGN_OR_RETURN(const std::optional<EinsumEquation> e, read_equation(c));
  if (!e) return {};
  std::map<int, Dim> sizes;
  for (size_t i = 0; i < e->terms.size(); ++i) {
    for (size_t d = 0; d < e->terms[i].size(); ++d) {
      const int label = e->terms[i][d];
      const Dim& dim = (*c.in[i].shape)[d];
      const auto [it, fresh] = sizes.emplace(label, dim);
      if (fresh) continue;
      // Labels broadcast as dimensions of an elementwise operator do.
      const Result<Shape> both = broadcast_shapes({it->second}, {dim});
      if (!both.ok()) {
        return invalid("equation " + c.attr_string("equation") + ": a label is both " +
                       it->second.str() + " and " + dim.str());
      }
      it->second = (*both)[0];
    }
  }
  Shape y;
  for (const int label : e->output) y.push_back(sizes.at(label));
  c.out[0].type.shape = std::move(y);
  return {};
}

// An operand or an intermediate result in the compute type.
struct Operand {
  Tensor data;
  Labels labels;
};

int64_t size_of(const Operand& o, int label) {
  for (size_t i = 0; i < o.labels.size(); ++i) {
    if (o.labels[i] == label && o.data.dims()[i] != 1) return o.data.dims()[i];
  }
  return 1;
}

// Steps of a label through the operand: the sum over its dimensions, so that a repeated label walks
// a diagonal; 0 where it is broadcast or absent.
int64_t step_of(const Operand& o, int label) {
  int64_t stride = 1, step = 0;
  for (size_t i = o.labels.size(); i-- > 0;) {
    if (o.labels[i] == label && o.data.dims()[i] != 1) step += stride;
    stride *= o.data.dims()[i];
  }
  return step;
}

// The product of a and b summed over all labels that are not in `keep`.
template <typename A>
Result<Operand> contract(const Operand& a, const Operand& b, const Labels& keep) {
  Labels summed;
  for (const Labels* labels : {&a.labels, &b.labels}) {
    for (const int l : *labels) {
      if (!contains(keep, l) && !contains(summed, l)) summed.push_back(l);
    }
  }
  std::vector<int64_t> dims;
  auto size = [&](int l) {
    const int64_t x = size_of(a, l), y = size_of(b, l);
    return x == 1 ? y : x;
  };
  for (const int l : keep) dims.push_back(size(l));
  MNN_ASSIGN_OR_RETURN(Tensor data, Tensor::allocate(dtype_of<A>(), dims));
  Operand out{std::move(data), keep};
  // Loops: kept labels outside, summed ones inside.
  Labels loops = keep;
  loops.insert(loops.end(), summed.begin(), summed.end());
  std::vector<int64_t> count, step_a, step_b, index(loops.size(), 0);
  bool empty = false;
  for (const int l : loops) {
    count.push_back(size(l));
    step_a.push_back(step_of(a, l));
    step_b.push_back(step_of(b, l));
    empty = empty || count.back() == 0;
  }
  if (empty) return out;
  const A *p = a.data.template data<A>(), *q = b.data.template data<A>();
  A* y = out.data.template data<A>();
  // The innermost loop runs plainly, the others as an odometer.
  const int64_t inner = count.empty() ? 1 : count.back();
  const int64_t inner_a = step_a.empty() ? 0 : step_a.back();
  const int64_t inner_b = step_b.empty() ? 0 : step_b.back();
  const bool sums = !summed.empty();
  const size_t outer = count.empty() ? 0 : count.size() - 1;
  while (true) {
    if (sums) {
      A sum = *y;
      for (int64_t i = 0; i < inner; ++i) {
        sum = wrap_add(sum, wrap_mul(p[i * inner_a], q[i * inner_b]));
      }
      *y = sum;
    } else {
      for (int64_t i = 0; i < inner; ++i) y[i] = wrap_mul(p[i * inner_a], q[i * inner_b]);
      y += inner - 1;
    }
    size_t d = outer;
    while (d > 0) {
      --d;
      p += step_a[d];
      q += step_b[d];
      if (++index[d] < count[d]) break;
      p -= step_a[d] * count[d];
      q -= step_b[d] * count[d];
      index[d] = 0;
      if (d == 0) return out;
    }
    if (outer == 0) return out;
    // The next output begins when no summed label is in the middle of its range.
    bool next = true;
    for (size_t s = keep.size(); s < outer; ++s) next = next && index[s] == 0;
    if (next) ++y;
  }
}

template <typename A>
Result<Tensor> evaluate(const EinsumEquation& e, std::vector<Operand> operands) {
  MNN_ASSIGN_OR_RETURN(Tensor one, Tensor::allocate(dtype_of<A>(), {}));
  *one.data<A>() = A(1);
  const Operand unit{std::move(one), {}};
  auto needed_later = [&](size_t i, int label) {
    if (contains(e.output, label)) return true;
    for (size_t k = i + 1; k < operands.size(); ++k) {
      if (contains(operands[k].labels, label)) return true;
    }
    return false;
  };
  // A label that only one operand has is summed away before anything grows.
  for (size_t i = 0; i < operands.size(); ++i) {
    Labels keep;
    for (const int l : operands[i].labels) {
      bool elsewhere = contains(e.output, l);
      for (size_t k = 0; k < operands.size(); ++k) {
        elsewhere = elsewhere || (k != i && contains(operands[k].labels, l));
      }
      if (elsewhere && !contains(keep, l)) keep.push_back(l);
    }
    if (keep.size() == operands[i].labels.size()) continue;
    MNN_ASSIGN_OR_RETURN(operands[i], contract<A>(operands[i], unit, keep));
  }
  Operand all = unit;
  for (size_t i = 0; i < operands.size(); ++i) {
    Labels keep;
    if (i + 1 == operands.size()) {
      keep = e.output;
    } else {
      for (const Labels* labels : {&all.labels, &operands[i].labels}) {
        for (const int l : *labels) {
          if (needed_later(i, l) && !contains(keep, l)) keep.push_back(l);
        }
      }
    }
    MNN_ASSIGN_OR_RETURN(all, contract<A>(all, operands[i], keep));
  }
  return std::move(all.data);
}

Status einsum(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  std::vector<size_t> ranks;
  for (const Tensor* t : c.in) ranks.push_back(t->rank());
  MNN_ASSIGN_OR_RETURN(const EinsumEquation e, parse_einsum(c.attr_string("equation"), ranks));
  Status status;
  const bool done = dispatch_numeric(y->dtype(), [&]<typename T>() {
    using A = compute_t<T>;
    status = [&]() -> Status {
      std::vector<Operand> operands;
      for (size_t i = 0; i < c.in.size(); ++i) {
        const Tensor& x = *c.in[i];
        MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype_of<A>(), x.dims()));
        for (int64_t k = 0; k < x.elements(); ++k) {
          t.data<A>()[k] = load_as_compute(x.data<T>()[k]);
        }
        operands.push_back({std::move(t), e.terms[i]});
      }
      MNN_ASSIGN_OR_RETURN(const Tensor result, evaluate<A>(e, std::move(operands)));
      for (int64_t k = 0; k < y->elements(); ++k) {
        y->data<T>()[k] = store_from_compute<T>(result.data<A>()[k]);
      }
      return {};
    }();
  });
  return done ? status : no_kernel_for(c, y->dtype());
}

// Every index of the equation runs once: the product of the extents of all distinct labels.
int64_t macs_of_einsum(const MacsContext& c) {
  if (c.node.inputs.size() < 2) return 0;
  std::vector<size_t> ranks;
  for (size_t i = 0; i < c.in_dims.size(); ++i) {
    if (c.in(i) == nullptr) return 0;
    ranks.push_back(c.in(i)->size());
  }
  const Result<EinsumEquation> e = parse_einsum(c.attr_string("equation"), ranks);
  if (!e.ok()) return 0;
  std::map<int, int64_t> extents;
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (size_t d = 0; d < ranks[i]; ++d) {
      int64_t& extent = extents[e->terms[i][d]];
      extent = std::max(extent, (*c.in(i))[d]);
    }
  }
  std::vector<int64_t> dims;
  for (const auto& [label, extent] : extents) dims.push_back(extent);
  return saturating_product(dims);
}

}  // namespace

std::vector<OpDef> define_einsum() {
  return {{.name = "Einsum",
           .min_inputs = 1,
           .max_inputs = kVariadic,
           .attributes = {{"equation", "", true}},
           .infer = infer_einsum,
           .reference = einsum,
           .decompose = decompose_einsum,
           .macs = macs_of_einsum}};
}

}  // namespace mnn
