"""Renders the fixture, opens its pages in a browser, and breaks them to see that this is noticed."""

import json
import math
import shutil
import tempfile
import unittest
from pathlib import Path

from reporting import atlas, fast_path, formats, scaling, studies, verification
from reporting.check_pages import WIDTHS, check
from reporting.load import load
from reporting.render import render

FIXTURE = Path(__file__).parent / "fixture"


class Formats(unittest.TestCase):
    def test_numbers_have_three_significant_digits(self):
        for value, text in [(0.0, "0"), (0.4944, "0.494"), (0.9996, "1.00"), (12.345, "12.3"), (999.9, "1,000"),
                            (626700.24, "626,700"), (1.2345e-9, "1.23×10⁻⁹"), (9.999e7, "1.00×10⁸"),
                            (-0.5, "−0.500"), (-2e-7, "−2.00×10⁻⁷"), (1234, "1,234"), (3_000_000, "3.00×10⁶"),
                            (math.nan, "not finite"), (None, "–"), ("BFloat16", "BFloat16")]:
            self.assertEqual(formats.number(value), text)

    def test_counts_are_exact(self):
        self.assertEqual(formats.count(1_073_741_825), "1,073,741,825")

    def test_durations(self):
        for seconds, text in [(3e-5, "30.0 µs"), (0.0123, "12.3 ms"), (33.33, "33.3 s"), (125.9, "2 min 5 s")]:
            self.assertEqual(formats.duration(seconds), text)

    def test_probabilities_are_rounded_up(self):
        self.assertEqual(formats.power_of_two(-104.2), "2⁻¹⁰⁴")

    def test_formulas_get_subscripts_and_stay_text(self):
        self.assertEqual(formats.formula("3 n d_k <b>"), "3 n <var>d<sub>k</sub></var> &lt;b&gt;")
        self.assertEqual(formats.formula("n - 1 <= 3"), "n − 1 ≤ 3")
        for words in ("ceil_log2(n)", "integer_significand", "backward_log_decay"):
            self.assertEqual(formats.formula(words), words)


def curve_of(totals, entry="one"):
    rows = [{"entry": entry, "form": "f", "curve": "c", "settings": {"n": n, "d": 4}, "total": total}
            for n, total in totals.items()]
    return scaling.curves(rows)[0]


def limit(source, target, law, scalar="Rational", holds=True):
    return {"kind": "limit", "entry": source, "family": "state_space", "limit_entry": target, "law": law,
            "statement": f"{law} <&>", "scalar": scalar, "holds": holds}


class Atlas(unittest.TestCase):
    def test_a_law_is_one_edge_and_holds_only_where_all_its_arithmetics_do(self):
        found = atlas.edges([limit("b", "c", "x"), limit("a", "b", "y"), limit("a", "b", "y", "PrimeField", False),
                             {**limit("a", "b", "z"), "kind": "same"}])
        self.assertEqual([(one["source"], one["target"], one["law"], one["scalars"], one["holds"]) for one in found],
                         [("a", "b", "y", ["Rational", "PrimeField"], False), ("b", "c", "x", ["Rational"], True)])

    def test_a_broken_law_is_red_and_words_are_no_markup(self):
        records = [limit("a", "b", "y"), limit("b", "a", "z", holds=False)]
        picture = atlas.svg(records, {"a": "<b> & \\N"})
        self.assertEqual(picture.count(f'stroke="{atlas.BROKEN}"'), 2)  # the line and its head
        self.assertIn("&lt;b&gt; &amp; \\N", picture)


class Scaling(unittest.TestCase):
    def test_a_crossing_lies_where_the_straight_lines_meet(self):
        linear, quadratic = curve_of({n: 32 * n for n in (8, 64)}), curve_of({n: n * n for n in (8, 64)})
        found = scaling.crossing(linear, quadratic)
        self.assertEqual((found["kind"], found["below"], found["above"], found["factor"]), ("at", 8, 64, 2))
        self.assertTrue(math.isclose(found["n"], 32) and math.isclose(found["y"], 1024))

    def test_the_last_crossing_counts(self):
        one, other = curve_of({2: 1, 4: 9, 8: 1}), curve_of({2: 3, 4: 3, 8: 3})
        found = scaling.crossing(one, other)
        self.assertEqual((found["below"], found["above"]), (4, 8))

    def test_never_always_and_nowhere_in_common(self):
        low, high, elsewhere = curve_of({2: 1, 4: 1}), curve_of({2: 5, 4: 6}), curve_of({3: 1, 5: 1})
        self.assertEqual(scaling.crossing(low, high)["kind"], "always")
        self.assertEqual(scaling.crossing(high, low)["kind"], "never")
        self.assertEqual(scaling.crossing(low, elsewhere)["kind"], "apart")

    def test_growth_is_the_exponent(self):
        self.assertTrue(math.isclose(scaling.growth(curve_of({4: 16, 8: 64, 16: 256})), 2))

    def test_a_total_is_stated_only_when_every_operation_is(self):
        stated = {"multiplications": {"value": 5, "text": "n"}, "depth": {"value": 9, "text": "n"}}
        self.assertEqual(scaling.stated_total({"multiplications": 5, "additions": 0, "stated": stated}), 5)
        self.assertIsNone(scaling.stated_total({"multiplications": 5, "additions": 1, "stated": stated}))


    def test_what_sets_rows_apart_makes_curves(self):
        stated = {"additions": {"text": "n d", "value": 1}}
        rows = [{"entry": "one", "form": "f", "curve": "c", "total": n, "stated": stated,
                 "settings": {"n": n, "d": 4, "tile": n + 1, "mask": mask}} for mask in (0, 1) for n in (8, 4)]
        made = scaling.curves(rows)
        self.assertEqual([curve["name"] for curve in made], ["f, mask = 0", "f, mask = 1"])
        self.assertEqual([curve["x"] for curve in made], [[4, 8], [4, 8]])
        self.assertEqual(made[0]["fixed"], {"d": 4})


    def test_choices_are_named(self):
        row = {"entry": "one", "settings": {"mask": 2, "n": 2}}
        parameter = {"name": "mask", "range": "from 1 to 2", "choices": ["full", "causal"]}
        scaling.name_choices([row], [{"name": "one", "parameters": [parameter]}])
        self.assertEqual(row["settings"], {"mask": "causal", "n": 2})


class Verification(unittest.TestCase):
    def test_chances_of_error_add_up(self):
        records = [{"log2_error_probability": -101.0}, {"log2_error_probability": -101.0}, {}]
        self.assertEqual(verification.log2_any_error(records), -100.0)
        self.assertIsNone(verification.log2_any_error([{}]))

    def test_detection_over_several_cases(self):
        line = {"entry": "a", "profile": "float", "seeded": 4, "case": "n=1"}
        row, = verification.detection_table([{**line, "excluded": 2, "not_excluded": ["x", "y"]},
                                             {**line, "excluded": 3, "not_excluded": ["y"]}])
        self.assertEqual((row["least"], row["most"], row["never"]), (0.5, 0.75, ["y"]))


class FastPath(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def _write(self, name, content):
        (self.folder / name).write_text(json.dumps(content), encoding="utf-8")
        return self.folder / name

    def _texts(self, study):
        return " ".join(block["text"] for block in study["blocks"] if block["kind"] == "text")

    def _rows(self, study, title):
        return next(block["rows"] for block in study["blocks"] if block.get("title", "").startswith(title)
                    and block["kind"] == "table")

    def test_what_was_not_measured_is_said(self):
        words = self._texts(fast_path.study(self.folder / "fast.json", self.folder))
        for part in ("No law of the fast path", "tests of the fast path were not run", "speed on a CPU", "speed on a GPU"):
            self.assertIn(part, words)

    def test_the_worst_case_of_a_core_counts(self):
        tests = self._write("fast.json", {"testsuites": [{"name": "Sizes/DeltaCases", "testsuite": [
            {"name": "A/0", "value_param": "n=1", "largest_fraction_of_budget": "0.25"},
            {"name": "A/1", "value_param": "n=2", "largest_fraction_of_budget": "0.5"},
            {"name": "Named"}]}]})
        rows = self._rows(fast_path.study(tests, self.folder), "Error as a fraction")
        self.assertEqual(rows, [["Delta", "fraction of budget", 2, 0.5]])

    def test_laws_of_the_fast_path_are_listed_and_no_others(self):
        records = [{"entry": "swin", "kind": kind, "law": kind, "statement": kind, "cases": 3, "comparisons": 9,
                    "worst_fraction": 0.5, "holds": True} for kind in ("fast", "same")]
        page = fast_path.study(self.folder / "none", self.folder, records)
        self.assertEqual(self._rows(page, "Laws"), [["swin", "fast", 3, 9, 0.5, "yes"]])
        plot = next(block for block in page["blocks"] if block["kind"] == "plot")
        self.assertEqual((plot["series"][0]["x"], plot["series"][0]["y"]), (["swin: fast"], [0.5]))

    def test_rates_are_divided_by_that_of_sgemm_and_the_newest_record_counts(self):
        for day, flops in ((1, 5e9), (2, 6e9)):
            self._write(f"fast_cpu-2026-01-0{day}.json", {"benchmarks": [
                {"run_name": "sgemm/n:2048", "aggregate_name": "median", "real_time": 1, "time_unit": "ms", "flops": 1e10},
                {"run_name": "attention", "aggregate_name": "median", "real_time": 2, "time_unit": "ms", "flops": flops},
                {"run_name": "attention", "aggregate_name": "mean", "real_time": 9, "time_unit": "ms", "flops": 1}]})
        rows = self._rows(fast_path.study(self.folder / "none", self.folder), "Speed on the CPU")
        self.assertEqual([row[3] for row in rows], [60, 100])

    def test_the_record_of_a_device_names_it_and_its_failures(self):
        self._write("fast_gpu-2026-01-01.json", {
            "device": "some device", "check": {"cases_that_failed": ["one"]}, "peers": {"device": "H", "shapes": [
                {"core": "attention", "kind": "full", "head_dimension": 64, "graph_seconds": {"etalon": 1e-3},
                 "graph_fractions": {"etalon": 0.5}, "graph_ratios": {"etalon": 1.0}, "relative_errors": {}}]}})
        study = fast_path.study(self.folder / "none", self.folder)
        self.assertEqual(self._rows(study, "Speed on a GPU: H")[0][2:5], [1.0, 1.0, 50.0])
        self.assertIn("1 cases beyond their budget", json.dumps(study))


class Loading(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_no_records_is_an_error(self):
        with self.assertRaisesRegex(FileNotFoundError, "no records"):
            load(self.folder)

    def test_a_broken_line_is_named(self):
        (self.folder / "records.jsonl").write_text('{"entry": "a"}\n{"entry": \n', encoding="utf-8")
        with self.assertRaisesRegex(ValueError, r"records\.jsonl, line 2"):
            load(self.folder)

    def test_an_unknown_block_is_named(self):
        with self.assertRaisesRegex(ValueError, "study lengths, block 1: kind film"):
            studies.page_of("lengths", {"blocks": [{"kind": "film"}]})


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.data = load(FIXTURE)
        cls.pages = render(cls.data, cls.folder)

    def text_of(self, page):
        return (self.folder / page).read_text(encoding="utf-8")

    def test_there_is_a_page_for_everything(self):
        expected = {"index.html", "equivalence.html", "atlas.html", "scaling.html"}
        expected |= {f"entry-{formats.slug(record['entry'])}.html" for record in self.data.records}
        expected |= {f"study-{formats.slug(name)}.html" for name in self.data.studies}
        self.assertEqual(set(self.pages), expected)
        self.assertGreaterEqual(len(expected), 6)

    def test_every_law_in_every_arithmetic_is_there(self):
        for entry, records in verification.by_entry(self.data.records).items():
            text = self.text_of(f"entry-{formats.slug(entry)}.html")
            verdicts = text.count('<span class="good">holds') + text.count('<span class="bad">fails')
            self.assertEqual(verdicts, len(records))

    def test_a_failure_stands_on_the_first_page_with_its_command(self):
        failed = [record for record in self.data.records if not record["holds"]]
        self.assertTrue(failed, "the fixture has a law that fails")
        for record in failed:
            self.assertIn(str(formats.escape(record["reproduce"])), self.text_of("index.html"))

    def test_the_json_has_every_record(self):
        report = json.loads(self.text_of("report.json"))
        self.assertEqual(report["records"], load(FIXTURE).records)
        self.assertEqual(report["summary"]["laws"], len(self.data.records))

    def test_what_is_said_is_text_and_never_markup(self):
        with tempfile.TemporaryDirectory() as folder:
            data = load(FIXTURE)
            attack = "</script><script>fetch('x')</script>"
            for record in data.records:
                record["statement"] = record["scalar"] = attack
            for study in data.studies.values():
                study["summary"] = attack
                for block in study["blocks"]:
                    block["title"] = attack
            for page in render(data, folder):
                self.assertNotIn("<script>fetch", (Path(folder) / page).read_text(encoding="utf-8"))

    def test_no_page_needs_the_network(self):
        for page in self.pages:
            self.assertNotRegex(self.text_of(page), r'(src|href)="(https?:)?//')

    def test_a_good_report_has_no_faults(self):
        self.assertEqual(check(self.folder), [])

    def test_broken_pages_are_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            broken = Path(folder) / "broken"
            shutil.copytree(self.folder, broken)
            wide = '<div style="width: 2000px">wide</div><a href="nowhere.html">nowhere</a></main>'
            self.change(broken / "index.html", "</main>", wide)
            self.change(broken / "equivalence.html", "</body>", "<script>console.error('a complaint')</script></body>")
            self.change(broken / "scaling.html", '"y": [', '"y": [], "was": [')
            for page in self.pages:  # the others need not be looked at again
                if page not in ("index.html", "equivalence.html", "scaling.html"):
                    (broken / page).write_text("<title>a page</title><h1>A page</h1>", encoding="utf-8")
            faults = check(broken)
        for width in WIDTHS:
            of = {page: [fault for where, at, fault in faults if (where, at) == (page, width)] for page in self.pages}
            self.assertIn("a complaint", of["equivalence.html"])
            self.assertTrue(any("shows no data" in fault for fault in of["scaling.html"]), of["scaling.html"])
            self.assertTrue(any("has no finite value" in fault for fault in of["scaling.html"]), of["scaling.html"])
            self.assertTrue(any("pixels wide on a screen of" in fault for fault in of["index.html"]), of["index.html"])
        self.assertIn(("index.html", WIDTHS[0], "dead link: nowhere.html"), faults)
        self.assertTrue(any("dead link" in fault and "#" in fault for _, _, fault in faults),
                        "links to places that are gone")

    def change(self, path, old, new):
        text = path.read_text(encoding="utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    unittest.main()
