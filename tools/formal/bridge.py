"""The bridge to the C++ texts: what the Coq definitions compute in fractions, as JSON.

proofs/formal/bridge/<entry>.v prints cases; tests/data/formal/<entry>.json keeps them; tests/formal/bridge_test.cpp
runs the registered forms on them.
"""

import json
import re

_PRINTED = re.compile(r'^     = "((?:[^"]|"")*)"(?:%string)?\s+: string$', re.MULTILINE)


def cases(output):
    """The cases that a bridge file printed."""
    return [json.loads(text.replace('""', '"')) for text in _PRINTED.findall(output)]


def _text(entry, found):
    """JSON with one line for each array, so that a change can be read."""
    rows = []
    for case in found:
        groups = []
        for group in ("inputs", "forms"):
            members = ",\n".join(f"     {json.dumps(key)}: {json.dumps(value)}" for key, value in case[group].items())
            groups.append(f"    {json.dumps(group)}: {{\n{members}}}")
        rows.append(f"  {{\"settings\": {json.dumps(case['settings'])},\n" + ",\n".join(groups) + "}")
    return f"{{\"entry\": {json.dumps(entry)}, \"cases\": [\n" + ",\n".join(rows) + "\n]}\n"


def compare(name, output, data, update):
    """A sentence about one bridge file, and whether all is well."""
    entry = name.split("/")[-1]
    path = data / f"{entry}.json"
    found = cases(output)
    text = _text(entry, found)
    what = f"{len(found)} cases, {sum(len(case['forms']) for case in found)} results of {entry}"
    if not found:
        return f"{entry}: the bridge prints no case", False
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return f"{what}: as in tests/data/formal", True
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return f"{what}: written to tests/data/formal", True
    return f"{what}: NOT as in tests/data/formal/{entry}.json; if that is meant, tools/prove --update", False
