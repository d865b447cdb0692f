/// \file
/// The entry of Swin's window attention: forms, laws, costs. Its text is
/// `reference/softmax_attention/swin.hpp`.
#include "reference/softmax_attention/swin.hpp"

#include <limits>
#include <set>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

const Expression height = symbol("height"), width = symbol("width"), d_k = symbol("d_k"), d_v = symbol("d_v");
const Expression shorter = min(height, width);
const Expression window = min(symbol("window"), shorter);  // the window in use

template <class T>
swin::Input<T> input_of(const Arrays<T>& in, const Settings& settings, swin::Content<T> content) {
  return {in["query"],          in["key"],          in["value"],
          in["bias"],           std::move(content), at(settings, "window"),
          at(settings, "shift")};
}

template <Exponential T>
swin::Input<T> with_dot_products(const Arrays<T>& in, const Settings& settings) {
  return input_of(in, settings, swin::dot_product(in.number("scale", T(1))));
}

template <Real T>
swin::Input<T> with_cosines(const Arrays<T>& in, const Settings& settings) {
  return input_of(in, settings, swin::cosine(in.number("scale", T(1))));
}

void describe(EntryBuilder& entry) {
  entry
      .about("softmax_attention", "Shifted windows (Swin)",
             "Softmax attention inside the windows of an image; every second layer shifts the grid of "
             "windows, by rolling the image and masking what the roll has made neighbours.",
             {"liu2021swin", "liu2022swinv2"})
      .size("height", 9, 8)
      .size("width", 9, 8)
      .size("d_k", 3, 2)
      .size("d_v", 3, 2)
      .parameter({"window",
                  3,
                  1,
                  shorter + 1,
                  "side of a window, 7 in the paper; at most the shorter side of the image is used",
                  {}})
      .parameter({"shift",
                  1,
                  0,
                  symbol("window") - 1,
                  "how far the grid is shifted; 0 where one window spans the shorter side",
                  {}})
      .input("query", {height, width, d_k}, Domain::logit, "what each token asks")
      .input("key", {height, width, d_k}, Domain::logit, "under which label each token can be found")
      .input("value", {height, width, d_v}, Domain::any, "what each token offers")
      .input("bias", {2 * window - 1, 2 * window - 1}, Domain::logit, "added to the scores, by the offset")
      .input("scale", {}, Domain::logit,
             "factor of the scores, for cosine scores its logarithm; 1 when left out")
      .output("output", {height, width, d_v}, "the average that each token reads");
}

void forms(EntryBuilder& entry) {
  entry
      .form("cyclic", "the definition: roll, regular windows, mask, roll back",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(swin::cyclic(with_dot_products(in, settings)));
            })
      .form("explicit_windows", "windows cut where the shifted grid lies, without a roll and a mask",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(swin::explicit_windows(with_dot_products(in, settings)));
            })
      .form("dense", "full attention over the image with a mask",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(swin::dense(with_dot_products(in, settings)));
            })
      .form("cosine", "the definition with the second version's cosine scores",
            []<Real T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(swin::cyclic(with_cosines(in, settings)));
            })
      // A least length of 10^-12 is divided by, and 10^12 overflows there.
      .no_budget("cosine", std::string(scalar_name<Float16>))
      .no_budget("cosine", std::string(scalar_name<E4M3>))
      .no_budget("cosine", std::string(scalar_name<E5M2>))
      .form("cosine_explicit_windows", "cosine scores without a roll and a mask",
            []<Real T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(swin::explicit_windows(with_cosines(in, settings)));
            })
      .backward("backward", "closed form from the weights and outputs",
                []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
                  const T scale = in.number("scale", T(1));
                  const swin::Gradient<T> d =
                      swin::backward(with_dot_products(in, settings), scale, in["d_output"]);
                  Arrays<T> arrays;
                  arrays.real["d_query"] = d.query;
                  arrays.real["d_key"] = d.key;
                  arrays.real["d_value"] = d.value;
                  arrays.real["d_bias"] = d.bias;
                  arrays.real["d_scale"] = Array<T>(Shape{}, d.scale);
                  return arrays;
                });
}

// ---- what the laws share -----------------------------------------------------------------------

template <class AnyTrial>
swin::Grid grid_of(const AnyTrial& trial) {
  return swin::fitted(trial.size("height"), trial.size("width"), trial.size("window"), trial.size("shift"));
}

/// Whether no cut of the shifted grid lies between two positions of an axis: cuts lie at s, s + M, ... This
/// is the meaning of a window, in other words than those of the text.
bool uncut(Index a, Index b, Index side, Index shift) {
  for (Index cut = std::min(a, b) + 1; cut <= std::max(a, b); ++cut) {
    if ((cut + side - shift) % side == 0) return false;
  }
  return true;
}

/// Whether two tokens of the image share a window of the shifted grid.
bool together(const swin::Grid& grid, Index y, Index x, Index other_y, Index other_x) {
  return uncut(y, other_y, grid.window, grid.shift) && uncut(x, other_x, grid.window, grid.shift);
}

/// Calls `see(y, x)` for every token of an image.
template <class See>
void for_each_token(Index rows, Index columns, See see) {
  for (Index y = 0; y < rows; ++y) {
    for (Index x = 0; x < columns; ++x) see(y, x);
  }
}

/// The part of an image that begins at (top, left).
template <class T>
Array<T> part(const Array<T>& image, Index top, Index left, Index rows, Index columns) {
  Array<T> found({rows, columns, image.extent(2)});
  for_each_token(rows, columns, [&](Index y, Index x) {
    for (Index c = 0; c < image.extent(2); ++c) found(y, x, c) = image(top + y, left + x, c);
  });
  return found;
}

/// Rows become columns.
template <class T>
Array<T> transposed_image(const Array<T>& image) {
  Array<T> found({image.extent(1), image.extent(0), image.extent(2)});
  for_each_token(image.extent(0), image.extent(1), [&](Index y, Index x) {
    for (Index c = 0; c < image.extent(2); ++c) found(x, y, c) = image(y, x, c);
  });
  return found;
}

/// A table of biases as an image of one channel, and back.
template <class T>
Array<T> as_image(const Array<T>& table) {
  return Array<T>({table.extent(0), table.extent(1), 1},
                  std::vector<T>(table.values().begin(), table.values().end()));
}
template <class T>
Array<T> as_table(const Array<T>& image) {
  return Array<T>({image.extent(0), image.extent(1)},
                  std::vector<T>(image.values().begin(), image.values().end()));
}

/// Turned by half a turn: the last row comes first, from right to left.
template <class T>
Array<T> turned(const Array<T>& image) {
  Array<T> found(image.shape());
  const Index rows = image.extent(0), columns = image.extent(1);
  for_each_token(rows, columns, [&](Index y, Index x) {
    for (Index c = 0; c < image.extent(2); ++c) {
      found(y, x, c) = image(rows - 1 - y, columns - 1 - x, c);
    }
  });
  return found;
}

/// Inputs for an image of other sides than the drawn ones, and a window that fits it.
template <class AnyTrial>
auto drawn_image(const AnyTrial& trial, Index rows, Index columns, Index side) {
  Arrays<ScalarOf<AnyTrial>> in;
  const Index keys = trial.size("d_k");
  in.real["query"] = trial.array("query of the image", {rows, columns, keys}, Domain::logit);
  in.real["key"] = trial.array("key of the image", {rows, columns, keys}, Domain::logit);
  in.real["value"] = trial.array("value of the image", {rows, columns, trial.size("d_v")});
  in.real["bias"] = trial.array("bias of the image", {2 * side - 1, 2 * side - 1}, Domain::logit);
  in.real["scale"] = trial.in["scale"];
  return in;
}

/// The inputs as softmax attention takes them: tokens in a line, biases spelled out for every pair of them
/// whose offset is in the table.
template <class T>
Arrays<T> in_a_line(const Arrays<T>& in, Index side) {
  Arrays<T> line;
  for (const char* name : {"query", "key", "value"}) {
    const Array<T>& image = in[name];
    line.real[name] = Array<T>({image.extent(0) * image.extent(1), image.extent(2)},
                               std::vector<T>(image.values().begin(), image.values().end()));
  }
  line.real["scale"] = in["scale"];
  const Index rows = in["key"].extent(0), columns = in["key"].extent(1);
  Array<T> bias({rows * columns, rows * columns});
  for_each_token(rows, columns, [&](Index y, Index x) {
    for_each_token(rows, columns, [&](Index other_y, Index other_x) {
      const Index down = y - other_y, across = x - other_x;
      if (std::abs(down) >= side || std::abs(across) >= side) return;
      bias(y * columns + x, other_y * columns + other_x) = in["bias"](down + side - 1, across + side - 1);
    });
  });
  line.real["bias"] = bias;
  return line;
}

// ---- laws --------------------------------------------------------------------------------------

void identities(EntryBuilder& entry) {
  entry.standard(laws::same("explicit_windows", "cyclic"))
      .standard(laws::same("dense", "cyclic"))
      .standard(laws::same("cosine_explicit_windows", "cosine"))
      .standard(laws::gradient("cyclic", "backward"))
      .standard(laws::gradient("explicit_windows", "backward"))
      .standard(laws::gradient("dense", "backward"))
      .law<RationalExp2>(
          Kind::same, "padding that is seen belongs to the image",
          "Where padding may be attended to, the rolled form equals explicit windows on the padded image, "
          "cut to size; without padding it is the definition",
          [](auto& trial) {
            const swin::Grid grid = grid_of(trial);
            const auto key = trial.array("padding key", {trial.size("d_k")}, Domain::logit);
            const auto value = trial.array("padding value", {trial.size("d_v")});
            auto larger = trial.in;
            larger.real["query"] = swin::padded(trial.in["query"], grid, key);
            larger.real["key"] = swin::padded(trial.in["key"], grid, key);
            larger.real["value"] = swin::padded(trial.in["value"], grid, value);
            const Settings whole = {{"height", grid.padded_height}, {"width", grid.padded_width},
                                    {"d_k", trial.size("d_k")},     {"d_v", trial.size("d_v")},
                                    {"window", grid.window},        {"shift", grid.shift}};
            const auto seen =
                swin::cyclic_seeing_padding(with_dot_products(trial.in, with(trial, {})), key, value);
            const auto truth = trial.run("explicit_windows", larger, whole)["output"];
            trial.equal(seen, part(truth, 0, 0, grid.height, grid.width), "output");
            if (grid.padded_height == grid.height && grid.padded_width == grid.width) {
              trial.equal(seen, trial.run("cyclic")["output"], "without padding");
            }
          });
}

void edges(EntryBuilder& entry) {
  entry
      .limit<RationalExp2>(
          "softmax_attention", "one window is full attention",
          "A square image that fits into one window is mixed by full softmax attention with biases by "
          "offset, whatever the shift",
          [](auto& trial) {
            const Index side = trial.integer("side", 1, 5), beyond = trial.integer("beyond", 0, 2);
            const auto in = drawn_image(trial, side, side, side);
            const Settings settings =
                with(trial, {{"height", side},
                             {"width", side},
                             {"window", side + beyond},
                             {"shift", trial.integer("a shift", 0, side + beyond - 1)}});
            // The range of the window ends at one beyond the side: two beyond are read as one.
            const auto full = trial.run_other("softmax_attention", "online", in_a_line(in, side),
                                              {{"mask", 0}, {"bias_given", 1}});
            trial.equal(swin::flattened(trial.run("cyclic", in, settings)["output"]), full["output"],
                        "output");
          })
      .limit<RationalExp2>(
          "softmax_attention", "is softmax attention with a mask and a bias",
          "Every image, window and shift: full softmax attention over the tokens in a line, where a mask "
          "admits the pairs that no cut of the grid separates and the bias of a pair is that of its offset",
          [](auto& trial) {
            const swin::Grid grid = grid_of(trial);
            auto line = in_a_line(trial.in, grid.window);
            const Index tokens = grid.height * grid.width;
            Array<Index> allowed({tokens, tokens});
            for (Index t = 0; t < tokens; ++t) {
              for (Index u = 0; u < tokens; ++u) {
                allowed(t, u) = static_cast<Index>(
                    together(grid, t / grid.width, t % grid.width, u / grid.width, u % grid.width));
              }
            }
            line.index["allowed"] = allowed;
            const auto masked =
                trial.run_other("softmax_attention", "online", line, {{"mask", 5}, {"bias_given", 1}});
            trial.equal(swin::flattened(trial.run("cyclic")["output"]), masked["output"], "output");
          });
}

void invariants(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::invariant, "windows of one token",
                         "With windows of one token every token reads its own value",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           auto in = trial.in;
                           in.real["bias"] = Array<T>({1, 1}, trial.number("own bias", Domain::logit));
                           trial.equal(
                               trial.run("cyclic", in, with(trial, {{"window", 1}, {"shift", 0}}))["output"],
                               in["value"], "output");
                         })
      .law<RationalExp2>(Kind::invariant, "an output is an average of its window",
                         "Every output lies between the least and the largest value of its own window, and "
                         "equal values come back unchanged",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const swin::Grid grid = grid_of(trial);
                           const auto output = trial.run("cyclic")["output"];
                           const auto& value = trial.in["value"];
                           for_each_token(grid.height, grid.width, [&](Index y, Index x) {
                             for (Index c = 0; c < trial.size("d_v"); ++c) {
                               T least = value(y, x, c), largest = least;
                               for_each_token(grid.height, grid.width, [&](Index other_y, Index other_x) {
                                 if (!together(grid, y, x, other_y, other_x)) return;
                                 largest = maximum(largest, value(other_y, other_x, c));
                                 least = -maximum(-least, -value(other_y, other_x, c));
                               });
                               trial.expect(least <= output(y, x, c) && output(y, x, c) <= largest,
                                            "output outside of the values of its window");
                             }
                           });
                           auto constant = trial.in;
                           constant.real["value"] = Array<T>(value.shape(), T(7));
                           trial.equal(trial.run("cyclic", constant)["output"], constant["value"], "sevens");
                         })
      .law<RationalExp2>(
          Kind::invariant, "a token is seen in its own window only",
          "Other numbers in one token change no output of another window; another value changes all of its "
          "own",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const swin::Grid grid = grid_of(trial);
            const Index y = trial.integer("y", 0, grid.height - 1), x = trial.integer("x", 0, grid.width - 1);
            auto changed = trial.in, raised = trial.in;
            for (Index c = 0; c < trial.size("d_k"); ++c) {
              changed.real["query"](y, x, c) += T(1);
              changed.real["key"](y, x, c) -= T(2);
            }
            for (Index c = 0; c < trial.size("d_v"); ++c) {
              changed.real["value"](y, x, c) += T(3);
              raised.real["value"](y, x, c) += T(1);
            }
            const auto before = trial.run("cyclic")["output"];
            const auto after = trial.run("cyclic", changed)["output"];
            const auto higher = trial.run("cyclic", raised)["output"];
            for_each_token(grid.height, grid.width, [&](Index other_y, Index other_x) {
              for (Index c = 0; c < trial.size("d_v"); ++c) {
                if (together(grid, y, x, other_y, other_x)) {
                  trial.expect(before(other_y, other_x, c) < higher(other_y, other_x, c), "own window");
                } else {
                  trial.equal(after(other_y, other_x, c), before(other_y, other_x, c), "another window");
                }
              }
            });
          })
      .law<RationalExp2>(
          Kind::invariant, "moving the image by whole windows",
          "An image without its first rows or columns of windows is mixed as before, from the first whole "
          "window on",
          [](auto& trial) {
            const Index side = trial.integer("side", 1, 3), shift = trial.integer("a shift", 0, side - 1);
            const Index rows = side + 1 + trial.integer("more rows", 0, 2);
            const Index columns = side + 1 + trial.integer("more columns", 0, 2);
            const auto in = drawn_image(trial, rows + side, columns + side, side);
            auto moved = in;
            for (const char* name : {"query", "key", "value"}) {
              moved.real[name] = part(in[name], side, side, rows, columns);
            }
            const auto settings = [&](Index more) {
              return with(
                  trial,
                  {{"height", rows + more}, {"width", columns + more}, {"window", side}, {"shift", shift}});
            };
            const auto whole = trial.run("cyclic", in, settings(side))["output"];
            const auto rest = trial.run("cyclic", moved, settings(0))["output"];
            trial.equal(part(rest, shift, shift, rows - shift, columns - shift),
                        part(whole, side + shift, side + shift, rows - shift, columns - shift), "output");
          })
      .law<RationalExp2>(Kind::invariant, "rows and columns have equal rights",
                         "Transposing the image and the table of biases transposes the output",
                         [](auto& trial) {
                           auto in = trial.in;
                           for (const char* name : {"query", "key", "value"})
                             in.real[name] = transposed_image(trial.in[name]);
                           in.real["bias"] = as_table(transposed_image(as_image(trial.in["bias"])));
                           const Settings lying = with(
                               trial, {{"height", trial.size("width")}, {"width", trial.size("height")}});
                           trial.equal(trial.run("cyclic", in, lying)["output"],
                                       transposed_image(trial.run("cyclic")["output"]), "output");
                         })
      .law<RationalExp2>(
          Kind::invariant, "half a turn",
          "Turning an image of whole windows and the table of biases by half a turn turns the output, with "
          "shift M - s for shift s",
          [](auto& trial) {
            const Index side = trial.integer("side", 1, 3), shift = trial.integer("a shift", 0, side - 1);
            const Index rows = side * trial.integer("windows in a column", 2, 3);
            const Index columns = side * trial.integer("windows in a row", 2, 3);
            const auto in = drawn_image(trial, rows, columns, side);
            auto other = in;
            for (const char* name : {"query", "key", "value"}) other.real[name] = turned(in[name]);
            other.real["bias"] = as_table(turned(as_image(in["bias"])));
            const auto settings = [&](Index chosen) {
              return with(trial, {{"height", rows}, {"width", columns}, {"window", side}, {"shift", chosen}});
            };
            trial.equal(trial.run("cyclic", other, settings((side - shift) % side))["output"],
                        turned(trial.run("cyclic", in, settings(shift))["output"]), "output");
          })
      .law<RationalExp2>(Kind::invariant, "a constant added to the biases",
                         "Adding one number to the whole table of biases changes nothing",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           auto raised = trial.in;
                           const T constant = trial.number("constant", Domain::logit);
                           for (T& bias : raised.real["bias"].values()) bias += constant;
                           trial.equal(trial.run("cyclic", raised), trial.run("cyclic"));
                         })
      .law<RationalExp2>(Kind::gradient, "gradients of the biases add up to 0",
                         "The gradients of all biases add up to 0, because a common constant has no effect",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           trial.in = draw_inputs<T>(trial.entry(), trial.drawn(), true);
                           T sum(0);
                           const Array<T> biases = trial.run("backward")["d_bias"];
                           for (const T& d : biases.values()) sum += d;
                           trial.equal(sum, T(0), "sum");
                         });
}

/// A grid of whole windows, with any shift, also where only one window spans a side.
swin::Grid whole_grid(Index rows, Index columns, Index side, Index shift) {
  return {rows * side, columns * side, side, shift, rows * side, columns * side};
}

/// Calls `see(grid)` for every grid of up to 3 x 3 windows of up to 4 x 4 tokens, with every shift.
template <class See>
void for_each_grid(See see) {
  for (Index side = 1; side <= 4; ++side) {
    for (Index shift = 0; shift < side; ++shift) {
      for (Index rows = 1; rows <= 3; ++rows) {
        for (Index columns = 1; columns <= 3; ++columns) see(whole_grid(rows, columns, side, shift));
      }
    }
  }
}

/// An image whose tokens hold their own number.
Array<Index> numbered(Index rows, Index columns) {
  Array<Index> image({rows, columns, 1});
  for_each_token(rows, columns, [&](Index y, Index x) { image(y, x, 0) = y * columns + x; });
  return image;
}

void grids(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "rolls, partitions and merges are permutations",
            "Every grid of up to 3 x 3 windows of up to 4 x 4 tokens and every shift: a roll brings the "
            "token (y + s, x + s) to (y, x) and is undone by its opposite; window (a, b) holds the tokens (a "
            "M + i, b M + j) in order, and merging undoes cutting",
            [](auto& check) {
              for_each_grid([&](const swin::Grid& grid) {
                const Array<Index> image = numbered(grid.height, grid.width);
                const Array<Index> rolled = swin::rolled(image, grid.shift);
                check.equal(swin::rolled(rolled, -grid.shift), image, "rolled there and back");
                const Array<Index> windows = swin::partitioned(rolled, grid.window);
                check.equal(swin::merged(windows, grid.height, grid.width, grid.window), rolled,
                            "cut and merged");
                for_each_token(grid.height, grid.width, [&](Index y, Index x) {
                  check.equal(rolled(y, x, 0),
                              (y + grid.shift) % grid.height * grid.width + (x + grid.shift) % grid.width,
                              "rolled token");
                  check.equal(windows(y / grid.window * grid.columns() + x / grid.window,
                                      y % grid.window * grid.window + x % grid.window, 0),
                              rolled(y, x, 0), "token of a window");
                });
              });
            })
      .once(Kind::invariant, "equal labels mean true neighbours",
            "Every grid of up to 3 x 3 windows of up to 4 x 4 tokens, every shift, also where one window "
            "spans a side: two tokens share a window of the rolled image and a label if and only if no cut "
            "of the shifted grid separates them, and then their offset in the window is their true offset; "
            "without a shift all labels are equal",
            [](auto& check) {
              for_each_grid([&](const swin::Grid& grid) {
                const auto mask = swin::shared_window(grid);
                const auto back = [&](Index place, Index size) {
                  return (place + size - grid.shift) % size;  // where the roll puts it
                };
                for_each_token(grid.height, grid.width, [&](Index y, Index x) {
                  const Index to_y = back(y, grid.height), to_x = back(x, grid.width);
                  if (grid.shift == 0) check.equal(swin::label(grid, to_y, to_x), Index{0}, "label");
                  for_each_token(grid.height, grid.width, [&](Index v, Index u) {
                    const Index to_v = back(v, grid.height), to_u = back(u, grid.width);
                    const bool near = to_y / grid.window == to_v / grid.window &&
                                      to_x / grid.window == to_u / grid.window &&
                                      swin::label(grid, to_y, to_x) == swin::label(grid, to_v, to_u);
                    const bool share = together(grid, y, x, v, u);
                    check.expect(near == share, "labels against cuts");
                    check.expect(mask(y * grid.width + x, v * grid.width + u) == share, "dense mask");
                    if (!near) return;
                    const Index t = to_y % grid.window * grid.window + to_x % grid.window;
                    const Index other = to_v % grid.window * grid.window + to_u % grid.window;
                    const Index true_index =
                        (y - v + grid.window - 1) * (2 * grid.window - 1) + x - u + grid.window - 1;
                    check.equal(swin::relative_index(t, other, grid.window), true_index, "offset");
                  });
                });
              });
            })
      .once(Kind::invariant, "how many pairs a window admits",
            "A window of the rolled image admits M^4 pairs away from the border, M^2 (s^2 + (M - s)^2) at "
            "the right or bottom edge, and (s^2 + (M - s)^2)^2 in the corner",
            [](auto& check) {
              for_each_grid([&](const swin::Grid& grid) {
                const Index side = grid.window, cut = side - grid.shift;
                const Index whole = side * side, seam = grid.shift * grid.shift + cut * cut;
                for_each_token(grid.rows(), grid.columns(), [&](Index a, Index b) {
                  Index pairs = 0;
                  for_each_token(side, side, [&](Index i, Index j) {
                    for_each_token(side, side, [&](Index k, Index l) {
                      pairs += static_cast<Index>(swin::label(grid, a * side + i, b * side + j) ==
                                                  swin::label(grid, a * side + k, b * side + l));
                    });
                  });
                  const Index rows = a == grid.rows() - 1 ? seam : whole;
                  const Index columns = b == grid.columns() - 1 ? seam : whole;
                  check.equal(pairs, rows * columns, "pairs");
                });
              });
            })
      .once(Kind::invariant, "the table of offsets",
            "Windows of up to 6 x 6 tokens: indices run from 0 to (2 M - 1)^2 - 1, that of a token with "
            "itself is 2 M (M - 1), those of a pair and its reverse add up to 4 M (M - 1), and the offset "
            "(dy, dx) occurs (M - |dy|) (M - |dx|) times",
            [](auto& check) {
              for (Index side = 1; side <= 6; ++side) {
                const Index sides = 2 * side - 1, tokens = side * side;
                std::vector<Index> found(static_cast<std::size_t>(sides * sides), 0);
                for (Index t = 0; t < tokens; ++t) {
                  check.equal(swin::relative_index(t, t, side), 2 * side * (side - 1), "a token with itself");
                  for (Index u = 0; u < tokens; ++u) {
                    const Index index = swin::relative_index(t, u, side);
                    check.expect(0 <= index && index < sides * sides, "index in the table");
                    check.equal(index + swin::relative_index(u, t, side), 4 * side * (side - 1), "reversed");
                    ++found[static_cast<std::size_t>(index)];
                  }
                }
                for_each_token(sides, sides, [&](Index row, Index column) {
                  const Index down = std::abs(row - side + 1), across = std::abs(column - side + 1);
                  check.equal(found[static_cast<std::size_t>(row * sides + column)],
                              (side - down) * (side - across), "how often an offset occurs");
                });
              }
            })
      .once(Kind::invariant, "the pieces of an axis",
            "Axes of up to 13 tokens: the pieces follow one another and cover the axis; the first has s "
            "tokens, those between M, the last no more than M; where M divides the axis there are N / M + 1 "
            "of them for s > 0, the last with M - s tokens",
            [](auto& check) {
              for (Index size = 1; size <= 13; ++size) {
                for (Index side = 1; side <= size; ++side) {
                  for (Index shift = 0; shift < side; ++shift) {
                    const auto pieces = swin::pieces(size, side, shift);
                    Index next = 0;
                    for (std::size_t a = 0; a < pieces.size(); ++a) {
                      const auto& [first, last] = pieces[a];
                      check.equal(first, next, "begin of a piece");
                      check.expect(first < last && last - first <= side, "size of a piece");
                      if (a == 0 && shift > 0) check.equal(last, std::min(shift, size), "first piece");
                      if (a > 0 && a + 1 < pieces.size()) check.equal(last - first, side, "middle piece");
                      next = last;
                    }
                    check.equal(next, size, "end of the axis");
                    if (size % side != 0 || shift == 0) continue;
                    check.equal(static_cast<Index>(pieces.size()), size / side + 1, "number of pieces");
                    check.equal(pieces.back().second - pieces.back().first, side - shift, "last piece");
                  }
                }
              }
            })
      .once(
          Kind::invariant, "how far two alternating grids reach",
          "Layers until every token of a line of n has reached every other, with shifts 0 and M / 2 in turn: "
          "n / (M / 2) - 1 for M = 4 and n = 8, 16, 32; 15 for M = 7 and n = 56; never without a shift",
          [](auto& check) {
            const auto layers = [](Index size, Index side, Index shift) {
              std::vector<std::set<Index>> seen;
              for (Index t = 0; t < size; ++t) seen.push_back({t});
              for (Index layer = 0; layer <= size; ++layer) {
                bool all = true;
                for (const auto& of_one : seen) all = all && static_cast<Index>(of_one.size()) == size;
                if (all) return layer;
                for (const auto& [first, last] : swin::pieces(size, side, layer % 2 == 0 ? 0 : shift)) {
                  std::set<Index> both;
                  for (Index t = first; t < last; ++t) {
                    both.insert(seen[static_cast<std::size_t>(t)].begin(),
                                seen[static_cast<std::size_t>(t)].end());
                  }
                  for (Index t = first; t < last; ++t) seen[static_cast<std::size_t>(t)] = both;
                }
              }
              return Index{-1};
            };
            for (const Index size : {8, 16, 32}) check.equal(layers(size, 4, 2), size / 2 - 1, "layers");
            check.equal(layers(56, 7, 3), Index{15}, "layers of the paper's first stage");
            check.equal(layers(8, 4, 0), Index{-1}, "without a shift");
          });
}

void real_laws(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::bound, "how much a penalty of -100 leaks",
          "Adding -100 to forbidden scores moves an output by at most n e^(d - 100) times the range of the "
          "values in its window of the rolled image, of n tokens, where d is the largest forbidden score "
          "less the largest allowed one; by nothing where nothing is forbidden",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const swin::Grid grid = grid_of(trial);
            const auto in = with_dot_products(trial.in, trial.entry().with_defaults(trial.drawn().settings));
            const auto clean = trial.run("cyclic")["output"], leaky = swin::cyclic_with_penalty(in);
            const auto content = swin::dot_product(trial.in["scale"]());
            const auto to_y = [&](Index y) {
              return (y + grid.padded_height - grid.shift) % grid.padded_height;
            };
            const auto to_x = [&](Index x) {
              return (x + grid.padded_width - grid.shift) % grid.padded_width;
            };
            const auto query = swin::flattened(in.query), key = swin::flattened(in.key);
            for_each_token(grid.height, grid.width, [&](Index y, Index x) {
              std::optional<T> allowed, forbidden;
              std::vector<std::pair<Index, Index>> members;
              for_each_token(grid.height, grid.width, [&](Index v, Index u) {
                const Index down = to_y(y) - to_y(v), across = to_x(x) - to_x(u), side = grid.window;
                if (to_y(y) / side != to_y(v) / side || to_x(x) / side != to_x(u) / side) return;
                members.emplace_back(v, u);
                const T score = content(query.row(y * grid.width + x), key.row(v * grid.width + u)) +
                                in.bias(down + side - 1, across + side - 1);
                std::optional<T>& largest = together(grid, y, x, v, u) ? allowed : forbidden;
                largest = largest ? maximum(*largest, score) : score;
              });
              for (Index c = 0; c < trial.size("d_v"); ++c) {
                if (!forbidden) {
                  trial.equal(leaky(y, x, c), clean(y, x, c), "nothing forbidden");
                  continue;
                }
                T least = in.value(y, x, c), largest = least;
                for (const auto& [v, u] : members) {
                  largest = maximum(largest, in.value(v, u, c));
                  least = -maximum(-least, -in.value(v, u, c));
                }
                const T bound = T(static_cast<Index>(members.size())) * exp(*forbidden - *allowed - T(100)) *
                                (largest - least);
                const T moved = leaky(y, x, c) - clean(y, x, c);
                trial.at_most(maximum(moved, -moved), bound, "leak above its bound");
              }
            });
          })
      .law<Bounded<Real50>>(
          Kind::invariant, "cosine scores",
          "A cosine score is at most e^lambda and at most 100, does not see the lengths of query and key, is "
          "e^min(lambda, log 100) for a vector with itself, and 0 for a zero vector",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T lambda = T(3) * trial.number("lambda");
            const auto content = swin::cosine(lambda);
            const Index channels = trial.size("d_k");
            const auto query = trial.array("q", {1, channels}, Domain::positive);
            const auto key = trial.array("k", {1, channels});
            auto longer = query;
            for (T& q : longer.values()) q *= T(5);
            const T score = content(query.row(0), key.row(0));
            const T size = maximum(score, -score);
            trial.at_most(size, exp(lambda), "score above e^lambda");
            trial.at_most(size, T(100), "score above 100");
            trial.equal(content(longer.row(0), key.row(0)), score, "a longer query");
            const T factor = T(100) < exp(lambda) ? T(100) : exp(lambda);
            trial.equal(content(query.row(0), query.row(0)), factor, "a vector with itself");
            const Array<T> zero({1, channels});
            trial.equal(content(zero.row(0), key.row(0)), T(0), "a zero query");
            trial.equal(content(query.row(0), zero.row(0)), T(0), "a zero key");
          })
      .law<Bounded<Real50>>(
          Kind::invariant, "biases from a network",
          "Offsets on a logarithmic scale are odd and reach log2(9) / 3 at the border of a window; a "
          "network's biases lie between 0 and 16, are 8 for a network without output, and equal 16 / (1 + (1 "
          "+ d)^(-1 / (3 log 2))) where it passes the size of one offset",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index side = trial.integer("side", 1, 6), hidden = trial.integer("hidden", 1, 4);
            const Index sides = 2 * side - 1;
            for (Index offset = 0; offset < side; ++offset) {
              trial.equal(swin::log_spaced_offset<T>(-offset, side),
                          -swin::log_spaced_offset<T>(offset, side), "odd");
            }
            const T far = side == 1 ? T(0) : log(T(9)) / log(T(2)) / T(3);
            trial.equal(swin::log_spaced_offset<T>(side - 1, side), far, "at the border");
            const auto inner = trial.array("inner", {hidden, 2}), outer = trial.array("outer", {hidden});
            const auto inner_bias = trial.array("inner bias", {hidden});
            const auto table = swin::bias_from_network(side, inner, inner_bias, outer);
            for (const T& bias : table.values()) {
              trial.at_most(T(0), bias, "bias not below 0");
              trial.at_most(bias, T(16), "bias not above 16");
            }
            const auto silent = swin::bias_from_network(side, inner, inner_bias, Array<T>({hidden}));
            for (const T& bias : silent.values()) trial.equal(bias, T(8), "without output");
            const auto sizes = swin::bias_from_network(side, Array<T>::matrix({{T(0), T(1)}, {T(0), T(-1)}}),
                                                       Array<T>({2}), Array<T>({2}, T(1)));
            for_each_token(sides, sides, [&](Index row, Index column) {
              const T d = T(8 * std::abs(column - side + 1)) / T(std::max<Index>(1, side - 1));
              const T power = exp(-log(T(1) + d) / (T(3) * log(T(2))));
              trial.equal(sizes(row, column), T(16) / (T(1) + power), "size of the offset across");
            });
          });
}

/// A 4 x 4 image of one channel, all zero, with windows of 2 x 2 shifted by 1. Its token (0, 0) is alone in
/// its window, while the rolled image puts it beside (0, 3), (3, 0) and (3, 3).
template <class T>
swin::Input<T> lonely_corner() {
  const Array<T> zeros({4, 4, 1});
  return {zeros, zeros, zeros, Array<T>({3, 3}), swin::dot_product(T(1)), 2, 1};
}

/// What a call that must be refused says.
template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
  return "not refused";
}

void errata(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "the penalty of -100 is no mask",
            "In float32 e^-100 is not 0; a forbidden score that is larger by 100 takes half of the weight, a "
            "NaN is not kept out, and the second version's own scores reach 216 above an allowed one, where "
            "the forbidden tokens take all",
            [](auto& check) {
              check.expect(exp(-100.0F) > 0 && exp(-100.0F) < std::numeric_limits<float>::min(),
                           "e^-100 is subnormal");
              auto in = lonely_corner<float>();
              in.query(0, 0, 0) = 10;
              in.key(3, 3, 0) = 10;
              in.value(0, 0, 0) = 2;
              in.value(3, 3, 0) = 6;
              check.equal(swin::cyclic(in)(0, 0, 0), 2.0F, "masked");
              check.equal(swin::cyclic_with_penalty(in)(0, 0, 0), 4.0F, "penalised: the mean of 2 and 6");
              in.value(3, 3, 0) = std::numeric_limits<float>::quiet_NaN();
              check.equal(swin::cyclic(in)(0, 0, 0), 2.0F, "masked, beside a NaN");
              check.expect(!finite(swin::cyclic_with_penalty(in)(0, 0, 0)), "penalised, beside a NaN");

              auto second = lonely_corner<double>();
              second.content = swin::cosine(10.0);  // clamped to log 100
              second.bias = Array<double>({3, 3}, 16.0);
              second.bias(1, 1) = 0;
              second.key = Array<double>({4, 4, 1}, 1.0);
              second.value = Array<double>({4, 4, 1}, 6.0);
              second.query(0, 0, 0) = 1;
              second.key(0, 0, 0) = -1;
              second.value(0, 0, 0) = 2;
              check.equal(swin::cyclic(second)(0, 0, 0), 2.0, "cosine scores, masked");
              check.equal(swin::cyclic_with_penalty(second)(0, 0, 0), 6.0, "cosine scores, penalised");
            })
      .once(Kind::erratum, "the fused kernel counts rows for columns",
            "The released kernel that merges windows and rolls numbers window (a, b) a H / M + b: right for "
            "square images, wrong for wide ones, and outside of its input for high ones",
            [](auto& check) {
              const auto windows = [](Index rows, Index columns) {
                return swin::partitioned(numbered(rows, columns), 2);
              };
              check.equal(swin::merged_like_the_fused_kernel(windows(4, 4), 4, 4, 2), numbered(4, 4),
                          "square image");
              const auto wide = swin::merged_like_the_fused_kernel(windows(4, 8), 4, 8, 2);
              check.equal(part(wide, 0, 0, 2, 8), part(numbered(4, 8), 0, 0, 2, 8), "first row of windows");
              check.equal(part(wide, 2, 0, 2, 4), part(numbered(4, 8), 0, 4, 2, 4),
                          "second row of windows: begins with window 2 of the first");
              check.expect(refusal([&] { swin::merged_like_the_fused_kernel(windows(8, 4), 8, 4, 2); }) ==
                               "swin: height is 8, expected at most the width, which is 4: the kernel reads "
                               "outside of its input",
                           "high image");
            })
      .once(Kind::erratum, "a short side shrinks the windows of both",
            "If one side is no longer than a window, the released code drops the shift and shrinks the "
            "window in both directions: a 2 x 8 image with M = 4, s = 2 becomes four 2 x 2 windows that "
            "never meet, so M >= max(H, W) means full attention for square images only",
            [](auto& check) {
              const swin::Grid grid = swin::fitted(2, 8, 4, 2);
              check.equal(grid.window, Index{2}, "window");
              check.equal(grid.shift, Index{0}, "shift");
              check.equal(grid.rows() * grid.columns(), Index{4}, "windows");
              check.equal(swin::fitted(2, 8, 8, 0).columns(), Index{4},
                          "windows of a window as long as the image");
            })
      .once(Kind::erratum, "a division in floating point that does no harm",
            "Putting windows together, the released code finds the batch as int(B / (H W / M / M)) in double "
            "precision. Each quotient is an integer below 2^53, so each is exact",
            [](auto& check) {
              for (Index side = 1; side <= 12; ++side) {
                for (Index rows = 1; rows <= 12; ++rows) {
                  for (Index columns = 1; columns <= 12; ++columns) {
                    for (const Index batch : {1, 3, 49, 127}) {
                      const double all = static_cast<double>(batch * rows * columns);
                      const double pixels = static_cast<double>(rows * side * columns * side);
                      const double of_one = pixels / static_cast<double>(side) / static_cast<double>(side);
                      check.equal(static_cast<Index>(all / of_one), batch, "batch");
                    }
                  }
                }
              }
            });
}

void degenerate(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "a NaN stays in its window",
            "A NaN in a value reaches exactly the outputs of its own window, in every form, for every token "
            "of a 5 x 7 image with M = 3 and every shift",
            [](auto& check) {
              for (Index shift = 0; shift < 3; ++shift) {
                const swin::Grid grid = swin::fitted(5, 7, 3, shift);
                for_each_token(5, 7, [&](Index y, Index x) {
                  swin::Input<double> in{Array<double>({5, 7, 1}, 1.0),
                                         Array<double>({5, 7, 1}, 1.0),
                                         Array<double>({5, 7, 1}, 1.0),
                                         Array<double>({5, 5}),
                                         swin::dot_product(1.0),
                                         3,
                                         shift};
                  in.value(y, x, 0) = std::numeric_limits<double>::quiet_NaN();
                  for (const auto& output : {swin::cyclic(in), swin::explicit_windows(in), swin::dense(in)}) {
                    for_each_token(5, 7, [&](Index v, Index u) {
                      check.expect(finite(output(v, u, 0)) != together(grid, y, x, v, u), "reach of a NaN");
                    });
                  }
                });
              }
            })
      .once(Kind::invariant, "bad input is refused by name",
            "Empty windows, shifts of a whole window, empty images and arrays that do not fit are refused "
            "with the argument, what it is and what was expected",
            [](auto& check) {
              const auto says = [&](const std::string& found, const std::string& expected) {
                check.expect(found == expected, "\"" + found + "\" instead of \"" + expected + "\"");
              };
              using Change = std::function<void(swin::Input<double>&)>;
              const auto changed = [](const Change& change) {
                return refusal([&] {
                  auto in = lonely_corner<double>();
                  change(in);
                  swin::cyclic(in);
                });
              };
              says(changed([](auto& in) { in.window = 0; }), "swin: window is 0, expected 1 or more");
              says(changed([](auto& in) { in.shift = 2; }), "swin: shift is 2, expected 0 to 1");
              says(changed([](auto& in) { in.shift = -1; }), "swin: shift is -1, expected 0 to 1");
              says(changed([](auto& in) {
                     in.key = Array<double>({4, 0, 1});
                   }),
                   "swin: key is 4 x 0 x 1, expected 3 axes, each of length 1 or more");
              says(changed([](auto& in) {
                     in.value = Array<double>({4, 3, 1});
                   }),
                   "swin: value is 4 x 3 x 1, expected 4 x 4 x 1 (key is 4 x 4 x 1)");
              says(changed([](auto& in) {
                     in.bias = Array<double>({2, 2});
                   }),
                   "swin: bias is 2 x 2, expected 3 x 3 (the window is 2)");
              says(changed([](auto& in) { in.content = nullptr; }),
                   "swin: content is empty, expected a function of a query and a key");
              const Array<double> three({3}), one({1});
              says(refusal([&] { swin::cyclic_seeing_padding(lonely_corner<double>(), three, one); }),
                   "swin: padding_key is 3, expected 1 (the channels of a key)");
              says(refusal([] { swin::partitioned(numbered(4, 5), 2); }),
                   "swin: image is 4 x 5, expected sides that are multiples of the window's, 2");
              says(refusal([] { swin::fitted(0, 4, 2, 0); }), "swin: height is 0, expected 1 or more");
              says(refusal([] { swin::pieces(4, 2, 2); }), "swin: shift is 2, expected 0 to 1");
              says(refusal([&] {
                     swin::bias_from_network(2, Array<double>({3, 1}), three, three);
                   }),
                   "swin: inner is 3 x 1, expected 3 x 2 (an offset has two parts)");
            });
}

void costs(EntryBuilder& entry) {
  // M and s are the window and the shift in use. Along an axis there are `whole` windows after the shift and
  // then `rest` tokens.
  const auto in_use = [](Settings& settings) {
    const swin::Grid grid = swin::fitted(at(settings, "height"), at(settings, "width"),
                                         at(settings, "window"), at(settings, "shift"));
    settings["M"] = grid.window;
    settings["s"] = grid.shift;
  };
  const Expression side = symbol("M"), shift = symbol("s");
  const auto whole = [&](const Expression& size) { return ceil_div(size - shift + 1, side) - 1; };
  const auto rest = [&](const Expression& size) { return size - shift - whole(size) * side; };
  const auto squares = [&](const Expression& size) {
    return shift * shift + whole(size) * side * side + rest(size) * rest(size);
  };
  const auto longest = [&](const Expression& size) { return max(shift, min(side, size - shift)); };
  const auto is_one = [](const Expression& number) { return max(0, 1 - (number - 1) * (number - 1)); };
  const auto single = [&](const Expression& size) {  // pieces of one token
    return is_one(shift) + is_one(side) * whole(size) + is_one(rest(size));
  };
  const Expression tokens = height * width, pairs = squares(height) * squares(width);
  const Expression largest = longest(height) * longest(width);
  Cost cyclic("cyclic");
  cyclic.fixed = in_use;
  cyclic.multiplications = pairs * (d_k + 1 + d_v);
  cyclic.additions = pairs * (d_k + 1) + (pairs - tokens) * (1 + d_v);
  cyclic.divisions = tokens * d_v;
  cyclic.exponentials = pairs;
  cyclic.functions = 0;
  cyclic.comparisons = pairs - tokens;
  cyclic.depth = d_k + 2 * largest + 4;
  cyclic.free_depth = ceil_log2(d_k) + 2 * ceil_log2(largest) + 7;
  cyclic.state = largest;
  Cost dense = cyclic;
  dense.form = "dense";
  // Every key but the first of a token costs one exponential; which of two factors it is, the scores say, so
  // that multiplications are no function of the sizes. The weights of a window of one token add up to a
  // literal 1, by which nobody divides.
  Cost pieces("explicit_windows");
  pieces.fixed = in_use;
  pieces.additions = pairs * d_k + (pairs - tokens) * (2 + d_v);
  pieces.divisions = (tokens - single(height) * single(width)) * d_v;
  pieces.exponentials = pairs - tokens;
  pieces.functions = 0;
  pieces.comparisons = pairs - tokens;
  pieces.state = 2 + d_v;
  // A pair costs three sums of products, two roots, and two comparisons with the least length.
  Cost cosine = cyclic;
  cosine.form = "cosine";
  cosine.multiplications = pairs * (3 * d_k + 2 + d_v);
  cosine.additions = pairs * (3 * d_k - 1) + (pairs - tokens) * (1 + d_v);
  cosine.divisions = pairs + tokens * d_v;
  cosine.exponentials = pairs + 1;
  cosine.functions = 2 * pairs;
  cosine.comparisons = 3 * pairs - tokens + 1;
  cosine.depth = d_k + 2 * largest + 7;
  cosine.free_depth = ceil_log2(d_k) + 2 * ceil_log2(largest) + 10;
  entry.cost(cyclic).cost(dense).cost(pieces).cost(cosine);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 128; length *= 2) {
    grid.push_back({{"n", length * length},
                    {"height", length},
                    {"width", length},
                    {"window", 8},
                    {"shift", 4},
                    {"d_k", 32},
                    {"d_v", 32}});
  }
  entry.scale("windows of 8 x 8, 32 channels", grid);
}

void examples(EntryBuilder& entry) {
  entry.example("worked example", "A 4 x 4 image of numbered tokens, M = 2, base-2 weights, exact fractions",
                [](auto& check) {
                  using X = RationalExp2;
                  const auto over = [](Index a, Index b = 1) { return X(a) / X(b); };
                  auto in = lonely_corner<X>();
                  for (Index t = 0; t < 16; ++t) in.value(t / 4, t % 4, 0) = X(t);
                  const auto expect = [&](const Array<X>& expected, const std::string& what) {
                    check.equal(as_table(swin::cyclic(in)), expected, what);
                    check.equal(as_table(swin::explicit_windows(in)), expected, what + ", explicit windows");
                  };
                  expect(Array<X>::matrix({{over(0), over(3, 2), over(3, 2), over(3)},
                                           {over(6), over(15, 2), over(15, 2), over(9)},
                                           {over(6), over(15, 2), over(15, 2), over(9)},
                                           {over(12), over(27, 2), over(27, 2), over(15)}}),
                         "no bias");
                  in.bias = Array<X>::matrix({{X(0), X(0), X(0)}, {X(0), X(1), X(2)}, {X(0), X(3), X(0)}});
                  expect(Array<X>::matrix({{over(0), over(4, 3), over(4, 3), over(3)},
                                           {over(16, 3), over(7), over(51, 8), over(25, 3)},
                                           {over(24, 5), over(37, 6), over(109, 15), over(39, 5)},
                                           {over(12), over(40, 3), over(40, 3), over(15)}}),
                         "with biases");
                  in.shift = 0;
                  expect(Array<X>::matrix({{over(2), over(11, 8), over(4), over(27, 8)},
                                           {over(7, 6), over(34, 15), over(19, 6), over(64, 15)},
                                           {over(10), over(75, 8), over(12), over(91, 8)},
                                           {over(55, 6), over(154, 15), over(67, 6), over(184, 15)}}),
                         "with biases, no shift");
                  const Index indices[4][4] = {{4, 3, 1, 0}, {5, 4, 2, 1}, {7, 6, 4, 3}, {8, 7, 5, 4}};
                  for (Index t = 0; t < 4; ++t) {
                    for (Index u = 0; u < 4; ++u) {
                      check.equal(swin::relative_index(t, u, 2), indices[t][u], "table of offsets");
                    }
                  }
                });
}

const Registration<EntryBuilder> registration{"swin", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                edges(entry);
                                                invariants(entry);
                                                grids(entry);
                                                real_laws(entry);
                                                errata(entry);
                                                degenerate(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
