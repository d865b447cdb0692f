"""Writes the pages of the report, and beside them one JSON with everything that they show."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import jinja2
import plotly.offline

from . import atlas, formats, scaling, studies, verification

_HERE = Path(__file__).parent


def _environment():
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True,
                                     undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        count=formats.count, number=formats.number, percent=formats.percent, duration=formats.duration,
        power_of_two=formats.power_of_two, formula=formats.formula, words=formats.words, slug=formats.slug,
        lower_first=lambda text: text if text[1:2].isupper() else text[:1].lower() + text[1:])
    return environment


class Site:
    """The pages of one report."""

    def __init__(self, data, out):
        self.data = data
        self.out = Path(out)
        self.environment = _environment()
        self.studies = [studies.page_of(name, study) for name, study in data.studies.items()]
        self.abouts = {entry["name"]: entry for entry in data.entries}
        self.titles = data.titles()
        self.environment.filters["titled"] = lambda name: self.titles.get(name, formats.words(name))
        scaling.name_choices(data.scale, data.entries)
        for row in data.scale:
            row["settings_text"] = scaling.told_settings(row)
        self.edges = atlas.edges(data.records)
        self.written = []

    def _navigation(self):
        pages = [("Summary", "index.html", "index"), ("Equivalence", "equivalence.html", "equivalence")]
        if self.edges:
            pages.append(("Atlas", "atlas.html", "atlas"))
        if self.data.scale:
            pages.append(("Scaling", "scaling.html", "scaling"))
        pages += [(study["title"], _study_file(study["name"]), "study " + study["name"]) for study in self.studies]
        return [{"title": title, "file": file, "section": section} for title, file, section in pages]

    def _write(self, file, template, section, **values):
        context = {"file": file, "section": section, "navigation": self._navigation(), "run": self.data.run,
                   "has_plots": False, **values}
        page = self.environment.get_template(template).render(context)
        (self.out / file).write_text(page, encoding="utf-8")
        self.written.append(file)

    def index(self):
        self._write("index.html", "index.html.j2", "index", summary=verification.summary(self.data),
                    studies=self.studies, has_scaling=bool(self.data.scale), edges=self.edges)

    def equivalence(self):
        figure = verification.overview_figure(self.data)
        self._write("equivalence.html", "equivalence.html.j2", "equivalence", figure=figure,
                    has_plots=figure is not None, rows=verification.overview_rows(self.data),
                    errata=[record for record in self.data.records if record["kind"] == "erratum"],
                    detection=verification.detection_table(self.data.detection))

    def entries(self):
        grouped = {field: verification.by_entry(getattr(self.data, field))
                   for field in ("records", "scale", "mutants", "detection")}
        overlay = scaling.overlay(self.data)
        crossings = {row["entry"]: row["words"] for row in overlay["rows"]} if overlay else {}
        for name in grouped["records"]:
            self._entry(name, {field: rows[name] for field, rows in grouped.items()}, crossings.get(name))

    def _entry(self, name, own, crossing):
        about = self.abouts.get(name, {})
        title = self.titles[name]
        rounding = verification.rounding_table(own["records"])
        curves = scaling.curves(own["scale"])
        plots = self._entry_plots(title, curves)
        self._write(
            f"entry-{formats.slug(name)}.html", "entry.html.j2", "equivalence", name=name, title=title, about=about,
            family=own["records"][0]["family"], records=own["records"], held=verification.held(own["records"]),
            kinds=verification.laws_by_kind(own["records"]), rounding=rounding,
            rounding_figure=verification.rounding_figure("Rounding errors", rounding) if rounding else None,
            mutants=own["mutants"], caught=sum(mutant["caught"] for mutant in own["mutants"]),
            faults=self.data.faults.get(name, {}), detection=verification.detection_table(own["detection"]),
            formulas=_formulas(about), curves=curves, counts=scaling.COUNTS, crossing=crossing, plots=plots,
            has_plots=bool(plots or rounding))

    @staticmethod
    def _entry_plots(title, made):
        """The plots of one entry: operations, depths, state and time, those for which there are numbers."""
        if not made:
            return []
        drawn = [
            ("operations", "Operations", "Points are counts, lines the stated formulas.",
             scaling.operations_figure(f"Operations of {title}", made)),
            ("depth", "Depth",
             "The longest chain of dependent operations: as written, and when sums may be bracketed freely.",
             scaling.depth_figure(f"Depth of {title}", made)),
            ("state", "State", "Numbers that a recurrence carries from token to token.",
             scaling.plain_figure(f"State of {title}", made, "state", "numbers kept")),
            ("time", "Measured time of the text",
             "The text as it stands, not a fast implementation: it shows the growth, not the speed.",
             scaling.plain_figure(f"Time of {title}", made, "seconds", "seconds")),
        ]
        return [{"id": "plot-" + name, "title": caption, "note": note, "drawn": figure}
                for name, caption, note, figure in drawn if figure is not None]

    def atlas(self):
        if not self.edges:
            return
        self._write("atlas.html", "atlas.html.j2", "atlas", edges=self.edges, legend=atlas.legend(self.data.records),
                    picture=atlas.svg(self.data.records, self.titles))
        atlas.write(self.data.records, self.titles, self.out)

    def scaling(self):
        if not self.data.scale:
            return
        plots = []
        for name, rows in sorted(verification.by_entry(self.data.scale).items()):
            title = self.titles[name]
            made = scaling.curves(rows)
            if (drawn := scaling.operations_figure(f"Operations of {title}", made)) is None:
                continue
            plots.append({"id": "operations-" + formats.slug(name), "entry": name, "title": title,
                          "note": scaling.settings_text(made[0]["fixed"]), "drawn": drawn})
        self._write("scaling.html", "scaling.html.j2", "scaling", overlay=scaling.overlay(self.data), plots=plots,
                    left_out=[{**row, "sizes": scaling.settings_text(row["settings"])} for row in self.data.left_out],
                    has_plots=True)

    def study_pages(self):
        for study in self.studies:
            has_plots = any(block["kind"] == "plot" for block in study["blocks"])
            self._write(_study_file(study["name"]), "study.html.j2", "study " + study["name"], title=study["title"],
                        summary=study["summary"], blocks=study["blocks"], has_plots=has_plots)

    def assets(self):
        for file in ("report.css", "plots.js"):
            shutil.copyfile(_HERE / "assets" / file, self.out / file)
        (self.out / "plotly.min.js").write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")

    def json(self):
        everything = {"summary": verification.summary(self.data), **asdict(self.data)}
        (self.out / "report.json").write_text(json.dumps(everything, indent=1, sort_keys=True), encoding="utf-8")


def _study_file(name):
    return f"study-{formats.slug(name)}.html"


def _formulas(about):
    """The stated formulas of an entry, form by form."""
    stated = []
    for cost in about.get("costs", []):
        formulas = [(name, cost[name]) for name in (*scaling.COUNTS, "depth", "free_depth", "state")
                    if cost.get(name) is not None]
        if formulas:
            stated.append({"form": cost["form"], "under": cost.get("under", ""), "without": cost.get("without", []),
                           "formulas": formulas})
    return stated


def render(data, out):
    """Writes all pages into the folder `out`; pages of an earlier report are removed.

    Returns the names of the pages, the first page first.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.html"):
        old.unlink()
    site = Site(data, out)
    site.index()
    site.equivalence()
    site.atlas()
    site.scaling()
    site.entries()
    site.study_pages()
    site.assets()
    site.json()
    return site.written
