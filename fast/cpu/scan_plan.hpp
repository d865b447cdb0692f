/// \file
/// How the scans of core 4 cut their work. Channels do not meet in a scan, so that a task is a few vectors of
/// channels of one group and batch, and goes through the whole sequence, `kScanBlock` tokens at a time.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "fast/cpu/arena.hpp"
#include "fast/etalon_fast.hpp"
#include "fast/validate.hpp"

namespace etalon::fast::cpu {

/// Tokens whose rows are copied into scratch memory at a time: few enough to stay in the nearest cache, many
/// enough that a state stays in its register for a while.
inline constexpr std::int64_t kScanBlock = 64;

/// The sizes of one call: x is [batch, time, groups, channels], with `states` states for each channel.
struct ScanPlan {
  std::int64_t batch, time, groups, channels, states, lanes;
  std::int64_t width;  ///< channels of a task, a multiple of the lanes
  std::int64_t parts;  ///< tasks of a group
  std::int64_t tasks;
  int threads;

  ScanPlan(const Tensor& x, std::int64_t states_, std::int64_t lanes_, int asked)
      : batch(x.shape[0]),
        time(x.shape[1]),
        groups(x.shape[2]),
        channels(x.shape[3]),
        states(states_),
        lanes(lanes_) {
    // Wide tasks read long rows; four tasks a thread even out.
    constexpr std::int64_t kMostVectors = 16;
    const std::int64_t vectors = (channels - 1) / lanes + 1;
    const std::int64_t parts_wanted =
        std::max<std::int64_t>(1, 4 * static_cast<std::int64_t>(asked) / (batch * groups));
    width = std::clamp<std::int64_t>(vectors / std::min(parts_wanted, vectors), 1, kMostVectors) * lanes;
    parts = (channels - 1) / width + 1;
    tasks = batch * groups * parts;
    threads = static_cast<int>(std::min<std::int64_t>(asked, tasks));
  }
};

/// One task: which channels of which group of which batch.
struct ScanTask {
  std::int64_t batch, group, channel, channels;

  ScanTask(const ScanPlan& plan, std::int64_t index)
      : batch(index / plan.parts / plan.groups),
        group(index / plan.parts % plan.groups),
        channel(index % plan.parts * plan.width),
        channels(std::min(plan.width, plan.channels - channel)) {}

  /// The first number of the task in a tensor [b or 1, n or 1, g, channels or more], for axes of extent 1
  /// whatever their stride. `inner` is where in the last axis it starts.
  float* start(const Tensor& tensor, std::int64_t inner) const {
    return static_cast<float*>(tensor.data) + (tensor.shape[0] == 1 ? 0 : batch * tensor.stride[0]) +
           (tensor.shape[2] == 1 ? 0 : group * tensor.stride[2]) + inner;
  }
  /// The same in a tensor [b or 1, g, c, numbers of a channel].
  float* of_channel(const Tensor& tensor, std::int64_t c) const {
    return static_cast<float*>(tensor.data) + (tensor.shape[0] == 1 ? 0 : batch * tensor.stride[0]) +
           (tensor.shape[1] == 1 ? 0 : group * tensor.stride[1]) +
           (tensor.shape[2] == 1 ? 0 : (channel + c) * tensor.stride[2]);
  }
};

/// From token to token.
inline std::ptrdiff_t time_step(const Tensor& tensor) {
  return tensor.shape[1] == 1 ? 0 : tensor.stride[1];
}

/// Runs all tasks. `take(arena)` takes the scratch memory of a thread, `run(task, scratch)` runs a task.
template <class Scratch, class Take, class Run>
void for_all_tasks(const ScanPlan& plan, Take take, Run run) {
  std::vector<Scratch> scratch(static_cast<std::size_t>(plan.threads));
  const Arena arena = Arena::lay_out([&](Arena& parts) {
    for (Scratch& s : scratch) s = take(parts);
  });
#pragma omp parallel for schedule(dynamic) num_threads(plan.threads)
  for (std::int64_t task = 0; task < plan.tasks; ++task) {
    run(ScanTask(plan, task), scratch[static_cast<std::size_t>(omp_get_thread_num())]);
  }
}

}  // namespace etalon::fast::cpu
