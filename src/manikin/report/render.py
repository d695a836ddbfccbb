"""Blocks become one self-contained HTML page: no network, no script, no font but the reader's own. Knows no metric and no drawing.

The same results give the same bytes. A content security policy in the page forbids scripts and every load, so that even a text that
slipped through escaping could do nothing.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from manikin.data.errors import InputError
from manikin.evaluation.base import Results
from manikin.report.blocks import Block, Chapter
from manikin.report.gauges import gauge_svg
from manikin.report.record import read_record
from manikin.report.sections import chapters

BRAND = "evidence report"
FOOTER = "Internal: this page is drawn from real patients' rows. It loads nothing from any network and runs no script."


def render(results: Results, path: str | Path) -> Path:
    """Writes the report beside `path` and then renames it, so that no half-written page is ever seen.

    Parameters
    ----------
    results : what was measured, with its views and how it was made.
    path : the file to write, for example "report.html".

    Returns
    -------
    The path written.

    Raises
    ------
    InputError : the folder of `path` does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     render(Results(metrics=()), Path(folder) / "report.html").name
    'report.html'
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"The report cannot be written to {str(target)!r}: there is no such folder. Create it first.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        draft.write_text(render_html(results), encoding="utf-8")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def render_html(results: Results) -> str:
    """The page as text."""
    return page(chapters(results), title=_title(results))


def page(parts: tuple[Chapter, ...], *, title: str, brand: str = BRAND, footer: str = FOOTER) -> str:
    """The page of these chapters; `brand` says what kind of page it is, `footer` what it is drawn from."""
    template = _environment().get_template("report.html")
    return _distinct(str(template.render(title=title, chapters=parts, brand=brand, footer=footer)))


def _distinct(html: str) -> str:
    """The page with ids of its own in every drawing: two drawings that are alike to the byte would bear the same."""
    seen: dict[str, int] = {}

    def numbered(drawing: re.Match[str]) -> str:
        """One drawing, its ids followed by how often they came before."""
        key = re.search(r' id="(f[0-9a-f]+)-', drawing.group())
        if key is None:
            return drawing.group()
        times = seen[key.group(1)] = seen.get(key.group(1), -1) + 1
        return drawing.group().replace(f"{key.group(1)}-", f"{key.group(1)}-{times}-") if times else drawing.group()

    return re.sub(r"<svg .*?</svg>", numbered, html, flags=re.DOTALL)


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("manikin.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_set_type,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = _kind
    environment.filters["gauge"] = lambda gauge: Markup(gauge_svg(gauge))
    environment.filters["drawing"] = Markup  # only for SVG of `figures`, which escapes its own texts
    return environment


def _set_type(value: Any) -> Any:
    """A number and its percent sign stay on one line. Only plain texts are touched, so that nothing escapes escaping."""
    return re.sub(r"(?<=\d) %", "\u00a0%", value) if type(value) is str else value


def _kind(block: Block) -> str:
    return type(block).__name__


def _title(results: Results) -> str:
    name = read_record(results.run).title.strip()
    return f"Synthetic data report: {name}" if name else "Synthetic data report"
