#include "libruntime/thread_pool.h"

#include <atomic>
#include <cassert>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace mnn {
namespace thread_pool_detail {

// Measured: a barrier met while spinning costs 70 ns, one through the kernel 16 us; but a busy
// machine must get its core back soon.
constexpr int kSpins = 4000;

void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#else
  std::this_thread::yield();
#endif
}

using Word = std::atomic<uint32_t>;

// Sleeps while `word` holds `value`; may return early.
void sleep_while(Word& word, uint32_t value) {
#if defined(__linux__)
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
  word.wait(value);
#endif
}

void wake(Word& word) {
#if defined(__linux__)
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
#else
  word.notify_one();
#endif
}

// A word one thread waits on. The waiter announces that it sleeps, so that whoever changes the word
// makes the system call only then. Both sides store first and load second, sequentially
// consistent: one of them sees the other.
struct alignas(64) Signal {
  Word word{0};
  std::atomic<bool> asleep{false};

  template <typename Done>
  void wait_until(Done done) {
    for (int i = 0; i < kSpins; ++i) {
      if (done(word.load(std::memory_order_acquire))) return;
      pause_cpu();
    }
    asleep.store(true, std::memory_order_seq_cst);
    for (;;) {
      const uint32_t seen = word.load(std::memory_order_seq_cst);
      if (done(seen)) break;
      sleep_while(word, seen);
    }
    asleep.store(false, std::memory_order_relaxed);
  }
  void wake_if_asleep() {
    if (asleep.load(std::memory_order_seq_cst)) wake(word);
  }
};

}  // namespace thread_pool_detail

using namespace thread_pool_detail;

struct ThreadPool::State {
  struct Worker {
    Signal start;   // counts the jobs this worker was given a part of
    Word taken{0};  // the last of them whose part somebody runs
    std::thread thread;
    // True for the one thread that is to run the part of job `job`: this worker, or the caller when
    // the worker has not woken by the time the caller is done. On a busy machine that may be long.
    bool take(uint32_t job) {
      uint32_t before = job - 1;
      return taken.compare_exchange_strong(before, job, std::memory_order_acq_rel);
    }
  };

  std::vector<std::unique_ptr<Worker>> workers;  // worker i runs part i + 1
  Signal running;                                // workers that have not finished the job
  std::atomic<bool> busy{false};
  std::atomic<bool> stop{false};
  // The job. Written while no worker runs, read only by the workers that have taken their part.
  void (*fn)(void*, int) = nullptr;
  void* context = nullptr;

  void work(Worker& self, int part) {
    for (uint32_t seen = 0;;) {
      self.start.wait_until([&](uint32_t value) { return value != seen; });
      if (stop.load(std::memory_order_relaxed)) return;
      seen = self.start.word.load(std::memory_order_acquire);
      if (!self.take(seen)) continue;
      fn(context, part);
      // The last one wakes the caller; after the subtraction the pool may already be reused, but
      // not destroyed, for that joins this thread.
      if (running.word.fetch_sub(1, std::memory_order_seq_cst) == 1) running.wake_if_asleep();
    }
  }

  static void start_worker(Worker& worker) {
    worker.start.word.fetch_add(1, std::memory_order_seq_cst);
    worker.start.wake_if_asleep();
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int wanted = threads > 0 ? threads : usable_cpus();
  for (int part = 1; part < wanted; ++part) {
    auto worker = std::make_unique<State::Worker>();
    try {
      // The new thread inherits the caller's CPU mask.
      worker->thread =
          std::thread([s = state_.get(), w = worker.get(), part] { s->work(*w, part); });
    } catch (const std::exception&) {
      break;  // the system gives no more threads: fewer do the work
    }
    state_->workers.push_back(std::move(worker));
  }
  threads_ = static_cast<int>(state_->workers.size()) + 1;
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_relaxed);
  for (auto& worker : state_->workers) State::start_worker(*worker);
  for (auto& worker : state_->workers) worker->thread.join();
}

void ThreadPool::run(int parts, void (*fn)(void* context, int part), void* context) {
  assert(parts <= threads_);
  State& s = *state_;
  // From inside a part, or while another thread uses the pool: the caller does it all.
  if (parts <= 1 || s.busy.exchange(true, std::memory_order_acquire)) {
    for (int part = 0; part < parts; ++part) fn(context, part);
    return;
  }
  s.fn = fn;
  s.context = context;
  s.running.word.store(static_cast<uint32_t>(parts - 1), std::memory_order_relaxed);
  for (int part = 1; part < parts; ++part) {
    State::start_worker(*s.workers[static_cast<size_t>(part - 1)]);
  }
  fn(context, 0);
  for (int part = 1; part < parts; ++part) {
    State::Worker& worker = *s.workers[static_cast<size_t>(part - 1)];
    if (!worker.take(worker.start.word.load(std::memory_order_relaxed))) continue;
    fn(context, part);
    s.running.word.fetch_sub(1, std::memory_order_relaxed);
  }
  s.running.wait_until([](uint32_t value) { return value == 0; });
  s.busy.store(false, std::memory_order_release);
}

}  // namespace mnn
