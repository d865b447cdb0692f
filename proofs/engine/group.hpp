/// \file
/// What every entry includes: the engine, and the builder for the group of number types that is being
/// compiled.
#pragma once

#include "proofs/engine/entry.hpp"
#include "proofs/engine/instances.hpp"
#include "proofs/engine/law_tools.hpp"
#include "proofs/engine/laws.hpp"
#include "reference/scalar/lmul.hpp"

// The one macro of the engine: the group that is being compiled. An entry opened in an editor stands in the
// first.
#ifndef ETALON_GROUP
#define ETALON_GROUP laws
#endif
namespace etalon {
namespace {
using EntryBuilder = group::ETALON_GROUP;
using namespace law_tools;
}  // namespace
}  // namespace etalon
