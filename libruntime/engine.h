// What sessions share: the threads, the backends and their devices, and packed weights.
//   auto engine = Engine::create(options);
//   auto a = Session::create(graph, *engine, {"cpu"}), b = Session::create(other, *engine,
//   {"cpu"});
// A constant that several of them use is packed once.
//
// Threads. An engine may be used from any number of threads at once: sessions of one engine may be
// created, prepared, run and destroyed on different threads. When two run at the same moment, one
// has the pool and the other computes on its own thread alone until the pool is free; the results
// are the same bits. A session itself is not re-entrant: only one thread at a time may call it. The
// bytes of constants must not change once a session has been given them.
#pragma once

#include <memory>
#include <string>

#include "libruntime/compile/backend_options.h"
#include "libruntime/core/status.h"

namespace mnn {

class Backend;
class ThreadPool;
class WeightsCache;

struct EngineOptions {
  int threads = 1;  // 0: all the process may use
  BackendOptions backend_options;
  // Sessions plan, and only reserve what they would pack: what they hold and run can be told of a
  // model of any size, and none can be run.
  bool plan_only = false;
};

class Engine {
 public:
  // kUsage for a negative number of threads, and for options of a backend that does not exist or
  // does not take them. Backends with options are opened at once, others when the first session
  // asks for them.
  static Result<std::shared_ptr<Engine>> create(const EngineOptions& options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Lives as long as the engine.
  Result<const Backend*> backend(const std::string& name);
  bool plan_only() const;
  ThreadPool& pool();
  WeightsCache& weights();
  // Of all sessions, what they share counted once.
  int64_t packed_bytes() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mnn
