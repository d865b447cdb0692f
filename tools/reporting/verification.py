"""What the laws showed: rounding budgets, identities, errata, mutants, detection power."""

import math
from collections import defaultdict

from . import figures

ROUNDING = "rounding: "
KINDS = {
    "same": "Forms that are equal",
    "limit": "Limits: under a choice of parameters it is another algorithm",
    "converges": "Limits of analysis, with their order",
    "invariant": "Invariants",
    "bound": "Bounds",
    "statistical": "Expectations and probabilities",
    "cost": "Operation counts",
    "depth": "Depths of the dataflow",
    "sensitive": "Influence of every input",
    "gradient": "Gradients",
    "fast": "The fast path",
    "erratum": "Errata: paper and released code differ",
    "example": "Worked examples",
}


def is_rounding(record):
    return record["kind"] == "bound" and record["law"].startswith(ROUNDING)


def by_entry(rows):
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["entry"]].append(row)
    return grouped


def unbounded_share(record):
    return record["unbounded"] / record["comparisons"] if record["comparisons"] else 0.0


def worst(records):
    """The record that used most of its error budget; None when none had a budget."""
    bounded = [record for record in records if record.get("worst_fraction")]
    return max(bounded, key=lambda record: record["worst_fraction"], default=None)


def log2_any_error(records):
    """log2 of the chance that any of these laws is false and passed: the sum of the single chances."""
    logs = [record["log2_error_probability"] for record in records if record.get("log2_error_probability")]
    if not logs:
        return None
    largest = max(logs)
    return largest + math.log2(sum(2.0 ** (one - largest) for one in logs))


def held(records):
    return sum(record["holds"] for record in records)


def rounding_table(records):
    """One block for each form: its rows are the number types, in the order in which they were run."""
    forms = defaultdict(list)
    for record in records:
        if is_rounding(record):
            forms[record["law"].removeprefix(ROUNDING)].append(
                {**record, "ulp": record.get("measured", {}).get("ulp"), "share": unbounded_share(record)})
    return dict(forms)


def rounding_figure(title, table):
    """Fraction of the budget by form and number type."""
    scalars = list(dict.fromkeys(row["scalar"] for rows in table.values() for row in rows))
    used = [[next((row["worst_fraction"] for row in rows if row["scalar"] == scalar), None) for scalar in scalars]
            for rows in table.values()]
    return figures.heatmap(title, "number type", "form", scalars, list(table), used,
                           "fraction of the error budget", most=1)


def laws_by_kind(records):
    """Kinds in a fixed order; for each the laws, for each law the arithmetics that decided it."""
    kinds = {}
    for kind in dict.fromkeys([*KINDS, *(record["kind"] for record in records)]):
        laws = defaultdict(list)
        for record in records:
            if record["kind"] == kind and not is_rounding(record):
                laws[record["law"]].append(record)
        if laws:
            kinds[kind] = {"title": KINDS.get(kind, kind), "laws": dict(laws)}
    return kinds


def detection_table(lines):
    """One row for each entry and evaluation profile, over its cases."""
    groups = defaultdict(list)
    for line in lines:
        groups[line["entry"], line["profile"]].append(line)
    rows = []
    for (entry, profile), group in groups.items():
        never = set.intersection(*(set(line["not_excluded"]) for line in group))
        shares = [line["excluded"] / line["seeded"] for line in group if line["seeded"]]
        rows.append({"entry": entry, "profile": profile, "cases": len(group), "seeded": group[0]["seeded"],
                     "least": min(shares, default=None), "most": max(shares, default=None), "never": sorted(never),
                     "lines": group})
    return rows


def overview_rows(data):
    """One row for each entry."""
    records, mutants = by_entry(data.records), by_entry(data.mutants)
    titles = data.titles()
    rows = []
    for name, own in records.items():
        top = worst([record for record in own if is_rounding(record)])
        rows.append({
            "name": name, "title": titles[name], "family": own[0]["family"],
            "laws": len(own), "held": held(own), "cases": sum(record["cases"] for record in own),
            "comparisons": sum(record["comparisons"] for record in own), "worst": top,
            "log2_error": log2_any_error(own), "seeded": len(mutants[name]),
            "caught": sum(mutant["caught"] for mutant in mutants[name]),
            "seconds": sum(record["seconds"] for record in own),
        })
    return sorted(rows, key=lambda row: (row["family"], row["name"]))


def overview_figure(data):
    """The worst fraction of a budget that any form used, by entry and number type."""
    worst_of = defaultdict(dict)
    scalars = {}
    for record in filter(is_rounding, data.records):
        scalars[record["scalar"]] = None
        if record["worst_fraction"] is not None:
            before = worst_of[record["entry"]].get(record["scalar"], 0)
            worst_of[record["entry"]][record["scalar"]] = max(before, record["worst_fraction"])
    if not worst_of:
        return None
    names = sorted(worst_of)
    used = [[worst_of[name].get(scalar) for scalar in scalars] for name in names]
    return figures.heatmap("Worst fraction of the error budget", "number type", "entry", list(scalars),
                           [data.titles()[name] for name in names], used, "fraction of the error budget", most=1)


def summary(data):
    """The numbers of the first page."""
    top = worst(filter(is_rounding, data.records))
    return {
        "entries": len({record["entry"] for record in data.records}),
        "laws": len(data.records),
        "held": held(data.records),
        "failed": [record for record in data.records if not record["holds"]],
        "cases": sum(record["cases"] for record in data.records),
        "comparisons": sum(record["comparisons"] for record in data.records),
        "worst": top,
        "log2_error": log2_any_error(data.records),
        "seeded": len(data.mutants),
        "caught": sum(mutant["caught"] for mutant in data.mutants),
        "survived": [mutant for mutant in data.mutants if not mutant["caught"]],
        "errata": sum(record["kind"] == "erratum" for record in data.records),
        "scale_rows": len(data.scale),
        "scale_mismatches": [row for row in data.scale if row.get("matches") is False],
        "run": data.run,
    }
