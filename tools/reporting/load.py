"""Reads the data folder: one JSON or JSON-lines file for each command that was run."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from .formats import words


@dataclass
class Data:
    """Everything that the pages are made from, as the etalon program wrote it."""

    entries: list = field(default_factory=list)  # etalon list
    records: list = field(default_factory=list)  # etalon verify
    scale: list = field(default_factory=list)  # etalon scale, what it counted
    left_out: list = field(default_factory=list)  # etalon scale, points that state too many operations to count
    mutants: list = field(default_factory=list)  # etalon mutants
    detection: list = field(default_factory=list)  # etalon mutants --detection
    faults: dict = field(default_factory=dict)  # what each seeded fault is: entry -> mutant -> words
    studies: dict = field(default_factory=dict)  # etalon study, by name
    run: dict = field(default_factory=dict)  # when, where, how long

    def titles(self):
        """The title of every entry that there is something about."""
        names = {row["entry"] for rows in (self.records, self.scale, self.mutants) for row in rows}
        return {**{name: words(name) for name in names}, **{entry["name"]: entry["title"] for entry in self.entries}}


def _objects(path):
    """The objects of a JSON-lines file, or of one JSON array; none when there is no file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8").strip()
    if text.startswith("["):
        return json.loads(text)
    objects = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            objects.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: not JSON: {error}") from error
    return objects


def _object(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def describe_faults(proofs):
    """The words of proofs/<family>/<entry>.mutants.json on each seeded fault."""
    return {path.name.removesuffix(".mutants.json"):
            {mutant["name"]: mutant["what"] for mutant in _object(path)["mutants"]}
            for path in sorted(Path(proofs).glob("*/*.mutants.json"))}


def load(folder, proofs=None):
    """Reads the data folder, and from the folder `proofs` the words on seeded faults.

    Raises FileNotFoundError when there are no records: a report without them would show nothing and look fine.
    """
    folder = Path(folder)
    records = _objects(folder / "records.jsonl")
    if not records:
        raise FileNotFoundError(f"{folder / 'records.jsonl'}: no records; run etalon verify --json first")
    scale = _objects(folder / "scale.jsonl")
    return Data(
        entries=_object(folder / "list.json").get("entries", []),
        records=records,
        scale=[row for row in scale if "left_out" not in row],
        left_out=[row for row in scale if "left_out" in row],
        mutants=_objects(folder / "mutants.jsonl"),
        detection=_objects(folder / "detection.jsonl"),
        faults=describe_faults(proofs) if proofs else {},
        studies={path.stem: _object(path) for path in sorted((folder / "studies").glob("*.json"))},
        run=_object(folder / "run.json"),
    )
