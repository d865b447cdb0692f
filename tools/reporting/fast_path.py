"""The page of the fast path: how much of its error budget each core used, and what the dated records in docs/results say
of its speed on the CPU (beside OpenBLAS) and on a GPU (beside PyTorch and flash-linear-attention)."""

import json
from pathlib import Path


def _properties(test):
    """The recorded fractions of a test, as gtest writes them: as further keys of the test."""
    return {key.removeprefix("largest_").replace("_", " "): float(value) for key, value in test.items()
            if key.removeprefix("largest_").startswith("fraction_of_")}


def budgets(tests):
    """Rows (core, case, what, fraction) of the tests that measured a budget."""
    rows = []
    for suite in tests.get("testsuites", []):
        core = suite["name"].rsplit("/", 1)[-1].removesuffix("s").removesuffix("Case").removesuffix("Test")
        for test in suite["testsuite"]:
            case = test.get("value_param") or test["name"]
            rows += [(core, case, what, fraction) for what, fraction in _properties(test).items()]
    return rows


def _budget_blocks(tests):
    rows = budgets(tests)
    if not rows:
        return [{"kind": "text", "text":
                 "The tests of the fast path were not run: they look at more shapes and values than its laws, and tools/test "
                 "builds them. After that tools/report shows each of their cases."}]
    worst = {}
    for core, _, what, fraction in rows:
        key = core, what
        worst[key] = max(worst.get(key, 0), fraction)
    cases = {key: sum(1 for row in rows if (row[0], row[2]) == key) for key in worst}
    return [
        {"kind": "table", "title": "Error as a fraction of the derived budget",
         "note": "The largest error over the derived budget, over all cases of a core and every instruction set of this "
                 "processor: lengths 1, 2, around a chunk and 1000, dims that are no multiple of a vector, decays of 0, 1 "
                 "and e^-20, logits of 300, strided views, split sequences. Above 1 the test fails. Budgets bound the "
                 "worst case of every rounding, so small fractions are the rule.",
         "columns": ["core", "what", "cases", "largest fraction"],
         "rows": [[core, what, cases[core, what], value] for (core, what), value in sorted(worst.items())]},
        {"kind": "plot", "title": "Fractions of budgets, case by case", "type": "scatter",
         "note": "Each point is one test case; its name is shown on it.",
         "x": {"label": "core"}, "y": {"label": "largest error over budget", "log": True},
         "series": [{"name": what, "x": [row[0] for row in rows if row[2] == what and row[3] > 0],
                     "y": [row[3] for row in rows if row[2] == what and row[3] > 0],
                     "text": [row[1] for row in rows if row[2] == what and row[3] > 0]}
                    for what in sorted({row[2] for row in rows})]},
    ]


def _law_blocks(records):
    """The `fast` laws: for each entry that a core serves, how much of its budgets the core used."""
    laws = [record for record in records if record["kind"] == "fast"]
    if not laws:
        return [{"kind": "text", "text": "No law of the fast path was decided."}]
    return [
        {"kind": "table", "title": "Laws: each mixer against the core that serves it",
         "note": "The text of the mixer is read in double on inputs that are numbers of float32; shapes and values are "
                 "drawn. The fraction is the largest error over its derived budget.",
         "columns": ["algorithm", "law", "cases", "numbers compared", "largest fraction", "holds"],
         "rows": [[record["entry"].replace("_", " "), record["statement"], record["cases"], record["comparisons"],
                   record["worst_fraction"], "yes" if record["holds"] else "no"] for record in laws]},
        {"kind": "plot", "title": "Fractions of budgets, law by law", "type": "bar", "note": "The same numbers.",
         "x": {"label": "algorithm and law"}, "y": {"label": "largest error over budget"},
         "series": [{"name": "largest fraction",
                     "x": [f"{record['entry'].replace('_', ' ')}: {record['law'].removeprefix('fast: ')}" for record in laws],
                     "y": [record["worst_fraction"] for record in laws]}]},
    ]


def _medians(record):
    """The median times and rates of Google Benchmark's JSON, by name."""
    return {one["run_name"]: one for one in record.get("benchmarks", []) if one.get("aggregate_name") == "median"}


def _cpu_blocks(record, name):
    medians = _medians(record)
    yardstick = next((one["flops"] for key, one in medians.items() if key.startswith("sgemm")), None)
    rows = []
    for key, one in sorted(medians.items()):
        rate = one.get("flops")
        rows.append([key.removesuffix("/real_time"), f"{one['real_time']:.3g} {one['time_unit']}",
                     rate * 1e-9 if rate else None, 100 * rate / yardstick if rate and yardstick else None])
    bars = [row for row in rows if row[3] is not None and "/threads:1/" in row[0]]
    return [
        {"kind": "table", "title": "Speed on the CPU, beside OpenBLAS",
         "note": f"Medians of interleaved repetitions, from the record {name} ({record.get('context', {}).get('date', '')}). "
                 "Rates count the operations of the algorithm; the last column divides by the rate of OpenBLAS's sgemm, "
                 "measured in the same run on one thread: what a matrix product reaches is taken for the floor.",
         "columns": ["benchmark", "time", "GFLOP/s", "% of sgemm"], "rows": rows},
        {"kind": "plot", "title": "Percent of sgemm's rate", "type": "bar", "note": "The same numbers, one thread.",
         "x": {"label": "benchmark"}, "y": {"label": "percent of sgemm"},
         "series": [{"name": "median", "x": [row[0].replace("/threads:1", "").replace("n:4096/", "") for row in bars],
                     "y": [row[3] for row in bars]}]},
    ]


def _gpu_blocks(record, name):
    peers = record.get("peers", {})
    rows, x, y = [], [], []
    for shape in peers.get("shapes", []):
        label = f"{shape['core'].replace('_', ' ')}, {shape['kind']}, {shape['head_dimension']} channels"
        for side, seconds in shape.get("graph_seconds", shape.get("seconds", {})).items():
            fraction = shape.get("graph_fractions", {}).get(side)
            rows.append([label, side, 1e3 * seconds, shape.get("graph_ratios", {}).get(side),
                         100 * fraction if fraction is not None else None,
                         shape.get("relative_errors", {}).get(side)])
            x.append(f"{label}: {side}")
            y.append(1e3 * seconds)
    if not rows:
        return []
    check = record.get("check", {})
    failed = check.get("cases_that_failed", [])
    return [
        {"kind": "table", "title": f"Speed on a GPU: {peers.get('device') or record.get('device')}",
         "note": f"From the record {name}; this machine needs no GPU to show it. Medians of launches replayed from a graph, "
                 "16,384 tokens, 32 heads of attention and 16 of the recurrence, bfloat16. The fraction is of the rate of a "
                 "large matrix product (attention) or of a copy within the device (recurrence), measured in the same run: "
                 "each input read once and the output written once. The error is relative to float64 on a small shape. "
                 f"Checks on the device: {len(failed)} cases beyond their budget.",
         "columns": ["shape", "side", "milliseconds", "time over ours", "percent of floor", "relative error"],
         "rows": rows},
        {"kind": "plot", "title": "Times on the GPU", "type": "bar", "note": "The same numbers.",
         "x": {"label": "shape and side"}, "y": {"label": "milliseconds", "log": True},
         "series": [{"name": "median", "x": x, "y": y}]},
    ]


def latest(folder, prefix):
    """The newest record docs/results/<prefix>-<date>.json; None when there is none."""
    found = sorted(Path(folder).glob(f"{prefix}-*.json"))
    return found[-1] if found else None


def study(tests_file, results, records=()):
    """The page, in the blocks of a study. `tests_file` is gtest's JSON, `results` the folder of dated records, `records`
    what etalon verify wrote."""
    tests = json.loads(tests_file.read_text(encoding="utf-8")) if tests_file.exists() else {}
    blocks = [{"kind": "text", "text":
               "Plain texts are for reading; fast/ is what a program would link. Every core of it is held to its text "
               "within a budget that is derived, never chosen. Speed is measured apart and kept as dated records, each "
               "core beside what one would use instead."}]
    blocks += _law_blocks(records)
    blocks += _budget_blocks(tests)
    for prefix, blocks_of, what in (("fast_cpu", _cpu_blocks, "CPU"), ("fast_gpu", _gpu_blocks, "GPU")):
        path = latest(results, prefix)
        shown = blocks_of(json.loads(path.read_text(encoding="utf-8")), path.name) if path else []
        blocks += shown or [{"kind": "text", "text": f"There is no record of the fast path's speed on a {what}."}]
    return {"title": "The fast path", "blocks": blocks, "summary":
            "SIMD and CUDA kernels of four cores: errors as fractions of derived budgets, speed as fractions of the floor."}
