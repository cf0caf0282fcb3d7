#include "libruntime/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "libruntime/process_limits.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace mnn {
namespace {

TEST(ThreadPool, RunsEveryPartOnce) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    for (int round = 0; round < 300; ++round) {
      const int parts = round % (threads + 1);
      std::vector<int> hits(static_cast<size_t>(threads), 0);
      pool.parallel(parts, [&](int part) { ++hits[static_cast<size_t>(part)]; });
      for (int i = 0; i < threads; ++i) {
        ASSERT_EQ(hits[static_cast<size_t>(i)], i < parts ? 1 : 0) << "round " << round;
      }
    }
  }
}

TEST(ThreadPool, WakesWorkersThatFellAsleep) {
  ThreadPool pool(3);
  int total = 0;
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::vector<int> hits(3, 0);
    pool.parallel(3, [&](int part) { hits[static_cast<size_t>(part)] = part + 1; });
    total += hits[0] + hits[1] + hits[2];
  }
  EXPECT_EQ(total, 120);
}

// Many short jobs, some while workers sleep: whoever is first runs a part, nobody runs it twice.
TEST(ThreadPool, CallerAndWorkersShareShortJobs) {
  ThreadPool pool(4);
  int64_t sums[4] = {0, 0, 0, 0};
  constexpr int kJobs = 20000;
  for (int job = 0; job < kJobs; ++job) {
    if (job % 5000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.parallel(2 + job % 3, [&](int part) { sums[part] += job; });
  }
  int64_t expected[4] = {0, 0, 0, 0};
  for (int job = 0; job < kJobs; ++job) {
    for (int part = 0; part < 2 + job % 3; ++part) expected[part] += job;
  }
  for (int part = 0; part < 4; ++part) EXPECT_EQ(sums[part], expected[part]) << part;
}

TEST(ThreadPool, WaitsForASlowWorker) {
  ThreadPool pool(2);
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> done{0};
    pool.parallel(2, [&](int part) {
      if (part == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ++done;
    });
    EXPECT_EQ(done.load(), 2);
  }
}

TEST(ThreadPool, NestedAndConcurrentCallsRunInTheCaller) {
  ThreadPool pool(2);
  std::atomic<int> inner{0};
  pool.parallel(2, [&](int) { pool.parallel(2, [&](int) { ++inner; }); });
  EXPECT_EQ(inner.load(), 4);

  std::atomic<int> count{0};
  auto hammer = [&] {
    for (int i = 0; i < 3000; ++i) pool.parallel(2, [&](int) { ++count; });
  };
  std::thread other(hammer);
  hammer();
  other.join();
  EXPECT_EQ(count.load(), 12000);
}

TEST(ThreadPool, ComesAndGoesQuickly) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(4);
    int x = 0;
    pool.parallel(1, [&](int) { ++x; });
    EXPECT_EQ(x, 1);
  }
}

// A root with the given files, removed at the end.
class FakeRoot {
 public:
  FakeRoot() : path_(std::filesystem::temp_directory_path() / "mnn_cgroup_test") {
    std::filesystem::remove_all(path_);
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  void add(const std::string& file, const std::string& text) {
    const std::filesystem::path full = path_ / file;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text << "\n";
  }
  int cpus() const { return usable_cpus(path_.c_str()); }
  int64_t memory() const { return usable_memory(path_.c_str()); }

 private:
  std::filesystem::path path_;
};

TEST(UsableCpus, WithoutCgroupsTheMaskDecides) {
  const FakeRoot root;
  EXPECT_GE(root.cpus(), 1);
  EXPECT_GE(usable_cpus(), 1);
}

TEST(UsableCpus, HonoursV2QuotaOfAnyAncestor) {
  FakeRoot root;
  const int mask = root.cpus();
  root.add("proc/self/cgroup", "0::/a/b");
  root.add("sys/fs/cgroup/a/b/cpu.max", "max 100000");
  EXPECT_EQ(root.cpus(), mask);
  root.add("sys/fs/cgroup/a/cpu.max", "100000 100000");
  EXPECT_EQ(root.cpus(), 1);
  root.add("sys/fs/cgroup/a/cpu.max", "100 100000");
  EXPECT_EQ(root.cpus(), 1);
  root.add("sys/fs/cgroup/a/cpu.max", "150000 100000");  // one and a half is two
  EXPECT_EQ(root.cpus(), std::min(mask, 2));
}

TEST(UsableCpus, HonoursV1Quota) {
  FakeRoot root;
  const int mask = root.cpus();
  root.add("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/1234");
  root.add("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  root.add("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(root.cpus(), mask);
  // The container sees its own group as the mount point; the host's path does not exist there.
  root.add("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000");
  EXPECT_EQ(root.cpus(), 1);
}

TEST(UsableCpus, IgnoresGarbage) {
  FakeRoot root;
  const int mask = root.cpus();
  root.add("proc/self/cgroup", "garbage\n0::\n::::\n0::/x");
  root.add("sys/fs/cgroup/x/cpu.max", "-5 0");
  root.add("sys/fs/cgroup/cpu.max", "lots");
  EXPECT_EQ(root.cpus(), mask);
}

TEST(UsableMemory, HonoursCgroups) {
  FakeRoot root;
  const int64_t machine = root.memory();
  EXPECT_GT(machine, 1 << 20);
  root.add("proc/self/cgroup", "0::/a");
  root.add("sys/fs/cgroup/a/memory.max", "max");
  EXPECT_EQ(root.memory(), machine);
  root.add("sys/fs/cgroup/memory.max", "1048576");
  EXPECT_EQ(root.memory(), 1048576);
  root.add("proc/self/cgroup", "7:memory:/b");
  root.add("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(root.memory(), machine);
  root.add("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "4096");
  EXPECT_EQ(root.memory(), 4096);
}

#if defined(__linux__)
TEST(UsableCpus, HonoursTheAffinityMask) {
  cpu_set_t old;
  ASSERT_EQ(sched_getaffinity(0, sizeof(old), &old), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &old)) {
      CPU_SET(cpu, &one);
      break;
    }
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(usable_cpus(), 1);
  EXPECT_EQ(ThreadPool().threads(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof(old), &old), 0);
}
#endif

}  // namespace
}  // namespace mnn
