#include "tools/etalon/common.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

namespace etalon {
namespace {

/// While this lives Ctrl-C waits, so that a line is written whole or not at all.
class InterruptsWait {
 public:
  InterruptsWait() {
    sigset_t interrupts;
    sigemptyset(&interrupts);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&interrupts, signal);
    pthread_sigmask(SIG_BLOCK, &interrupts, &before_);
  }
  ~InterruptsWait() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  InterruptsWait(const InterruptsWait&) = delete;
  InterruptsWait& operator=(const InterruptsWait&) = delete;

 private:
  sigset_t before_{};
};

std::string reason_of_last_failure() {
  return std::generic_category().message(errno);
}

std::string spaceless(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ') result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

nlohmann::json describe(const Form& form) {
  return {{"name", form.name},
          {"meaning", form.meaning},
          {"backward", form.backward},
          {"concept", concept_of(form)},
          {"scalars", scalars_of(form)}};
}

nlohmann::json describe(const Input& input) {
  return {{"name", input.name},
          {"shape", shape_text(input.shape)},
          {"domain", to_string(input.domain)},
          {"kind", to_word(input)},
          {"meaning", input.meaning}};
}

nlohmann::json describe(const Parameter& parameter) {
  return {{"name", parameter.name},
          {"default", parameter.standard},
          {"range", range_text(parameter)},
          {"choices", parameter.choices},
          {"meaning", parameter.meaning}};
}

nlohmann::json describe(const Law& law) {
  nlohmann::json scalars = nlohmann::json::array();
  for (const LawVariant& variant : law.variants) scalars.push_back(variant.scalar);
  nlohmann::json json{{"name", law.name},
                      {"kind", to_string(law.kind)},
                      {"statement", law.statement},
                      {"scalars", std::move(scalars)}};
  if (!law.limit_entry.empty()) json["limit_entry"] = law.limit_entry;
  return json;
}

nlohmann::json describe(const Cost& cost) {
  nlohmann::json json{{"form", cost.form}, {"under", cost.under}, {"without", cost.without}};
  for (const auto& [name, formula] : formulas_of(cost)) json[name] = formula.text();
  return json;
}

template <class Things>
nlohmann::json described(const Things& things) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& thing : things) all.push_back(describe(thing));
  return all;
}

}  // namespace

void refuse(const std::string& what, const std::string& given, const std::string& expected) {
  throw Refusal(what + " is " + given + ", expected " + expected);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nothing" : text;
}

std::string counted(long count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

bool same_word(std::string_view a, std::string_view b) {
  return spaceless(a) == spaceless(b);
}

void add_json_option(CLI::App& command, std::string& path) {
  command
      .add_option("--json", path,
                  "write JSON to FILE, one value a line; - is standard output, and then nothing else is "
                  "printed there")
      ->type_name("FILE");
}

JsonLines::JsonLines(const std::string& path) : path_(path) {
  if (path_.empty()) return;
  if (path_ == "-") {
    file_ = STDOUT_FILENO;
    return;
  }
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  created_ = file_ >= 0;
  if (!created_) file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (file_ < 0)
    refuse("--json", path_ + " (" + reason_of_last_failure() + ")", "a file that can be written");
}

JsonLines::~JsonLines() {
  if (file_ > STDERR_FILENO) ::close(file_);
  if (created_ && !written_) ::unlink(path_.c_str());
}

void JsonLines::write(const nlohmann::json& value) {
  if (file_ < 0) return;
  struct stat status {};
  const bool old_content = !written_ && ::fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
  if (old_content && path_ != "-" && ::ftruncate(file_, 0) != 0) {
    throw Refusal("--json: " + path_ + " cannot be replaced (" + reason_of_last_failure() + ")");
  }
  written_ = true;
  const std::string line = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const InterruptsWait scope;
  std::size_t written = 0;
  while (written < line.size()) {
    const ssize_t count = ::write(file_, line.data() + written, line.size() - written);
    if (count < 0) {
      if (errno == EINTR) continue;
      throw Refusal("--json: " + path_ + " cannot be written (" + reason_of_last_failure() + ")");
    }
    written += static_cast<std::size_t>(count);
  }
}

ProgressBar::ProgressBar() : on_terminal_(::isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(long done, long total, const std::string& doing) {
  if (!on_terminal_ || total <= 0) return;
  constexpr long kCells = 20;
  winsize window{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
  const std::size_t columns = known ? window.ws_col : 80;
  const auto filled = static_cast<std::size_t>(kCells * std::clamp(done, 0L, total) / total);
  std::string line = "[" + std::string(filled, '#') + std::string(kCells - filled, '.') + "] " +
                     std::to_string(done) + "/" + std::to_string(total) + " " + doing;
  line.resize(std::min(line.size(), columns - 1));
  std::fflush(stdout);
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressBar::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

std::vector<const Entry*> entries_named(const std::vector<std::string>& names) {
  std::vector<const Entry*> entries;
  for (const std::string& name : names) entries.push_back(&Registry::instance().entry(name));
  return names.empty() ? Registry::instance().entries() : entries;
}

std::string shape_text(const std::vector<Expression>& axes) {
  if (axes.empty()) return "a single number";
  std::string text;
  for (const Expression& axis : axes) {
    const bool compound = axis.text().find(' ') != std::string::npos && axes.size() > 1;
    text += (text.empty() ? "" : " x ") + (compound ? "(" + axis.text() + ")" : axis.text());
  }
  return text;
}

nlohmann::json shape_json(const Shape& shape) {
  nlohmann::json axes = nlohmann::json::array();
  for (const Index extent : shape) axes.push_back(extent);
  return axes;
}

std::string_view to_word(const Input& input) {
  if (input.draw_index) return "integer";
  return input.is_complex ? "complex" : "real";
}

std::string range_text(const Parameter& parameter) {
  return "from " + parameter.low.text() + " to " + parameter.high.text();
}

std::string concept_of(const Form& form) {
  if (form.has<PrimeField>()) return "Ring or Field";
  if (form.has<Rational>()) return "OrderedField";
  if (form.has<RationalExp2>()) return "Exponential";
  if (form.has<Real50>()) return "Real";
  return "its own number types";
}

std::vector<std::string> scalars_of(const Form& form) {
  std::vector<std::string> scalars;
  for (const std::string_view name : kScalarNames) {
    if (std::find(form.scalars.begin(), form.scalars.end(), name) != form.scalars.end())
      scalars.emplace_back(name);
  }
  return scalars;
}

std::vector<std::pair<std::string, Expression>> formulas_of(const Cost& cost) {
  std::vector<std::pair<std::string, Expression>> formulas;
  const auto add = [&](const char* name, const std::optional<Expression>& formula) {
    if (formula) formulas.emplace_back(name, *formula);
  };
  add("multiplications", cost.multiplications);
  add("additions", cost.additions);
  add("divisions", cost.divisions);
  add("exponentials", cost.exponentials);
  add("functions", cost.functions);
  add("comparisons", cost.comparisons);
  add("depth", cost.depth);
  add("free_depth", cost.free_depth);
  add("state", cost.state);
  return formulas;
}

nlohmann::json describe(const Entry& entry) {
  nlohmann::json sizes = nlohmann::json::array(), outputs = nlohmann::json::array();
  nlohmann::json scales = nlohmann::json::object();
  for (const Size& size : entry.sizes) {
    sizes.push_back({{"name", size.name}, {"large", size.large}, {"small", size.small}});
  }
  for (const Output& output : entry.outputs) {
    outputs.push_back(
        {{"name", output.name}, {"shape", shape_text(output.shape)}, {"meaning", output.meaning}});
  }
  for (const auto& [curve, grid] : entry.scales) scales[curve] = grid;
  return {{"name", entry.name},
          {"family", entry.family},
          {"title", entry.title},
          {"summary", entry.summary},
          {"sources", entry.sources},
          {"sizes", std::move(sizes)},
          {"parameters", described(entry.parameters)},
          {"inputs", described(entry.inputs)},
          {"outputs", std::move(outputs)},
          {"forms", described(entry.forms)},
          {"laws", described(entry.laws)},
          {"costs", described(entry.costs)},
          {"scales", std::move(scales)}};
}

}  // namespace etalon
