/// \file
/// Swin: softmax attention inside windows of an image. Full attention over H x W tokens costs (H W)^2; here
/// the image is cut into M x M windows and tokens attend within their own. In every second layer the grid of
/// windows is shifted, so that what was cut apart meets. A shifted grid has windows of odd sizes at the
/// border; the trick is to roll the image round instead, use the regular grid, and forbid pairs that are no
/// true neighbours.
///
/// Source: \cite liu2021swin; cosine scores and biases from a network: \cite liu2022swinv2. The rolled form
/// is the definition. \f[ s_{tt'} = \sigma\, q_t^\top k_{t'} + \hat B[\Delta_{tt'}], \qquad
///     o_t = \sum_{t' \in A_t} \frac{e^{s_{tt'}}}{\sum_{t'' \in A_t} e^{s_{tt''}}}\, v_{t'} \f]
/// A_t are the tokens of the window of t, Delta their offset from it. Where the side of the image is no
/// multiple of M, it is padded at the bottom and right; padding is never attended to.
///
/// One head of one image; heads have their own queries, keys, values and biases.
///
/// Shapes: an image of H x W tokens, queries and keys with d_k channels, values with d_v channels.
/// \symbol{q_t} query of token t = (y, x), d_k channels
/// \symbol{k_t} key of token t, d_k channels
/// \symbol{v_t} value of token t, d_v channels
/// \symbol{sigma} scale of the scores, usually 1 / sqrt(d_k)
/// \symbol{M} side of a window
/// \symbol{s} shift of the grid of windows, 0 or M / 2 rounded down
/// \symbol{B} table of relative position biases, (2 M - 1) x (2 M - 1)
/// \symbol{A_t} the tokens that token t attends to
/// \symbol{o_t} output of token t, d_v channels
#pragma once

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"

namespace etalon::swin {

// ---- the grid of windows -----------------------------------------------------------------------

/// How an image is cut: its own sides, those of the padded image, and the window and shift in use.
struct Grid {
  Index height = 1;
  Index width = 1;
  Index window = 1;
  Index shift = 0;
  Index padded_height = 1;
  Index padded_width = 1;

  Index rows() const { return padded_height / window; }
  Index columns() const { return padded_width / window; }
};

/// The grid for an image. If its shorter side is not longer than a window, the window shrinks to that side,
/// in both directions, and nothing is shifted. \throws std::invalid_argument unless all sides are 1 or more
/// and 0 <= shift < window
inline Grid fitted(Index height, Index width, Index window, Index shift) {
  require(height >= 1, "swin", "height", std::to_string(height), "1 or more");
  require(width >= 1, "swin", "width", std::to_string(width), "1 or more");
  require(window >= 1, "swin", "window", std::to_string(window), "1 or more");
  require(shift >= 0 && shift < window, "swin", "shift", std::to_string(shift),
          "0 to " + std::to_string(window - 1));
  Grid grid{height, width, window, shift, height, width};
  if (std::min(height, width) <= window) {
    grid.window = std::min(height, width);  // [M]
    grid.shift = 0;                         // [s]
  }
  grid.padded_height = (height + grid.window - 1) / grid.window * grid.window;
  grid.padded_width = (width + grid.window - 1) / grid.window * grid.window;
  return grid;
}

/// Enlarges an image at the bottom and right; the new tokens get the channels of `filling`.
/// \param image H x W x channels for the H and W of the grid \param filling (channels)
/// \throws std::invalid_argument when shapes do not fit
template <class T>
Array<T> padded(const Array<T>& image, const Grid& grid, const Array<T>& filling) {
  require_rank("swin", "image", image, 3);
  require_shape("swin", "image", image, {grid.height, grid.width, image.extent(2)}, "the grid's sides");
  require_shape("swin", "filling", filling, {image.extent(2)}, "image is " + to_string(image.shape()));
  Array<T> larger({grid.padded_height, grid.padded_width, image.extent(2)});
  for (Index y = 0; y < grid.padded_height; ++y) {
    for (Index x = 0; x < grid.padded_width; ++x) {
      const bool inside = y < grid.height && x < grid.width;
      for (Index c = 0; c < image.extent(2); ++c) larger(y, x, c) = inside ? image(y, x, c) : filling(c);
    }
  }
  return larger;
}

/// Moves an image up and left by `shift` tokens; what leaves at one side comes back at the other. A negative
/// shift moves it back. \param image H x W x channels
template <class T>
Array<T> rolled(const Array<T>& image, Index shift) {
  require_rank("swin", "image", image, 3);
  const Index height = image.extent(0), width = image.extent(1);
  Array<T> moved(image.shape());
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      const Index from_y = ((y + shift) % height + height) % height;  // [s]
      const Index from_x = ((x + shift) % width + width) % width;
      for (Index c = 0; c < image.extent(2); ++c) moved(y, x, c) = image(from_y, from_x, c);
    }
  }
  return moved;
}

/// Throws unless windows cover an image without remainder.
inline void require_whole_windows(Index height, Index width, Index window) {
  require(window >= 1, "swin", "window", std::to_string(window), "1 or more");
  require(height >= 1 && width >= 1 && height % window == 0 && width % window == 0, "swin", "image",
          std::to_string(height) + " x " + std::to_string(width),
          "sides that are multiples of the window's, " + std::to_string(window));
}

/// Cuts an image into windows, row of windows after row: (rows columns) x M^2 x channels.
/// \throws std::invalid_argument unless both sides of the image are multiples of the window's
template <class T>
Array<T> partitioned(const Array<T>& image, Index window) {
  require_rank("swin", "image", image, 3);
  require_whole_windows(image.extent(0), image.extent(1), window);
  const Index columns = image.extent(1) / window;
  Array<T> windows({image.extent(0) / window * columns, window * window, image.extent(2)});
  for (Index y = 0; y < image.extent(0); ++y) {
    for (Index x = 0; x < image.extent(1); ++x) {
      const Index number = y / window * columns + x / window, token = y % window * window + x % window;
      for (Index c = 0; c < image.extent(2); ++c) windows(number, token, c) = image(y, x, c);
    }
  }
  return windows;
}

/// Puts windows together to an image of height x width tokens. `number` says where window (a, b) of the grid
/// is found. \throws std::invalid_argument unless the windows are as many and as large as the image has
template <class T, class Number>
Array<T> merged(const Array<T>& windows, Index height, Index width, Index window, Number number) {
  require_whole_windows(height, width, window);
  require_rank("swin", "windows", windows, 3);
  require_shape("swin", "windows", windows,
                {height / window * (width / window), window * window, windows.extent(2)},
                "an image of " + std::to_string(height) + " x " + std::to_string(width) + " tokens");
  Array<T> image({height, width, windows.extent(2)});
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      const Index token = y % window * window + x % window;
      for (Index c = 0; c < image.extent(2); ++c) {
        image(y, x, c) = windows(number(y / window, x / window), token, c);
      }
    }
  }
  return image;
}

/// The inverse of `partitioned`. \throws std::invalid_argument as above
template <class T>
Array<T> merged(const Array<T>& windows, Index height, Index width, Index window) {
  return merged(windows, height, width, window,
                [columns = width / window](Index a, Index b) { return a * columns + b; });
}

/// As the released fused kernel finds its windows: with the number of rows where that of columns
/// belongs, which is right for square images only. In a higher image the last windows that it asks for do not
/// exist. \throws std::invalid_argument for an image that is higher than wide
template <class T>
Array<T> merged_like_the_fused_kernel(const Array<T>& windows, Index height, Index width, Index window) {
  require(height <= width, "swin", "height", std::to_string(height),
          "at most the width, which is " + std::to_string(width) + ": the kernel reads outside of its input");
  return merged(windows, height, width, window,
                [rows = height / window](Index a, Index b) { return a * rows + b; });
}

/// The region of a position of the rolled image along one axis of `size` tokens: 0 away from the border, 1
/// and 2 on the two sides of the seam that the last window holds.
inline Index region(Index position, Index size, Index window, Index shift) {
  if (shift == 0 || position < size - window) return 0;
  return position < size - shift ? 1 : 2;
}

/// Two tokens of one window of the rolled image are true neighbours if and only if their labels agree.
inline Index label(const Grid& grid, Index y, Index x) {
  return 3 * region(y, grid.padded_height, grid.window, grid.shift) +
         region(x, grid.padded_width, grid.window, grid.shift);
}

/// Where the bias for query token t and key token u of a window, both counted row by row, stands in the
/// table, itself counted row by row.
inline Index relative_index(Index t, Index u, Index window) {
  return (t / window - u / window + window - 1) * (2 * window - 1) + t % window - u % window + window - 1;
}

// ---- inputs ------------------------------------------------------------------------------------

/// What the content of two tokens contributes to their score.
template <class T>
using Content = std::function<T(std::span<const T> query, std::span<const T> key)>;

/// sigma q . k
template <Ring T>
Content<T> dot_product(const T& scale) {
  return [scale](std::span<const T> query, std::span<const T> key) {
    T sum(0);
    for (std::size_t c = 0; c < key.size(); ++c) sum += query[c] * key[c];  // [q_t] [k_t]
    return scale * sum;                                                     // [sigma]
  };
}

/// The second version's e^min(lambda, log 100) q . k / (|q| |k|), with a learned lambda that starts at
/// log 10. Lengths below 10^-12 count as 10^-12, so a zero vector has score 0 with all.
template <Real T>
Content<T> cosine(const T& log_factor) {
  const T factor = exp(-maximum(-log_factor, -log(T(100))));  // e^min(lambda, log 100)
  const T least = T(1) / T(1000000000000);
  return [factor, least](std::span<const T> query, std::span<const T> key) {
    T sum(0), query_squares(0), key_squares(0);
    for (std::size_t c = 0; c < key.size(); ++c) {
      sum += query[c] * key[c];
      query_squares += query[c] * query[c];
      key_squares += key[c] * key[c];
    }
    return factor * sum / (maximum(sqrt(query_squares), least) * maximum(sqrt(key_squares), least));
  };
}

/// What enters: query and key H x W x d_k, value H x W x d_v, bias (2 M - 1) x (2 M - 1) for the M of the
/// fitted grid, and the content of a score.
template <class T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> bias;
  Content<T> content;
  Index window = 1;
  Index shift = 0;
};

/// The grid of an input, after its shapes are seen to fit together. Non-finite numbers are not looked for: a
/// NaN in a token reaches the outputs of its own window only. \throws std::invalid_argument naming the
/// argument, its shape and the expected one
template <class T>
Grid check(const Input<T>& in) {
  require_rank("swin", "key", in.key, 3);
  require_rank("swin", "value", in.value, 3);
  const Index height = in.key.extent(0), width = in.key.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape("swin", "query", in.query, in.key.shape(), because);
  require_shape("swin", "value", in.value, {height, width, in.value.extent(2)}, because);
  const Grid grid = fitted(height, width, in.window, in.shift);
  const Index sides = 2 * grid.window - 1;
  require_shape("swin", "bias", in.bias, {sides, sides}, "the window is " + std::to_string(grid.window));
  require(static_cast<bool>(in.content), "swin", "content", "empty", "a function of a query and a key");
  return grid;
}

// ---- forms -------------------------------------------------------------------------------------

/// What is done to scores of pairs that may not attend to each other: a number is added to them, or they are
/// left out where there is none.
template <class T>
using Penalty = std::optional<T>;

/// The rows of one window of a partition.
template <class T>
Array<T> window_of(const Array<T>& windows, Index number) {
  Array<T> tokens({windows.extent(1), windows.extent(2)});
  for (Index t = 0; t < tokens.extent(0); ++t) {
    for (Index c = 0; c < tokens.extent(1); ++c) tokens(t, c) = windows(number, t, c);
  }
  return tokens;
}

/// Attention in all windows of the rolled image. What padding itself asks does not matter: its outputs are
/// cut off. \param padding_key, padding_value channels of padding, (d_k) and (d_v)
/// \param see_padding whether padding may be attended to \param penalty of pairs from different regions
/// \throws std::invalid_argument when shapes do not fit
template <Exponential T>
Array<T> in_rolled_windows(const Input<T>& in, const Array<T>& padding_key, const Array<T>& padding_value,
                           bool see_padding, const Penalty<T>& penalty) {
  const Grid grid = check(in);
  require_shape("swin", "padding_key", padding_key, {in.key.extent(2)}, "the channels of a key");
  require_shape("swin", "padding_value", padding_value, {in.value.extent(2)}, "the channels of a value");
  const Index window = grid.window, size = window * window;
  const auto cut = [&](const Array<T>& image, const Array<T>& filling) {
    return partitioned(rolled(padded(image, grid, filling), grid.shift), window);
  };
  const Array<T> query = cut(in.query, padding_key), key = cut(in.key, padding_key);
  const Array<T> value = cut(in.value, padding_value);
  Array<T> output(value.shape());
  for (Index number = 0; number < output.extent(0); ++number) {
    const Array<T> queries = window_of(query, number), keys = window_of(key, number);
    std::vector<Index> labels;
    std::vector<bool> real;  // not padding
    for (Index t = 0; t < size; ++t) {
      const Index y = number / grid.columns() * window + t / window;
      const Index x = number % grid.columns() * window + t % window;
      labels.push_back(label(grid, y, x));
      real.push_back((y + grid.shift) % grid.padded_height < grid.height &&
                     (x + grid.shift) % grid.padded_width < grid.width);
    }
    const auto near = [&](Index t, Index u) {
      return labels[static_cast<std::size_t>(t)] == labels[static_cast<std::size_t>(u)];
    };
    softmax_attention::Problem<T> problem;
    problem.queries = size;
    problem.value = window_of(value, number);  // [v_t]
    problem.score = [&](Index t, Index u) {
      const T score = in.content(queries.row(t), keys.row(u)) +
                      in.bias.values()[static_cast<std::size_t>(relative_index(t, u, window))];  // [B]
      return penalty && !near(t, u) ? score + *penalty : score;
    };
    problem.mask = [&](Index t, Index u) {
      if (!see_padding && !(real[static_cast<std::size_t>(t)] && real[static_cast<std::size_t>(u)]))
        return false;
      return penalty.has_value() || near(t, u);  // [A_t]
    };
    const Array<T> mixed = softmax_attention::safe(problem);
    for (Index t = 0; t < size; ++t) {
      for (Index c = 0; c < output.extent(2); ++c) output(number, t, c) = mixed(t, c);  // [o_t]
    }
  }
  const Array<T> image = rolled(merged(output, grid.padded_height, grid.padded_width, window), -grid.shift);
  Array<T> cropped(in.value.shape());
  for (Index y = 0; y < grid.height; ++y) {
    for (Index x = 0; x < grid.width; ++x) {
      for (Index c = 0; c < cropped.extent(2); ++c) cropped(y, x, c) = image(y, x, c);
    }
  }
  return cropped;
}

/// The definition: pad, roll, cut into windows, attend where the labels agree, put together, roll back, crop.
/// O(H W M^2 (d_k + d_v)) operations. \returns H x W x d_v \throws std::invalid_argument when shapes do not
/// fit
template <Exponential T>
Array<T> cyclic(const Input<T>& in) {
  return in_rolled_windows(in, Array<T>({in.key.extent(2)}), Array<T>({in.value.extent(2)}), false,
                           Penalty<T>{});
}

/// As code for detection pads: the padding is attended to, with the key and the value that the biases of
/// their projections give it. Another function as soon as there is padding.
/// \param padding_key (d_k) \param padding_value (d_v) \returns H x W x d_v
template <Exponential T>
Array<T> cyclic_seeing_padding(const Input<T>& in, const Array<T>& padding_key,
                               const Array<T>& padding_value) {
  return in_rolled_windows(in, padding_key, padding_value, true, Penalty<T>{});
}

/// As the released code masks: -100 is added to the scores of forbidden pairs instead of leaving them out.
/// \returns H x W x d_v
template <Exponential T>
Array<T> cyclic_with_penalty(const Input<T>& in) {
  return in_rolled_windows(in, Array<T>({in.key.extent(2)}), Array<T>({in.value.extent(2)}), false,
                           Penalty<T>(T(-100)));
}

/// The pieces that an axis of `size` tokens is cut into by a shifted grid: [0, s), [s, s + M), ..., [..,
/// size), the empty ones left out. \throws std::invalid_argument unless window >= 1 and 0 <= shift < window
inline std::vector<std::pair<Index, Index>> pieces(Index size, Index window, Index shift) {
  require(window >= 1, "swin", "window", std::to_string(window), "1 or more");
  require(shift >= 0 && shift < window, "swin", "shift", std::to_string(shift),
          "0 to " + std::to_string(window - 1));
  std::vector<std::pair<Index, Index>> found;
  Index first = 0;
  for (Index edge = shift == 0 ? window : shift; first < size; edge += window) {
    found.emplace_back(first, std::min(edge, size));
    first = std::min(edge, size);
  }
  return found;
}

/// The windows as they are, without a roll and without a mask: every piece of rows with every piece of
/// columns, full attention inside. Sides need not be multiples of M. O(H W M^2 (d_k + d_v)) operations.
/// \returns H x W x d_v
template <Exponential T>
Array<T> explicit_windows(const Input<T>& in) {
  const Grid grid = check(in);
  Array<T> output(in.value.shape());
  for (const auto& rows : pieces(grid.height, grid.window, grid.shift)) {
    for (const auto& sides : pieces(grid.width, grid.window, grid.shift)) {
      const Index top = rows.first, left = sides.first, columns = sides.second - left;
      const Index size = (rows.second - top) * columns;
      const auto cut = [&](const Array<T>& image) {
        Array<T> tokens({size, image.extent(2)});
        for (Index t = 0; t < size; ++t) {
          for (Index c = 0; c < image.extent(2); ++c) {
            tokens(t, c) = image(top + t / columns, left + t % columns, c);
          }
        }
        return tokens;
      };
      const Array<T> query = cut(in.query), key = cut(in.key);
      softmax_attention::Problem<T> problem;
      problem.queries = size;
      problem.value = cut(in.value);
      problem.score = [&](Index t, Index u) {
        const Index down = t / columns - u / columns, right = t % columns - u % columns;
        return in.content(query.row(t), key.row(u)) +
               in.bias(down + grid.window - 1, right + grid.window - 1);
      };
      const Array<T> mixed = softmax_attention::online(problem);
      for (Index t = 0; t < size; ++t) {
        for (Index c = 0; c < output.extent(2); ++c) {
          output(top + t / columns, left + t % columns, c) = mixed(t, c);
        }
      }
    }
  }
  return output;
}

/// The number of the piece that a position lies in.
inline Index piece_of(Index position, const Grid& grid) {
  return (position + (grid.shift == 0 ? 0 : grid.window - grid.shift)) / grid.window;
}

/// The tokens of an image, row by row: H W x channels.
template <class T>
Array<T> flattened(const Array<T>& image) {
  return Array<T>({image.extent(0) * image.extent(1), image.extent(2)},
                  std::vector<T>(image.values().begin(), image.values().end()));
}

/// Whether tokens t and u of an image, counted row by row, share a window: the mask of the dense form.
inline softmax_attention::Mask shared_window(const Grid& grid) {
  return [grid](Index t, Index u) {
    return piece_of(t / grid.width, grid) == piece_of(u / grid.width, grid) &&
           piece_of(t % grid.width, grid) == piece_of(u % grid.width, grid);
  };
}

/// The scores of all pairs that share a window: full attention over the image, masked. \param query, key the
/// flattened images, which must outlive the problem
template <class T>
softmax_attention::Problem<T> dense_problem(const Input<T>& in, const Grid& grid, const Array<T>& query,
                                            const Array<T>& key) {
  softmax_attention::Problem<T> problem;
  problem.queries = grid.height * grid.width;
  problem.value = flattened(in.value);
  problem.mask = shared_window(grid);
  problem.score = [&in, &query, &key, grid](Index t, Index u) {
    return in.content(query.row(t), key.row(u)) + in.bias(t / grid.width - u / grid.width + grid.window - 1,
                                                          t % grid.width - u % grid.width + grid.window - 1);
  };
  return problem;
}

/// Full attention over the image with a mask. O((H W)^2) pairs are looked at. \returns H x W x d_v
template <Exponential T>
Array<T> dense(const Input<T>& in) {
  const Grid grid = check(in);
  const Array<T> query = flattened(in.query), key = flattened(in.key);
  const Array<T> mixed = softmax_attention::safe(dense_problem(in, grid, query, key));
  return Array<T>(in.value.shape(), std::vector<T>(mixed.values().begin(), mixed.values().end()));
}

// ---- backward ----------------------------------------------------------------------------------

/// The gradients of a loss with respect to the inputs, shaped as the inputs, and to the scale of dot
/// products.
template <class T>
struct Gradient {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> bias;
  T scale = T(0);
};

/// Backward pass for scores sigma q . k, whatever the content of `in` is: that of softmax attention with the
/// mask of the dense form; a bias collects the gradients of all pairs with its offset.
/// \param d_output H x W x d_v \throws std::invalid_argument when shapes do not fit
template <Exponential T>
Gradient<T> backward(Input<T> in, const T& scale, const Array<T>& d_output) {
  in.content = dot_product(scale);
  const Grid grid = check(in);
  require_shape("swin", "d_output", d_output, in.value.shape());
  const Array<T> query = flattened(in.query), key = flattened(in.key);
  const auto problem = dense_problem(in, grid, query, key);
  auto inner = softmax_attention::backward_of_scores(problem, flattened(d_output));
  softmax_attention::backward_of_dot_product(query, key, scale, inner);
  const auto image = [](const Shape& shape, const Array<T>& tokens) {
    return Array<T>(shape, std::vector<T>(tokens.values().begin(), tokens.values().end()));
  };
  Gradient<T> d{image(in.query.shape(), inner.query), image(in.key.shape(), inner.key),
                image(in.value.shape(), inner.value), Array<T>(in.bias.shape()), inner.scale};
  for (Index t = 0; t < problem.queries; ++t) {
    for (Index u = 0; u < problem.queries; ++u) {
      if (!problem.mask(t, u)) continue;
      d.bias(t / grid.width - u / grid.width + grid.window - 1,
             t % grid.width - u % grid.width + grid.window - 1) += inner.score(t, u);
    }
  }
  return d;
}

// ---- the second version's biases ---------------------------------------------------------------

/// An offset on a logarithmic scale: sign(d) log2(1 + |d|) / 3 with d = 8 offset / (M - 1), so that a network
/// carries over to larger windows. From -1.06 to 1.06 inside a window; 0 for windows of one token.
/// \throws std::invalid_argument for a window below 1
template <Real T>
T log_spaced_offset(Index offset, Index window) {
  require(window >= 1, "swin", "window", std::to_string(window), "1 or more");
  if (window == 1) return T(0);
  const T far = T(8) * T(std::abs(offset)) / T(window - 1);
  const T spaced = log1p(far) / (T(3) * log(T(2)));
  return offset < 0 ? -spaced : spaced;
}

/// 16 sigma(MLP(offset)) for every offset, (2 M - 1) x (2 M - 1): a network of one hidden layer with ReLU,
/// whose second layer has no bias. \param inner hidden x 2 \param inner_bias, outer (hidden)
/// \throws std::invalid_argument when shapes do not fit, or for a window below 1
template <Real T>
Array<T> bias_from_network(Index window, const Array<T>& inner, const Array<T>& inner_bias,
                           const Array<T>& outer) {
  require(window >= 1, "swin", "window", std::to_string(window), "1 or more");
  require_rank("swin", "inner", inner, 2);
  const std::string because = "inner is " + to_string(inner.shape());
  require_shape("swin", "inner", inner, {inner.extent(0), 2}, "an offset has two parts");
  require_shape("swin", "inner_bias", inner_bias, {inner.extent(0)}, because);
  require_shape("swin", "outer", outer, {inner.extent(0)}, because);
  const Index sides = 2 * window - 1;
  Array<T> bias({sides, sides});
  for (Index row = 0; row < sides; ++row) {
    for (Index column = 0; column < sides; ++column) {
      const T down = log_spaced_offset<T>(row - window + 1, window);
      const T across = log_spaced_offset<T>(column - window + 1, window);
      T sum(0);
      for (Index h = 0; h < inner.extent(0); ++h) {
        sum += outer(h) * maximum(T(0), T(inner(h, 0) * down + inner(h, 1) * across + inner_bias(h)));
      }
      bias(row, column) = T(16) / (T(1) + exp(-sum));
    }
  }
  return bias;
}

}  // namespace etalon::swin
