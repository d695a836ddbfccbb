from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from manikin.data.errors import InputError
from manikin.evaluation.base import Results
from manikin.report.blocks import Chapter
from manikin.report.render import page, render, render_html

from .made import made_metrics, made_results, made_run, made_views

VOID = {"meta", "link", "br", "img", "input", "hr", "path", "use", "image"}
HOSTILE = ["<script>alert(1)</script>", '" onload="x', "</svg><b>", "{{ 7 * 7 }}", "a&b"]


class Checker(HTMLParser):
    """Notes tags, ids and texts, and whether every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.events: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.events += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker


@pytest.fixture(scope="module")
def html(all_chapters: tuple[Chapter, ...]) -> str:
    return page(all_chapters, title="trial")


@pytest.fixture(scope="module")
def wide() -> str:
    return render_html(made_results(60))


@pytest.fixture(scope="module")
def hostile() -> str:
    run = {**made_run(HOSTILE), "title": HOSTILE[0], "notices": HOSTILE, "synthesizer": HOSTILE[1], "reasons": HOSTILE}
    return render_html(Results(made_metrics(HOSTILE), made_views(HOSTILE), run))


def test_the_page_is_well_formed(html: str) -> None:
    found = checked(html)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert html.startswith("<!doctype html>")


def test_the_page_loads_nothing_and_runs_nothing(html: str) -> None:
    assert not re.search(r"https?://", html)
    assert not {"script", "link", "iframe", "object", "embed", "img", "base"} & set(checked(html).tags)
    assert "default-src 'none'" in html
    assert not re.search(r"url\((?!#)", html)
    assert not re.search(r'href="(?!#|data:image/png;base64,)', html)


def test_the_page_shows_every_chapter_and_links_to_it(html: str, all_chapters: tuple[Chapter, ...]) -> None:
    for chapter in all_chapters:
        assert f'<a href="#{chapter.anchor}">' in html
        assert f'<section id="{chapter.anchor}"' in html


def test_the_page_never_uses_the_word(html: str) -> None:
    assert "anonym" not in html.lower()


def test_a_hostile_name_stays_a_text(hostile: str) -> None:
    found = checked(hostile)
    assert found.open == []
    assert "script" not in found.tags
    assert found.events == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in hostile
    assert "{{ 7 * 7 }}" in hostile


def test_sixty_columns_stay_under_five_megabytes(wide: str) -> None:
    assert len(wide.encode()) < 5_000_000
    for i in range(60):
        assert f"column_{i:02d}" in wide


def test_one_column_and_nothing_measured_give_a_page() -> None:
    narrow = made_results(1)
    bare = tuple(
        replace(m, value=None, interval=None, reference=None, details={}, note="Not computed: one row.") for m in narrow.metrics
    )
    found = render_html(Results(bare, made_views(["only"])))
    assert checked(found).open == []
    assert found.count("Not computed: one row.") >= len(bare)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = made_results(2)
    first, second = render(results, tmp_path / "a.html"), render(results, tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        render(Results(()), tmp_path / "nowhere" / "report.html")


def browser() -> str | None:
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


MEASURE = """<script>
const beyond = e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, svg, .skip");
const wide = [...document.querySelectorAll("body *")].filter(beyond).map(e => e.tagName + "." + e.className);
const scroll = document.documentElement.scrollWidth;
document.documentElement.dataset.measured = JSON.stringify({inner: innerWidth, scroll, wide});
</script></body>"""
READ = "onload = () => document.body.append(document.querySelector('iframe').contentDocument.documentElement.dataset.measured)"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run")
MORE_FLAGS = (
    "--disable-component-update",
    "--allow-file-access-from-files",
    "--hide-scrollbars",
    "--virtual-time-budget=20000",
)


def measured_on_a_phone(html: str, folder: Path) -> dict[str, Any]:
    """The page's own width at 390 pixels, and the elements that stand out of it.

    The page forbids scripts, so a copy without that rule is measured, in a frame: a headless window cannot be as narrow as a phone.
    """
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html).replace("</body>", MEASURE)
    (folder / "page.html").write_text(free, encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(
        f'<body><iframe src="page.html" width="390" height="844"></iframe><script>{READ}</script></body>', encoding="utf-8"
    )
    command = [str(browser()), *FLAGS, *MORE_FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    found = re.search(r'{"inner".*}', done.stdout)
    assert found, "the browser gave no measurement"
    measured: dict[str, Any] = json.loads(found.group())
    return measured


@pytest.mark.skipif(browser() is None, reason="no headless Chromium is installed here")
@pytest.mark.parametrize("which", ["wide", "hostile"])
def test_nothing_is_wider_than_a_phone(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    measured = measured_on_a_phone(request.getfixturevalue(which), tmp_path)
    assert measured["inner"] == 390
    assert measured["scroll"] <= 390
    assert measured["wide"] == []


@pytest.mark.skipif(browser() is None, reason="no headless Chromium is installed here")
def test_the_measurement_sees_what_is_too_wide(html: str, tmp_path: Path) -> None:
    upright = "@media screen and (max-width: 560px) { /* rows of tables become cards"
    assert upright in html
    broken = html.replace(".scroll { overflow-x: auto;", ".scroll { overflow-x: visible;").replace(upright, upright.replace("560", "1"))
    assert measured_on_a_phone(broken, tmp_path)["scroll"] > 390
