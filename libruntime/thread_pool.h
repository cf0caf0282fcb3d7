// A persistent pool: parallel(n, f) runs f(part) for part in [0, n), the caller doing its share.
// Workers spin briefly, then sleep; what a worker has not begun when the caller is done with its
// own part the caller runs too. Parts are fixed, so results do not depend on who runs them.
#pragma once

#include <cstddef>
#include <memory>

namespace mnn {

class ThreadPool {
 public:
  // Threads in all, the caller included; 0: as many as the process may use (CPU mask and cgroup
  // quota).
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Calls fn(context, part) once for each part < parts; parts <= threads(). Allocates nothing.
  void run(int parts, void (*fn)(void* context, int part), void* context);
  template <typename F>
  void parallel(int parts, F&& f) {
    if (parts <= 1) {
      if (parts == 1) f(0);
      return;
    }
    run(
        parts, [](void* c, int part) { (*static_cast<std::remove_reference_t<F>*>(c))(part); }, &f);
  }

 private:
  struct State;
  int threads_ = 1;
  std::unique_ptr<State> state_;
};

// CPUs this process may use: affinity mask, then cgroup v1/v2 quota under `root` ("" = "/").
int usable_cpus(const char* root = "");

}  // namespace mnn
