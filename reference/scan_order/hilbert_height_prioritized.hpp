/// \file
/// Height-prioritised Hilbert expansion: the order in which OccMamba reads a grid of voxels as one sequence.
/// Every vertical column stays together, and the columns follow each other along a Hilbert curve through the
/// ground plane, so that successive columns are neighbours.
///
/// The definition, on a grid of \f$X\times Y\times Z\f$ cells (x, y, z) with flat ids \f$(xY+y)Z+z\f$:
/// \f[ \mathrm{pos}(x,y,z)=\rho(x,y)\,Z+z, \qquad g=\mathrm{argsort}(\mathrm{pos}), \f]
/// where \f$\rho(x,y)\f$ counts the columns that the curve visits before (x, y), and the curve on the square
/// of side \f$M=2^k\f$ is, with \f$d=q\,4^{k-1}+e\f$, \f$N=2^{k-1}\f$, \f$(a,b)=H_{k-1}(e)\f$ and
/// \f$H_0(0)=(0,0)\f$,
/// \f[ H_k(d)=\begin{cases}(b,a)&q=0\\(a,\,b+N)&q=1\\(a+N,\,b+N)&q=2\\(2N-1-b,\;N-1-a)&q=3.\end{cases} \f]
///
/// The released code calls its curve Hilbert too, but turns no quadrant. Its order, here Gray-Morton, sorts
/// by
/// \f[ \mathrm{key}(x,y)=\sum_{j=0}^{k-1}4^j\,\bigl(2x_j+(x_j\oplus y_j)\bigr). \f]
///
/// Source: Li, Hou, Xing, Ma, Sun and Zhang, "OccMamba: Semantic Occupancy Prediction with State Space
/// Models", 2024, arXiv 2408.09859 (\cite li2024occmamba), which names the curve; the recursion is the usual
/// one. The Gray-Morton order is that of the code released with the paper.
///
/// \symbol{X} side of the grid along x
/// \symbol{Y} side of the grid along y
/// \symbol{Z} side of the grid along z: the height of a column
/// \symbol{k} order of the curve, the smallest one for which the square covers the plane
/// \symbol{M} side of that square, a power of two
/// \symbol{H_k} Hilbert curve: the cell of the square at a distance along the curve
/// \symbol{d} distance along the curve, counted in cells from 0
/// \symbol{q} which quarter of the curve d falls into, 0 to 3
/// \symbol{e} distance within that quarter
/// \symbol{N} side of a quadrant
/// \symbol{a} first coordinate within the quadrant, before it is turned
/// \symbol{b} second coordinate within the quadrant, before it is turned
/// \symbol{rho} rank of a column among the columns of the plane, in curve order
/// \symbol{pos} place of a voxel in the sequence, from 0
/// \symbol{g} gather list: the flat id of the voxel at each place
/// \symbol{key} what the Gray-Morton order sorts by
/// \symbol{x_j} bit j of x
/// \symbol{y_j} bit j of y
///
/// `positions` of `hilbert_plane` is the definition, `gather` its inverse. All results are exact integers. An
/// order of a plane is the list of its ids \f$xY+y\f$ in the order of the visit.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reference/array.hpp"

namespace etalon::hilbert_height_prioritized {

/// Largest order of a curve. The square then has 2^40 cells, as many as an array may have elements.
inline constexpr Index kMaxOrder = 20;

/// Largest order of a curve that is walked cell by cell (16,777,216 cells). Sorting has no such limit.
inline constexpr Index kMaxWalkOrder = 12;

/// A cell of the ground plane, or a step between two of them.
struct Cell {
  Index x;
  Index y;
  bool operator==(const Cell&) const = default;
};

/// Throws unless `low <= given <= high`.
/// \throws std::invalid_argument
inline void require_between(std::string_view argument, Index given, Index low, Index high,
                            std::string_view hint = "") {
  if (low <= given && given <= high) return;
  require(false, "hilbert_height_prioritized", argument, std::to_string(given),
          std::to_string(low) + " to " + std::to_string(high) + std::string(hint));
}

/// Throws unless the sides are 1 to 2^20 and the plane has at most 2^40 cells, which then follows.
/// \throws std::invalid_argument
inline void require_plane(Index size_x, Index size_y) {
  require_between("size_x", size_x, 1, Index{1} << kMaxOrder);
  require_between("size_y", size_y, 1, Index{1} << kMaxOrder);
}

/// Throws unless `order` lists each of 0 to n - 1 once.
/// \throws std::invalid_argument
inline void require_permutation(std::string_view argument, std::span<const Index> order) {
  const auto length = static_cast<Index>(order.size());
  std::vector<bool> seen(order.size(), false);
  for (std::size_t place = 0; place < order.size(); ++place) {
    const Index id = order[place];
    const bool fresh = id >= 0 && id < length && !seen[static_cast<std::size_t>(id)];
    if (!fresh) {
      require(false, "hilbert_height_prioritized", argument,
              std::to_string(id) + " at place " + std::to_string(place) + " (out of range or a second time)",
              "each of 0 to " + std::to_string(length - 1) + " once");
    }
    seen[static_cast<std::size_t>(id)] = true;
  }
}

/// The smallest order whose square covers a plane of `size_x` by `size_y` cells.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Index enclosing_order(Index size_x, Index size_y) {
  require_plane(size_x, size_y);
  Index order = 0;
  while ((Index{1} << order) < std::max(size_x, size_y)) ++order;  // [k] [M]
  return order;
}

// ---- The Hilbert curve -------------------------------------------------------------------------

/// Turns a cell of the smaller curve into its place in quadrant `quarter`. The first and the last quadrant
/// are reflected in a diagonal, so that each quarter of the curve ends beside the beginning of the next.
inline Cell turned_into_quadrant(Index quarter, Index side, Cell inner) {
  const auto [a, b] = inner;                      // [a] [b]
  if (quarter == 0) return {b, a};                // [q]
  if (quarter == 1) return {a, b + side};         // [q] [N]
  if (quarter == 2) return {a + side, b + side};  // [q] [N]
  return {2 * side - 1 - b, side - 1 - a};        // [q] [N]
}

/// The whole Hilbert curve of an order, built from four copies of the curve one order below: the definition.
/// \param order 0 to 12
/// \return 4^k x 2, the cell (x, y) at each distance
/// \throws std::invalid_argument
inline Array<Index> curve_recursive(Index order) {
  require_between("order", order, 0, kMaxWalkOrder);
  if (order == 0) return Array<Index>::matrix({{0, 0}});  // [H_k]
  const Array<Index> inner = curve_recursive(order - 1);  // [H_k]
  const Index side = Index{1} << (order - 1);             // [N]
  const Index quarter_length = side * side;
  Array<Index> curve({4 * quarter_length, 2});
  for (Index quarter = 0; quarter < 4; ++quarter) {        // [q]
    for (Index rest = 0; rest < quarter_length; ++rest) {  // [e]
      const Cell cell = turned_into_quadrant(quarter, side, {inner(rest, 0), inner(rest, 1)});
      const Index distance = quarter * quarter_length + rest;  // [d]
      curve(distance, 0) = cell.x;                             // [H_k]
      curve(distance, 1) = cell.y;                             // [H_k]
    }
  }
  return curve;
}

/// One cell of the Hilbert curve, by the same recursion.
/// \param order 0 to 20
/// \param distance 0 to 4^k - 1
/// \throws std::invalid_argument
inline Cell curve_point(Index order, Index distance) {
  require_between("order", order, 0, kMaxOrder);
  require_between("distance", distance, 0, (Index{1} << (2 * order)) - 1);
  if (order == 0) return {0, 0};               // [H_k]
  const Index side = Index{1} << (order - 1);  // [N]
  const Index quarter_length = side * side;
  const Index quarter = distance / quarter_length;  // [d] [q]
  const Index rest = distance % quarter_length;     // [d] [e]
  const Cell inner = curve_point(order - 1, rest);  // [H_k]
  return turned_into_quadrant(quarter, side, inner);
}

/// The inverse of `curve_point`: the distance at which the Hilbert curve visits (x, y). Reads the bits of the
/// cell from the top; each pair of bits names a quadrant, whose turn is then undone.
/// \param order 0 to 20
/// \param x 0 to 2^k - 1
/// \param y 0 to 2^k - 1
/// \throws std::invalid_argument
inline Index curve_index(Index order, Index x, Index y) {
  require_between("order", order, 0, kMaxOrder);
  require_between("x", x, 0, (Index{1} << order) - 1);
  require_between("y", y, 0, (Index{1} << order) - 1);
  Index distance = 0;
  for (Index j = order - 1; j >= 0; --j) {
    const Index side = Index{1} << j;                   // [N]
    const Index x_bit = x / side;                       // [x_j]
    const Index y_bit = y / side;                       // [y_j]
    const Index quarter = 2 * x_bit + (x_bit ^ y_bit);  // [q]
    distance = 4 * distance + quarter;                  // [d]
    x -= x_bit * side;
    y -= y_bit * side;
    if (quarter == 0) std::swap(x, y);
    if (quarter == 3) {
      const Cell inner{side - 1 - y, side - 1 - x};
      x = inner.x;  // [a]
      y = inner.y;  // [b]
    }
  }
  return distance;
}

// ---- The order of the released code ------------------------------------------------------------

/// What the Gray-Morton order sorts by: the Morton code (the bits of two numbers in turn) of x and x xor y.
/// \param order 0 to 20
/// \param x 0 to 2^k - 1
/// \param y 0 to 2^k - 1
/// \throws std::invalid_argument
inline Index gray_morton_key(Index order, Index x, Index y) {
  require_between("order", order, 0, kMaxOrder);
  require_between("x", x, 0, (Index{1} << order) - 1);
  require_between("y", y, 0, (Index{1} << order) - 1);
  Index key = 0;
  for (Index j = 0; j < order; ++j) {
    const Index x_bit = (x >> j) & 1;                              // [x_j]
    const Index y_bit = (y >> j) & 1;                              // [y_j]
    key += (Index{1} << (2 * j)) * (2 * x_bit + (x_bit ^ y_bit));  // [key]
  }
  return key;
}

/// The inverse of `gray_morton_key`: the cell that has this key.
/// \param order 0 to 20
/// \param key 0 to 4^k - 1
/// \throws std::invalid_argument
inline Cell gray_morton_point(Index order, Index key) {
  require_between("order", order, 0, kMaxOrder);
  require_between("key", key, 0, (Index{1} << (2 * order)) - 1);
  Cell cell{0, 0};
  for (Index j = 0; j < order; ++j) {
    const Index digit = (key >> (2 * j)) & 3;  // [key]
    const Index x_bit = digit / 2;             // [x_j]
    const Index y_bit = x_bit ^ (digit % 2);   // [y_j]
    cell.x += x_bit << j;
    cell.y += y_bit << j;
  }
  return cell;
}

// ---- Orders of a plane whose sides need not be powers of two -----------------------------------

/// Walks a curve over the enclosing square and keeps the cells that lie in the plane.
/// \param point the cell of the curve at a distance: `curve_point` or `gray_morton_point`
/// \throws std::invalid_argument for a side below 1 or above 4096
inline Array<Index> plane_by_walk(Index size_x, Index size_y, Cell (*point)(Index order, Index distance)) {
  const Index order = enclosing_order(size_x, size_y);  // [k]
  const Index side = Index{1} << order;                 // [M]
  require_between("side of the enclosing square", side, 1, Index{1} << kMaxWalkOrder,
                  "; the order by sorting has no such limit");
  Array<Index> plane({size_x * size_y});
  Index rank = 0;                                                 // [rho]
  for (Index distance = 0; distance < side * side; ++distance) {  // [d]
    const Cell cell = point(order, distance);                     // [H_k]
    if (cell.x >= size_x || cell.y >= size_y) continue;           // [X] [Y]
    plane(rank) = cell.x * size_y + cell.y;
    ++rank;
  }
  return plane;
}

/// Sorts the cells of the plane by a key. Costs the cells of the plane, not those of the enclosing square.
/// \param key takes x and y and gives an Index, different for different cells
/// \throws std::invalid_argument for a side below 1 or above 2^20
template <std::regular_invocable<Index, Index> Key>
Array<Index> plane_by_sort(Index size_x, Index size_y, const Key& key) {
  require_plane(size_x, size_y);
  std::vector<std::pair<Index, Index>> cells;
  for (Index x = 0; x < size_x; ++x) {
    for (Index y = 0; y < size_y; ++y) cells.emplace_back(key(x, y), x * size_y + y);
  }
  std::sort(cells.begin(), cells.end());
  Array<Index> plane({size_x * size_y});
  for (Index rank = 0; rank < plane.size(); ++rank) {
    plane(rank) = cells[static_cast<std::size_t>(rank)].second;
  }
  return plane;
}

/// The Hilbert order of the plane.
/// \throws std::invalid_argument for a side below 1 or above 4096
inline Array<Index> hilbert_plane(Index size_x, Index size_y) {
  return plane_by_walk(size_x, size_y, curve_point);
}

/// The Hilbert order of the plane, by sorting.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> hilbert_plane_sorted(Index size_x, Index size_y) {
  const Index order = enclosing_order(size_x, size_y);
  return plane_by_sort(size_x, size_y, [order](Index x, Index y) { return curve_index(order, x, y); });
}

/// The Gray-Morton order of the plane.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> gray_morton_plane(Index size_x, Index size_y) {
  const Index order = enclosing_order(size_x, size_y);
  return plane_by_sort(size_x, size_y, [order](Index x, Index y) { return gray_morton_key(order, x, y); });
}

/// Four steps from the corner of a square to the corners of its quadrants, in units of a quadrant's side.
using Quadrants = std::array<Cell, 4>;

/// Visits the quadrants of a square in turn, in the same way at every size, and writes the ids of the cells
/// that lie in the plane. The corner is the cell of the square from which all steps lead away, so that a
/// square whose corner lies beyond the plane has no cell in it.
inline void visit_quadrants(Cell corner, Index side, const Quadrants& quadrants, Index size_x, Index size_y,
                            Array<Index>& plane, Index& rank) {
  const bool inside = corner.x >= 0 && corner.x < size_x && corner.y >= 0 && corner.y < size_y;
  if (!inside) return;
  if (side == 1) {
    plane(rank) = corner.x * size_y + corner.y;
    ++rank;
    return;
  }
  for (const Cell& step : quadrants) {
    const Cell next{corner.x + step.x * (side / 2), corner.y + step.y * (side / 2)};
    visit_quadrants(next, side / 2, quadrants, size_x, size_y, plane, rank);
  }
}

/// The order of a plane from its first cell and the turn of its quadrants.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> plane_by_quadrants(Index size_x, Index size_y, Cell corner, const Quadrants& quadrants) {
  const Index side = Index{1} << enclosing_order(size_x, size_y);  // [M]
  Array<Index> plane({size_x * size_y});
  Index rank = 0;
  visit_quadrants(corner, side, quadrants, size_x, size_y, plane, rank);
  return plane;
}

/// Erratum: the order that the released code builds under the name `hilbert2D`, by its own recursion. It
/// joins its blocks by jumps where the paper promises neighbours. Option `xy`.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> released_xy(Index size_x, Index size_y) {
  return plane_by_quadrants(size_x, size_y, {0, 0}, {{{0, 0}, {0, 1}, {1, 1}, {1, 0}}});
}

/// The released code's option `yx`: x and y change places in the key.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> released_yx(Index size_x, Index size_y) {
  return plane_by_quadrants(size_x, size_y, {0, 0}, {{{0, 0}, {1, 0}, {1, 1}, {0, 1}}});
}

/// The released code's option `xy` with `inverse`: the plane is turned by half a turn. The sequence is not
/// reversed.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> released_inverse(Index size_x, Index size_y) {
  return plane_by_quadrants(size_x, size_y, {size_x - 1, size_y - 1}, {{{0, 0}, {0, -1}, {-1, -1}, {-1, 0}}});
}

/// The released code's option `yx` with `inverse`: both changes.
/// \throws std::invalid_argument for a side below 1 or above 2^20
inline Array<Index> released_yx_inverse(Index size_x, Index size_y) {
  return plane_by_quadrants(size_x, size_y, {size_x - 1, size_y - 1}, {{{0, 0}, {-1, 0}, {-1, -1}, {0, -1}}});
}

// ---- From the plane to the grid ----------------------------------------------------------------

/// The inverse of a list of positions: which id stands at each place.
/// \param positions n, each of 0 to n - 1 once
/// \throws std::invalid_argument
inline Array<Index> argsort(const Array<Index>& positions) {
  require_rank("hilbert_height_prioritized", "positions", positions, 1);
  require_permutation("positions", positions.values());
  Array<Index> order(positions.shape());
  for (Index id = 0; id < positions.size(); ++id) order(positions(id)) = id;  // [g]
  return order;
}

/// Throws unless `columns` is an order of 1 column or more and a grid of that many columns of `size_z` voxels
/// has at most 2^40.
/// \throws std::invalid_argument
inline void require_grid(const Array<Index>& columns, Index size_z) {
  require_rank("hilbert_height_prioritized", "columns", columns, 1);
  require_permutation("columns", columns.values());
  require_between("size_z", size_z, 1, kMaxElements / columns.size());
}

/// The place of every voxel in the sequence, by its flat id: the definition. Columns are read upwards.
/// \param columns X Y, the order of the plane
/// \param size_z Z
/// \return X Y Z places
/// \throws std::invalid_argument
inline Array<Index> positions(const Array<Index>& columns, Index size_z) {
  require_grid(columns, size_z);
  const Array<Index> rank = argsort(columns);        // [rho]
  Array<Index> position({columns.size() * size_z});  // [X] [Y] [Z]
  for (Index column = 0; column < rank.size(); ++column) {
    for (Index z = 0; z < size_z; ++z) {
      position(column * size_z + z) = rank(column) * size_z + z;  // [pos] [rho] [Z]
    }
  }
  return position;
}

/// The flat id of the voxel at each place of the sequence: what to gather by.
/// \throws std::invalid_argument
inline Array<Index> gather(const Array<Index>& columns, Index size_z) {
  return argsort(positions(columns, size_z));  // [g]
}

/// The gather list without the list of positions: each column becomes Z places in a row. So the order of the
/// plane, a table of X Y entries, is all that needs to be kept.
/// \throws std::invalid_argument
inline Array<Index> expand_columns(const Array<Index>& columns, Index size_z) {
  require_grid(columns, size_z);
  Array<Index> order({columns.size() * size_z});
  for (Index rank = 0; rank < columns.size(); ++rank) {
    for (Index z = 0; z < size_z; ++z) order(rank * size_z + z) = columns(rank) * size_z + z;
  }
  return order;
}

/// The gather list when columns of odd rank are read downwards, so that no step of the sequence resets the
/// height. Not in the paper.
/// \throws std::invalid_argument
inline Array<Index> serpentine_gather(const Array<Index>& columns, Index size_z) {
  require_grid(columns, size_z);
  Array<Index> order({columns.size() * size_z});
  for (Index rank = 0; rank < columns.size(); ++rank) {
    for (Index step = 0; step < size_z; ++step) {
      const Index z = rank % 2 == 0 ? step : size_z - 1 - step;
      order(rank * size_z + step) = columns(rank) * size_z + z;
    }
  }
  return order;
}

// ---- Tokens ------------------------------------------------------------------------------------

/// Puts the tokens into an order: row p of the result is row order(p) of `tokens`.
/// \param tokens n x C
/// \param order n, a permutation
/// \throws std::invalid_argument
template <class T>
Array<T> gather_tokens(const Array<T>& tokens, const Array<Index>& order) {
  require_rank("hilbert_height_prioritized", "tokens", tokens, 2);
  require_shape("hilbert_height_prioritized", "order", order, {tokens.extent(0)},
                "tokens is " + to_string(tokens.shape()));
  require_permutation("order", order.values());
  Array<T> sequence(tokens.shape());
  for (Index place = 0; place < tokens.extent(0); ++place) {
    for (Index c = 0; c < tokens.extent(1); ++c) sequence(place, c) = tokens(order(place), c);
  }
  return sequence;
}

/// Puts the tokens of a sequence back where `gather_tokens` took them from.
/// \param sequence n x C
/// \param order n, the same permutation
/// \throws std::invalid_argument
template <class T>
Array<T> ungather_tokens(const Array<T>& sequence, const Array<Index>& order) {
  require_rank("hilbert_height_prioritized", "sequence", sequence, 2);
  require_shape("hilbert_height_prioritized", "order", order, {sequence.extent(0)},
                "sequence is " + to_string(sequence.shape()));
  require_permutation("order", order.values());
  Array<T> tokens(sequence.shape());
  for (Index place = 0; place < sequence.extent(0); ++place) {
    for (Index c = 0; c < sequence.extent(1); ++c) tokens(order(place), c) = sequence(place, c);
  }
  return tokens;
}

/// Cuts the channels into R groups, gathers group r by route r and lays the R sequences one after the other.
/// \param tokens n x C
/// \param orders R x n, a permutation in each row; R divides C
/// \return R n x C / R
/// \throws std::invalid_argument
template <class T>
Array<T> join_routes(const Array<T>& tokens, const Array<Index>& orders) {
  require_rank("hilbert_height_prioritized", "tokens", tokens, 2);
  require_rank("hilbert_height_prioritized", "orders", orders, 2);
  const Index routes = orders.extent(0);
  const Index length = tokens.extent(0);
  const Index channels = tokens.extent(1);
  require_shape("hilbert_height_prioritized", "orders", orders, {routes, length},
                "tokens is " + to_string(tokens.shape()));
  require(channels % routes == 0, "hilbert_height_prioritized", "number of routes", std::to_string(routes),
          "a divisor of the " + std::to_string(channels) + " channels");
  const Index width = channels / routes;
  Array<T> joined({routes * length, width});
  for (Index r = 0; r < routes; ++r) {
    require_permutation("orders", orders.row(r));
    for (Index place = 0; place < length; ++place) {
      for (Index c = 0; c < width; ++c) {
        joined(r * length + place, c) = tokens(orders(r, place), r * width + c);
      }
    }
  }
  return joined;
}

/// The way back: every token of the joined sequence returns to its voxel and its channels.
/// \param joined R n x C / R
/// \param orders R x n, a permutation in each row
/// \return n x C
/// \throws std::invalid_argument
template <class T>
Array<T> split_routes(const Array<T>& joined, const Array<Index>& orders) {
  require_rank("hilbert_height_prioritized", "joined", joined, 2);
  require_rank("hilbert_height_prioritized", "orders", orders, 2);
  const Index routes = orders.extent(0);
  const Index length = orders.extent(1);
  const Index width = joined.extent(1);
  require_shape("hilbert_height_prioritized", "joined", joined, {routes * length, width},
                "orders is " + to_string(orders.shape()));
  Array<T> tokens({length, routes * width});
  for (Index r = 0; r < routes; ++r) {
    require_permutation("orders", orders.row(r));
    for (Index place = 0; place < length; ++place) {
      for (Index c = 0; c < width; ++c) {
        tokens(orders(r, place), r * width + c) = joined(r * length + place, c);
      }
    }
  }
  return tokens;
}

/// Several routes through one mixer. The sequences are joined along time, so a causal mixer carries its state
/// from the end of one route to the beginning of the next.
/// \param tokens n x C
/// \param orders R x n, a permutation in each row; R divides C
/// \param mixer takes R n x C / R and gives the same shape
/// \return n x C
/// \throws std::invalid_argument
template <class T, std::invocable<const Array<T>&> Mixer>
Array<T> several_routes(const Array<T>& tokens, const Array<Index>& orders, const Mixer& mixer) {
  const Array<T> joined = join_routes(tokens, orders);
  const Array<T> mixed = mixer(joined);
  require_shape("hilbert_height_prioritized", "what the mixer returns", mixed, joined.shape(),
                "as it was given");
  return split_routes(mixed, orders);
}

}  // namespace etalon::hilbert_height_prioritized
