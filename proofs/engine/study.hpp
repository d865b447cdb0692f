/// \file
/// A study measures something that is worth a page of the report: a table or a plot with its numbers, not a
/// law. It registers itself from beside the entry that it is about; `etalon study NAME` runs it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace etalon {

/// Tells how far a study is: done of total, and what it is doing.
using Progress = std::function<void(int done, int total, const std::string& doing)>;

/// A page is {"title", "summary", "blocks": [...]}, where a block is one of
/// - {"kind": "text", "text": "..."}
/// - {"kind": "table", "title", "note", "columns": ["name", ...], "rows": [[...], ...]}
/// - {"kind": "plot", "title", "note", "type": "line" | "scatter" | "bar" | "heatmap", "x": {"label", "log":
/// bool},
///    "y": {"label", "log": bool}, "series": [{"name", "x": [...], "y": [...], "text": [...]?, "dash":
///    bool?}]}
///   (for a heatmap one series with "x", "y" and "z": [[...], ...]).
struct Study {
  std::string name;
  std::string title;
  std::function<nlohmann::json(const std::string& data_folder, const Progress&)> run;
};

/// All studies, in the order of their names.
std::vector<Study>& studies();

/// Constructed once for each study, before main.
struct StudyRegistration {
  explicit StudyRegistration(Study study);
};

}  // namespace etalon
