"""Numbers, durations and formulas as a reader wants to see them."""

import math
import re

from jinja2 import Undefined
from markupsafe import Markup, escape

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MISSING = "–"


def _is_missing(value):
    """True for null, and for what a record does not have."""
    return value is None or isinstance(value, Undefined)


def _superscript(exponent):
    return str(exponent).translate(_SUPERSCRIPTS)


def count(value):
    """An exact integer: 1,073,741,824."""
    return _MISSING if _is_missing(value) else f"{int(value):,}"


def number(value):
    """Three significant digits; powers of ten where the number is very large or very small."""
    if _is_missing(value):
        return _MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    if isinstance(value, int) and abs(value) < 10**6:
        return f"{value:,}"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    mantissa = round(value / 10.0**exponent, 2)
    if abs(mantissa) >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    if -4 < exponent < 6:
        text = f"{value:,.{max(2 - exponent, 0)}f}"
    else:
        text = f"{mantissa:.2f}×10{_superscript(exponent)}"
    return text.replace("-", "−", 1) if value < 0 else text


def percent(share):
    """0.494 as 49.4 %."""
    return _MISSING if _is_missing(share) else f"{number(100.0 * share)} %"


def duration(seconds):
    """12.3 s, or 2 min 5 s from two minutes on."""
    if _is_missing(seconds):
        return _MISSING
    if seconds >= 120:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    if 0 < seconds < 0.001:
        return f"{number(seconds * 1e6)} µs"
    return f"{number(seconds * 1e3)} ms" if 0 < seconds < 1 else f"{number(float(seconds))} s"


def power_of_two(log2):
    """A probability given by its binary logarithm: 2⁻¹⁰⁴."""
    return _MISSING if _is_missing(log2) or log2 == 0 else f"2{_superscript(math.ceil(log2))}"


def formula(text):
    """d_k becomes d with a subscript, and signs become those of print; words stay as they are."""
    signs = (text or "").replace(" - ", " − ").replace("<=", "≤").replace(">=", "≥")
    safe = str(escape(signs))
    return Markup(re.sub(r"\b([A-Za-z])_([A-Za-z0-9]{1,2})\b", r"<var>\1<sub>\2</sub></var>", safe))


def words(identifier):
    """gated_linear_attention as gated linear attention."""
    return identifier.replace("_", " ")


def slug(name):
    """A name as part of a file name or an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
