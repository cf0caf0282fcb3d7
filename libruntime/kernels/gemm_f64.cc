// Products in double: each panel of B is packed, then all rows of A pass over it.
#include <algorithm>
#include <string>

#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/isa.h"

namespace mnn {
namespace {

class MatmulF64 final : public MatrixKernel {
 public:
  MatmulF64(const GemmGeometry& g, double alpha, const KernelTable& table, int threads)
      : g_(g), alpha_(alpha), table_(table) {
    name_ = std::string("matmul_f64_") + table.isa;
    panels_ = ceil_div(g.n, table.columns_f64);
    int64_t macs = g.m * g.n * g.k;
    if (!checked_mul(&macs, g.batch)) macs = INT64_MAX;
    split_ = split_work(g.m, g.batch * panels_, macs, threads);
    part_scratch_ = round_up(g.k * table.columns_f64 * 8, 64);
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts(); }
  int parts() const override { return split_.parts(); }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = piece(g_.m, split_.rows, part / split_.panels, 6);
    const Range units = piece(g_.batch * panels_, split_.panels, part % split_.panels);
    if (rows.size() == 0) return;
    auto* packed = reinterpret_cast<double*>(args.scratch + part * part_scratch_);
    for (int64_t u = units.begin; u < units.end; ++u) {
      const auto item = static_cast<size_t>(u / panels_);
      const int64_t n0 = u % panels_ * table_.columns_f64;
      TileF64 t;
      t.n = std::min<int64_t>(table_.columns_f64, g_.n - n0);
      pack(static_cast<const double*>(args.b) + g_.b_offsets[item], n0, t.n, packed);
      t.w = packed;
      t.w_stride = table_.columns_f64;
      t.k = g_.k;
      t.alpha = alpha_;
      t.a = static_cast<const double*>(args.x) + g_.a_offsets[item] + rows.begin * g_.a_stride;
      t.a_stride = g_.a_stride;
      t.y = static_cast<double*>(args.y) +
            (static_cast<int64_t>(item) * g_.m + rows.begin) * g_.c_stride + n0;
      t.y_stride = g_.c_stride;
      t.rows = rows.size();
      table_.tile_f64(t);
    }
  }

 private:
  void pack(const double* b, int64_t n0, int64_t width, double* out) const {
    const int64_t nr = table_.columns_f64;
    const int64_t down = g_.b_transposed ? 1 : g_.b_stride;
    const int64_t across = g_.b_transposed ? g_.b_stride : 1;
    for (int64_t j = 0; j < nr; ++j) {
      const double* from = b + (n0 + j) * across;
      for (int64_t k = 0; k < g_.k; ++k) out[k * nr + j] = j < width ? from[k * down] : 0.0;
    }
  }

  GemmGeometry g_;
  double alpha_;
  const KernelTable& table_;
  std::string name_;
  int64_t panels_ = 0, part_scratch_ = 0;
  Split split_;
};

}  // namespace

Result<MatrixKernelPtr> make_matmul_f64(const GemmGeometry& geometry, double alpha,
                                        const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  return MatrixKernelPtr(std::make_unique<MatmulF64>(g, alpha, *table, options.threads));
}

}  // namespace mnn
