/// \file
/// The checks of arguments that all parts of the fast path share. Every core checks all that it was given
/// before it writes anything; what is wrong becomes an `Error` that names the function, the argument, what
/// was given and what is expected.
///
///     const Checker check{"delta_rule"};
///     check.tensor("q", call.q, {Type::float32});
///     check.shape("k", call.k, call.q.shape, "q");
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "fast/etalon_fast.hpp"

namespace etalon::fast {

/// Batch, time, head, dim.
using Extents = std::array<std::int64_t, 4>;

/// Extents as "[1, 8, 3, 64]".
std::string to_string(const Extents& extents);

/// "float32", "bfloat16", "float16", or "type 7" for what is none of them.
std::string to_string(Type type);

/// Bytes of a number.
std::int64_t bytes_of(Type type);

/// Checks the arguments of one function. Every check throws `Error` where it fails.
struct Checker {
  std::string_view function;  ///< what the messages start with, such as "attention"

  /// Throws "function: message".
  [[noreturn]] void fail(const std::string& message) const;

  /// Throws "function: argument is GIVEN, expected EXPECTED" unless `holds`.
  void require(bool holds, std::string_view argument, const std::string& given,
               std::string_view expected) const;

  /// A tensor that must be given: not null; stored as one of `types` and aligned to its numbers; every extent
  /// at least 1; dim contiguous; strides positive and such that no two elements share memory (the axes may
  /// lie in any order); all offsets within 63 bits. The stride of an axis of extent 1 is never used and may
  /// be anything.
  void tensor(std::string_view argument, const Tensor& tensor, std::initializer_list<Type> types) const;

  /// The tensor has the shape `expected`; `because` says where that comes from, such as "q".
  void shape(std::string_view argument, const Tensor& tensor, const Extents& expected,
             std::string_view because) const;

  /// `output` shares no element with `other`. Views of one buffer are told apart exactly if they have the
  /// same strides (parts of a packed [q | k | v | o]); with different strides, ranges of addresses that meet
  /// count as shared.
  void separate(std::string_view output_name, const Tensor& output, std::string_view other_name,
                const Tensor& other) const;

  /// A number that is neither infinite nor NaN.
  void finite(std::string_view argument, float value) const;

  /// Throws for a logarithm of a decay above 0 or NaN; `where` is empty or says where it is, such as " at [0,
  /// 7, 1, 0]".
  [[noreturn]] void growth(std::string_view argument, const std::string& where = "") const;

  /// At least one thread.
  void threads(const Execution& execution) const;
};

/// The arguments of core 1: q, k, v, o stored as one of `types` (all four alike), the rest float32.
void check_attention(const Checker& check, const Attention& call, std::initializer_list<Type> types);

/// The tensors of core 2: q, k, v, o stored as one of `types` (all four alike), log_decay as one of
/// `decay_types`, states float32. The values of log_decay are looked at elsewhere.
void check_decay_outer_product(const Checker& check, const DecayOuterProduct& call,
                               std::initializer_list<Type> types, std::initializer_list<Type> decay_types);

}  // namespace etalon::fast
