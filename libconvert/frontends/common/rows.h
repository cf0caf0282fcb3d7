// Operators that TensorFlow's formats have and the IR has not: what a row of either front end is
// but for where it finds its settings. Operands are the node's inputs in the order of the comment;
// the results go into n.results or are returned.
#pragma once

#include "libconvert/frontends/common/tensor_node.h"

namespace mnn::frontend {

// A row that is `kRow` of kInputs inputs and nothing more, for the table of either front end.
template <ValueId (*kRow)(TensorNode&), size_t kInputs, typename OpNode>
void convert_with(OpNode& n) {
  if (n.expect_inputs(kInputs, kInputs)) n.results = {kRow(n)};
}

// ---- rows_slice.cc ----

// x, begin, size; a size of -1 goes to the end
ValueId slice(TensorNode& n);
struct SliceMasks {
  int64_t begin = 0, end = 0, ellipsis = 0, new_axis = 0, shrink_axis = 0;  // bit i: of entry i
  bool end_from_begin = false;
};
// x, begin, end, strides; the last `hidden` axes of x the source does not count
void strided_slice(TensorNode& n, const SliceMasks& masks, size_t hidden = 0);
// x with the axes turned round
void reverse(TensorNode& n, const Ints& axes);
// x, lengths
void reverse_sequence(TensorNode& n, int64_t time_axis, int64_t batch_axis);
// x, paddings [rank, 2] and an optional value: one of a plane is done with the channels first, so
// that what reads it takes the padding over. `mode` of Pad.
void pad(TensorNode& n, const char* mode);
// x, the border itself mirrored too
void mirror_pad(TensorNode& n, ValueId x, const Ints& pads);
// x, sizes (one may be -1), axis
void split_v(TensorNode& n, size_t outputs);
// x, block, paddings and x, block, crops
void space_to_batch(TensorNode& n);
void batch_to_space(TensorNode& n);
// The shape two shapes broadcast to.
ValueId broadcast_shapes(TensorNode& n);

// ---- rows_fake_quant.cc ----

// x on the grid that training nudges [low, high] to, so that 0 is a code of its own (Jacob 2018,
// section 3.1): one range, or one an index along the last axis. kNoValue after an error.
ValueId fake_quant(TensorNode& n, const std::vector<double>& low, const std::vector<double>& high,
                   int64_t bits, bool narrow_range, bool per_channel);

// ---- rows_gather.cc ----

// x, places; `batch_dims` may count from the end of the places
void gather(TensorNode& n, int64_t axis, int64_t batch_dims);
// places, updates, shape: updates of one place add up
void scatter_nd(TensorNode& n);
// places, shape, values, what is elsewhere
void sparse_to_dense(TensorNode& n);
// places, depth, on, off
void one_hot(TensorNode& n, int64_t axis);
// condition, x, y; `along_first`: a vector picks along the first axis
void select(TensorNode& n, bool along_first);
// The places [n, rank] of what is not zero, i64.
ValueId places_of(TensorNode& n, ValueId x);
// x: its values in the order of their first appearance, and which of them each element is
void unique(TensorNode& n, DType index);
// The vectors of x on the diagonal of zeros; x and vectors: on that of x.
void matrix_diag(TensorNode& n, bool onto);
// x, segments, and how many there are unless they are sorted. `how`: "SUM", "PROD", "MAX", "MIN".
void segment(TensorNode& n, std::string_view how, bool sorted);

// ---- rows_math.cc ----

// x, y
ValueId floor_div(TensorNode& n);
ValueId floor_mod(TensorNode& n);
ValueId atan2(TensorNode& n);
ValueId right_shift(TensorNode& n);
ValueId not_equal(TensorNode& n);
ValueId rsqrt(TensorNode& n);
ValueId square(TensorNode& n);
ValueId squared_difference(TensorNode& n);
// x, axes. Of bools `op` is ReduceMax or ReduceMin.
ValueId reduced(TensorNode& n, const char* op, bool keep);
ValueId reduced_bool(TensorNode& n, const char* op, bool keep);
// x: how many of the bounds are not above each element, i32
ValueId bucketize(TensorNode& n, std::span<const float> bounds);
// x [..., rows], the lengths of its last axes: complex [..., length / 2 + 1, 2]
void rfft(TensorNode& n, size_t axes);
// Complex numbers: a last axis of two, real and imaginary.
ValueId complex_abs(TensorNode& n, ValueId x);
ValueId complex_part(TensorNode& n, ValueId x, bool imaginary);

// ---- choose.cc: non-maximum suppression ----

// What is chosen: places, scores and whether there was one left, each [most]; 0 where there was
// not.
struct Chosen {
  ValueId places = kNoValue, scores = kNoValue, valid = kNoValue;
};
// Scalars but for boxes [n, 4] as corners (y, x, y, x) and scores [n].
struct Choice {
  ValueId boxes = kNoValue, scores = kNoValue;
  ValueId most = kNoValue;  // i64
  ValueId overlap = kNoValue, least_score = kNoValue, sigma = kNoValue;
  bool least_too = false;  // a score equal to the least is enough
};
// The best of what is left, `most` times: what overlaps it too much goes, with a sigma the others'
// scores fall.
Chosen choose(TensorNode& n, const Choice& choice);
// boxes [n, 4], scores [n], most, overlap, least score, sigma where `soft`: the first five or six
// inputs.
Choice choice_of(TensorNode& n, bool soft);

}  // namespace mnn::frontend
