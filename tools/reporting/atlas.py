"""The atlas: all entries, and an arrow wherever a law says that one of them, under a choice of inputs, is another."""

import graphviz

from . import formats

# One fill for each family, light enough for black words; families without one are white.
FILLS = {
    "softmax_attention": "#fde2d4",
    "linear_attention": "#dcebf9",
    "gated_recurrence": "#dff1dd",
    "state_space": "#ece1f6",
    "scan_order": "#f4ecc9",
    "approximation": "#f9dfe9",
    "block": "#e4e4e4",
}
LINE, BROKEN, WORDS = "#4a5560", "#c00000", "#1b1f23"


def edges(records):
    """One edge for each `limit` law; it holds when the law holds in every arithmetic that it was decided in."""
    found = {}
    for record in records:
        if record["kind"] != "limit" or not record.get("limit_entry"):
            continue
        key = record["entry"], record["limit_entry"], record["law"]
        edge = found.setdefault(key, {"source": key[0], "target": key[1], "law": key[2],
                                      "statement": record["statement"], "scalars": [], "holds": True})
        edge["scalars"].append(record["scalar"])
        edge["holds"] &= record["holds"]
    return sorted(found.values(), key=lambda edge: (edge["source"], edge["target"], edge["law"]))


def _pairs(found):
    """The laws of each pair of entries: parallel arrows would hide each other."""
    pairs = {}
    for edge in found:
        pairs.setdefault((edge["source"], edge["target"]), []).append(edge)
    return pairs


def graph(records, titles, links=False):
    """The picture of the atlas. With `links` every node leads to its page of the report."""
    drawn = graphviz.Digraph("atlas", node_attr={"shape": "box", "style": "filled,rounded", "fontname": "sans-serif",
                                                 "fontsize": "13", "color": LINE, "fontcolor": WORDS,
                                                 "margin": "0.14,0.07"},
                             edge_attr={"color": LINE, "fontname": "sans-serif", "fontsize": "10",
                                        "fontcolor": LINE, "arrowsize": "0.7"},
                             graph_attr={"rankdir": "LR", "bgcolor": "white", "nodesep": "0.22", "ranksep": "0.9",
                                         "pad": "0.2", "tooltip": "Atlas"})
    family_of = {record["entry"]: record["family"] for record in records}
    for name in sorted(family_of):
        more = {"URL": f"entry-{formats.slug(name)}.html", "target": "_top"} if links else {}
        drawn.node(name, graphviz.escape(titles.get(name, formats.words(name)).replace(" (", "\n(")),
                   fillcolor=FILLS.get(family_of[name], "white"),
                   tooltip=graphviz.escape(formats.words(family_of[name])), **more)
    for (source, target), laws in _pairs(edges(records)).items():
        holds = all(law["holds"] for law in laws)
        drawn.edge(source, target, label=str(len(laws)) if len(laws) > 1 else "",
                   color=LINE if holds else BROKEN, penwidth=str(min(1 + 0.4 * (len(laws) - 1), 2.6)),
                   edgetooltip=graphviz.escape("\n".join(law["statement"] for law in laws)))
    return drawn


def svg(records, titles):
    """The picture as an <svg> element, to stand in a page."""
    text = graph(records, titles, links=True).pipe(format="svg", encoding="utf-8")
    return text[text.index("<svg"):]


def write(records, titles, folder):
    """Writes atlas.svg and atlas.png, as the README shows them."""
    for kind in ("svg", "png"):
        picture = graph(records, titles)
        if kind == "png":
            picture.graph_attr["dpi"] = "110"
        (folder / f"atlas.{kind}").write_bytes(picture.pipe(format=kind))


def legend(records):
    """The families that are there, each with its fill."""
    return [{"family": family, "fill": FILLS.get(family, "white")}
            for family in sorted({record["family"] for record in records})]
