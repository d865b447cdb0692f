"""python3 -m formal: compiles and checks the theorems. tools/prove calls it."""

import argparse
import json
import sys
import time
from pathlib import Path

from . import bridge
from .assumptions import assumptions
from .build import build
from .faults import run_faults
from .sources import read_all


def _laws(path, names):
    """From theorems.json: theorem -> laws that it stands behind, and what is wrong with the file."""
    laws, mistakes = {}, []
    for entry, rows in json.loads(path.read_text(encoding="utf-8")).items():
        for law, row in rows.items():
            if not row.get("theorems") and not row.get("missing"):
                mistakes.append(f"{entry}, {law}: has neither theorems nor a reason why there is none")
            for theorem in row.get("theorems", []):
                if theorem not in names:
                    mistakes.append(f"{entry}, {law}: there is no theorem {theorem}")
                laws.setdefault(theorem, []).append(f"{entry}: {law}")
    return laws, mistakes


def _print_table(rows):
    width = max(len(row["theorem"]) for row in rows)
    print(f"  {'theorem':{width}}  lines  seconds  law")
    for row in rows:
        laws = row["laws"] or [""]
        print(f"  {row['theorem']:{width}}  {row['lines']:5}  {row['seconds']:7.2f}  {laws[0]}")
        for law in laws[1:]:
            print(f"  {'':{width}}  {'':5}  {'':7}  {law}")


def main():
    """Exit status 0: everything is proved; 1: something is not."""
    parser = argparse.ArgumentParser(prog="tools/prove", description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    start = time.monotonic()
    formal, folder = arguments.root / "proofs/formal", arguments.root / "build/formal"
    sources = read_all(formal)
    problems = [f"{name}: {mistake}" for name, source in sources.items() for mistake in source.mistakes]

    print(f"\n== Compiling {len(sources)} files")
    done = build(sources, folder)
    problems += [f"{name}: {one.error[:200]}" for name, one in done.items() if one.error]

    proved = {name: source for name, source in sources.items() if not done[name].error}
    statements = {one.name: (name, one) for name, source in proved.items() for one in source.statements}
    laws, mistakes = _laws(formal / "theorems.json",
                           {one.name for source in sources.values() for one in source.statements})
    problems += mistakes
    shown = [(name, one) for name, one in statements.values() if one.kind == "Theorem" or one.name in laws]
    print(f"\n== Asking what {len(shown)} theorems assume")
    rests_on = assumptions(folder, proved.values(), [one for _, one in shown])
    rows = []
    for name, one in shown:
        axioms = rests_on.get(one.full_name, "not found")
        if axioms:
            problems.append(f"{one.name} assumes {' '.join(axioms.split())[:120]}")
        rows.append({"theorem": one.name, "file": f"proofs/formal/{name}.v", "line": one.first_line,
                     "laws": laws.get(one.name, []), "lines": one.last_line - one.first_line + 1,
                     "seconds": round(done[name].seconds_between(one.begin, one.end), 3), "assumes": axioms})
    _print_table(rows)

    print("\n== Comparing what the definitions compute with what the texts are tested on")
    for name in sorted(proved):
        if name.startswith("bridge/") and name != "bridge/json":
            sentence, fine = bridge.compare(name, done[name].output, arguments.root / "tests/data/formal",
                                            arguments.update)
            print(f"  {sentence}")
            problems += [] if fine else [sentence]

    faults = None
    if arguments.faults:
        print("\n== Running the seeded faults")
        caught, seeded = run_faults(formal / "faults.json", sources, folder)
        faults = {"caught": caught, "seeded": seeded}
        problems += [] if caught == seeded else [f"{seeded - caught} of {seeded} seeded faults were not caught"]

    print("\n== Summary")
    seconds = time.monotonic() - start
    files = [{"file": f"proofs/formal/{name}.v", "lines": source.lines, "seconds": round(done[name].seconds, 2)}
             for name, source in sources.items()]
    print(f"  theorems       {sum(not row['assumes'] for row in rows)} of {len(rows)} closed under the global context")
    print(f"  files          {len(proved)} of {len(sources)} compile, {sum(one['lines'] for one in files)} lines")
    if faults:
        print(f"  seeded faults  {faults['caught']}/{faults['seeded']} caught")
    print(f"  time           {seconds:.0f} s")
    for problem in problems:
        print(f"  PROBLEM        {problem}")
    if arguments.json:
        record = {"theorems": rows, "files": files, "faults": faults, "problems": problems,
                  "seconds": round(seconds, 1)}
        arguments.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
