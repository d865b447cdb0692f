"""Compiles the files in the order of what they need, two at a time."""

import concurrent.futures
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field

_TIMED = re.compile(r"^Chars (\d+) - (\d+) \[.*\] ([\d.]+) secs", re.MULTILINE)
_ERROR = re.compile(r'^File "[^"]*", line (\d+), characters .*?:\n(Error:.*)', re.MULTILINE | re.DOTALL)


@dataclass
class Compiled:
    """What came of one file."""

    name: str
    seconds: float
    output: str
    error: str = ""
    error_line: int = 0
    sentences: list = field(default_factory=list)  # begin, end, seconds

    def seconds_between(self, begin, end):
        """How long the sentences between two places took."""
        return sum(seconds for first, last, seconds in self.sentences if begin <= first and last <= end)


def coqc(folder, path, module, timed=False):
    """Compiles one file of `folder` (or a changed copy of it) under its logical name.

    In that folder, because Coq leaves the caches of its arithmetic where it runs.
    """
    command = ["coqc", "-q", "-noglob", "-w", "-ambiguous-paths", "-R", str(folder), "Etalon", "-top", module]
    start = time.monotonic()
    run = subprocess.run(command + (["-time"] if timed else []) + [str(path)], cwd=folder, capture_output=True,
                         text=True, check=False)
    done = Compiled(module, time.monotonic() - start, run.stdout)
    done.sentences = [(int(a), int(b), float(c)) for a, b, c in _TIMED.findall(run.stdout)]
    if run.returncode != 0:
        found = _ERROR.search(run.stderr)
        done.error_line = int(found.group(1)) if found else 0
        done.error = " ".join((found.group(2) if found else run.stderr or "coqc failed").split())
    return done


def needs(folder, sources):
    """For each file the files that it needs directly, as coqdep finds them."""
    paths = {folder / f"{name}.vo": name for name in sources}
    run = subprocess.run(["coqdep", "-R", str(folder), "Etalon"] + [str(folder / f"{name}.v") for name in sources],
                         capture_output=True, text=True, check=True)
    found = {}
    for line in run.stdout.splitlines():
        targets, _, wanted = line.partition(":")
        made = next((paths[path] for path in map(folder.__class__, targets.split()) if path in paths), None)
        if made is not None:
            found[made] = {paths[path] for path in map(folder.__class__, wanted.split()) if path in paths}
    return found


def build(sources, folder, jobs=2, report=print):
    """Compiles everything afresh in `folder`; files whose needs failed are left out."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in sources.items():
        target = folder / f"{name}.v"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.text, encoding="utf-8")
    waiting, done, running = needs(folder, sources), {}, {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while waiting or running:
            for name in [name for name, wanted in waiting.items() if wanted <= done.keys()]:
                failed = sorted(need for need in waiting.pop(name) if done[need].error)
                if failed:
                    done[name] = Compiled(name, 0.0, "", f"not compiled, because {failed[0]} does not")
                    report(f"  {name}: {done[name].error}")
                else:
                    timed = not name.startswith("bridge/")
                    job = pool.submit(coqc, folder, folder / f"{name}.v", sources[name].module, timed)
                    running[job] = name
            if not running:
                continue
            for job in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                name = running.pop(job)
                done[name] = job.result()
                mark = f"{done[name].seconds:6.1f} s" if not done[name].error else "  FAILS "
                report(f"  {mark}  {name}")
                if done[name].error:
                    report(f"            line {done[name].error_line}: {done[name].error[:300]}")
    return done
