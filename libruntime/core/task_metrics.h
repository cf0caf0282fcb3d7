// Figures of what a model is for, beside the SNR of its outputs: how often the best class, the best
// few, the boxes or the text stay the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// Compares the outputs of one model with those of another, sample by sample. The value is a share
// in [0, 1], 1 where all is the same or there was nothing to find.
class TaskMetric {
 public:
  virtual ~TaskMetric() = default;
  // One tensor per output of the graph. Fails where the output has not the axes the metric needs.
  virtual Status add(const std::vector<Tensor>& reference, const std::vector<Tensor>& test) = 0;
  virtual double value() const = 0;
};

// - "argmax[:OUTPUT]": share of rows along the last axis with the same largest element;
// - "topK[:OUTPUT]", such as top5: mean share of the K largest elements of a row that are among the
//   K largest of the other;
// - "ctc[:OUTPUT][,blank=B]": share of equal characters: 1 - edit distance / length of the longer
//   text, summed over the texts. Texts are the best classes of [T, classes] or [N, T, classes],
//   repeats joined and B (default 0) left out;
// - "detections:SLICE=cxcywh|xyxy|xywh,SLICE=scores[,iou=0.5][,score=0.25]": share of boxes found
//   in both, 2 matched / (boxes of one + boxes of the other). A box counts when its best score
//   reaches `score`; matched are boxes of one class from the best score down, each once, with the
//   given intersection over union or more. Slices are [4, boxes] and [classes, boxes] or the
//   transposed of each (of one sample; a batch axis of 1 in front).
// OUTPUT is an output's name, by default the first.
Result<std::unique_ptr<TaskMetric>> make_metric(const Graph& graph, const std::string& spec);

}  // namespace mnn
