#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

std::string mask_str(TypeMask mask) {
  if (mask == kFloats) return "a float tensor";
  if (mask == kInts) return "an integer tensor";
  if (mask == kNumbers) return "a tensor of numbers";
  if (mask == kPlain) return "a tensor of numbers or bool";
  std::string text;
  for (unsigned d = 1; d < 32; ++d) {
    if ((mask >> d) & 1u) text += (text.empty() ? "" : "|") + std::string(dtype_name(DType(d)));
  }
  return "a tensor of " + text;
}

std::string input_name(size_t i) { return "input " + std::to_string(i); }

}  // namespace

Status expect_input(const OpContext& c, size_t i, TypeMask allowed) {
  if (!c.has_input(i)) {
    return invalid(input_name(i) + ": expected " + mask_str(allowed) + ", found none");
  }
  if (c.in[i].kind != Type::Kind::kTensor || !(mask_of(c.in[i].dtype) & allowed)) {
    return invalid(input_name(i) + ": expected " + mask_str(allowed) + ", found " + c.in[i].str());
  }
  return {};
}

Status expect_optional_input(const OpContext& c, size_t i, TypeMask allowed) {
  return c.has_input(i) ? expect_input(c, i, allowed) : Status();
}

Status expect_like(const OpContext& c, size_t i, size_t like) {
  MNN_RETURN_IF_ERROR(expect_input(c, i, ~TypeMask{0}));
  if (c.in[i].dtype == c.in[like].dtype) return {};
  return invalid(input_name(i) + ": expected " + std::string(dtype_name(c.in[like].dtype)) +
                 " like input " + std::to_string(like) + ", found " + c.in[i].str());
}

Status expect_rank(const OpContext& c, size_t i, size_t rank) {
  if (!c.rank_known(i) || c.in[i].rank() == rank) return {};
  return invalid(input_name(i) + ": expected rank " + std::to_string(rank) + ", found " +
                 c.in[i].str());
}

Status expect_scalar(const OpContext& c, size_t i) {
  if (!c.rank_known(i)) return {};
  const Dim n = num_elements(*c.in[i].shape);
  if (!n.known() || n.is(1)) return {};
  return invalid(input_name(i) + ": expected one element, found " + c.in[i].str());
}

Status expect_dim(const Dim& found, const Dim& expected, const std::string& what) {
  if (!found.known() || !expected.known() || found.same(expected)) return {};
  return invalid(what + ": expected " + expected.str() + ", found " + found.str());
}

Status no_kernel_for(const KernelContext& c, DType dtype) {
  return unsupported(c.node.op + " of type " + std::string(dtype_name(dtype)) +
                     " has no reference kernel");
}

}  // namespace mnn
