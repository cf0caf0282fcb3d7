// How many CPUs and how much memory this process may use: what the machine has, its affinity mask
// and the limits of its cgroups.
#include "libruntime/process_limits.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "libruntime/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__)
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace mnn {
namespace {

int cpus_in_mask() {
#if defined(__linux__)
  // The kernel refuses a set smaller than its own: grow until it fits.
  for (size_t count = 1024; count <= (size_t{1} << 20); count *= 2) {
    std::vector<cpu_set_t> set(count / CPU_SETSIZE);
    const size_t bytes = set.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, set.data()) == 0) {
      return std::max(1, CPU_COUNT_S(bytes, set.data()));
    }
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// The first line of a small file; empty when there is none.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<int64_t> parse_int(const std::string& text) {
  std::istringstream stream(text);
  int64_t value = 0;
  if (stream >> value) return value;
  return std::nullopt;
}

// Whole CPUs for `quota` microseconds in every `period`, rounded up.
std::optional<int64_t> cpus_of(std::optional<int64_t> quota, std::optional<int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return std::max<int64_t>(1, *quota / *period + (*quota % *period != 0));
}

// cgroup v2: "MAX PERIOD", where MAX may be "max".
std::optional<int64_t> quota_v2(const std::string& folder) {
  std::istringstream line(first_line(folder + "/cpu.max"));
  std::string quota, period;
  line >> quota >> period;
  return cpus_of(parse_int(quota), parse_int(period));
}

std::optional<int64_t> quota_v1(const std::string& folder) {
  return cpus_of(parse_int(first_line(folder + "/cpu.cfs_quota_us")),
                 parse_int(first_line(folder + "/cpu.cfs_period_us")));
}

std::optional<int64_t> memory_v2(const std::string& folder) {
  return parse_int(first_line(folder + "/memory.max"));
}

std::optional<int64_t> memory_v1(const std::string& folder) {
  return parse_int(first_line(folder + "/memory.limit_in_bytes"));
}

// The least limit of the group and of all groups above it. Inside a container the path of the host
// often does not exist; then only the mount point answers.
template <typename Limit>
void apply_groups(const std::string& mount, std::string path, Limit limit, int64_t& least) {
  for (;;) {
    if (const auto l = limit(mount + path); l && *l > 0) least = std::min(least, *l);
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return;
    path.resize(slash);
  }
}

bool lists(const std::string& controllers, std::string_view wanted) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == wanted) return true;
  }
  return false;
}

// Lowers `least` to the limits of every cgroup this process is in.
template <typename LimitV1, typename LimitV2>
void apply_cgroups(const char* root, std::string_view controller, LimitV1 v1, LimitV2 v2,
                   int64_t& least) {
  const std::string base = std::string(root) + "/sys/fs/cgroup";
  // Lines "id:controllers:path"; v2 has id 0 and no controllers.
  std::ifstream groups(std::string(root) + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers.empty()) {
      apply_groups(base, path, v2, least);
      apply_groups(base + "/unified", path, v2, least);
    } else if (lists(controllers, controller)) {
      const std::string alone = "/" + std::string(controller);
      apply_groups(base + alone, path, v1, least);
      if (controllers != controller) apply_groups(base + "/" + controllers, path, v1, least);
    }
  }
}

}  // namespace

int usable_cpus(const char* root) {
  int64_t cpus = cpus_in_mask();
  apply_cgroups(root, "cpu", quota_v1, quota_v2, cpus);
  return static_cast<int>(cpus);
}

int64_t usable_memory(const char* root) {
  int64_t bytes = std::numeric_limits<int64_t>::max();
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
  const int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  int64_t all = 0;
  if (pages > 0 && size > 0 && !__builtin_mul_overflow(pages, size, &all)) bytes = all;
#endif
#if defined(__unix__)
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < static_cast<rlim_t>(bytes)) {
    bytes = static_cast<int64_t>(limit.rlim_cur);
  }
#endif
  apply_cgroups(root, "memory", memory_v1, memory_v2, bytes);
  return bytes;
}

}  // namespace mnn
