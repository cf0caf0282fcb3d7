// Col2Im: columns of blocks added up to an image, over any number of spatial dimensions.
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"
#include "libruntime/core/ops/window.h"

namespace mnn {
namespace {

struct Blocks {
  std::vector<int64_t> image, block, counts;  // counts: blocks along each dimension
  Window window;
  int64_t block_elements = 1, block_count = 1;
};

Result<Blocks> read_blocks(const AttributeReader& c, std::vector<int64_t> image,
                           std::vector<int64_t> block) {
  Blocks b;
  if (image.empty() || image.size() != block.size()) {
    return invalid("expected image_shape and block_shape of equal size, found " +
                   std::to_string(image.size()) + " and " + std::to_string(block.size()));
  }
  MNN_ASSIGN_OR_RETURN(b.window, read_window(c, to_shape(block)));
  for (size_t i = 0; i < image.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Dim n, window_output(b.window, i, Dim(image[i])));
    b.counts.push_back(n.value());
  }
  const auto elements = checked_elements(block), count = checked_elements(b.counts);
  if (!elements || !count || !checked_elements(image)) {
    return invalid("image_shape or block_shape is negative or too large");
  }
  b.block_elements = *elements;
  b.block_count = *count;
  b.image = std::move(image);
  b.block = std::move(block);
  return b;
}

Status infer_col2im(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kNumbers));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, mask_of(DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_input(c, 2, mask_of(DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, 3));
  c.out[0].type.dtype = c.in[0].dtype;
  const auto image = c.values(1);
  const auto block = c.ints(2);
  if (!image) return {};
  Dim batch = Dim::unknown(), channels = Dim::unknown();
  if (c.rank_known(0)) {
    batch = (*c.in[0].shape)[0];
    if (block) channels = floor_div((*c.in[0].shape)[1], num_elements(to_shape(*block)));
  }
  if (c.rank_known(0) && block && all_known(*image)) {
    MNN_ASSIGN_OR_RETURN(const Blocks b, read_blocks(c, known_dims(*image), *block));
    const Dim& rows = (*c.in[0].shape)[1];
    if (rows.known() && rows.value() % b.block_elements != 0) {
      return invalid("input 0: expected a multiple of " + std::to_string(b.block_elements) +
                     " rows, found " + c.in[0].str());
    }
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[0].shape)[2], Dim(b.block_count), "number of blocks"));
  }
  Shape y = {batch, channels};
  y.insert(y.end(), image->begin(), image->end());
  c.out[0].type.shape = std::move(y);
  return {};
}

Status col2im(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> image, c.in[1]->to_ints());
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> block, c.in[2]->to_ints());
  MNN_ASSIGN_OR_RETURN(const Blocks b, read_blocks(c, image, block));
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  if (y->elements() == 0) return {};
  const Tensor& x = *c.in[0];
  const size_t rank = b.image.size();
  const int64_t planes = y->dims()[0] * y->dims()[1], size = y->elements() / planes;
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    std::vector<compute_t<T>> sums(static_cast<size_t>(size));
    for (int64_t plane = 0; plane < planes; ++plane) {
      std::fill(sums.begin(), sums.end(), compute_t<T>(0));
      for (int64_t k = 0; k < b.block_elements; ++k) {
        for (int64_t n = 0; n < b.block_count; ++n) {
          // Element k of block n lands at one pixel, or in the padding.
          int64_t at = 0, stride = 1, rest_k = k, rest_n = n;
          bool inside = true;
          for (size_t i = rank; i-- > 0;) {
            const int64_t p = rest_n % b.counts[i] * b.window.strides[i] +
                              rest_k % b.block[i] * b.window.dilations[i] - b.window.pads_begin[i];
            inside = inside && p >= 0 && p < b.image[i];
            at += p * stride;
            stride *= b.image[i];
            rest_k /= b.block[i];
            rest_n /= b.counts[i];
          }
          if (!inside) continue;
          compute_t<T>& sum = sums[static_cast<size_t>(at)];
          const int64_t from = (plane * b.block_elements + k) * b.block_count + n;
          sum = wrap_add(sum, load_as_compute(x.data<T>()[from]));
        }
      }
      for (int64_t i = 0; i < size; ++i) {
        y->data<T>()[plane * size + i] = store_from_compute<T>(sums[static_cast<size_t>(i)]);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

}  // namespace

std::vector<OpDef> define_col2im() {
  using Ints = std::vector<int64_t>;
  return {{"Col2Im",
           3,
           3,
           shape_inputs(1, 2),
           {{"dilations", Ints()}, {"pads", Ints()}, {"strides", Ints()}},
           infer_col2im,
           col2im}};
}

}  // namespace mnn
