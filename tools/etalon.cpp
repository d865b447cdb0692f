#include <cstdio>
#include <fmt/core.h>

#include "proofs/engine/runner.hpp"

int main(int argc, char** argv) {
  using namespace etalon;
  Selection s;
  if (argc > 1) s.entries = {argv[1]};
  if (argc > 2) s.law = argv[2];
  RunOptions o;
  int bad = 0;
  for (const Chosen& c : choose(s)) {
    const Record r = run_law(*c.entry, *c.law, *c.variant, o);
    fmt::print("{:4} {:12} {:40} {:22} cases {:6} cmp {:9} frac {:.3g} log2p {:.1f} {:.2f}s {} {}\n", r.holds ? "ok" : "FAIL", r.kind, r.law,
               r.scalar, r.cases, r.comparisons, r.worst_fraction, r.log2_error_probability, r.seconds, r.message, r.failing_case);
    bad += !r.holds;
  }
  return bad != 0;
}
