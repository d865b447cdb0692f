/// \file
/// Which entry a mutant program was compiled with.
#pragma once

#include <string>

namespace etalon {

/// The entry that the last registration of a mutant replaced; empty in an ordinary program.
std::string& mutated_entry();

}  // namespace etalon
