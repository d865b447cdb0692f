/// \file
/// The number types that forms are read in: their names, their groups, and what the engine must know of each.
#pragma once

#include <array>
#include <string_view>
#include <type_traits>

#include "reference/scalar/bounded.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/counted.hpp"
#include "reference/scalar/degree.hpp"
#include "reference/scalar/dual.hpp"
#include "reference/scalar/mixed.hpp"
#include "reference/scalar/prime_field.hpp"
#include "reference/scalar/rational.hpp"
#include "reference/scalar/rational_exp2.hpp"
#include "reference/scalar/real.hpp"
#include "reference/scalar/small_float.hpp"
#include "reference/scalar/traced.hpp"

namespace etalon {

/// Named here only, because `reference/scalar/lmul.hpp` is made of an algorithm's text, which no mutant of it
/// must meet in the headers that all mutants share.
class LMul;

template <class... Ts>
struct TypeList {};

/// An entry is compiled once for each group, so that the work spreads over compiler processes and none of
/// them grows large. The laws are compiled with the first group only.
using MachineScalars = TypeList<double, float, Counted<double>, Traced>;
using ExactScalars =
    TypeList<PrimeField, Degree, Rational, RationalExp2, Dual<PrimeField>, Dual<Degree>, Dual<RationalExp2>>;
using OracleScalars = TypeList<Real50, Real100, Bounded<Real50>, Dual<Bounded<Real50>>>;
using StorageScalars = TypeList<BFloat16, Float16, E4M3, E5M2, Mixed<BFloat16, float>, Mixed<Float16, float>,
                                Mixed<E4M3, float>, LMul>;
/// What a mutant is read in: enough to decide the laws that could catch it, and quick to compile.
using MutantScalars = TypeList<Counted<double>, PrimeField, RationalExp2, Bounded<Real50>>;
/// What a mutant is read in that only a gradient law can catch, and the control.
using MutantGradientScalars = TypeList<Counted<double>, PrimeField, RationalExp2, Dual<PrimeField>,
                                       Dual<RationalExp2>, Bounded<Real50>>;

template <class T, class List>
inline constexpr bool contains = false;
template <class T, class... Ts>
inline constexpr bool contains<T, TypeList<Ts...>> = (std::is_same_v<T, Ts> || ...);

/// The name of a number type, as the command line and the reports spell it.
template <class T>
inline constexpr std::string_view scalar_name = "";
template <>
inline constexpr std::string_view scalar_name<double> = "double";
template <>
inline constexpr std::string_view scalar_name<float> = "float";
template <>
inline constexpr std::string_view scalar_name<Counted<double>> = "Counted";
template <>
inline constexpr std::string_view scalar_name<Traced> = "Traced";
template <>
inline constexpr std::string_view scalar_name<PrimeField> = "PrimeField";
template <>
inline constexpr std::string_view scalar_name<Degree> = "Degree";
template <>
inline constexpr std::string_view scalar_name<Rational> = "Rational";
template <>
inline constexpr std::string_view scalar_name<RationalExp2> = "RationalExp2";
template <>
inline constexpr std::string_view scalar_name<Dual<PrimeField>> = "Dual<PrimeField>";
template <>
inline constexpr std::string_view scalar_name<Dual<Degree>> = "Dual<Degree>";
template <>
inline constexpr std::string_view scalar_name<Dual<RationalExp2>> = "Dual<RationalExp2>";
template <>
inline constexpr std::string_view scalar_name<Dual<Bounded<Real50>>> = "Dual<Bounded<Real50>>";
template <>
inline constexpr std::string_view scalar_name<Real50> = "Real50";
template <>
inline constexpr std::string_view scalar_name<Real100> = "Real100";
template <>
inline constexpr std::string_view scalar_name<Bounded<Real50>> = "Bounded<Real50>";
template <>
inline constexpr std::string_view scalar_name<BFloat16> = "BFloat16";
template <>
inline constexpr std::string_view scalar_name<Float16> = "Float16";
template <>
inline constexpr std::string_view scalar_name<E4M3> = "E4M3";
template <>
inline constexpr std::string_view scalar_name<E5M2> = "E5M2";
template <>
inline constexpr std::string_view scalar_name<Mixed<BFloat16, float>> = "Mixed<BFloat16,float>";
template <>
inline constexpr std::string_view scalar_name<Mixed<Float16, float>> = "Mixed<Float16,float>";
template <>
inline constexpr std::string_view scalar_name<Mixed<E4M3, float>> = "Mixed<E4M3,float>";
template <>
inline constexpr std::string_view scalar_name<LMul> = "LMul";

/// True when one of the number types has that name.
template <class... Ts>
bool has_name(TypeList<Ts...>, std::string_view name) {
  return ((scalar_name<Ts> == name) || ...);
}

/// All of them, in the order of the reports.
inline constexpr std::array kScalarNames{scalar_name<PrimeField>,
                                         scalar_name<Rational>,
                                         scalar_name<RationalExp2>,
                                         scalar_name<Real50>,
                                         scalar_name<Real100>,
                                         scalar_name<Bounded<Real50>>,
                                         scalar_name<Dual<PrimeField>>,
                                         scalar_name<Dual<Degree>>,
                                         scalar_name<Dual<RationalExp2>>,
                                         scalar_name<Dual<Bounded<Real50>>>,
                                         scalar_name<Degree>,
                                         scalar_name<Counted<double>>,
                                         scalar_name<Traced>,
                                         scalar_name<double>,
                                         scalar_name<float>,
                                         scalar_name<Mixed<Float16, float>>,
                                         scalar_name<Mixed<BFloat16, float>>,
                                         scalar_name<Mixed<E4M3, float>>,
                                         scalar_name<Float16>,
                                         scalar_name<BFloat16>,
                                         scalar_name<E4M3>,
                                         scalar_name<E5M2>,
                                         scalar_name<LMul>};

/// True where equality of two results is decided by `==`.
template <class T>
inline constexpr bool is_exact =
    std::is_same_v<T, PrimeField> || std::is_same_v<T, Rational> || std::is_same_v<T, RationalExp2>;

}  // namespace etalon
