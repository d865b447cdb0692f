// What the laws of l_mul do not reach: narrowing of single codes, and widths that cannot be.
#include "reference/approximation/l_mul.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "reference/scalar/small_float.hpp"

namespace etalon::l_mul {
namespace {

TEST(LMulText, NarrowingCarriesAndLeavesSpecialValues) {
  EXPECT_EQ(round_to_mantissa(0x3FFFFFFF, 3), 0x40000000) << "a carry into the exponent";
  EXPECT_EQ(round_to_mantissa(0x3F880000, 3), 0x3F800000) << "a tie to even, down";
  EXPECT_EQ(round_to_mantissa(0x3F980000, 3), 0x3FA00000) << "a tie to even, up";
  EXPECT_EQ(round_to_mantissa(0xBF980000, 3), 0xBFA00000);
  EXPECT_EQ(truncate_to_mantissa(0x3F9FFFFF, 3), 0x3F900000);
  EXPECT_EQ(round_to_mantissa(0x3F800001, 23), 0x3F800001);
  EXPECT_EQ(truncate_to_mantissa(0x3F800001, 23), 0x3F800001);
  EXPECT_EQ(round_to_mantissa(0x7F7FFFFF, 22), 0x7F800000) << "beyond the largest number";
  EXPECT_EQ(round_to_mantissa(0x7F800001, 3), 0x7F800001) << "NaN stays NaN";
  EXPECT_EQ(truncate_to_mantissa(0xFF800001, 3), 0xFF800001);
}

/// All floats that are bfloat16 numbers: rounding to 7 bits is the identity there, and elsewhere what
/// bfloat16 does.
TEST(LMulText, RoundingTo7BitsIsBFloat16) {
  for (Code code = 0; code < 0x7F800000; code += 4093) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(code));
    ASSERT_EQ(round_to_mantissa(code, 7), Code{BFloat16::encode(value)} << 16) << code;
  }
}

TEST(LMulText, RejectsImpossibleWidths) {
  EXPECT_THROW(multiply(1, 1, 0), std::invalid_argument);
  EXPECT_THROW(multiply(1, 1, 24), std::invalid_argument);
}

}  // namespace
}  // namespace etalon::l_mul
