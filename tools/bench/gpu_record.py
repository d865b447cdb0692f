#!/usr/bin/env python3
"""Makes one JSON record of what tools/gpu_check measured.

    gpu_record.py FOLDER > RECORD.json
"""

import csv
import json
import pathlib
import subprocess
import sys


def numbers(path):
    with path.open(newline="", encoding="utf-8") as file:
        return {name: float(value) for name, value in csv.reader(file)}


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def main():
    folder = pathlib.Path(sys.argv[1])
    record = {
        "device": output_of("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
        "compiler": (output_of("nvcc", "--version") or "").splitlines()[-1:],
    }
    for mode in ("check", "portable", "small", "time"):
        path = folder / f"{mode}.csv"
        if not path.exists():
            continue
        values = numbers(path)
        cases = {name: value for name, value in values.items() if name.startswith("case/")}
        record[mode] = {name: value for name, value in values.items() if name not in cases}
        record[mode]["cases_that_failed"] = [name for name, value in cases.items() if not value <= 1]
    peers = folder / "peers.json"
    if peers.exists():
        record["peers"] = json.loads(peers.read_text(encoding="utf-8"))
    json.dump(record, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
