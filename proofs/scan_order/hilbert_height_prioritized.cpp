/// \file
/// The entry of the height-prioritised Hilbert order: forms, laws, costs. Its text is
/// `reference/scan_order/hilbert_height_prioritized.hpp`. An order is a list of integers, so most laws are
/// decided by trying every size up to a bound; no arithmetic is involved.
#include "reference/scan_order/hilbert_height_prioritized.hpp"

#include <cstdlib>
#include <map>
#include <numeric>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace hilbert = hilbert_height_prioritized;
using hilbert::Cell;

/// An order of the plane: takes its sides, gives its ids in the order of the visit.
using Plane = Array<Index> (*)(Index size_x, Index size_y);

// ---- The curves that the parameter `curve` names -----------------------------------------------

Array<Index> sorted_yx(Index size_x, Index size_y) {
  const Index order = hilbert::enclosing_order(size_x, size_y);
  return hilbert::plane_by_sort(size_x, size_y,
                                [=](Index x, Index y) { return hilbert::gray_morton_key(order, y, x); });
}

Array<Index> sorted_inverse(Index size_x, Index size_y) {
  const Index order = hilbert::enclosing_order(size_x, size_y);
  return hilbert::plane_by_sort(size_x, size_y, [=](Index x, Index y) {
    return hilbert::gray_morton_key(order, size_x - 1 - x, size_y - 1 - y);
  });
}

Array<Index> sorted_yx_inverse(Index size_x, Index size_y) {
  const Index order = hilbert::enclosing_order(size_x, size_y);
  return hilbert::plane_by_sort(size_x, size_y, [=](Index x, Index y) {
    return hilbert::gray_morton_key(order, size_y - 1 - y, size_x - 1 - x);
  });
}

/// A curve built by recursion, and the same by sorting the cells by a key.
struct Curve {
  std::string name;
  Plane recursive;
  Plane sorted;
};

const std::vector<Curve>& curves() {
  static const std::vector<Curve> all{
      {"hilbert", hilbert::hilbert_plane, hilbert::hilbert_plane_sorted},
      {"released_xy", hilbert::released_xy, hilbert::gray_morton_plane},
      {"released_yx", hilbert::released_yx, sorted_yx},
      {"released_inverse", hilbert::released_inverse, sorted_inverse},
      {"released_yx_inverse", hilbert::released_yx_inverse, sorted_yx_inverse},
  };
  return all;
}

const Curve& curve_of(const Settings& settings) {
  return curves()[static_cast<std::size_t>(at(settings, "curve"))];
}

// ---- Orders to compare with --------------------------------------------------------------------

Array<Index> raster_plane(Index size_x, Index size_y) {
  return hilbert::plane_by_sort(size_x, size_y, [=](Index x, Index y) { return x * size_y + y; });
}

/// Morton (Z-order). The Gray-Morton key is the Morton code of (x, x xor y), and x xor (x xor y) = y.
Array<Index> morton_plane(Index size_x, Index size_y) {
  const Index order = hilbert::enclosing_order(size_x, size_y);
  return hilbert::plane_by_sort(size_x, size_y,
                                [=](Index x, Index y) { return hilbert::gray_morton_key(order, x, x ^ y); });
}

/// Layer after layer, each in the order of the plane.
Array<Index> layered_gather(const Array<Index>& columns, Index size_z) {
  Array<Index> order({columns.size() * size_z});
  for (Index z = 0; z < size_z; ++z) {
    for (Index rank = 0; rank < columns.size(); ++rank) {
      order(z * columns.size() + rank) = columns(rank) * size_z + z;
    }
  }
  return order;
}

// ---- What is measured of an order --------------------------------------------------------------

/// How often each squared length occurs among the steps of an order. Length 1 is a step to a neighbour.
std::map<Index, Index> squared_steps(const Array<Index>& order, Index size_y, Index size_z) {
  std::map<Index, Index> count;
  for (Index place = 1; place < order.size(); ++place) {
    const Index a = order(place - 1), b = order(place);
    const Index dx = b / size_z / size_y - a / size_z / size_y;
    const Index dy = b / size_z % size_y - a / size_z % size_y;
    const Index dz = b % size_z - a % size_z;
    ++count[dx * dx + dy * dy + dz * dz];
  }
  return count;
}

/// A_1: the share of steps to a neighbour.
Rational share_of_neighbours(const Array<Index>& order, Index size_y, Index size_z) {
  return Rational(squared_steps(order, size_y, size_z)[1]) / Rational(order.size() - 1);
}

/// D: the mean length of a step.
Real50 mean_step(const Array<Index>& order, Index size_y, Index size_z) {
  Real50 sum(0);
  for (const auto& [squared, count] : squared_steps(order, size_y, size_z)) {
    sum += Real50(count) * sqrt(Real50(squared));
  }
  return sum / Real50(order.size() - 1);
}

/// S and S_max: how far apart in the sequence two neighbours of the plane are, on average and at most.
struct Spread {
  Rational mean;
  Index largest;
};

Spread spread(const Array<Index>& columns, Index size_x, Index size_y) {
  const Array<Index> rank = hilbert::argsort(columns);
  Index sum = 0, pairs = 0, largest = 0;
  const auto add = [&](Index one, Index other) {
    const Index distance = std::abs(rank(one) - rank(other));
    sum += distance;
    ++pairs;
    largest = std::max(largest, distance);
  };
  for (Index x = 0; x < size_x; ++x) {
    for (Index y = 0; y < size_y; ++y) {
      if (x + 1 < size_x) add(x * size_y + y, (x + 1) * size_y + y);
      if (y + 1 < size_y) add(x * size_y + y, x * size_y + y + 1);
    }
  }
  return {Rational(sum) / Rational(pairs), largest};
}

/// The largest ratio of squared distance in the plane to distance along the curve, over all pairs of cells.
Rational locality_ratio(Index order, Cell (*point)(Index, Index)) {
  std::vector<Cell> cells;
  for (Index d = 0; d < Index{1} << (2 * order); ++d) cells.push_back(point(order, d));
  Index numerator = 0, denominator = 1;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const Index dx = cells[i].x - cells[j].x, dy = cells[i].y - cells[j].y;
      const Index squared = dx * dx + dy * dy, along = static_cast<Index>(i - j);
      if (squared * denominator > numerator * along) {
        numerator = squared;
        denominator = along;
      }
    }
  }
  return Rational(numerator) / Rational(denominator);
}

/// A number below `limit`, the same in every run.
Index hashed(const char* name, Index number, Index limit) {
  return static_cast<Index>(hash({1, name, number}, 1) % static_cast<std::uint64_t>(limit));
}

std::string size_text(const Curve& curve, Index size_x, Index size_y) {
  return curve.name + " on " + to_string(Shape{size_x, size_y});
}

/// Calls `visit(size_x, size_y)` for every plane with sides up to `largest`.
template <class Visit>
void every_plane(Index largest, Visit visit) {
  for (Index size_x = 1; size_x <= largest; ++size_x) {
    for (Index size_y = 1; size_y <= largest; ++size_y) visit(size_x, size_y);
  }
}

// ---- The entry ---------------------------------------------------------------------------------

/// Where the forms of an order can be read: they hold no numbers, so a few arithmetics stand for all.
/// `Degree` is not among them, because integers that are compared leave no probability of an error.
template <class T>
concept AnyOfFew = std::same_as<T, double> || std::same_as<T, Real50> || std::same_as<T, PrimeField>;

template <class T>
Arrays<T> arrays_of(const Array<Index>& positions, const Array<Index>& gather) {
  Arrays<T> arrays;
  arrays.index["positions"] = positions;
  arrays.index["gather"] = gather;
  return arrays;
}

void describe(EntryBuilder& entry) {
  const Expression voxels = symbol("X") * symbol("Y") * symbol("Z");
  entry
      .about("scan_order", "Height-prioritised Hilbert expansion (OccMamba)",
             "The order in which a grid of voxels becomes a sequence: column after column, along a Hilbert "
             "curve through the ground plane.",
             {"li2024occmamba"})
      .size("X", 40, 40)
      .size("Y", 40, 40)
      .size("Z", 5, 5)
      .parameter({"curve",
                  0,
                  0,
                  4,
                  "the order of the columns: the paper's curve or one of the released code's",
                  {"hilbert", "released_xy", "released_yx", "released_inverse", "released_yx_inverse"}})
      .output("positions", {voxels}, "the place of every voxel in the sequence, by its id (x Y + y) Z + z")
      .output("gather", {voxels}, "the id of the voxel at each place: what to gather by");
}

void forms(EntryBuilder& entry) {
  entry
      .form("recursive", "the definition: the columns by the recursion of the curve",
            []<AnyOfFew T>(const Arrays<T>&, const Settings& s) {
              const Array<Index> columns = curve_of(s).recursive(at(s, "X"), at(s, "Y"));
              return arrays_of<T>(hilbert::positions(columns, at(s, "Z")),
                                  hilbert::gather(columns, at(s, "Z")));
            })
      .form("sorted", "the columns sorted by their distance along the curve",
            []<AnyOfFew T>(const Arrays<T>&, const Settings& s) {
              const Array<Index> columns = curve_of(s).sorted(at(s, "X"), at(s, "Y"));
              return arrays_of<T>(hilbert::positions(columns, at(s, "Z")),
                                  hilbert::gather(columns, at(s, "Z")));
            })
      .form("expanded", "the order of the columns alone is kept; each becomes Z places in a row",
            []<AnyOfFew T>(const Arrays<T>&, const Settings& s) {
              const Array<Index> columns = curve_of(s).recursive(at(s, "X"), at(s, "Y"));
              const Array<Index> gather = hilbert::expand_columns(columns, at(s, "Z"));
              return arrays_of<T>(hilbert::argsort(gather), gather);
            });
}

// ---- Laws of the curves ------------------------------------------------------------------------

void same_cell(Check& check, Cell left, Cell right, const std::string& what) {
  check.expect(left == right, what);
}

void inverses_agree(Check& check, Index order, Index distance) {
  const std::string what = "order " + std::to_string(order) + ", distance " + std::to_string(distance);
  const Cell cell = hilbert::curve_point(order, distance);
  check.equal(hilbert::curve_index(order, cell.x, cell.y), distance, "Hilbert, " + what);
  const Cell other = hilbert::gray_morton_point(order, distance);
  check.equal(hilbert::gray_morton_key(order, other.x, other.y), distance, "Gray-Morton, " + what);
}

void curve_laws(EntryBuilder& entry) {
  entry
      .once(Kind::same, "whole curve = single cells",
            "The curve of four copies and the recursion for one cell agree: all cells for k = 0 ... 7",
            [](auto& check) {
              for (Index order = 0; order <= 7; ++order) {
                const Array<Index> curve = hilbert::curve_recursive(order);
                for (Index d = 0; d < curve.extent(0); ++d) {
                  same_cell(check, hilbert::curve_point(order, d), {curve(d, 0), curve(d, 1)},
                            "order " + std::to_string(order) + ", distance " + std::to_string(d));
                }
              }
            })
      .once(Kind::invariant, "curves are bijections",
            "Both curves reach every cell of the square once, and their inverses undo them: all cells for k "
            "= 0 ... 7, and 500 hashed distances for each k up to 20",
            [](auto& check) {
              for (Index order = 0; order <= 20; ++order) {
                const Index cells = Index{1} << (2 * order);
                for (Index i = 0; i < (order <= 7 ? cells : 500); ++i) {
                  inverses_agree(check, order, order <= 7 ? i : hashed("distance", 500 * order + i, cells));
                }
              }
            })
      .once(Kind::invariant, "a walk from corner to corner",
            "The Hilbert curve starts at (0, 0), ends at (2^k - 1, 0), and every step goes to a neighbour "
            "(A_1 = 1): k = 1 ... 7; the ends up to k = 20",
            [](auto& check) {
              for (Index order = 0; order <= 20; ++order) {
                const Index cells = Index{1} << (2 * order), last = (Index{1} << order) - 1;
                same_cell(check, hilbert::curve_point(order, 0), {0, 0}, "the start");
                same_cell(check, hilbert::curve_point(order, cells - 1), {last, 0}, "the end");
              }
              for (Index order = 1; order <= 7; ++order) {
                const Index side = Index{1} << order;
                const auto columns = hilbert::hilbert_plane(side, side);
                check.equal(share_of_neighbours(columns, side, 1), Rational(1), "A_1");
              }
            })
      .once(Kind::bound, "locality of the Hilbert curve",
            "|H(i) - H(j)|^2 <= 6 |i - j|. The largest ratio is 1, 5/2, 29/8, 121/27, 225/43 for k = 1 ... "
            "5; 2000 hashed pairs at k = 20 obey the bound",
            [](auto& check) {
              const std::vector<Rational> largest{Rational(1), Rational(5) / 2, Rational(29) / 8,
                                                  Rational(121) / 27, Rational(225) / 43};
              for (std::size_t k = 1; k <= largest.size(); ++k) {
                const Rational ratio = locality_ratio(static_cast<Index>(k), hilbert::curve_point);
                check.equal(ratio, largest[k - 1], "k = " + std::to_string(k));
                check.expect(ratio <= 6, "the bound");
              }
              for (Index i = 0; i < 2000; ++i) {
                const Index from = hashed("from", i, Index{1} << 39);
                const Index along = 1 + hashed("along", i, Index{1} << (2 * (i % 19) + 1));
                const Cell a = hilbert::curve_point(20, from), b = hilbert::curve_point(20, from + along);
                const Index dx = a.x - b.x, dy = a.y - b.y;
                check.expect(dx * dx + dy * dy <= 6 * along, "k = 20, pair " + std::to_string(i));
              }
            })
      .once(Kind::statistical, "no locality of the Gray-Morton order",
            "Its largest ratio |a - b|^2 / |i - j| is 1, 5, 25, 113 for k = 1 ... 4: it passes 6 at k = 3",
            [](auto& check) {
              const std::vector<Index> largest{1, 5, 25, 113};
              for (std::size_t k = 1; k <= largest.size(); ++k) {
                check.equal(locality_ratio(static_cast<Index>(k), hilbert::gray_morton_point),
                            Rational(largest[k - 1]), "k = " + std::to_string(k));
              }
            });
}

/// The steps of the released order on a square: how often each (|dx|, |dy|) occurs.
std::map<std::pair<Index, Index>, Index> released_steps(Index side) {
  const Array<Index> columns = hilbert::released_xy(side, side);
  std::map<std::pair<Index, Index>, Index> count;
  for (Index rank = 1; rank < columns.size(); ++rank) {
    const Index a = columns(rank - 1), b = columns(rank);
    ++count[{std::abs(b / side - a / side), std::abs(b % side - a % side)}];
  }
  return count;
}

void plane_laws(EntryBuilder& entry) {
  entry
      .once(Kind::same, "recursion = sort, every plane to 20 x 20",
            "Walking the Hilbert curve and sorting by its inverse agree; so do the released recursion and "
            "the sort by key, in all four variants, and the walk along the bit formula of the key",
            [](auto& check) {
              every_plane(20, [&](Index size_x, Index size_y) {
                for (const Curve& curve : curves()) {
                  check.equal(curve.recursive(size_x, size_y), curve.sorted(size_x, size_y),
                              size_text(curve, size_x, size_y));
                }
                check.equal(hilbert::plane_by_walk(size_x, size_y, hilbert::gray_morton_point),
                            hilbert::released_xy(size_x, size_y), "walk along the key");
              });
            })
      .once(Kind::invariant, "every column once",
            "Each order of a plane lists every column once: all sides up to 20, all curves",
            [](auto& check) {
              every_plane(20, [&](Index size_x, Index size_y) {
                for (const Curve& curve : curves()) {
                  const Array<Index> columns = curve.recursive(size_x, size_y);
                  std::vector<bool> seen(static_cast<std::size_t>(size_x * size_y), false);
                  for (const Index id : columns.values()) seen.at(static_cast<std::size_t>(id)) = true;
                  check.expect(std::find(seen.begin(), seen.end(), false) == seen.end(),
                               size_text(curve, size_x, size_y));
                }
              });
            })
      .once(Kind::invariant, "planes of one row",
            "With Y = 1 both curves visit x in increasing order, with X = 1 both visit y so: sides up to 300",
            [](auto& check) {
              for (Index side = 1; side <= 300; ++side) {
                const Array<Index> increasing = raster_plane(side, 1);
                for (const Plane plane : {hilbert::hilbert_plane_sorted, hilbert::released_xy}) {
                  check.equal(plane(side, 1), increasing, "Y = 1, X = " + std::to_string(side));
                  check.equal(plane(1, side), increasing, "X = 1, Y = " + std::to_string(side));
                }
              }
            })
      .once(Kind::statistical, "torn planes",
            "Share of steps to a neighbour on 5x7, 6x6, 10x3, 12x12: Hilbert 33/34, 33/35, 27/29, 141/143; "
            "Gray-Morton 14/17, 6/7, 24/29, 120/143. All steps are counted",
            [](auto& check) {
              struct Row {
                Index size_x, size_y;
                Rational curve, released;
              };
              const std::vector<Row> rows{{5, 7, Rational(33) / 34, Rational(14) / 17},
                                          {6, 6, Rational(33) / 35, Rational(6) / 7},
                                          {10, 3, Rational(27) / 29, Rational(24) / 29},
                                          {12, 12, Rational(141) / 143, Rational(120) / 143}};
              for (const Row& row : rows) {
                const auto curve = hilbert::hilbert_plane(row.size_x, row.size_y);
                const auto released = hilbert::released_xy(row.size_x, row.size_y);
                check.equal(share_of_neighbours(curve, row.size_y, 1), row.curve, "Hilbert");
                check.equal(share_of_neighbours(released, row.size_y, 1), row.released, "Gray-Morton");
              }
            });
}

void errata(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "the released order is no Hilbert curve",
            "Paper and code coincide on squares of side 1 and 2 and differ on 4 ... 128: the code's order "
            "jumps 2 (4^(k-1) - 1) / 3 times where the curve never does, by up to sqrt((2^(k-1) - 1)^2 + "
            "4^(k-1)) cells",
            [](auto& check) {
              for (Index order = 0; order <= 7; ++order) {
                const Index side = Index{1} << order, half = side / 2;
                const auto curve = hilbert::hilbert_plane(side, side);
                const auto released = hilbert::released_xy(side, side);
                const bool coincide =
                    std::equal(curve.values().begin(), curve.values().end(), released.values().begin());
                check.expect(coincide == (order <= 1), "order " + std::to_string(order));
                if (order == 0) continue;
                const auto steps = squared_steps(released, side, 1);
                const Index jumps = side * side - 1 - steps.at(1);
                check.equal(jumps, 2 * (half * half - 1) / 3, "jumps");
                check.equal(steps.rbegin()->first, (half - 1) * (half - 1) + half * half, "longest");
                check.equal(squared_steps(curve, side, 1).rbegin()->first, Index{1}, "longest of the curve");
                check.measure("jumps", static_cast<double>(jumps));
              }
            })
      .once(
          Kind::invariant, "steps of the released order",
          "On a square of side 2^k: 4^k / 2 steps (0, 1), (4^k - 1) / 3 steps (1, 0), for j = 1 ... k - 1 2 "
          "* 4^(k-1-j) jumps (2^j - 1, 2^j), no other; so A_1 = (5 * 4^k - 2) / 6 / (4^k - 1): k = 1 ... 7",
          [](auto& check) {
            for (Index order = 1; order <= 7; ++order) {
              const Index cells = Index{1} << (2 * order), side = Index{1} << order;
              std::map<std::pair<Index, Index>, Index> stated{{{0, 1}, cells / 2}, {{1, 0}, (cells - 1) / 3}};
              for (Index j = 1; j < order; ++j) {
                stated[{(Index{1} << j) - 1, Index{1} << j}] = 2 * (Index{1} << (2 * (order - 1 - j)));
              }
              check.expect(released_steps(side) == stated, "order " + std::to_string(order));
              check.equal(share_of_neighbours(hilbert::released_xy(side, side), side, 1),
                          Rational(5 * cells - 2) / 6 / Rational(cells - 1), "A_1");
            }
          })
      .once(Kind::erratum, "inverse does not reverse",
            "The code's option inverse turns the plane by half a turn: its r-th column is XY - 1 minus the "
            "r-th. Columns are still read upwards, so with Z >= 2 it is never the reversed sequence; with Z "
            "= 1 it is on planes of one row and on those with Y = 2 and X odd, nowhere else. Sides up to 20",
            [](auto& check) {
              every_plane(20, [&](Index size_x, Index size_y) {
                const auto columns = hilbert::released_xy(size_x, size_y);
                const auto turned = hilbert::released_inverse(size_x, size_y);
                for (Index rank = 0; rank < columns.size(); ++rank) {
                  check.equal(turned(rank), size_x * size_y - 1 - columns(rank), "half a turn");
                }
                const bool symmetric = size_x == 1 || size_y == 1 || (size_y == 2 && size_x % 2 == 1);
                for (Index size_z = 1; size_z <= 2; ++size_z) {
                  const auto forward = hilbert::gather(columns, size_z),
                             back = hilbert::gather(turned, size_z);
                  const bool reversed =
                      std::equal(forward.values().begin(), forward.values().end(), back.values().rbegin());
                  check.expect(reversed == (size_z == 1 && symmetric),
                               "reversed or not on " + to_string(Shape{size_x, size_y, size_z}));
                }
              });
            });
}

// ---- Laws of the grid --------------------------------------------------------------------------

void grid_laws(EntryBuilder& entry) {
  entry
      .once(
          Kind::invariant, "one reset a column",
          "On a square of side 2^k >= 2 and Z >= 2 the order takes XY (Z - 1) steps of length 1 and XY - 1 "
          "of length sqrt((Z - 1)^2 + 1), no other; A_1 and the mean step D follow: k = 1 ... 4, Z = 2 ... 6",
          [](auto& check) {
            for (Index side = 2; side <= 16; side *= 2) {
              for (Index size_z = 2; size_z <= 6; ++size_z) {
                const auto order = hilbert::gather(hilbert::hilbert_plane(side, side), size_z);
                const Index columns = side * side, reset = (size_z - 1) * (size_z - 1) + 1;
                const std::map<Index, Index> stated{{1, columns * (size_z - 1)}, {reset, columns - 1}};
                check.expect(squared_steps(order, side, size_z) == stated,
                             to_string(Shape{side, side, size_z}));
              }
            }
          })
      .once(Kind::invariant, "serpentine keeps the curve's tears only",
            "With every second column read downwards the long steps are those of the plane's curve, one for "
            "one; so A_1 = 1 on squares of side 2^k, and 103/104 on 5 x 7 x 3: sides up to 16, Z = 1 ... 4",
            [](auto& check) {
              every_plane(16, [&](Index size_x, Index size_y) {
                const auto columns = hilbert::hilbert_plane(size_x, size_y);
                auto torn = squared_steps(columns, size_y, 1);
                torn.erase(1);
                if (size_x == size_y && (size_x & (size_x - 1)) == 0)
                  check.expect(torn.empty(), "torn square");
                for (Index size_z = 1; size_z <= 4; ++size_z) {
                  auto steps = squared_steps(hilbert::serpentine_gather(columns, size_z), size_y, size_z);
                  steps.erase(1);
                  check.expect(steps == torn, to_string(Shape{size_x, size_y, size_z}));
                }
              });
              const auto order = hilbert::serpentine_gather(hilbert::hilbert_plane(5, 7), 3);
              check.equal(share_of_neighbours(order, 7, 3), Rational(103) / 104, "5 x 7 x 3");
            })
      .once(Kind::invariant, "degenerate grids",
            "X = Y = 1 is the identity on z; Z = 1 is the order of the plane: Z up to 50, sides up to 9",
            [](auto& check) {
              for (const Curve& curve : curves()) {
                for (Index size_z = 1; size_z <= 50; ++size_z) {
                  check.equal(hilbert::gather(curve.recursive(1, 1), size_z), raster_plane(size_z, 1),
                              "one column");
                }
                every_plane(9, [&](Index size_x, Index size_y) {
                  const auto columns = curve.recursive(size_x, size_y);
                  check.equal(hilbert::gather(columns, 1), columns, size_text(curve, size_x, size_y));
                });
              }
            })
      .once(Kind::invariant, "the list of positions is no gather list",
            "Gathering by positions applies the inverse permutation. On 2 x 2 x 2 the lists coincide, on 4 x "
            "4 x 2 they differ at 26 of 32 places (Hilbert) and at 24 (released)",
            [](auto& check) {
              const auto differing = [](const Array<Index>& a, const Array<Index>& b) {
                Index count = 0;
                for (Index i = 0; i < a.size(); ++i) count += a(i) != b(i) ? 1 : 0;
                return count;
              };
              const std::vector<Index> places{26, 24};
              for (std::size_t i = 0; i < 2; ++i) {
                const auto small = curves()[i].recursive(2, 2), large = curves()[i].recursive(4, 4);
                check.equal(hilbert::gather(small, 2), hilbert::positions(small, 2), "2 x 2 x 2");
                check.equal(differing(hilbert::gather(large, 2), hilbert::positions(large, 2)), places[i],
                            "4 x 4 x 2, " + curves()[i].name);
              }
            });
}

/// The statistics of one curve on the full squares of side 8 and 16; -1 where no S_max is stated.
struct Statistics {
  std::string name;
  Plane plane;
  Rational mean_apart[2];
  Index most_apart[2];
  const char* step[2];
};

void statistics(EntryBuilder& entry) {
  entry
      .once(Kind::statistical, "neighbours in space and in the sequence",
            "On 8 x 8 and 16 x 16, over all pairs of neighbours, the mean distance S in the sequence: rows "
            "9/2 and 17/2, Hilbert 71/14 and 119/12, Gray-Morton 5 and 29/3. Mean step D: rows 1.6746 and "
            "1.8255, Gray-Morton 1.2839 and 1.3561, Z-order 1.4601 and 1.5573, Hilbert 1",
            [](auto& check) {
              using R = Rational;
              const std::vector<Statistics> rows{
                  {"rows", raster_plane, {R(9) / 2, R(17) / 2}, {8, 16}, {"1.6746", "1.8255"}},
                  {"Hilbert",
                   hilbert::hilbert_plane,
                   {R(71) / 14, R(119) / 12},
                   {53, 213},
                   {"1.0000", "1.0000"}},
                  {"Gray-Morton", hilbert::released_xy, {R(5), R(29) / 3}, {-1, -1}, {"1.2839", "1.3561"}},
                  {"Z-order", morton_plane, {R(9) / 2, R(17) / 2}, {-1, -1}, {"1.4601", "1.5573"}}};
              for (const Statistics& row : rows) {
                for (const std::size_t i : {0U, 1U}) {
                  const Index side = i == 0 ? 8 : 16;
                  const auto columns = row.plane(side, side);
                  const Spread apart = spread(columns, side, side);
                  check.equal(apart.mean, row.mean_apart[i], "S of " + row.name);
                  if (row.most_apart[i] > 0)
                    check.equal(apart.largest, row.most_apart[i], "S_max of " + row.name);
                  check.digits(mean_step(columns, side, 1), row.step[i], "D of " + row.name);
                }
              }
            })
      .once(Kind::statistical, "the reset costs more than the curve gains",
            "Mean step on 16 x 16 x 10: columns along the Hilbert curve 1.8027, Gray-Morton 1.8131, rows "
            "1.852330; layer after layer along the curve 1.0494; serpentine columns 1",
            [](auto& check) {
              const auto curve = hilbert::hilbert_plane(16, 16), rows = raster_plane(16, 16);
              const auto step = [](const Array<Index>& order) { return mean_step(order, 16, 10); };
              check.digits(step(hilbert::gather(curve, 10)), "1.8027", "Hilbert");
              check.digits(step(hilbert::gather(hilbert::released_xy(16, 16), 10)), "1.8131", "Gray-Morton");
              check.digits(step(hilbert::gather(rows, 10)), "1.852330", "rows");
              check.digits(step(layered_gather(curve, 10)), "1.0494", "layers");
              check.equal(share_of_neighbours(hilbert::serpentine_gather(curve, 10), 16, 10), Rational(1),
                          "serpentine");
            });
}

// ---- Laws of the tokens ------------------------------------------------------------------------

/// The gather lists of `routes` different curves, one in each row.
Array<Index> routes_of(Index routes, Index size_x, Index size_y, Index size_z) {
  Array<Index> orders({routes, size_x * size_y * size_z});
  for (Index r = 0; r < routes; ++r) {
    const Curve& curve = curves()[static_cast<std::size_t>(r)];
    const auto order = hilbert::gather(curve.recursive(size_x, size_y), size_z);
    for (Index place = 0; place < order.size(); ++place) orders(r, place) = order(place);
  }
  return orders;
}

/// The running sum along the sequence: the simplest mixer that carries a state.
template <class T>
Array<T> running_sums(Array<T> sequence) {
  for (Index place = 1; place < sequence.extent(0); ++place) {
    for (Index c = 0; c < sequence.extent(1); ++c) sequence(place, c) += sequence(place - 1, c);
  }
  return sequence;
}

void token_laws(EntryBuilder& entry) {
  entry
      .law<PrimeField>(Kind::invariant, "there and back",
                       "Each token stands at the place of its voxel, and ungathering brings all of them back",
                       [](auto& trial) {
                         const Index size_z = trial.size("Z");
                         const Curve& curve = curves()[static_cast<std::size_t>(trial.size("curve"))];
                         const auto columns = curve.recursive(trial.size("X"), trial.size("Y"));
                         const auto order = hilbert::gather(columns, size_z);
                         const auto place = hilbert::positions(columns, size_z);
                         const auto tokens = trial.array("tokens", {order.size(), 2});
                         const auto sequence = hilbert::gather_tokens(tokens, order);
                         for (Index id = 0; id < order.size(); ++id) {
                           trial.equal(sequence(place(id), 1), tokens(id, 1), "token in its place");
                         }
                         trial.equal(hilbert::ungather_tokens(sequence, order), tokens, "back");
                       })
      .law<PrimeField>(
          Kind::invariant, "routes through the identity",
          "1 to 5 routes through a mixer that changes nothing change nothing, and one route is a plain "
          "gather",
          [](auto& trial) {
            const Index routes = trial.integer("routes", 1, 5);
            const auto orders = routes_of(routes, trial.size("X"), trial.size("Y"), trial.size("Z"));
            const auto tokens = trial.array("tokens", {orders.extent(1), 2 * routes});
            const auto identity = [](const auto& joined) { return joined; };
            trial.equal(hilbert::several_routes(tokens, orders, identity), tokens, "back");
            if (routes > 1) return;
            const Array<Index> order({orders.size()}, {orders.values().begin(), orders.values().end()});
            trial.equal(hilbert::join_routes(tokens, orders), hilbert::gather_tokens(tokens, order),
                        "one route");
          });
  entry.law<PrimeField, Rational>(
      Kind::invariant, "the state passes from route to route",
      "Through a running sum a token receives the totals of all earlier groups of channels and what its own "
      "route has read so far",
      [](auto& trial) {
        using T = ScalarOf<decltype(trial)>;
        const Index routes = trial.integer("routes", 2, 3);
        const auto orders = routes_of(routes, trial.size("X"), trial.size("Y"), trial.size("Z"));
        const auto tokens = trial.array("tokens", {orders.extent(1), routes});
        const auto mixed = hilbert::several_routes(tokens, orders, running_sums<T>);
        T state(0);
        for (Index r = 0; r < routes; ++r) {
          for (const Index id : orders.row(r)) {
            state += tokens(id, r);
            trial.equal(mixed(id, r), state, "route " + std::to_string(r));
          }
        }
      });
  entry.once(
      Kind::invariant, "routes divide the channels",
      "Three routes for four channels are refused by name; the released code cuts them with a floor and "
      "fails later, on a shape",
      [](auto& check) {
        const auto orders = routes_of(3, 2, 2, 1);
        std::string message;
        try {
          hilbert::join_routes(Array<Index>({4, 4}), orders);
        } catch (const std::invalid_argument& refused) {
          message = refused.what();
        }
        check.expect(
            message ==
                "hilbert_height_prioritized: number of routes is 3, expected a divisor of the 4 channels",
            "message is \"" + message + "\"");
      });
}

// ---- Costs -------------------------------------------------------------------------------------

/// Counts the cells of a curve that are asked for.
Index& visited_cells() {
  static Index count = 0;
  return count;
}

Cell counted_point(Index order, Index distance) {
  ++visited_cells();
  return hilbert::curve_point(order, distance);
}

void costs(EntryBuilder& entry) {
  entry
      .once(Kind::cost, "cells visited",
            "Walking visits 4^k cells, fewer than 4 max(X, Y)^2, sorting X Y: all sides up to 20. A long "
            "plane of 300 x 2 walks 262,144 cells for 600",
            [](auto& check) {
              const auto walked = [](Index size_x, Index size_y) {
                visited_cells() = 0;
                hilbert::plane_by_walk(size_x, size_y, counted_point);
                return visited_cells();
              };
              every_plane(20, [&](Index size_x, Index size_y) {
                const Index order = hilbert::enclosing_order(size_x, size_y),
                            longest = std::max(size_x, size_y);
                check.equal(walked(size_x, size_y), Index{1} << (2 * order), "walked");
                check.expect((Index{1} << (2 * order)) < 4 * longest * longest,
                             "at most four times the square");
                Index keys = 0;
                hilbert::plane_by_sort(size_x, size_y, [&](Index x, Index y) {
                  ++keys;
                  return hilbert::curve_index(order, x, y);
                });
                check.equal(keys, size_x * size_y, "sorted");
              });
              check.equal(walked(300, 2), Index{262144}, "300 x 2");
            })
      .once(
          Kind::cost, "no arithmetic on tokens",
          "Gathering, ungathering and the routes move numbers and compute none: no operation is counted",
          [](auto& check) {
            const Array<Counted<double>> tokens({45, 6}, Counted<double>(0.5));
            const auto orders = routes_of(3, 3, 5, 3);
            const auto order = hilbert::gather(hilbert::hilbert_plane(3, 5), 3);
            const CountOperations scope;
            const auto sequence = hilbert::gather_tokens(tokens, order);
            hilbert::ungather_tokens(sequence, order);
            hilbert::several_routes(tokens, orders, [](const auto& joined) { return joined; });
            check.equal(scope.counts().total(), std::int64_t{0}, "operations");
            running_sums(sequence);
            check.equal(scope.counts().additions, std::int64_t{44 * 6}, "a mixer's additions are counted");
          },
          std::string(scalar_name<Counted<double>>));
}

// ---- The worked example ------------------------------------------------------------------------

void listed(Check& check, const Array<Index>& order, std::vector<Index> printed, const std::string& what) {
  const auto length = static_cast<Index>(printed.size());
  check.equal(order, Array<Index>({length}, std::move(printed)), what);
}

void examples(EntryBuilder& entry) {
  entry
      .example("worked example: planes", "4 x 4 and 3 x 3 by hand",
               [](auto& check) {
                 listed(check, hilbert::hilbert_plane(4, 4),
                        {0, 4, 5, 1, 2, 3, 7, 6, 10, 11, 15, 14, 13, 9, 8, 12}, "Hilbert");
                 listed(check, hilbert::released_xy(4, 4),
                        {0, 1, 5, 4, 2, 3, 7, 6, 10, 11, 15, 14, 8, 9, 13, 12}, "xy");
                 listed(check, hilbert::released_yx(4, 4),
                        {0, 4, 5, 1, 8, 12, 13, 9, 10, 14, 15, 11, 2, 6, 7, 3}, "yx");
                 listed(check, hilbert::released_inverse(4, 4),
                        {15, 14, 10, 11, 13, 12, 8, 9, 5, 4, 0, 1, 7, 6, 2, 3}, "xy inverse");
                 listed(check, hilbert::hilbert_plane(3, 3), {0, 3, 4, 1, 2, 5, 8, 7, 6}, "Hilbert, torn");
                 listed(check, hilbert::released_xy(3, 3), {0, 1, 4, 3, 2, 5, 8, 6, 7}, "Gray-Morton, torn");
                 check.equal(hilbert::gray_morton_key(2, 3, 1), Index{14}, "key of (3, 1)");
               })
      .example("worked example: voxels", "2 x 2 x 2 and 4 x 4 x 2 by hand", [](auto& check) {
        listed(check, hilbert::gather(hilbert::hilbert_plane(2, 2), 2), {0, 1, 2, 3, 6, 7, 4, 5}, "Hilbert");
        listed(check, hilbert::gather(hilbert::released_xy(2, 2), 2), {0, 1, 2, 3, 6, 7, 4, 5},
               "Gray-Morton");
        listed(check, hilbert::gather(hilbert::hilbert_plane(4, 4), 2),
               {0,  1,  8,  9,  10, 11, 2,  3,  4,  5,  6,  7,  14, 15, 12, 13,
                20, 21, 22, 23, 30, 31, 28, 29, 26, 27, 18, 19, 16, 17, 24, 25},
               "4 x 4 x 2");
      });
}

const Registration<EntryBuilder> registration{
    "hilbert_height_prioritized", [](EntryBuilder& entry) {
      describe(entry);
      forms(entry);
      entry.standard(laws::same("sorted", "recursive")).standard(laws::same("expanded", "recursive"));
      curve_laws(entry);
      plane_laws(entry);
      errata(entry);
      grid_laws(entry);
      statistics(entry);
      token_laws(entry);
      costs(entry);
      examples(entry);
    }};

}  // namespace
}  // namespace etalon
