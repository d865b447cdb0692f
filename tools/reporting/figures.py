"""Plotly figures. Colours are left to the page, which knows whether it is light or dark: a trace names only the
number of its series, in `meta`. Line styles and markers differ too, so that no figure is read by colour alone."""

import json

import plotly.graph_objects as go
from markupsafe import escape

_DASHES = ["solid", "dash", "dot", "dashdot", "longdash"]
_MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star"]
_COLOURS = 7  # how many the page's palette has
_MOST_TICKS = 14


def _axis(label, log=False, values=()):
    # Plotly reads a subset of HTML in labels: what comes from data is text.
    axis = {"title": {"text": str(escape(label)), "standoff": 10}, "type": "log" if log else "-", "automargin": True}
    numbers = sorted({x for x in values if isinstance(x, (int, float)) and not isinstance(x, bool) and x > 0})
    if not log or not numbers:
        return axis
    decades = len(str(int(max(numbers) / min(numbers))))
    is_octaves = all(isinstance(x, int) and x & (x - 1) == 0 for x in numbers)
    if is_octaves and len(numbers) > 1:
        step = -(-len(numbers) // _MOST_TICKS)
        axis.update(tickvals=numbers[::step], ticktext=[f"{x:,}" for x in numbers[::step]])
    elif decades > 2:
        axis.update(dtick=max(1, decades // 8), exponentformat="power")
    else:
        axis.update(dtick="D2")
    return axis


def _as_page_json(figure, label):
    """What the templates need: the figure, and the words for those who cannot see it."""
    drawn = json.loads(figure.to_json())
    drawn["layout"].pop("template", None)
    return {"figure": drawn, "label": label}


def series_plot(title, x_label, y_label, series, x_log=False, y_log=False, kind="line", notes=()):
    """A figure of several series.

    series: {"name", "x", "y", "text"?, "dash"?, "colour"?, "mode"?}; series of the same colour belong together.
    notes: {"x", "y", "text"} are pointed at with an arrow.
    """
    figure = go.Figure()
    for position, one in enumerate(series):
        colour = one.get("colour", position)
        text = [str(escape(part)) for part in one["text"]] if one.get("text") else None
        common = {"x": one["x"], "y": one["y"], "name": str(escape(one["name"])), "text": text,
                  "meta": {"series": colour % _COLOURS}}
        if kind == "bar":
            figure.add_trace(go.Bar(**common, textposition="none"))
            continue
        mode = one.get("mode", "markers" if kind == "scatter" else "lines+markers")
        dash = "dash" if one.get("dash") else _DASHES[colour // _COLOURS % len(_DASHES)]
        hover = "%{y:.4~g}" + ("<br>%{text}" if text else "") + "<extra>%{fullData.name}, %{x}</extra>"
        figure.add_trace(go.Scatter(**common, mode=mode, line={"dash": dash, "width": 2},
                                    marker={"symbol": _MARKERS[colour % len(_MARKERS)], "size": 7},
                                    hovertemplate=hover))
    figure.update_layout(xaxis=_axis(x_label, x_log, [x for one in series for x in one["x"]]),
                         yaxis=_axis(y_label, y_log, [y for one in series for y in one["y"]]),
                         showlegend=len(series) > 1, barmode="group")
    for note in notes:
        figure.add_annotation(x=note["x"], y=note["y"], text=str(escape(note["text"])), showarrow=True, ax=20, ay=50,
                              xanchor="left")
    names = ", ".join(one["name"] for one in series)
    return _as_page_json(figure, f"{title}: {y_label} against {x_label}, {kind} plot of {names}")


def heatmap(title, x_label, y_label, x, y, z, value_label, most=None):
    """A figure of a matrix of numbers, coloured from 0 to `most` where that is given."""
    scale = {} if most is None else {"zmin": 0, "zmax": most}
    hover = "%{y}<br>%{x}<br>%{z:.4~g}<extra>" + str(escape(value_label)) + "</extra>"
    bar = {"thickness": 12, "title": {"text": str(escape(value_label)), "side": "right"}}
    figure = go.Figure(go.Heatmap(x=x, y=y, z=z, colorscale="Cividis", colorbar=bar, hoverongaps=False, xgap=2, ygap=2,
                                  hovertemplate=hover, **scale))
    figure.update_layout(xaxis={**_axis(x_label), "type": "category"},
                         yaxis={**_axis(y_label), "type": "category", "autorange": "reversed"})
    return _as_page_json(figure, f"{title}: {value_label} by {y_label} and {x_label}, {len(y)} rows, {len(x)} columns")
