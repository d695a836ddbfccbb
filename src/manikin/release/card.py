"""The card of a release: one page for people, as HTML and as Markdown, drawn from public facts alone. Knows no real row and no figure.

It loads nothing, runs no script, and says what was not assessed as plainly as what was passed.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any

from manikin.release.facts import PublicFacts


def card_html(facts: PublicFacts) -> str:
    """The card as a page of its own."""
    return str(_environment().get_template("card.html").render(facts=facts, label=facts.label))


def card_markdown(facts: PublicFacts) -> str:
    """The card as Markdown."""
    text = str(_environment().get_template("card.md").render(facts=facts, label=facts.label))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _plain(text: Any) -> str:
    """A text on one line of a Markdown table, in which nothing is markup."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(" ".join(str(text).split()), quote=False))


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("manikin.release", "templates"),
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = _plain
    environment.filters["day"] = lambda day: f"{day.day} {day:%B %Y}"
    environment.filters["class"] = lambda verdict: str(verdict).replace(" ", "-")
    return environment
