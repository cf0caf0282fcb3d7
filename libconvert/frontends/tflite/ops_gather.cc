// What is picked by places or put there.

#include "libconvert/frontends/common/rows.h"
#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {

void convert_gather(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const auto& o = n.options<fb::GatherOptions>(23);
  gather(n, o.axis(), o.batch_dims());
}

void convert_gather_nd(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {n.move("GatherND", n.in(0), {n.cast(n.in(1), DType::kI64)})};
}

// places, table
void convert_embedding_lookup(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.emit("Gather", {n.in(1), n.in(0)})};
}

// places, updates, shape: updates of one place add up
void convert_scatter_nd(OpNode& n) {
  if (n.expect_inputs(3, 3)) scatter_nd(n);
}

// places, shape, values, what is elsewhere
void convert_sparse_to_dense(OpNode& n) {
  if (n.expect_inputs(4, 4)) sparse_to_dense(n);
}

void convert_one_hot(OpNode& n) {
  if (n.expect_inputs(4, 4)) one_hot(n, n.options<fb::OneHotOptions>(61).axis());
}

// SELECT: a condition of lower rank picks along the first axes; SELECT_V2 broadcasts.
void convert_select(OpNode& n) {
  if (n.expect_inputs(3, 3)) select(n, n.op == "SELECT");
}

// The places of what is not zero.
void convert_where(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.cast(places_of(n, n.in(0)), n.output_dtype(0))};
}

// In the order of their first appearance, and which of them each element is.
void convert_unique(OpNode& n) {
  if (n.expect_inputs(1, 1)) unique(n, n.output_count() > 1 ? n.output_dtype(1) : DType::kI32);
}

void convert_reverse(OpNode& n) {
  if (n.expect_inputs(2, 2)) reverse(n, n.need_ints(1, "the axes"));
}

void convert_reverse_sequence(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const auto& o = n.options<fb::ReverseSequenceOptions>(87);
  reverse_sequence(n, o.seq_dim(), o.batch_dim());
}

// MATRIX_DIAG: a vector on the diagonal of zeros. MATRIX_SET_DIAG: on that of a matrix.
void convert_matrix_diag(OpNode& n) {
  const bool onto = n.op == "MATRIX_SET_DIAG";
  if (n.expect_inputs(onto ? 2 : 1, onto ? 2 : 1)) matrix_diag(n, onto);
}

// SEGMENT_SUM: x, sorted segments. UNSORTED_SEGMENT_*: x, segments, how many.
void convert_segment(OpNode& n) {
  const bool sorted = n.op == "SEGMENT_SUM";
  if (!n.expect_inputs(sorted ? 2 : 3, sorted ? 2 : 3)) return;
  segment(n, n.op.substr(n.op.rfind('_') + 1), sorted);
}

}  // namespace mnn::tflite
