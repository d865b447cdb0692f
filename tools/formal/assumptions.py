"""What each theorem rests on, as Coq's Print Assumptions says it."""

from .build import coqc

_CLOSED = "Closed under the global context"


def assumptions(folder, sources, statements):
    """For each theorem the axioms that it uses: nothing, if all is well."""
    lines = ["From Coq Require Import ssreflect."] + [f"Require {source.module}." for source in sources]
    for one in statements:
        lines += [f'Goal True. idtac "## {one.full_name}". Abort.', f"Print Assumptions {one.full_name}."]
    path = folder / "assumptions.v"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = coqc(folder, path, "Etalon.assumptions")
    if run.error:
        raise RuntimeError(f"Print Assumptions: {run.error}")
    found = {}
    for block in run.output.split("## ")[1:]:
        name, _, rest = block.partition("\n")
        found[name.strip()] = "" if rest.strip() == _CLOSED else rest.strip()
    return found
