/// \file
/// The reader and writer of `.npy` files: against files that NumPy wrote, against hostile files, and on
/// failing file systems.
#include "tools/npy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <source_location>

namespace etalon::npy {
namespace {

namespace fs = std::filesystem;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

fs::path data_folder() {
  return fs::path(std::source_location::current().file_name()).parent_path() / "../data";
}

fs::path golden(const std::string& name) {
  return data_folder() / "npy" / (name + ".npy");
}

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Equal bit for bit, so that the sign of zero counts; one NaN is as good as another.
void expect_identical(const Array<double>& given, const Shape& shape, const std::vector<double>& expected) {
  ASSERT_EQ(given.shape(), shape);
  ASSERT_EQ(given.values().size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double value = given.values()[i];
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(value)) << "element " << i;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(value), std::bit_cast<std::uint64_t>(expected[i]))
          << "element " << i << " is " << value << ", expected " << expected[i];
    }
  }
}

template <class T>
std::vector<T> list(const Array<T>& array) {
  return {array.values().begin(), array.values().end()};
}

/// A folder that is gone with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = testing::TempDir() + "/npy_test_XXXXXX";
    path_ = ::mkdtemp(name.data());
    fs::permissions(path_, fs::perms(0755));
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  fs::path operator/(const std::string& name) const { return path_ / name; }
  std::size_t file_count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

/// What `action` complains of; it must, and in one line.
template <class Action>
std::string complaint(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  return "no complaint";
}

std::string complaint_of_file(const std::string& file) {
  return complaint([&] { parse(std::as_bytes(std::span(file)), "x.npy"); });
}

/// A file of version 1.0 with this dictionary, correct as far as the dictionary is.
std::string file_with(const std::string& dictionary, std::size_t data_size = 0) {
  const std::string header = dictionary + "\n";
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() % 256);
  file += static_cast<char>(header.size() / 256);
  return file + header + std::string(data_size, '\0');
}

std::string complaint_of(const std::string& dictionary, std::size_t data_size = 0) {
  return complaint_of_file(file_with(dictionary, data_size));
}

std::string complaint_of_shape(const std::string& shape) {
  return complaint_of("{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }");
}

std::string complaint_of_descr(const std::string& descr) {
  return complaint_of("{'descr': " + descr + ", 'fortran_order': False, 'shape': (), }");
}

TEST(NpyGolden, DoublesOfEveryVersion) {
  for (const std::string name : {"f8", "f8_version2", "f8_version3"}) {
    const Tensor tensor = read(golden(name));
    EXPECT_EQ(tensor.type, ElementType::f8);
    EXPECT_EQ(tensor.name, golden(name).string());
    expect_identical(
        to_real(tensor), {3, 4},
        {0.0, -0.0, 1.0, -2.5, 0.1, 1.0 / 3, 1e300, 5e-324, kInfinity, -kInfinity, kNan, 9007199254740994.0});
  }
}

TEST(NpyGolden, Floats) {
  expect_identical(to_real(read(golden("f4"))), {8},
                   {0.0, -0.0, 1.0, 0.1f, std::numeric_limits<float>::max(),
                    std::numeric_limits<float>::denorm_min(), kInfinity, kNan});
}

TEST(NpyGolden, Halves) {
  expect_identical(to_real(read(golden("f2"))), {14},
                   {0.0, -0.0, 1.0, -1.0, 0.333251953125, 0x1p-24, 1023 * 0x1p-24, 0x1p-14, 65504.0, -65504.0,
                    kInfinity, -kInfinity, kNan, kNan});
}

TEST(NpyGolden, BFloat16IsU2ReadOtherwise) {
  const Tensor tensor = read(golden("bfloat16_as_u2"));
  expect_identical(to_real(tensor, U2::bfloat16), {10},
                   {0.0, -0.0, 1.0, -1.5, 3.140625, 0x1p-133, 0x1.fep127, kInfinity, -kInfinity, kNan});
  expect_identical(to_real(tensor), {10}, {0, 32768, 16256, 49088, 16457, 1, 32639, 32640, 65408, 32704});
  EXPECT_EQ(list(to_complex(tensor, U2::bfloat16))[4], Complex<double>(3.140625));
}

TEST(NpyGolden, TheMeaningOfU2LeavesOtherTypesAlone) {
  EXPECT_EQ(list(to_real(read(golden("i2")), U2::bfloat16)), list(to_real(read(golden("i2")))));
}

TEST(NpyGolden, ComplexNumbers) {
  const Array<Complex<double>> wide = to_complex(read(golden("c16")));
  EXPECT_EQ(wide.shape(), (Shape{2, 2}));
  EXPECT_EQ(list(wide), (std::vector<Complex<double>>{{1, 2}, {0, -0.5}, {kInfinity, 0.1}, {3, 0}}));
  const Array<Complex<double>> narrow = to_complex(read(golden("c8")));
  EXPECT_EQ(list(narrow), (std::vector<Complex<double>>{{1, 2}, {0, -0.5}, {0.1f, 0.25}}));
  const Array<Complex<double>> real = to_complex(read(golden("i1")));
  EXPECT_EQ(list(real), (std::vector<Complex<double>>{-128, -1, 0, 1, 127}));
}

template <class T>
void expect_integers(const std::string& name, const std::vector<T>& values) {
  const Tensor tensor = read(golden(name));
  EXPECT_EQ(to_string(tensor.type), name);
  EXPECT_EQ(list(to_index(tensor)), std::vector<Index>(values.begin(), values.end())) << name;
  if (sizeof(T) < 8) {
    EXPECT_EQ(list(to_real(tensor)), std::vector<double>(values.begin(), values.end())) << name;
  }
}

template <class T>
void expect_extremes(const std::string& name) {
  using Limits = std::numeric_limits<T>;
  if constexpr (Limits::is_signed) {
    expect_integers<T>(name, {Limits::min(), -1, 0, 1, Limits::max()});
  } else {
    expect_integers<T>(name, {0, 1, Limits::max()});
  }
}

TEST(NpyGolden, IntegersOfEveryWidth) {
  expect_extremes<std::int8_t>("i1");
  expect_extremes<std::int16_t>("i2");
  expect_extremes<std::int32_t>("i4");
  expect_extremes<std::int64_t>("i8");
  expect_extremes<std::uint8_t>("u1");
  expect_extremes<std::uint16_t>("u2");
  expect_extremes<std::uint32_t>("u4");
}

TEST(NpyGolden, Booleans) {
  const Tensor tensor = read(golden("b1"));
  EXPECT_EQ(list(to_index(tensor)), (std::vector<Index>{1, 0, 1}));
  expect_identical(to_real(tensor), {1, 3}, {1, 0, 1});
}

TEST(NpyGolden, ShapesFromNoneToFourAxes) {
  expect_identical(to_real(read(golden("single_number"))), {}, {6.25});
  expect_identical(to_real(read(golden("empty_0x3"))), {0, 3}, {});
  const Array<double> four = to_real(read(golden("four_axes")));
  EXPECT_EQ(four.shape(), (Shape{2, 1, 3, 4}));
  EXPECT_EQ(four(1, 0, 2, 3), 23.0);
  EXPECT_EQ(four(1, 0, 0, 1), 13.0);
}

TEST(NpyGolden, WritingGivesTheBytesOfNumPy) {
  const TemporaryFolder folder;
  for (const std::string name : {"f8", "single_number", "empty_0x3", "four_axes"}) {
    write(folder / "out.npy", to_real(read(golden(name))));
    EXPECT_EQ(contents(folder / "out.npy"), contents(golden(name))) << name;
  }
  for (const std::string name : {"i8", "i8_2x3"}) {
    write(folder / "out.npy", to_index(read(golden(name))));
    EXPECT_EQ(contents(folder / "out.npy"), contents(golden(name))) << name;
  }
  write(folder / "out.npy", to_complex(read(golden("c16"))));
  EXPECT_EQ(contents(folder / "out.npy"), contents(golden("c16")));
  EXPECT_EQ(folder.file_count(), 1u);
}

RC_GTEST_PROP(Npy, WhatIsWrittenIsReadBack, ()) {
  const TemporaryFolder folder;
  const auto axes = *rc::gen::inRange<std::size_t>(0, 5);
  const auto shape = *rc::gen::container<Shape>(axes, rc::gen::inRange<Index>(0, 6));
  const auto count = static_cast<std::size_t>(element_count(shape));
  const auto numbers = *rc::gen::container<std::vector<Index>>(count, rc::gen::arbitrary<Index>());

  write(folder / "integers.npy", Array<Index>(shape, numbers));
  const Array<Index> integers = to_index(read(folder / "integers.npy"));
  RC_ASSERT(integers.shape() == shape);
  RC_ASSERT(list(integers) == numbers);

  std::vector<double> halves;
  std::vector<Complex<double>> pairs;
  for (const Index n : numbers) {
    halves.push_back(static_cast<double>(n) / 2);
    pairs.emplace_back(static_cast<double>(n), -1.0);
  }
  write(folder / "reals.npy", Array<double>(shape, halves));
  RC_ASSERT(list(to_real(read(folder / "reals.npy"))) == halves);
  write(folder / "complex.npy", Array<Complex<double>>(shape, pairs));
  RC_ASSERT(list(to_complex(read(folder / "complex.npy"))) == pairs);
}

TEST(Npy, AcceptsWhatOtherWritersWrite) {
  const std::string data(16, '\0');
  for (const std::string dictionary :
       {"{'shape':(2,),'fortran_order':False,'descr':'<f8'}",
        "{ \"descr\" : \"<f8\" , \"shape\" : ( 2 , 1 , ) , \"fortran_order\" : False , }   ",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}"}) {
    const std::string file = file_with(dictionary) + data;
    EXPECT_EQ(to_real(parse(std::as_bytes(std::span(file)), "x.npy")).size(), 2) << dictionary;
  }
}

TEST(NpyHostile, Magic) {
  EXPECT_EQ(complaint_of_file(""), R"(x.npy: file begins with '', expected '\x93NUMPY' as a .npy file does)");
  EXPECT_EQ(complaint_of_file("1,2,3\n4,5,6\n"),
            R"(x.npy: file begins with '1,2,3\x0a', expected '\x93NUMPY' as a .npy file does)");
  EXPECT_EQ(complaint_of_file(std::string("PK\x03\x04\x14\x00\x00", 7)),
            R"(x.npy: file begins with 'PK\x03\x04\x14\x00', expected '\x93NUMPY' as a .npy file does; )"
            "of a .npz archive, save each array by itself");
}

TEST(NpyHostile, Version) {
  EXPECT_EQ(complaint_of_file(std::string("\x93NUMPY\x09\x00\x10\x00", 10)),
            "x.npy: version is 9.0, expected 1.0, 2.0 or 3.0");
  EXPECT_EQ(complaint_of_file(std::string("\x93NUMPY\x01\x02\x10\x00", 10)),
            "x.npy: version is 1.2, expected 1.0, 2.0 or 3.0");
  EXPECT_EQ(complaint_of_file("\x93NUMPY\x01"),
            "x.npy: file is over after 7 bytes, expected a version and the length of a header (truncated)");
}

TEST(NpyHostile, HeaderLength) {
  EXPECT_EQ(complaint_of_file(std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12)),
            "x.npy: header length is 4294967295 bytes, expected at most 65536");
  EXPECT_EQ(complaint_of_file(std::string("\x93NUMPY\x01\x00\x76\x00{'descr'", 18)),
            "x.npy: header length is 118 bytes, expected at most the 8 that follow it (truncated)");
  EXPECT_EQ(complaint_of_file(std::string("\x93NUMPY\x03\x00\x76\x00", 10)),
            "x.npy: file is over after 10 bytes, expected a version and the length of a header (truncated)");
  EXPECT_EQ(complaint_of_file(std::string("\x93NUMPY\x01\x00\x00\x00", 10)),
            "x.npy: header is '' without a newline at its end, expected one that ends with a newline");
}

TEST(NpyHostile, TheLongestHeaderIsStillRead) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
  header += std::string(65535 - header.size(), ' ') + "\n";
  const std::string preamble("\x93NUMPY\x02\x00\x00\x00\x01\x00", 12);
  const TemporaryFolder folder;
  std::ofstream(folder / "x.npy", std::ios::binary) << preamble << header << std::string(8, '\0');
  EXPECT_EQ(to_real(read(folder / "x.npy")).size(), 1);
}

TEST(NpyHostile, Type) {
  EXPECT_EQ(complaint([] { read(golden("bad_big_endian")); }),
            golden("bad_big_endian").string() +
                ": dtype is '>f8' (big-endian), expected little-endian; "
                "save array.astype(array.dtype.newbyteorder('<')) instead");
  EXPECT_EQ(
      complaint([] { read(golden("bad_object")); }),
      golden("bad_object").string() +
          ": dtype is '|O' (Python objects), expected numbers; save array.astype(numpy.float64) instead");
  EXPECT_EQ(complaint([] { read(golden("bad_structured")); }),
            golden("bad_structured").string() +
                ": dtype is a structured one, expected a single number for each element; "
                "save each field as a file");
  EXPECT_EQ(
      complaint([] { read(golden("bad_text")); }),
      golden("bad_text").string() +
          ": dtype is '<U6', expected one of f8 f4 f2 c16 c8 i1 i2 i4 i8 u1 u2 u4 u8 b1, little-endian");
  EXPECT_EQ(complaint([] { read(golden("bad_void2")); }),
            golden("bad_void2").string() +
                ": dtype is '|V2' (two bytes without a meaning), expected a number; "
                "if it is bfloat16, save array.view(numpy.uint16) and say that u2 means bfloat16");
  EXPECT_NE(complaint_of_descr("''").find("dtype is '', expected one of f8"), std::string::npos);
  EXPECT_NE(complaint_of_descr("'<f16'").find("dtype is '<f16', expected one of f8"), std::string::npos);
  EXPECT_EQ(complaint_of_descr("8"),
            "x.npy: header has '8, 'fortran_order': False, 'shape': (), }' at position 10, "
            "expected a dtype in quotation marks");
}

TEST(NpyHostile, Order) {
  EXPECT_EQ(complaint([] { read(golden("bad_fortran_order")); }),
            golden("bad_fortran_order").string() +
                ": fortran_order is True, expected False; save numpy.ascontiguousarray(array) instead");
  EXPECT_EQ(complaint_of("{'descr': '<f8', 'fortran_order': 0}"),
            "x.npy: header has '0}' at position 34, expected True or False for fortran_order");
}

TEST(NpyHostile, Shape) {
  EXPECT_EQ(complaint([] { read(golden("bad_five_axes")); }),
            golden("bad_five_axes").string() + ": shape has more than 4 axes, expected at most 4");
  EXPECT_EQ(complaint_of_shape("(1048576, 1048577)"),
            "x.npy: shape is 1048576 x 1048577, expected at most 2^40 elements");
  EXPECT_EQ(complaint_of_shape("(1099511627776, 1099511627776, 1099511627776, 1099511627776)"),
            "x.npy: shape is 1099511627776 x 1099511627776 x 1099511627776 x 1099511627776, "
            "expected at most 2^40 elements");
  EXPECT_EQ(complaint_of_shape("(18446744073709551617,)"),
            "x.npy: shape has the extent '18446744073709551617', expected at most 2^40 elements");
  EXPECT_EQ(complaint_of_shape("(3, -4)"), "x.npy: shape has the extent '-4', expected no negative extent");
  EXPECT_EQ(complaint_of_shape("(007,)"), "x.npy: shape has the extent '007', expected no leading zeros");
  EXPECT_EQ(complaint_of_shape("(3)"), "x.npy: header has '), }' at position 52, expected ','");
  EXPECT_EQ(complaint_of_shape("(3, 4"), "x.npy: header has '}' at position 57, expected an extent or ')'");
  EXPECT_EQ(complaint_of_shape("(,)"), "x.npy: header has ',), }' at position 51, expected an extent or ')'");
  EXPECT_EQ(complaint_of_shape("(3L,)"), "x.npy: header has 'L,), }' at position 52, expected ','");
  EXPECT_EQ(complaint_of_shape("3"),
            "x.npy: header has '3, }' at position 50, expected a shape that opens with '('");
}

TEST(NpyHostile, Keys) {
  EXPECT_EQ(complaint_of("{'descr': '<f8', 'fortran_order': False, 'shape': (), 'title': 1}"),
            "x.npy: header has the key 'title', expected only descr, fortran_order and shape");
  EXPECT_EQ(complaint_of("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}"),
            "x.npy: header has the key 'descr' twice, expected each key once");
  EXPECT_EQ(complaint_of("{'fortran_order': False, 'fortran_order': False}"),
            "x.npy: header has the key 'fortran_order' twice, expected each key once");
  EXPECT_EQ(complaint_of("{'shape': (), 'shape': ()}"),
            "x.npy: header has the key 'shape' twice, expected each key once");
  EXPECT_EQ(complaint_of("{}"), "x.npy: header has no key 'descr', expected descr, fortran_order and shape");
  EXPECT_EQ(complaint_of("{'descr': '<f8', 'shape': (), }"),
            "x.npy: header has no key 'fortran_order', expected descr, fortran_order and shape");
  EXPECT_EQ(complaint_of("{'descr': '<f8', 'fortran_order': False, }"),
            "x.npy: header has no key 'shape', expected descr, fortran_order and shape");
}

TEST(NpyHostile, Grammar) {
  EXPECT_EQ(complaint_of("['descr']"), "x.npy: header has '['descr']' at position 0, expected '{'");
  EXPECT_EQ(complaint_of("{,}"), "x.npy: header has ',}' at position 1, expected a key in quotation marks");
  EXPECT_EQ(complaint_of("{'descr'  '<f8'}"), "x.npy: header has ''<f8'}' at position 10, expected ':'");
  EXPECT_EQ(complaint_of("{'descr': '<f8' 'shape': ()}"),
            "x.npy: header has ''shape': ()}' at position 16, expected ',' or '}'");
  EXPECT_EQ(complaint_of("{'descr': '<f8}"),
            "x.npy: header has ''<f8}' at position 10, expected a string that ends");
  EXPECT_EQ(complaint_of("{'descr': '<f8', "),
            "x.npy: header is over at position 17, expected a key in quotation marks");
  EXPECT_EQ(complaint_of(R"({'sh\141pe': ()})"),
            R"(x.npy: header has the string 'sh\141pe', expected no backslashes)");
  EXPECT_EQ(complaint_of("{'descr': '<f8', 'fortran_order': False, 'shape': ()} or 1"),
            "x.npy: header has 'or 1' at position 54, expected spaces and the end of the line");
}

TEST(NpyHostile, OddBytes) {
  EXPECT_EQ(complaint_of("{'d\xC3\xA9scr': '<f8'}"),
            R"(x.npy: header has the byte '\xc3' at position 3, expected printable ASCII)");
  EXPECT_EQ(complaint_of(std::string("{\0}", 3)),
            R"(x.npy: header has the byte '\x00' at position 1, expected printable ASCII)");
  EXPECT_EQ(complaint_of("{\n}"),
            R"(x.npy: header has the byte '\x0a' at position 1, expected printable ASCII)");
}

TEST(NpyHostile, LongTextIsCutInMessages) {
  EXPECT_EQ(complaint_of("{'" + std::string(5000, 'k') + "': 1}"),
            "x.npy: header has the key '" + std::string(60, 'k') +
                "...', expected only descr, fortran_order and shape");
}

TEST(NpyHostile, DataSize) {
  const std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
  EXPECT_EQ(complaint_of(dictionary, 48), "no complaint");
  EXPECT_EQ(complaint_of(dictionary, 47),
            "x.npy: data has 47 bytes, expected 48 for 3 x 4 of f4 (truncated)");
  EXPECT_EQ(complaint_of(dictionary, 49),
            "x.npy: data has 49 bytes, expected 48 for 3 x 4 of f4 (trailing bytes)");
  EXPECT_EQ(complaint_of("{'descr': '<c16', 'fortran_order': False, 'shape': (1099511627776,), }", 16),
            "x.npy: data has 16 bytes, expected 17592186044416 for 1099511627776 of c16 (truncated)");
}

TEST(NpyHostile, EveryShorterFileIsRefused) {
  const std::string whole = contents(golden("f8"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(complaint_of_file(whole.substr(0, size)).find(", expected "), std::string::npos) << size;
  }
  EXPECT_EQ(complaint_of_file(whole), "no complaint");
}

TEST(NpyConversion, RefusesWhatIsNotExact) {
  EXPECT_EQ(complaint([] { to_real(read(golden("i8"))); }),
            golden("i8").string() +
                ": element 4 is 9223372036854775807, expected an integer that a double holds exactly");
  EXPECT_EQ(complaint([] { to_complex(read(golden("u8"))); }),
            golden("u8").string() +
                ": element 2 is 18446744073709551615, expected an integer that a double holds exactly");
  EXPECT_EQ(complaint([] { to_index(read(golden("u8"))); }),
            golden("u8").string() + ": element 2 is 18446744073709551615, expected an integer below 2^63");
  EXPECT_EQ(complaint([] { to_index(read(golden("f2"))); }),
            golden("f2").string() +
                ": dtype is f2, expected an integer one; save array.astype(numpy.int64) instead");
  EXPECT_EQ(complaint([] { to_real(read(golden("c8"))); }),
            golden("c8").string() +
                ": dtype is c8, expected a real one; save array.real if the imaginary part is zero");
}

TEST(NpyConversion, LargeIntegersThatFitAreExact) {
  const TemporaryFolder folder;
  const Index odd = (Index{1} << 53) - 1;
  write(folder / "x.npy", Array<Index>::vector({odd, -odd, 2 * odd, Index{1} << 62}));
  expect_identical(to_real(read(folder / "x.npy")), {4},
                   {9007199254740991.0, -9007199254740991.0, 18014398509481982.0, 0x1p62});
  write(folder / "x.npy", Array<Index>::vector({0, odd + 2}));
  EXPECT_NE(complaint([&] { to_real(read(folder / "x.npy")); }).find("element 1 is 9007199254740993"),
            std::string::npos);
}

TEST(NpyConversion, RefusesBooleansThatAreNeither) {
  const std::string file =
      file_with("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }") + "\x01\x07";
  EXPECT_EQ(complaint([&] { to_index(parse(std::as_bytes(std::span(file)), "x.npy")); }),
            "x.npy: element 1 is 7, expected 0 or 1 in a boolean tensor");
}

TEST(NpyConversion, RefusesATensorWhoseDataDoNotMatch) {
  const Tensor tensor{"made by hand", ElementType::f4, {3}, std::vector<std::byte>(11)};
  EXPECT_EQ(complaint([&] { to_real(tensor); }),
            "made by hand: data has 11 bytes, expected 12 for 3 of f4 (truncated)");
}

TEST(NpyReading, PathsThatAreNoFile) {
  const TemporaryFolder folder;
  const fs::path missing = folder / "missing.npy";
  EXPECT_EQ(complaint([&] { read(missing); }),
            missing.string() + ": there is no such file, expected a .npy file");
  EXPECT_EQ(complaint([&] { read(folder / ""); }),
            (folder / "").string() + ": path is a directory, expected a .npy file");
  EXPECT_EQ(complaint([&] { read("/dev/null"); }),
            "/dev/null: path is a device or pipe, expected a .npy file");
  const fs::path loop = folder / "loop.npy";
  fs::create_symlink(loop, loop);
  EXPECT_EQ(
      complaint([&] { read(loop); }),
      loop.string() + ": file cannot be reached (Too many levels of symbolic links), expected a .npy file");
  EXPECT_EQ(complaint([&] { read(folder / "two\nlines.npy"); }),
            (folder / "two?lines.npy").string() + ": there is no such file, expected a .npy file");
}

TEST(NpyReading, AFileOfAnotherSizeThanItsHeaderSays) {
  const TemporaryFolder folder;
  const fs::path path = folder / "x.npy";
  const Index size = 100'000;  // so large that the data do not come with the header
  write(path, Array<double>(Shape{size}));
  const std::uintmax_t right = fs::file_size(path);
  EXPECT_EQ(to_real(read(path)).size(), size);
  fs::resize_file(path, right - 1);
  EXPECT_EQ(complaint([&] { read(path); }),
            path.string() + ": data has 799999 bytes, expected 800000 for 100000 of f8 (truncated)");
  fs::resize_file(path, right + 1);
  EXPECT_EQ(complaint([&] { read(path); }),
            path.string() + ": data has 800001 bytes, expected 800000 for 100000 of f8 (trailing bytes)");
}

/// Gives up the administrator's rights, to whom every file is readable, for the time of its life.
class OrdinaryUser {
 public:
  OrdinaryUser() : administrator_(::geteuid() == 0), holds_(!administrator_ || ::seteuid(65534) == 0) {}
  ~OrdinaryUser() {
    if (administrator_ && ::seteuid(0) != 0) ADD_FAILURE() << "the administrator's rights are lost";
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  bool holds() const { return holds_; }

 private:
  bool administrator_;
  bool holds_;
};

TEST(NpyReading, AFileWithoutPermission) {
  const TemporaryFolder folder;
  const fs::path path = folder / "secret.npy";
  fs::copy_file(golden("f8"), path);
  fs::permissions(path, fs::perms::none);
  const OrdinaryUser user;
  if (!user.holds()) GTEST_SKIP() << "needs a second user";
  EXPECT_EQ(complaint([&] { read(path); }),
            path.string() + ": file cannot be opened (Permission denied), expected a readable .npy file");
}

TEST(NpyWriting, ReplacesAFile) {
  const TemporaryFolder folder;
  write(folder / "x.npy", Array<double>::vector({1, 2, 3}));
  write(folder / "x.npy", Array<double>::vector({4}));
  expect_identical(to_real(read(folder / "x.npy")), {1}, {4});
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(NpyWriting, PathsThatCannotBeWritten) {
  const TemporaryFolder folder;
  const Array<double> array;
  EXPECT_EQ(complaint([&] { write(folder / "none/x.npy", array); }),
            (folder / "none/x.npy").string() +
                ": file cannot be written (No such file or directory), "
                "expected an existing, writable directory with enough space");
  EXPECT_EQ(complaint([&] { write(folder / "", array); }),
            (folder / "").string() + ": path is a directory, expected the name of a file to write");
  EXPECT_EQ(complaint([&] { write("/dev/null", array); }),
            "/dev/null: path is a device or pipe, expected the name of a file to write");
}

TEST(NpyWriting, LeavesAForeignFileAlone) {
  const TemporaryFolder folder;
  const fs::path foreign = folder / (".x.npy." + std::to_string(::getpid()) + ".part");
  std::ofstream(foreign) << "not ours";
  EXPECT_NE(complaint([&] { write(folder / "x.npy", Array<double>()); }).find("(File exists)"),
            std::string::npos);
  EXPECT_EQ(contents(foreign), "not ours");
}

TEST(NpyWriting, AFolderWithoutPermission) {
  const TemporaryFolder folder;
  fs::permissions(folder / "", fs::perms(0555));
  {
    const OrdinaryUser user;
    if (!user.holds()) GTEST_SKIP() << "needs a second user";
    EXPECT_EQ(complaint([&] { write(folder / "x.npy", Array<double>()); }),
              (folder / "x.npy").string() +
                  ": file cannot be written (Permission denied), "
                  "expected an existing, writable directory with enough space");
  }
  fs::permissions(folder / "", fs::perms(0755));
}

/// Lets no file grow beyond a size, as a full disk does, for the time of its life.
class FullDisk {
 public:
  explicit FullDisk(rlim_t size) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{size, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(NpyWriting, AFullDiskLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  write(folder / "x.npy", Array<double>::vector({1, 2, 3}));
  std::string message;
  {
    const FullDisk disk(4096);
    message = complaint([&] { write(folder / "x.npy", Array<double>(Shape{100, 100})); });
  }
  EXPECT_EQ(message, (folder / "x.npy").string() +
                         ": file cannot be written (File too large), "
                         "expected an existing, writable directory with enough space");
  expect_identical(to_real(read(folder / "x.npy")), {3}, {1, 2, 3});
  EXPECT_EQ(folder.file_count(), 1u);
}

/// NumPy's sums of the real data. Halves below 8 are multiples of 2^-24, so that sums of 131,072 of them are
/// exact in double precision, in any order.
TEST(NpyData, AttentionHeadsAreReadExactly) {
  const std::vector<std::pair<std::string, double>> sums{
      {"local/query", -0x1.ae98b72e4p+10},   {"local/key", 0x1.87b0f00ap+8},
      {"local/value", 0x1.ec22bd898p+10},    {"sink/query", 0x1.5722e626p+9},
      {"sink/key", 0x1.c5c4191540000p+11},   {"sink/value", 0x1.ec6803d6p+8},
      {"diffuse/query", -0x1.17b69aa33p+12}, {"diffuse/key", 0x1.1603ca228p+9},
      {"diffuse/value", -0x1.0fb6822bp+8}};
  for (const auto& [name, expected] : sums) {
    const Array<double> array = to_real(read(data_folder() / "attention_heads" / (name + ".npy")));
    EXPECT_EQ(array.shape(), (Shape{2048, 64})) << name;
    double sum = 0;
    for (const double value : array.values()) sum += value;
    EXPECT_EQ(sum, expected) << name;
  }
}

}  // namespace
}  // namespace etalon::npy
