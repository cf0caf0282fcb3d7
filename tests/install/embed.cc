// An app that embeds the library: runs a model on zeros and prints the dims of its outputs.
#include <cstdio>
#include <cstring>

#include "libconvert/convert.h"
#include "libruntime/session.h"

int main(int argc, char** argv) {
  auto model = mnn::import_model(argv[argc - 1], {});
  if (!model.ok()) return std::puts(model.status().message().c_str()), 1;
  auto session = mnn::Session::create(std::move(model->graph), {});
  if (!session.ok()) return std::puts(session.status().message().c_str()), 1;
  mnn::Session& s = **session;
  if (const mnn::Status prepared = s.prepare(); !prepared.ok()) {
    return std::puts(prepared.message().c_str()), 1;
  }
  for (size_t i = 0; i < s.graph().inputs.size(); ++i) {
    std::memset(s.input(i).raw(), 0, static_cast<size_t>(s.input(i).bytes()));
  }
  if (const mnn::Status ran = s.run(); !ran.ok()) return std::puts(ran.message().c_str()), 1;
  for (size_t i = 0; i < s.graph().outputs.size(); ++i) {
    std::printf("%s %s\n", s.graph().value(s.graph().outputs[i]).name.c_str(),
                s.output(i).type_str().c_str());
  }
}
