/// \file
/// Feeds the reader of `.npy` files arbitrary bytes (libFuzzer). Whatever they are, it may only return a
/// tensor or throw `npy::Error`; anything else, and whatever the sanitizers object to, stops the run.
#include <cstddef>
#include <cstdint>
#include <span>

#include "tools/npy.hpp"

namespace {

template <class Action>
void allow_refusal(const Action& action) {
  try {
    action();
  } catch (const etalon::npy::Error&) {
  }
}

}  // namespace

/// The name that libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace etalon;
  allow_refusal([&] {
    const npy::Tensor tensor = npy::parse(std::as_bytes(std::span(data, size)), "fuzz.npy");
    allow_refusal([&] { npy::to_real(tensor); });
    allow_refusal([&] { npy::to_real(tensor, npy::U2::bfloat16); });
    allow_refusal([&] { npy::to_complex(tensor); });
    allow_refusal([&] { npy::to_index(tensor); });
  });
  return 0;
}
