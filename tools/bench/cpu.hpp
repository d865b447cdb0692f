/// \file
/// The parts of `etalon_bench`: each file registers the benchmarks of its cores.
#pragma once

namespace etalon::bench {

/// Cores 2, 3 and 4: cpu_recurrent.cpp.
void register_recurrent();

}  // namespace etalon::bench
