"""How costs grow: exact counts beside the stated formulas, depths, state, and where one algorithm overtakes another."""

import math
import re
from collections import defaultdict

from . import figures, formats

COUNTS = ["multiplications", "additions", "divisions", "exponentials", "functions", "comparisons"]
REFERENCE = "softmax_attention"
SUBJECT = "gated_linear_attention"


def _axis_of(rows):
    """The setting that a curve is plotted against: n where it varies, else the first that does."""
    varying = [name for name in rows[0]["settings"] if len({row["settings"].get(name) for row in rows}) > 1]
    return "n" if "n" in varying or not varying else varying[0]


def stated_total(row):
    """The sum of the stated formulas; None when an operation that was counted has no formula."""
    stated = {name: one["value"] for name, one in row.get("stated", {}).items() if name in COUNTS}
    if not stated or any(row.get(name) and name not in stated for name in COUNTS):
        return None
    return sum(stated.values())


def _splitting_settings(rows, axis):
    """The settings that tell rows of the same place on the axis apart, such as a mask that is there or not."""
    splitting = []
    for name in rows[0]["settings"]:
        values = defaultdict(set)
        for row in rows:
            values[row["settings"].get(axis)].add(row["settings"].get(name))
        if name != axis and any(len(at_one_place) > 1 for at_one_place in values.values()):
            splitting.append(name)
    return splitting


def _curve(form, curve, axis, rows, extra):
    rows = sorted(rows, key=lambda row: row["settings"].get(axis, 0))
    told = stated_names(rows[0])
    fixed = {name: value for name, value in rows[0]["settings"].items()
             if name != axis and name in told and len({row["settings"].get(name) for row in rows}) == 1}
    return {"entry": rows[0]["entry"], "form": form, "axis": axis, "rows": rows, "fixed": fixed,
            "name": ", ".join(part for part in (form, curve, settings_text(extra)) if part),
            "x": [row["settings"].get(axis) for row in rows]}


def curves(rows):
    """Rows grouped by form, curve and whatever else sets them apart, in the order of what they are plotted against."""
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["form"], row.get("curve", "")].append(row)
    several = len({curve for _, curve in grouped}) > 1
    made = []
    for (form, curve), own in grouped.items():
        axis = _axis_of(own)
        splitting = _splitting_settings(own, axis)
        parts = defaultdict(list)
        for row in own:
            parts[tuple(row["settings"].get(name) for name in splitting)].append(row)
        for values, part in parts.items():
            made.append(_curve(form, curve if several else "", axis, part, dict(zip(splitting, values))))
    return made


def stated_names(row):
    """The settings that the stated formulas speak of; all of them where nothing is stated."""
    texts = " ".join(one["text"] for one in row.get("stated", {}).values())
    told = set(re.findall(r"\w+", texts))
    return {name for name in row["settings"] if not texts or name in told}


def settings_text(settings):
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def told_settings(row):
    """The settings of a row that its formulas speak of, as text."""
    told = stated_names(row)
    return settings_text({name: value for name, value in row["settings"].items() if name in told})


def operations_figure(title, made):
    """Counted totals as points, the stated formulas as lines through them; None when nothing was counted."""
    series = []
    for colour, curve in enumerate(made):
        if any("total" not in row for row in curve["rows"]):
            continue
        totals = [row["total"] for row in curve["rows"]]
        stated = [stated_total(row) for row in curve["rows"]]
        has_formula = all(total is not None for total in stated)
        text = [told_settings(row) for row in curve["rows"]]
        series.append({"name": curve["name"], "x": curve["x"], "y": totals, "colour": colour, "text": text,
                       "mode": "markers" if has_formula else "lines+markers"})
        if has_formula:
            series.append({"name": curve["name"] + ", stated", "x": curve["x"], "y": stated, "colour": colour,
                           "mode": "lines"})
    if not series:
        return None
    return figures.series_plot(title, made[0]["axis"], "operations", series, x_log=True, y_log=True)


def _field_series(made, field, suffix="", dash=False):
    series = []
    for colour, curve in enumerate(made):
        points = [(x, row[field]) for x, row in zip(curve["x"], curve["rows"]) if row.get(field)]
        if points:
            series.append({"name": curve["name"] + suffix, "x": [x for x, _ in points], "y": [y for _, y in points],
                           "colour": colour, "dash": dash})
    return series


def depth_figure(title, made):
    series = _field_series(made, "depth", ", as written") + _field_series(made, "free_depth", ", sums free", True)
    return figures.series_plot(title, made[0]["axis"], "depth in operations", series, True, True) if series else None


def plain_figure(title, made, field, label):
    series = _field_series(made, field)
    return figures.series_plot(title, made[0]["axis"], label, series, True, True) if series else None


def cheapest(made):
    """The curve against n with the fewest operations at its largest n."""
    against_n = [curve for curve in made if curve["axis"] == "n" and len(curve["rows"]) > 1
                 and all(row.get("total") for row in curve["rows"])]
    return min(against_n, key=lambda curve: curve["rows"][-1]["total"] / curve["x"][-1], default=None)


def crossing(curve, reference):
    """From which n on `curve` needs fewer operations than `reference`.

    Compared at the n that both have; between two of them the counts are taken as straight lines in the log-log plot.
    Returns {"kind": "always" | "never" | "at" | "apart", "n", "y", "below", "above", "factor", "last"}.
    """
    other = dict(zip(reference["x"], (row["total"] for row in reference["rows"])))
    shared = [(n, row["total"], other[n]) for n, row in zip(curve["x"], curve["rows"])
              if n in other and row["total"] and other[n]]
    if not shared:
        return {"kind": "apart"}
    last_n, last_mine, last_other = shared[-1]
    result = {"last": last_n, "first": shared[0][0], "factor": last_other / last_mine}
    if last_mine >= last_other:
        return {**result, "kind": "never"}
    for (n, mine, theirs), (next_n, next_mine, next_theirs) in zip(shared[-2::-1], shared[:0:-1]):
        if mine >= theirs:
            before, after = math.log(mine / theirs), math.log(next_mine / next_theirs)
            part = before / (before - after)
            at = math.exp(math.log(n) + part * math.log(next_n / n))
            return {**result, "kind": "at", "n": at, "below": n, "above": next_n,
                    "y": math.exp(math.log(theirs) + part * math.log(next_theirs / theirs))}
    return {**result, "kind": "always"}


def crossing_words(found):
    if found["kind"] == "apart":
        return "counted at no common n"
    if found["kind"] == "never":
        return f"never up to n = {found['last']:,}, where it needs {formats.number(1 / found['factor'])} times as many"
    ending = f"; at n = {found['last']:,} it needs {formats.number(found['factor'])} times fewer"
    if found["kind"] == "always":
        return f"from n = {found['first']:,}, the first that was counted{ending}"
    return f"from about n = {found['n']:,.0f}, between {found['below']:,} and {found['above']:,}{ending}"


def same_heads(curve, reference):
    """Two curves compare algorithms only when the head sizes agree."""
    shared = {"d", "d_k", "d_v"} & set(curve["fixed"]) & set(reference["fixed"])
    return all(curve["fixed"][name] == reference["fixed"][name] for name in shared)


def name_choices(rows, entries):
    """Settings that stand for a choice, such as mask = 1, get its name, such as causal."""
    choices = {(entry["name"], parameter["name"]): (int(parameter["range"].split()[1]), parameter["choices"])
               for entry in entries for parameter in entry.get("parameters", []) if parameter["choices"]}
    for row in rows:
        for name, value in row["settings"].items():
            low, words = choices.get((row["entry"], name), (0, []))
            if isinstance(value, int) and 0 <= value - low < len(words):
                row["settings"][name] = words[value - low]


def overlay(data):
    """The picture of all entries over n, with the crossings of softmax attention."""
    by_name = defaultdict(list)
    for row in data.scale:
        by_name[row["entry"]].append(row)
    made = {name: curves(rows) for name, rows in by_name.items()}
    best = {name: curve for name, own in sorted(made.items()) if (curve := cheapest(own)) is not None}
    reference = best.get(REFERENCE)
    rows, notes = [], []
    for name, curve in best.items():
        found = None
        if reference is not None and curve is not reference:
            found = crossing(curve, reference)
        rows.append({"entry": name, "form": curve["name"], "fixed": settings_text(curve["fixed"]),
                     "last": curve["x"][-1], "total": curve["rows"][-1]["total"],
                     "growth": growth(curve), "crossing": found, "words": crossing_words(found) if found else None,
                     "same_heads": reference is None or same_heads(curve, reference)})
        if name == SUBJECT and found and found["kind"] == "at":
            notes.append({"x": math.log10(found["n"]), "y": math.log10(found["y"]),
                          "text": f"GLA needs fewer from n ≈ {found['n']:,.0f}"})
    if not best:
        return None
    titles = data.titles()
    series = [{"name": titles[name], "x": curve["x"], "y": [row["total"] for row in curve["rows"]],
               "text": [curve["name"]] * len(curve["x"])} for name, curve in best.items()]
    figure = figures.series_plot("Operations of all entries", "n", "operations", series, True, True, notes=notes)
    subject = []
    if reference is not None:
        subject = [{"form": curve["name"], "words": crossing_words(crossing(curve, reference))}
                   for curve in made.get(SUBJECT, []) if cheapest([curve]) is not None]
    return {"figure": figure, "rows": rows, "subject": subject, "reference": reference}


def growth(curve):
    """The slope in the log-log plot over the last octave: 1 for linear, 2 for quadratic growth."""
    (first, last), (low, high) = (curve["rows"][-2]["total"], curve["rows"][-1]["total"]), curve["x"][-2:]
    return math.log(last / first) / math.log(high / low)
