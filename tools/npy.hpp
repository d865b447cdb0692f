/// \file
/// Reads and writes NumPy's `.npy` files, the way tensors enter and leave the programs.
/// A file is judged by its header before memory is taken for its data, and whatever is refused is refused
/// with one line that names the file, what it holds and what was expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"

namespace etalon::npy {

/// What is wrong with a file, in one line: `query.npy: dtype is '>f8' (big-endian), expected little-endian:
/// ...`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How one element is stored; the names are NumPy's, with the size in bytes.
enum class ElementType { f8, f4, f2, c16, c8, i1, i2, i4, i8, u1, u2, u4, u8, b1 };

/// NumPy's short name of the type, such as "f8".
std::string_view to_string(ElementType type);

/// Bytes of one element.
std::size_t element_size(ElementType type);

/// What the element type u2 stands for. NumPy has no bfloat16, so such tensors are saved as their bit
/// patterns.
enum class U2 { integer, bfloat16 };

/// The contents of a file: little-endian elements in row-major order, not decoded yet.
struct Tensor {
  std::string name;  ///< of the file, for messages
  ElementType type = ElementType::f8;
  Shape shape;
  std::vector<std::byte> data;  ///< exactly `element_size(type)` bytes for each element of the shape
};

/// Reads a file of version 1, 2 or 3 of the format, with at most 4 axes.
/// \throws Error when there is no such file, it cannot be read, or it is not exactly one tensor of a known
/// type
Tensor read(const std::filesystem::path& path);

/// The same for a file that is already in memory.
/// \param name stands for the file in messages
/// \throws Error
Tensor parse(std::span<const std::byte> file, std::string_view name);

/// The elements as real numbers, each exactly; of a boolean, 0 or 1.
/// \throws Error for complex elements, and for an integer that a double cannot hold
Array<double> to_real(const Tensor& tensor, U2 u2 = U2::integer);

/// The elements as complex numbers, each exactly; real ones get the imaginary part 0.
/// \throws Error for an integer that a double cannot hold
Array<Complex<double>> to_complex(const Tensor& tensor, U2 u2 = U2::integer);

/// The elements as integers; of a boolean, 0 or 1.
/// \throws Error for elements that are not integers, and for those of 2^63 and above
Array<Index> to_index(const Tensor& tensor);

/// Writes the array as f8, c16 or i8, byte for byte what `numpy.save` writes. The file appears under its name
/// only when it is complete; a file of that name is replaced. \throws Error when it cannot be written, and
/// then nothing is left behind
void write(const std::filesystem::path& path, const Array<double>& array);
void write(const std::filesystem::path& path, const Array<Complex<double>>& array);
void write(const std::filesystem::path& path, const Array<Index>& array);

}  // namespace etalon::npy
