"""Opens every page of a report in a browser, on a desktop and on a telephone, and says what is broken.

python3 -m reporting.check_pages FOLDER [--screenshots FOLDER]; exit status 1 when a page is broken.
"""

import argparse
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urldefrag

from .browser import Browser, BrowserError

WIDTHS = (1280, 390)

# Waits until the plots are drawn, then looks at what is really there.
_LOOK = """
(async () => {
  const drawn = () => document.documentElement.dataset.plots === "drawn";
  const wanted = document.querySelectorAll(".chart").length > 0;
  for (let wait = 0; wanted && !drawn() && wait < 300; ++wait) await new Promise((go) => setTimeout(go, 50));
  const marks = ".scatterlayer .trace path, .barlayer .point path, .heatmaplayer image";
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return {
    title: document.title,
    headings: document.querySelectorAll("h1").length,
    width: document.documentElement.scrollWidth,
    ids: ids,
    links: [...document.querySelectorAll("a[href], link[href], script[src]")].map((one) => one.href || one.src),
    unlabelled: document.querySelectorAll("img:not([alt]), .chart:not([aria-label]), nav:not([aria-label])").length,
    uncaptioned: [...document.querySelectorAll("table")].filter((one) => !one.caption).length,
    plots: [...document.querySelectorAll(".chart")].map((plot) => ({
      id: plot.id,
      drawn: plot.querySelector(".main-svg") !== null,
      height: plot.clientHeight,
      area: plot.querySelector(".plotclip rect") ? +plot.querySelector(".plotclip rect").getAttribute("height") : 0,
      marks: plot.querySelectorAll(marks).length,
      empty: (plot.data || []).filter((trace) => {
        const values = trace.z ? trace.z.flat() : trace.y || [];
        return ![...values].some((value) => Number.isFinite(+value) && value !== null);
      }).map((trace) => trace.name || "unnamed"),
    })),
  };
})()
"""


def _plot_faults(plot):
    if not plot["drawn"]:
        yield f"plot {plot['id']} was not drawn"
    elif plot["marks"] == 0:
        yield f"plot {plot['id']} shows no data"
    elif plot["area"] < 120:
        yield f"plot {plot['id']} leaves {plot['area']:.0f} pixels of height to its data"
    for trace in plot["empty"]:
        yield f"plot {plot['id']}: series {trace} has no finite value"


def _link_faults(folder, page, seen, ids_of):
    """Links to files that are not there, and to places that are not in them."""
    root = folder.resolve().as_uri() + "/"
    for link in sorted(set(seen["links"])):
        address, place = urldefrag(link)
        if not address.startswith(root):
            if address.startswith("file:"):
                yield f"link out of the report: {link}"
            continue
        target = unquote(address[len(root):]) or page
        if not (folder / target).is_file():
            yield f"dead link: {target}"
        elif place and target in ids_of and place not in ids_of[target]:
            yield f"dead link: {target}#{place}"


def _page_faults(seen, complaints, width):
    yield from complaints
    if not seen["title"].strip():
        yield "no title"
    if seen["headings"] != 1:
        yield f"{seen['headings']} main headings, expected 1"
    if seen["width"] > width:
        yield f"{seen['width']} pixels wide on a screen of {width}"
    if seen["unlabelled"]:
        yield f"{seen['unlabelled']} pictures or navigations without a description"
    if seen["uncaptioned"]:
        yield f"{seen['uncaptioned']} tables without a caption"
    twice = sorted({one for one in seen["ids"] if seen["ids"].count(one) > 1})
    if twice:
        yield f"ids that are there twice: {', '.join(twice)}"
    for plot in seen["plots"]:
        yield from _plot_faults(plot)


def _look_at(browser, width, folder, pages, screenshots, progress):
    """Opens the pages at one width. Returns a list of (page, width, what is there, complaints of the console)."""
    looks = []
    for page in pages:
        progress(f"{page} at {width}")
        browser.open((folder / page).resolve().as_uri(), width)
        looks.append((page, width, browser.evaluate(_LOOK), browser.complaints()))
        if screenshots:
            browser.screenshot(Path(screenshots) / f"{Path(page).stem}-{width}.png")
    return looks


def check(folder, screenshots=None, progress=lambda text: None):
    """Looks at every page of the folder, at all widths at the same time.

    Returns a list of (page, width, fault); empty when all is well.
    Raises BrowserError when there is no browser, FileNotFoundError when there is no page.
    """
    folder = Path(folder)
    pages = sorted(path.name for path in folder.glob("*.html"))
    if not pages:
        raise FileNotFoundError(f"{folder}: no pages")
    with contextlib.ExitStack() as stack:
        browsers = [stack.enter_context(Browser()) for _ in WIDTHS]  # started here: a thread should not fork
        threads = stack.enter_context(ThreadPoolExecutor(len(WIDTHS)))
        waiting = [threads.submit(_look_at, browser, width, folder, pages, screenshots, progress)
                   for browser, width in zip(browsers, WIDTHS)]
        looks = [look for one in waiting for look in one.result()]
    faults = [(page, width, fault) for page, width, seen, complaints in looks
              for fault in _page_faults(seen, complaints, width)]
    ids_of = {page: set(seen["ids"]) for page, _, seen, _ in looks}
    for page, width, seen, _ in looks:
        if width == WIDTHS[0]:
            faults += [(page, width, fault) for fault in _link_faults(folder, page, seen, ids_of)]
    return faults


def main():
    parser = argparse.ArgumentParser(prog="check_pages", description="Opens every page of a report in a browser.")
    parser.add_argument("folder", type=Path, help="the report")
    parser.add_argument("--screenshots", type=Path, help="folder for a picture of every page at every width")
    arguments = parser.parse_args()
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    on_terminal = sys.stderr.isatty()

    def progress(text):
        if on_terminal:
            print(f"\r\033[K  looking at {text}", end="", file=sys.stderr, flush=True)

    try:
        faults = check(arguments.folder, arguments.screenshots, progress)
    except (BrowserError, OSError) as error:
        print(f"check_pages: {error}", file=sys.stderr)
        return 2
    finally:
        if on_terminal:
            print("\r\033[K", end="", file=sys.stderr)
    for page, width, fault in faults:
        print(f"{page} at {width} pixels: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
