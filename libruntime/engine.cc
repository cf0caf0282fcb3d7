#include "libruntime/engine.h"

#include <mutex>

#include "libruntime/compile/registry.h"
#include "libruntime/kernels/weights.h"
#include "libruntime/thread_pool.h"

namespace mnn {

struct Engine::Impl {
  explicit Impl(const EngineOptions& o) : options(o), weights(o.plan_only), pool(o.threads) {}

  const EngineOptions options;
  WeightsCache weights;
  ThreadPool pool;
  std::mutex mutex;  // of `backends`
  std::map<std::string, std::unique_ptr<Backend>> backends;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::shared_ptr<Engine>> Engine::create(const EngineOptions& options) {
  if (options.threads < 0) {
    return usage_error("expected 0 or more threads, found " + std::to_string(options.threads));
  }
  MNN_RETURN_IF_ERROR(check_options(options.backend_options));
  std::shared_ptr<Engine> engine(new Engine(std::make_unique<Impl>(options)));
  for (const auto& [name, settings] : options.backend_options) {
    MNN_RETURN_IF_ERROR(engine->backend(name).status());
  }
  return engine;
}

Result<const Backend*> Engine::backend(const std::string& name) {
  const std::lock_guard lock(impl_->mutex);
  const auto known = impl_->backends.find(name);
  if (known != impl_->backends.end()) return known->second.get();
  const auto settings = impl_->options.backend_options.find(name);
  MNN_ASSIGN_OR_RETURN(
      std::unique_ptr<Backend> opened,
      open_backend(name, settings == impl_->options.backend_options.end() ? BackendSettings()
                                                                          : settings->second));
  return impl_->backends.emplace(name, std::move(opened)).first->second.get();
}

bool Engine::plan_only() const { return impl_->options.plan_only; }
ThreadPool& Engine::pool() { return impl_->pool; }
WeightsCache& Engine::weights() { return impl_->weights; }
int64_t Engine::packed_bytes() const { return impl_->weights.bytes(); }

}  // namespace mnn
