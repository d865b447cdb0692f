/// \file
/// Laws that many entries share. Each function gives what `Builder::standard` adds to an entry.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "proofs/engine/entry.hpp"

namespace etalon::laws {

using AddLaw = std::function<void(Entry&)>;

/// Two forms are equal on all drawn cases. Decided in `PrimeField` and `Rational` where both can be read
/// there, else in `RationalExp2`, else in `Bounded<Real50>`: the first arithmetic that decides.
AddLaw same(std::string form, std::string other);

/// Running the tokens in two parts, the second from the state that the first left, gives what one run gives.
/// \param along the size that counts tokens, the first axis of every input and output that has one entry a
/// token \param carry for each output that is a state, the input that it becomes
AddLaw split(std::string form, std::string along, std::map<std::string, std::string> carry);

/// No output depends on a later token: a run on the first tokens gives the first outputs.
AddLaw causal(std::string form, std::string along);

/// <g, J dx> = <J^T g, dx> for random dx and g, with J dx by dual numbers and J^T g by the backward form.
AddLaw gradient(std::string forward, std::string backward);

/// Adds what follows from any registration: every input matters, stated costs and depths hold, every form
/// stays within its derived rounding budget in every number format, and two precisions agree on the oracle's
/// digits.
void add_standard(Entry& entry);

}  // namespace etalon::laws
