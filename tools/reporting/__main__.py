"""python3 -m reporting names | note | fast | pages | summary: see --help. tools/report calls them in this order."""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from . import fast_path, formats
from .load import load
from .render import render


def _read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def names(arguments):
    """Prints the names of all entries, of those with costs to count, or of all studies, one a line."""
    known = _read(arguments.data / "list.json")
    for one in known["studies" if arguments.of == "studies" else "entries"]:
        if arguments.of != "counted" or (one["costs"] and one["scales"]):
            print(one["name"])


def _first_line(*command):
    """The first line that a command prints; empty when it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


def _machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    return f"{model}, {os.cpu_count()} cores".removeprefix(", ")


def note(arguments):
    """Writes run.json: when and where the numbers were made, and how long each stage took."""
    stages = [stage.rsplit("=", 1) for stage in arguments.stage]
    run = {
        "date": datetime.date.today().isoformat(),
        "version": _first_line("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
        "machine": _machine(),
        "compiler": _first_line("g++", "--version"),
        "effort": arguments.effort,
        "stages": [{"name": name, "seconds": float(seconds)} for name, seconds in stages],
    }
    (arguments.data / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")


def fast(arguments):
    """Writes the study of the fast path, from its laws, what its tests measured and the dated records."""
    laws = arguments.data / "records.jsonl"
    records = [json.loads(line) for line in laws.read_text(encoding="utf-8").splitlines()] if laws.exists() else []
    made = fast_path.study(arguments.data / "fast.json", arguments.results, records)
    (arguments.data / "studies" / "fast_path.json").write_text(json.dumps(made, indent=1), encoding="utf-8")


def pages(arguments):
    """Writes the pages."""
    render(load(arguments.data, arguments.proofs), arguments.out)


def _summary_lines(found):
    """One screen: what held, how close to its budget, which faults were caught."""
    most = 8
    yield f"  laws           {found['held']:,} of {found['laws']:,} hold ({found['entries']} algorithms)"
    yield f"  cases          {found['cases']:,}, {found['comparisons']:,} numbers compared"
    if found["worst"]:
        top = found["worst"]
        yield (f"  worst budget   {formats.percent(top['worst_fraction'])} used by {formats.words(top['entry'])}, "
               f"{top['law'].removeprefix('rounding: ')}, {top['scalar']}")
    if found["log2_error"]:
        chance = formats.power_of_two(found["log2_error"])
        yield f"  certainty      a false identity passed with probability below {chance}"
    if found["seeded"]:
        yield f"  seeded faults  {found['caught']} of {found['seeded']} caught"
    for record in found["failed"][:most]:
        yield f"  FAILS          {record['entry']}, {record['law']}, {record['scalar']}: {record['message'][:120]}"
        yield f"                 {record.get('reproduce', '')}"
    if len(found["failed"]) > most:
        yield f"                 and {len(found['failed']) - most} more"
    for mutant in found["survived"][:most]:
        yield f"  SURVIVED       {mutant['entry']}, {mutant['mutant']}"
    for row in found["scale_mismatches"][:most]:
        yield f"  COUNTS DIFFER  {row['entry']}, {row['form']}, {row['settings']}"


def summary(arguments):
    """Prints one screen about a rendered report."""
    for line in _summary_lines(_read(arguments.out / "report.json")["summary"]):
        print(line)
    stages = _read(arguments.data / "run.json")["stages"]
    print("  time           " + ", ".join(f"{one['name']} {formats.duration(one['seconds'])}" for one in stages))


def main():
    parser = argparse.ArgumentParser(prog="reporting", description="Turns what etalon measured into pages.")
    commands = parser.add_subparsers(required=True)

    def command(function, help_text, *folders):
        one = commands.add_parser(function.__name__, help=help_text)
        one.set_defaults(function=function)
        one.add_argument("--data", required=True, type=Path, help="folder of what etalon wrote")
        if "out" in folders:
            one.add_argument("--out", required=True, type=Path, help="folder of the pages")
        return one

    command(names, "print the names of what there is").add_argument("of", choices=["entries", "counted", "studies"])
    noting = command(note, "write when, where and how long the run was")
    noting.add_argument("--effort", type=float, default=1)
    noting.add_argument("--stage", action="append", default=[], metavar="NAME=SECONDS")
    command(fast, "write the study of the fast path").add_argument("--results", required=True, type=Path,
                                                                   help="folder of the dated records")
    rendering = command(pages, "write the pages", "out")
    rendering.add_argument("--proofs", type=Path, help="folder of the entries, for the words on seeded faults")
    command(summary, "print one screen about a report", "out")
    arguments = parser.parse_args()
    try:
        arguments.function(arguments)
    except (OSError, ValueError) as error:
        print(f"reporting: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
