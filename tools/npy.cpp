/// \file
/// The `.npy` format: six bytes of magic, two of version, the length of the header, the header (the text of a
/// Python dictionary with the keys descr, fortran_order and shape), then the elements and nothing else.
#include "tools/npy.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "reference/scalar/small_float.hpp"

namespace etalon::npy {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they lie in the file");
static_assert(std::is_trivially_copyable_v<Complex<double>> && sizeof(Complex<double>) == 16,
              "complex arrays are written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeaderLength = 64 * 1024;
constexpr std::size_t kLongestPreamble = 12;  // magic, version and the four-byte length of versions 2 and 3
constexpr std::size_t kAlignment = 64;  // NumPy pads the header until the data begins at a multiple of this

struct TypeDescription {
  ElementType type;
  std::string_view descr;  // as it stands in a header: byte order, kind, bytes
  std::size_t size;
};

constexpr std::array<TypeDescription, 14> kTypes = {{{ElementType::f8, "<f8", 8},
                                                     {ElementType::f4, "<f4", 4},
                                                     {ElementType::f2, "<f2", 2},
                                                     {ElementType::c16, "<c16", 16},
                                                     {ElementType::c8, "<c8", 8},
                                                     {ElementType::i1, "|i1", 1},
                                                     {ElementType::i2, "<i2", 2},
                                                     {ElementType::i4, "<i4", 4},
                                                     {ElementType::i8, "<i8", 8},
                                                     {ElementType::u1, "|u1", 1},
                                                     {ElementType::u2, "<u2", 2},
                                                     {ElementType::u4, "<u4", 4},
                                                     {ElementType::u8, "<u8", 8},
                                                     {ElementType::b1, "|b1", 1}}};

const TypeDescription& description(ElementType type) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), [type](const TypeDescription& candidate) {
    return candidate.type == type;
  });
  if (found == kTypes.end()) throw std::invalid_argument("npy: element type is none of the enumeration");
  return *found;
}

bool is_printable(char character) {
  const auto code = static_cast<unsigned char>(character);
  return code >= 0x20 && code < 0x7F;
}

/// Text from outside, made fit for one line of a message: short, printable, in quotation marks.
std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result = "'";
  for (const char character : text.substr(0, kLongest)) {
    if (is_printable(character)) {
      result += character;
    } else {
      const auto code = static_cast<unsigned char>(character);
      result += {'\\', 'x', kDigits[code / 16], kDigits[code % 16]};
    }
  }
  return result + (text.size() > kLongest ? "...'" : "'");
}

/// `NAME: WHAT is GIVEN, expected EXPECTED`, with a name that cannot break the line.
[[noreturn]] void refuse(std::string_view name, const std::string& given, const std::string& expected) {
  std::string printable(name);
  for (char& character : printable) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7F) character = '?';
  }
  throw Error(printable + ": " + given + ", expected " + expected);
}

/// What the dictionary of a header says.
struct Entries {
  std::optional<ElementType> type;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

/// Reads the dictionary of a header from left to right. Of Python's grammar it accepts what describes one
/// plain tensor; everything else is refused.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  Entries entries() {
    require_one_ascii_line();
    require('{', "'{'");
    while (!accept('}')) {
      read_entry();
      if (accept('}')) break;
      require(',', "',' or '}'");
    }
    if (!at_end()) refuse_here("spaces and the end of the line");
    require_key(entries_.type.has_value(), "descr");
    require_key(entries_.fortran_order.has_value(), "fortran_order");
    require_key(entries_.shape.has_value(), "shape");
    return entries_;
  }

 private:
  void require_one_ascii_line() {
    if (text_.empty() || text_.back() != '\n') {
      refuse(name_, "header is " + quoted(text_) + " without a newline at its end",
             "one that ends with a newline");
    }
    text_.remove_suffix(1);
    const auto position =
        std::find_if(text_.begin(), text_.end(), [](char c) { return !is_printable(c); }) - text_.begin();
    if (position == std::ssize(text_)) return;
    refuse(name_,
           "header has the byte " + quoted(text_.substr(static_cast<std::size_t>(position), 1)) +
               " at position " + std::to_string(position),
           "printable ASCII");
  }

  void read_entry() {
    const std::string_view key = string("a key in quotation marks");
    require(':', "':'");
    if (key == "descr") {
      require_first(entries_.type.has_value(), key);
      entries_.type = element_type();
    } else if (key == "fortran_order") {
      require_first(entries_.fortran_order.has_value(), key);
      entries_.fortran_order = row_major();
    } else if (key == "shape") {
      require_first(entries_.shape.has_value(), key);
      entries_.shape = shape();
    } else {
      refuse(name_, "header has the key " + quoted(key), "only descr, fortran_order and shape");
    }
  }

  ElementType element_type() {
    if (peek() == '[') {
      refuse(name_, "dtype is a structured one",
             "a single number for each element; save each field as a file");
    }
    const std::string_view descr = string("a dtype in quotation marks");
    for (const TypeDescription& candidate : kTypes) {
      if (candidate.descr == descr) return candidate.type;
    }
    refuse_type(descr);
  }

  [[noreturn]] void refuse_type(std::string_view descr) {
    const std::string given = "dtype is " + quoted(descr);
    const std::string_view kind = descr.substr(std::min<std::size_t>(descr.size(), 1));
    if (descr.starts_with('>')) {
      refuse(name_, given + " (big-endian)",
             "little-endian; save array.astype(array.dtype.newbyteorder('<')) instead");
    }
    if (kind.starts_with('O')) {
      refuse(name_, given + " (Python objects)", "numbers; save array.astype(numpy.float64) instead");
    }
    if (kind == "V2") {
      refuse(name_, given + " (two bytes without a meaning)",
             "a number; if it is bfloat16, save array.view(numpy.uint16) and say that u2 means bfloat16");
    }
    refuse(name_, given, "one of f8 f4 f2 c16 c8 i1 i2 i4 i8 u1 u2 u4 u8 b1, little-endian");
  }

  /// False, the only order accepted.
  bool row_major() {
    if (accept_word("False")) return false;
    if (accept_word("True")) {
      refuse(name_, "fortran_order is True", "False; save numpy.ascontiguousarray(array) instead");
    }
    refuse_here("True or False for fortran_order");
  }

  /// A tuple of integers. One element needs its comma, as in Python: `(3)` is a number.
  Shape shape() {
    Shape result;
    require('(', "a shape that opens with '('");
    while (!accept(')')) {
      if (result.size() == 4) refuse(name_, "shape has more than 4 axes", "at most 4");
      result.push_back(extent());
      if (result.size() > 1 && accept(')')) break;
      require(',', "','");
    }
    require_few_elements(result);
    return result;
  }

  Index extent() {
    const char first = peek();
    const std::size_t begin = position_;
    if (first == '-') ++position_;
    while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') ++position_;
    const std::string_view digits = text_.substr(begin, position_ - begin);
    if (first == '-') refuse(name_, "shape has the extent " + quoted(digits), "no negative extent");
    if (digits.empty()) refuse_here("an extent or ')'");
    if (digits.size() > 1 && first == '0') {
      refuse(name_, "shape has the extent " + quoted(digits), "no leading zeros");
    }
    Index value = 0;
    for (const char digit : digits) {
      value = 10 * value + (digit - '0');
      if (value > kMaxElements) {
        refuse(name_, "shape has the extent " + quoted(digits), "at most 2^40 elements");
      }
    }
    return value;
  }

  void require_few_elements(const Shape& shape) {
    try {
      element_count(shape);
    } catch (const std::invalid_argument&) {
      refuse(name_, "shape is " + etalon::to_string(shape), "at most 2^40 elements");
    }
  }

  /// A string without escapes, in either kind of quotation marks.
  std::string_view string(const std::string& expected) {
    const char mark = peek();
    if (mark != '\'' && mark != '"') refuse_here(expected);
    const std::size_t begin = position_ + 1;
    const std::size_t end = text_.find(mark, begin);
    if (end == std::string_view::npos) refuse_here("a string that ends");
    position_ = end + 1;
    const std::string_view content = text_.substr(begin, end - begin);
    if (content.find('\\') != std::string_view::npos) {
      refuse(name_, "header has the string " + quoted(content), "no backslashes");
    }
    return content;
  }

  bool accept(char wanted) {
    if (peek() != wanted) return false;
    ++position_;
    return true;
  }

  bool accept_word(std::string_view word) {
    skip_spaces();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }

  void require(char wanted, const std::string& expected) {
    if (!accept(wanted)) refuse_here(expected);
  }

  void require_key(bool present, const std::string& key) {
    if (!present) refuse(name_, "header has no key '" + key + "'", "descr, fortran_order and shape");
  }

  void require_first(bool present, std::string_view key) {
    if (present) refuse(name_, "header has the key " + quoted(key) + " twice", "each key once");
  }

  [[noreturn]] void refuse_here(const std::string& expected) {
    refuse(name_,
           at_end() ? "header is over at position " + std::to_string(position_)
                    : "header has " + quoted(text_.substr(position_)) + " at position " +
                          std::to_string(position_),
           expected);
  }

  /// The next character that is not a space; 0, which no header contains, at the end.
  char peek() { return at_end() ? '\0' : text_[position_]; }

  bool at_end() {
    skip_spaces();
    return position_ == text_.size();
  }

  void skip_spaces() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }

  std::string_view text_;
  std::string_view name_;
  std::size_t position_ = 0;
  Entries entries_;
};

struct Header {
  ElementType type;
  Shape shape;
  std::size_t data_begin;
  std::size_t data_size;
};

/// Where the header's text stands, by the magic, the version and the length before it.
struct Preamble {
  std::size_t header_begin;
  std::size_t header_length;
};

Preamble parse_preamble(std::string_view beginning, std::string_view name) {
  if (!beginning.starts_with(kMagic)) {
    const std::string hint =
        beginning.starts_with("PK") ? "; of a .npz archive, save each array by itself" : "";
    refuse(name, "file begins with " + quoted(beginning.substr(0, kMagic.size())),
           quoted(kMagic) + " as a .npy file does" + hint);
  }
  const auto byte = [&](std::size_t position) -> std::size_t {
    if (position < beginning.size()) return static_cast<unsigned char>(beginning[position]);
    refuse(name, "file is over after " + std::to_string(beginning.size()) + " bytes",
           "a version and the length of a header (truncated)");
  };
  const std::size_t major = byte(6);
  const std::size_t minor = byte(7);
  if (major < 1 || major > 3 || minor != 0) {
    refuse(name, "version is " + std::to_string(major) + "." + std::to_string(minor), "1.0, 2.0 or 3.0");
  }
  const std::size_t length_size = major == 1 ? 2 : 4;
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_size; ++i) length |= byte(8 + i) << (8 * i);
  return {8 + length_size, length};
}

/// The bytes that the shape needs, which must be those given.
std::size_t require_data_size(ElementType type, const Shape& shape, std::uintmax_t given,
                              std::string_view name) {
  const std::size_t expected = static_cast<std::size_t>(element_count(shape)) * element_size(type);
  if (given == expected) return expected;
  refuse(name, "data has " + std::to_string(given) + " bytes",
         std::to_string(expected) + " for " + etalon::to_string(shape) + " of " +
             std::string(to_string(type)) + (given < expected ? " (truncated)" : " (trailing bytes)"));
}

/// Judges a file by its beginning and its size.
/// \param beginning the whole file, or at least its first `kLongestPreamble + kMaxHeaderLength` bytes
Header parse_header(std::string_view beginning, std::uintmax_t file_size, std::string_view name) {
  const auto [header_begin, header_length] = parse_preamble(beginning, name);
  if (header_length > kMaxHeaderLength) {
    refuse(name, "header length is " + std::to_string(header_length) + " bytes",
           "at most " + std::to_string(kMaxHeaderLength));
  }
  const std::size_t data_begin = header_begin + header_length;
  if (data_begin > beginning.size()) {
    refuse(name, "header length is " + std::to_string(header_length) + " bytes",
           "at most the " + std::to_string(beginning.size() - header_begin) + " that follow it (truncated)");
  }
  const Entries entries = HeaderReader(beginning.substr(header_begin, header_length), name).entries();
  const std::size_t data_size =
      require_data_size(*entries.type, *entries.shape, file_size - data_begin, name);
  return {*entries.type, *entries.shape, data_begin, data_size};
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

/// The reason for which the last call of the C library failed.
std::string error_reason() {
  return std::generic_category().message(errno);
}

void read_exactly(std::FILE* file, void* target, std::size_t size, const std::filesystem::path& path) {
  const std::size_t count = size == 0 ? 0 : std::fread(target, 1, size, file);
  if (count == size) return;
  refuse(path.string(), "reading ended after " + std::to_string(count) + " bytes",
         std::to_string(size) + " more bytes");
}

std::vector<std::byte> zeros(std::size_t size, const std::filesystem::path& path) {
  try {
    return std::vector<std::byte>(size);
  } catch (const std::bad_alloc&) {
    refuse(path.string(), "data has " + std::to_string(size) + " bytes", "no more than fits in memory");
  }
}

template <class T>
T element(const Tensor& tensor, std::size_t i) {
  T value;
  std::memcpy(&value, tensor.data.data() + i * sizeof(T), sizeof(T));
  return value;
}

[[noreturn]] void refuse_element(const Tensor& tensor, std::size_t i, const std::string& given,
                                 const std::string& expected) {
  refuse(tensor.name, "element " + std::to_string(i) + " is " + given, expected);
}

double from_boolean(const Tensor& tensor, std::size_t i) {
  const auto value = element<std::uint8_t>(tensor, i);
  if (value > 1) refuse_element(tensor, i, std::to_string(value), "0 or 1 in a boolean tensor");
  return value;
}

/// An integer of 64 bits, which a double holds when no more than 53 of them are between the first and the
/// last 1.
template <class T>
double from_wide_integer(const Tensor& tensor, std::size_t i) {
  const T value = element<T>(tensor, i);
  const auto bits = static_cast<std::uint64_t>(value);
  const std::uint64_t magnitude = value < 0 ? 0 - bits : bits;
  if (magnitude != 0 && std::bit_width(magnitude >> std::countr_zero(magnitude)) > 53) {
    refuse_element(tensor, i, std::to_string(value), "an integer that a double holds exactly");
  }
  return static_cast<double>(value);
}

double real_element(const Tensor& tensor, std::size_t i, U2 u2) {
  switch (tensor.type) {
    case ElementType::f8:
      return element<double>(tensor, i);
    case ElementType::f4:
      return element<float>(tensor, i);
    case ElementType::f2:
      return double(Float16::from_code(element<std::uint16_t>(tensor, i)));
    case ElementType::i1:
      return element<std::int8_t>(tensor, i);
    case ElementType::i2:
      return element<std::int16_t>(tensor, i);
    case ElementType::i4:
      return element<std::int32_t>(tensor, i);
    case ElementType::i8:
      return from_wide_integer<std::int64_t>(tensor, i);
    case ElementType::u1:
      return element<std::uint8_t>(tensor, i);
    case ElementType::u2: {
      const auto code = element<std::uint16_t>(tensor, i);
      return u2 == U2::bfloat16 ? double(BFloat16::from_code(code)) : code;
    }
    case ElementType::u4:
      return element<std::uint32_t>(tensor, i);
    case ElementType::u8:
      return from_wide_integer<std::uint64_t>(tensor, i);
    case ElementType::b1:
      return from_boolean(tensor, i);
    case ElementType::c16:
    case ElementType::c8:
      break;
  }
  refuse(tensor.name, "dtype is " + std::string(to_string(tensor.type)),
         "a real one; save array.real if the imaginary part is zero");
}

Index index_element(const Tensor& tensor, std::size_t i) {
  switch (tensor.type) {
    case ElementType::i1:
      return element<std::int8_t>(tensor, i);
    case ElementType::i2:
      return element<std::int16_t>(tensor, i);
    case ElementType::i4:
      return element<std::int32_t>(tensor, i);
    case ElementType::i8:
      return element<std::int64_t>(tensor, i);
    case ElementType::u1:
      return element<std::uint8_t>(tensor, i);
    case ElementType::u2:
      return element<std::uint16_t>(tensor, i);
    case ElementType::u4:
      return element<std::uint32_t>(tensor, i);
    case ElementType::u8: {
      const auto value = element<std::uint64_t>(tensor, i);
      if (value >> 63 != 0) refuse_element(tensor, i, std::to_string(value), "an integer below 2^63");
      return static_cast<Index>(value);
    }
    case ElementType::b1:
      return static_cast<Index>(from_boolean(tensor, i));
    case ElementType::f8:
    case ElementType::f4:
    case ElementType::f2:
    case ElementType::c16:
    case ElementType::c8:
      break;
  }
  refuse(tensor.name, "dtype is " + std::string(to_string(tensor.type)),
         "an integer one; save array.astype(numpy.int64) instead");
}

Complex<double> complex_element(const Tensor& tensor, std::size_t i, U2 u2) {
  if (tensor.type == ElementType::c16)
    return {element<double>(tensor, 2 * i), element<double>(tensor, 2 * i + 1)};
  if (tensor.type == ElementType::c8)
    return {element<float>(tensor, 2 * i), element<float>(tensor, 2 * i + 1)};
  return real_element(tensor, i, u2);
}

/// The array of what `decode` says of each position.
template <class T, class Decode>
Array<T> decoded(const Tensor& tensor, const Decode& decode) {
  const auto count = static_cast<std::size_t>(element_count(tensor.shape));
  require_data_size(tensor.type, tensor.shape, tensor.data.size(), tensor.name);
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = decode(i);
  return Array<T>(tensor.shape, std::move(values));
}

/// All that stands before the data.
std::string header_bytes(ElementType type, const Shape& shape) {
  std::string extents;
  for (const Index extent : shape) extents += std::to_string(extent) + ", ";
  if (shape.size() > 1) extents.resize(extents.size() - 2);
  if (shape.size() == 1) extents.resize(extents.size() - 1);
  std::string header = "{'descr': '" + std::string(description(type).descr) +
                       "', 'fortran_order': False, 'shape': (" + extents + "), }";
  constexpr std::size_t kPreamble = 10;
  while ((kPreamble + header.size() + 1) % kAlignment != 0) header += ' ';
  header += '\n';
  std::string bytes = std::string(kMagic) + '\x01' + '\0';
  bytes += static_cast<char>(header.size() % 256);
  bytes += static_cast<char>(header.size() / 256);
  return bytes + header;
}

/// A name beside the target, so that renaming does not cross file systems, which no other process uses.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  std::filesystem::path name = path;
  name.replace_filename("." + path.filename().string() + "." + std::to_string(::getpid()) + ".part");
  return name;
}

/// Data may be nowhere when they are nothing, which fwrite does not allow.
bool write_all(std::span<const std::byte> data, std::FILE* file) {
  return data.empty() || std::fwrite(data.data(), 1, data.size(), file) == data.size();
}

/// Writes and closes. Returns the reason of a failure, or nothing.
std::optional<std::string> write_file(const std::filesystem::path& path, std::string_view header,
                                      std::span<const std::byte> data) {
  File file(std::fopen(path.c_str(), "wbx"));
  if (!file) return error_reason();
  const bool written = write_all(std::as_bytes(std::span(header)), file.get()) &&
                       write_all(data, file.get()) && std::fflush(file.get()) == 0;
  std::optional<std::string> failure;
  if (!written) failure = error_reason();
  if (std::fclose(file.release()) != 0 && !failure) failure = error_reason();
  if (failure) std::remove(path.c_str());
  return failure;
}

void write_elements(const std::filesystem::path& path, ElementType type, const Shape& shape,
                    std::span<const std::byte> data) {
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (!path.has_filename() || std::filesystem::is_directory(status)) {
    refuse(path.string(), "path is a directory", "the name of a file to write");
  }
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    refuse(path.string(), "path is a device or pipe", "the name of a file to write");
  }
  const std::filesystem::path temporary = temporary_name(path);
  if (const auto reason = write_file(temporary, header_bytes(type, shape), data)) {
    refuse(path.string(), "file cannot be written (" + *reason + ")",
           "an existing, writable directory with enough space");
  }
  std::filesystem::rename(temporary, path, failure);
  if (failure) {
    std::remove(temporary.c_str());
    refuse(path.string(), "file cannot be replaced (" + failure.message() + ")",
           "a name that can be written");
  }
}

}  // namespace

std::string_view to_string(ElementType type) {
  return description(type).descr.substr(1);
}

std::size_t element_size(ElementType type) {
  return description(type).size;
}

Tensor parse(std::span<const std::byte> file, std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const Header header = parse_header(text, file.size(), name);
  const auto data = file.subspan(header.data_begin);
  return {std::string(name), header.type, header.shape, std::vector<std::byte>(data.begin(), data.end())};
}

Tensor read(const std::filesystem::path& path) {
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found) {
    refuse(path.string(), "there is no such file", "a .npy file");
  }
  if (!std::filesystem::exists(status)) {
    refuse(path.string(), "file cannot be reached (" + failure.message() + ")", "a .npy file");
  }
  if (std::filesystem::is_directory(status)) refuse(path.string(), "path is a directory", "a .npy file");
  if (!std::filesystem::is_regular_file(status))
    refuse(path.string(), "path is a device or pipe", "a .npy file");
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) refuse(path.string(), "file cannot be opened (" + error_reason() + ")", "a readable .npy file");
  const std::uintmax_t size = std::filesystem::file_size(path, failure);
  if (failure) refuse(path.string(), "file has no size (" + failure.message() + ")", "a readable .npy file");

  std::string beginning(
      static_cast<std::size_t>(std::min<std::uintmax_t>(size, kLongestPreamble + kMaxHeaderLength)), '\0');
  read_exactly(file.get(), beginning.data(), beginning.size(), path);
  const Header header = parse_header(beginning, size, path.string());
  std::vector<std::byte> data = zeros(header.data_size, path);
  const std::size_t held = std::min(beginning.size() - header.data_begin, data.size());
  if (held > 0) std::memcpy(data.data(), beginning.data() + header.data_begin, held);
  if (held < data.size()) read_exactly(file.get(), data.data() + held, data.size() - held, path);
  return {path.string(), header.type, header.shape, std::move(data)};
}

Array<double> to_real(const Tensor& tensor, U2 u2) {
  return decoded<double>(tensor, [&](std::size_t i) { return real_element(tensor, i, u2); });
}

Array<Complex<double>> to_complex(const Tensor& tensor, U2 u2) {
  return decoded<Complex<double>>(tensor, [&](std::size_t i) { return complex_element(tensor, i, u2); });
}

Array<Index> to_index(const Tensor& tensor) {
  return decoded<Index>(tensor, [&](std::size_t i) { return index_element(tensor, i); });
}

void write(const std::filesystem::path& path, const Array<double>& array) {
  write_elements(path, ElementType::f8, array.shape(), std::as_bytes(array.values()));
}

void write(const std::filesystem::path& path, const Array<Complex<double>>& array) {
  write_elements(path, ElementType::c16, array.shape(), std::as_bytes(array.values()));
}

void write(const std::filesystem::path& path, const Array<Index>& array) {
  write_elements(path, ElementType::i8, array.shape(), std::as_bytes(array.values()));
}

}  // namespace etalon::npy
