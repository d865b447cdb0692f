"""The proofs are in order, as far as that can be said without Coq: tools/prove says the rest."""

import json
import tempfile
import unittest
from pathlib import Path

from formal import bridge
from formal.sources import parse, read_all, without_comments

ROOT = Path(__file__).resolve().parents[2]
FORMAL = ROOT / "proofs/formal"


def _mistakes(text):
    return parse(Path("x.v"), "family/x", text).mistakes


class Reading(unittest.TestCase):
    def test_comments_and_strings_are_blanked_in_place(self):
        text = 'a (* b (* c *) d *) e "(* no" f'
        self.assertEqual(without_comments(text), "a" + " " * 19 + 'e' + " " * 9 + "f")

    def test_what_leaves_a_gap_is_found(self):
        for text in ["Lemma a : P.\nProof. Admitted.", "Axiom a : P.", "Parameter x : nat.", "Proof. admit. Qed.",
                     "Variable x : nat.", "Hypothesis h : P.", "Unset Guard Checking.",
                     "Section A.\nEnd A.\nVariable x : nat."]:
            self.assertEqual(len(_mistakes(text)), 1, text)

    def test_what_leaves_no_gap_is_not(self):
        for text in ["(* Admitted, an Axiom *)", "Section A.\n  Variable x : nat.\nEnd A.",
                     "Section A.\n  Hypothesis h : P.\n  Section B.\n  End B.\n  Context {x : nat}.\nEnd A.",
                     'Goal True. idtac "Admitted". Abort.']:
            self.assertEqual(_mistakes(text), [], text)

    def test_statements_have_names_and_places(self):
        text = ("Section A.\n  Theorem one :\n    P.\n  Proof. by []. Qed.\nEnd A.\n"
                "Module M.\nLemma two : P.\nQed.\nEnd M.\n")
        first, second = parse(Path("x.v"), "family/x", text).statements
        self.assertEqual((first.name, first.full_name), ("x.one", "Etalon.family.x.one"))
        self.assertEqual((first.first_line, first.last_line), (2, 4))
        self.assertEqual((second.name, second.full_name), ("x.M.two", "Etalon.family.x.M.two"))

    def test_cases_are_read_from_what_coq_prints(self):
        printed = '     = "{""settings"": {""n"": 1}}"\n     : string\n     = 3\n     : nat\n'
        self.assertEqual(bridge.cases(printed), [{"settings": {"n": 1}}])

    def test_cases_that_differ_are_noticed(self):
        case = {"settings": {"n": 1}, "inputs": {"x": {"shape": [], "values": ["1/2"]}}, "forms": {"f": {"y": {}}}}
        text = json.dumps(case).replace('"', '""')
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder)
            output = f'     = "{text}"\n     : string\n'
            self.assertFalse(bridge.compare("bridge/toy", output, data, update=False)[1])
            self.assertTrue(bridge.compare("bridge/toy", output, data, update=True)[1])
            self.assertTrue(bridge.compare("bridge/toy", output, data, update=False)[1])
            self.assertEqual(json.loads((data / "toy.json").read_text())["cases"], [case])
            self.assertFalse(bridge.compare("bridge/toy", output.replace("1/2", "1/3"), data, update=False)[1])


class House(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sources = read_all(FORMAL)

    def test_no_proof_leaves_a_gap(self):
        for name, source in self.sources.items():
            self.assertEqual(source.mistakes, [], name)

    def test_theorems_that_laws_name_are_there(self):
        names = {one.name for source in self.sources.values() for one in source.statements}
        for entry, rows in json.loads((FORMAL / "theorems.json").read_text()).items():
            for law, row in rows.items():
                self.assertTrue(row.get("theorems") or row.get("missing"), f"{entry}, {law}")
                self.assertLessEqual(set(row.get("theorems", [])), names, f"{entry}, {law}")

    def test_faults_match_exactly_once(self):
        for fault in json.loads((FORMAL / "faults.json").read_text()):
            self.assertEqual(self.sources[fault["file"]].text.count(fault["find"]), 1, fault["name"])
            self.assertNotEqual(fault["find"], fault["replace"], fault["name"])

    def test_every_bridge_has_its_cases(self):
        bridges = {path.stem for path in (FORMAL / "bridge").glob("*.v")} - {"json"}
        self.assertEqual(bridges, {path.stem for path in (ROOT / "tests/data/formal").glob("*.json")})


if __name__ == "__main__":
    unittest.main()
