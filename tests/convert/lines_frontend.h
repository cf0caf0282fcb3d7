// A front end of a made-up format, one line a node: what a front end is when the kit does the rest.
//
//   lines                      the first line of a model file; in a folder it is called net.lines
//   input NAME DIM,DIM         dims are numbers or names
//   weights NAME FILE          floats in a side file, one a line
//   OP RESULT INPUT…           a node
//   If RESULT CONDITION        then the lines of one branch, "else", those of the other, "end"
//   output NAME
#pragma once

#include "libconvert/convert.h"

namespace mnn::testing {

Frontend lines_frontend();

}  // namespace mnn::testing
