// Resizing and sampling at points.
#include <cmath>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// Sizes if given, else scales; `spatial` last dims. Nearest takes the lower place, others the
// centres of pixels.
void resize(Call& c, const std::string& mode, const std::string& coordinates, bool antialias,
            const std::string& nearest_mode = "floor") {
  const ValueId x = c.tensor(c.has_param("input") ? "input" : "self");
  const size_t rank = c.rank(x);
  if (!c.status.ok()) return;
  if (rank < 3 || rank > 5) return c.fail(invalid("expected [N, C, *]"));
  const size_t spatial = rank - 2;
  std::vector<int64_t> axes;
  for (size_t i = 2; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  Call::Attributes attributes = {{"antialias", int64_t{antialias}},
                                 {"axes", axes},
                                 {"coordinate_transformation_mode", coordinates},
                                 {"mode", mode}};
  if (mode == "nearest") attributes["nearest_mode"] = nearest_mode;
  if (mode == "cubic") attributes["cubic_coeff_a"] = antialias ? -0.5 : -0.75;
  if (!c.none("output_size")) {
    const std::vector<IntArg> sizes = c.int_args("output_size");
    if (sizes.size() != spatial) return c.fail(invalid("argument 'output_size' does not fit"));
    return c.give(c.emit("Resize", {x, kNoValue, kNoValue, c.list_of(sizes)}, attributes));
  }
  if (!c.has_param("scale_factors") || c.none("scale_factors")) {
    return c.fail(invalid("neither sizes nor scales"));
  }
  std::vector<float> scales;
  if (const ListArg* list = c.arg("scale_factors").get<ListArg>()) {
    for (const Arg& item : *list) {
      const FloatArg* f = item.get<FloatArg>();
      const IntArg* i = item.get<IntArg>();
      if ((f == nullptr || !f->known()) && (i == nullptr || !i->known())) {
        return c.refuse("scales that are known at run time only");
      }
      scales.push_back(static_cast<float>(f != nullptr ? f->value : static_cast<double>(i->value)));
    }
  }
  if (scales.size() != spatial) return c.fail(invalid("argument 'scale_factors' does not fit"));
  const auto n = static_cast<int64_t>(scales.size());
  c.give(
      c.emit("Resize", {x, kNoValue, c.add_constant(Tensor::of<float>({n}, scales))}, attributes));
}

void nearest(Call& c) { resize(c, "nearest", "asymmetric", false); }
void nearest_exact(Call& c) { resize(c, "nearest", "half_pixel", false, "round_prefer_ceil"); }
std::string coordinates(Call& c) {
  return c.flag("align_corners") ? "align_corners" : "half_pixel";
}
void linear(Call& c) { resize(c, "linear", coordinates(c), false); }
void cubic(Call& c) { resize(c, "cubic", coordinates(c), false); }
void linear_antialias(Call& c) { resize(c, "linear", coordinates(c), true); }
void cubic_antialias(Call& c) { resize(c, "cubic", coordinates(c), true); }

void grid_sample(Call& c) {
  const char* const kModes[] = {"linear", "nearest", "cubic"};
  const char* const kPaddings[] = {"zeros", "border", "reflection"};
  const int64_t mode = c.integer("interpolation_mode"), padding = c.integer("padding_mode");
  if (mode < 0 || mode > 2 || padding < 0 || padding > 2) return c.fail(invalid("bad mode"));
  c.give(c.emit("GridSample", {c.tensor("input"), c.tensor("grid")},
                {{"align_corners", int64_t{c.flag("align_corners")}},
                 {"mode", std::string(kModes[mode])},
                 {"padding_mode", std::string(kPaddings[padding])}}));
}

void affine_grid(Call& c) {
  c.give(c.emit("AffineGrid", {c.tensor("theta"), c.list_of(c.int_args("size"))},
                {{"align_corners", int64_t{c.flag("align_corners")}}}));
}

}  // namespace

std::vector<RowText> resize_rows() {
  return {
      {"upsample_nearest1d(Tensor self, int[1] output_size, float? scales=None) -> Tensor",
       "Resize", nearest},
      {"upsample_nearest1d.vec(Tensor input, int[]? output_size, float[]? scale_factors) -> Tensor",
       "Resize", nearest},
      {"upsample_nearest2d(Tensor self, int[2] output_size, float? scales_h=None, float? "
       "scales_w=None) -> Tensor",
       "Resize", nearest},
      {"upsample_nearest2d.vec(Tensor input, int[]? output_size, float[]? scale_factors) -> Tensor",
       "Resize", nearest},
      {"upsample_nearest3d(Tensor self, int[3] output_size, float? scales_d=None, float? "
       "scales_h=None, float? scales_w=None) -> Tensor",
       "Resize", nearest},
      {"upsample_nearest3d.vec(Tensor input, int[]? output_size, float[]? scale_factors) -> Tensor",
       "Resize", nearest},
      {"_upsample_nearest_exact1d(Tensor self, int[1] output_size, float? scales=None) -> Tensor",
       "Resize", nearest_exact},
      {"_upsample_nearest_exact1d.vec(Tensor input, int[]? output_size, float[]? scale_factors) -> "
       "Tensor",
       "Resize", nearest_exact},
      {"_upsample_nearest_exact2d(Tensor self, int[2] output_size, float? scales_h=None, float? "
       "scales_w=None) -> Tensor",
       "Resize", nearest_exact},
      {"_upsample_nearest_exact2d.vec(Tensor input, int[]? output_size, float[]? scale_factors) -> "
       "Tensor",
       "Resize", nearest_exact},
      {"upsample_linear1d(Tensor self, int[1] output_size, bool align_corners, float? "
       "scales=None) -> Tensor",
       "Resize", linear},
      {"upsample_linear1d.vec(Tensor input, int[]? output_size, bool align_corners, float[]? "
       "scale_factors) -> Tensor",
       "Resize", linear},
      {"upsample_bilinear2d(Tensor self, int[2] output_size, bool align_corners, float? "
       "scales_h=None, float? scales_w=None) -> Tensor",
       "Resize", linear},
      {"upsample_bilinear2d.vec(Tensor input, int[]? output_size, bool align_corners, float[]? "
       "scale_factors) -> Tensor",
       "Resize", linear},
      {"upsample_trilinear3d(Tensor self, int[3] output_size, bool align_corners, float? "
       "scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor",
       "Resize", linear},
      {"upsample_trilinear3d.vec(Tensor input, int[]? output_size, bool align_corners, float[]? "
       "scale_factors) -> Tensor",
       "Resize", linear},
      {"upsample_bicubic2d(Tensor self, int[2] output_size, bool align_corners, float? "
       "scales_h=None, float? scales_w=None) -> Tensor",
       "Resize", cubic},
      {"upsample_bicubic2d.vec(Tensor input, int[]? output_size, bool align_corners, float[]? "
       "scale_factors) -> Tensor",
       "Resize", cubic},
      {"_upsample_bilinear2d_aa(Tensor self, int[2] output_size, bool align_corners, float? "
       "scales_h=None, float? scales_w=None) -> Tensor",
       "Resize", linear_antialias},
      {"_upsample_bilinear2d_aa.vec(Tensor input, int[]? output_size, bool align_corners, float[]? "
       "scale_factors) -> Tensor",
       "Resize", linear_antialias},
      {"_upsample_bicubic2d_aa(Tensor self, int[2] output_size, bool align_corners, float? "
       "scales_h=None, float? scales_w=None) -> Tensor",
       "Resize", cubic_antialias},
      {"_upsample_bicubic2d_aa.vec(Tensor input, int[]? output_size, bool align_corners, float[]? "
       "scale_factors) -> Tensor",
       "Resize", cubic_antialias},
      {"grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool "
       "align_corners) -> Tensor",
       "GridSample", grid_sample},
      {"grid_sampler_2d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool "
       "align_corners) -> Tensor",
       "GridSample", grid_sample},
      {"grid_sampler_3d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool "
       "align_corners) -> Tensor",
       "GridSample", grid_sample},
      {"affine_grid_generator(Tensor theta, int[] size, bool align_corners) -> Tensor",
       "AffineGrid", affine_grid},
  };
}

}  // namespace mnn::torch
