"""Seeded faults: a changed definition must make a proof of its file fail."""

import concurrent.futures
import json
import tempfile
from pathlib import Path

from .build import coqc
from .sources import parse


def _run(fault, sources, folder):
    """Compiles the file with the fault in it; a sentence, and whether a proof caught it."""
    source = sources.get(fault["file"])
    if source is None or source.text.count(fault["find"]) != 1:
        return f"{fault['name']}: its text must be found exactly once in {fault['file']}", False
    changed = parse(source.path, source.name, source.text.replace(fault["find"], fault["replace"]))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{source.name.split('/')[-1]}.v"
        path.write_text(changed.text, encoding="utf-8")
        run = coqc(folder, path, source.module)
    if not run.error:
        return f"{fault['name']}: SURVIVED", False
    caught_by = changed.statement_at(run.error_line)
    if caught_by is None:
        return f"{fault['name']}: no proof fails but line {run.error_line}: {run.error[:120]}", False
    return f"{fault['name']}: caught by {caught_by.name}", True


def run_faults(path, sources, folder, jobs=2, report=print):
    """Runs every fault of a file; how many were caught, and how many there are."""
    faults = json.loads(path.read_text(encoding="utf-8"))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda fault: _run(fault, sources, folder), faults))
    for sentence, _ in results:
        report(f"  {sentence}")
    return sum(caught for _, caught in results), len(faults)
