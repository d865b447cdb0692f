"""Studies are pages of blocks: text, tables, plots."""

from . import figures

_MOST_NUMBERS = 600  # of a plot that are repeated as a table below it


def _numbers_of(block):
    """A plot's numbers as a table, for those who cannot see it or want to copy them; None when there are too many."""
    series = block["series"]
    if block["type"] == "heatmap":
        one = series[0]
        if len(one["x"]) * len(one["y"]) > _MOST_NUMBERS:
            return None
        return {"columns": ["", *one["x"]], "rows": [[y, *row] for y, row in zip(one["y"], one["z"])]}
    if sum(len(one["x"]) for one in series) > _MOST_NUMBERS:
        return None
    positions = list(dict.fromkeys(x for one in series for x in one["x"]))
    columns = [dict(zip(one["x"], one["y"])) for one in series]
    return {"columns": [block["x"]["label"], *(one["name"] for one in series)],
            "rows": [[x, *(column.get(x) for column in columns)] for x in positions]}


def _figure_of(block):
    title, x, y = block.get("title", ""), block["x"], block["y"]
    if block["type"] == "heatmap":
        one = block["series"][0]
        return figures.heatmap(title, x["label"], y["label"], one["x"], one["y"], one["z"], one.get("name", ""))
    return figures.series_plot(title, x["label"], y["label"], block["series"], x.get("log", False),
                               y.get("log", False), block["type"])


def page_of(name, study):
    """The study with a figure in the place of every plot.

    Raises ValueError naming the study and the block when a block is of no known kind.
    """
    blocks = []
    for number, block in enumerate(study.get("blocks", []), start=1):
        if block["kind"] == "plot":
            blocks.append({**block, "drawn": _figure_of(block), "numbers": _numbers_of(block)})
        elif block["kind"] in ("text", "table"):
            blocks.append(block)
        else:
            raise ValueError(f"study {name}, block {number}: kind {block['kind']}, expected text, table or plot")
    return {"name": name, "title": study.get("title", name), "summary": study.get("summary", ""), "blocks": blocks}
