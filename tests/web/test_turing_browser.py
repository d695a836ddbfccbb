"""The visual Turing test in a real headless browser: by mouse, by keys, two readers at once, closed and resumed, nothing given away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest

from manikin.workflow.annotate import person_labels
from manikin.workflow.reading.sets import encoded

from .conftest import serving
from .headless_browser import Browser, Page, browser

TOTAL = 10  # 8 images, a quarter of them twice


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def lines_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def come_in(page: Page, name: str, role: str = "radiologist", years: str = "7") -> None:
    page.wait("!document.querySelector('#welcome').hidden")
    page.type("#name", name)
    page.run(f"document.querySelector('#role').value = {role!r}")
    page.type("#years", years)
    page.click("#start")


def ready(page: Page, position: int) -> None:
    page.wait(f"document.body.dataset.position === '{position}' && !document.body.dataset.busy")


def test_readers_go_through_it(sets: tuple[Path, Path], chromium: Browser, tmp_path: Path) -> None:
    out = tmp_path / "test"
    given = ("--real", sets[0], "--synthetic", sets[1], "--images", 8, "--repeats", 0.25, "-o", out)
    with serving("turing", *given) as (process, url):
        with pytest.raises(HTTPError, match="404"):
            urlopen(url.replace(url.split("/")[3], "x" * 22))
        anna, ben = chromium.page(url), chromium.page(url)
        come_in(anna, "anna")
        come_in(ben, "ben", "resident", "")
        for position in range(3):  # anna by mouse, ben by keys, in turn
            ready(anna, position)
            anna.click("#choices button[data-value=real]")
            anna.wait(f"document.body.dataset.decided === '{position}:real'")
            anna.click("#steps button[data-value='4']")
            anna.click("#reasons button[data-value='too clean']")
            anna.click("#next")
            ready(ben, position)
            ben.press("r")
            ben.wait(f"document.body.dataset.decided === '{position}:real'")
            ben.press("s")  # a change of mind
            ben.wait(f"document.body.dataset.decided === '{position}:synthetic'")
            ben.press("2")
            ben.press("Enter")
        ready(anna, 3)
        anna.click("#choices button[data-value=synthetic]")
        anna.wait("document.body.dataset.decided === '3:synthetic'")
        stored = [line for line in lines_of(out) if line["event"] == "answer" and line["reader"] == "anna"]
        assert [line["answer"] for line in stored] == ["real", "real", "real", "synthetic"], "on the disk before the page goes on"
        assert all(0 < line["seconds"] < 20 for line in stored)
        for page in (anna, ben):
            assert len(page.requests()) > 10
            for address in page.requests():
                assert address.startswith((url, "data:,")), "nothing is loaded from elsewhere"
            seen = page.run("document.documentElement.outerHTML") + " ".join(page.requests())
            assert not any(word in seen for word in (".jpg", ".png", "real-", "synthetic-", "labels"))
        anna.close()  # without going on
        again = chromium.page(url)
        come_in(again, "anna")
        ready(again, 4)
        again.open(url)  # reloaded: the tab knows its reader
        ready(again, 4)
    assert process.returncode == 0, "Ctrl-C is the usual end"
    with serving("turing", out) as (_, url):  # and the computer was restarted
        page = chromium.page(url)
        come_in(page, "ben", "resident")
        for position in range(3, TOTAL):
            ready(page, position)
            page.press("s")
            page.wait(f"document.body.dataset.decided === '{position}:synthetic'")
            if position == 5:
                page.type("#comment", "odd ribs, r 3")
            page.press("Enter")
        page.wait("!document.querySelector('#done').hidden")
        assert "all 10 images" in page.run("document.body.innerText")
    lines = [line for line in lines_of(out) if line["reader"] == "ben"]
    assert [line["position"] for line in lines if line["event"] == "answer"] == [0, 0, 1, 1, 2, 2, *range(3, TOTAL)]
    told = [line for line in lines if line["event"] == "detail"]
    assert [line.get("confidence") for line in told] == [2, 2, 2, None]
    assert told[-1]["comment"] == "odd ribs, r 3"


def test_the_picture_can_be_looked_at(sets: tuple[Path, Path], chromium: Browser, tmp_path: Path) -> None:
    with serving("turing", "--real", sets[0], "--synthetic", sets[1], "--images", 4, "-o", tmp_path / "test") as (_, url):
        page = chromium.page(url)
        page.screen(390, 844, phone=True)
        come_in(page, "carla")
        ready(page, 0)
        assert page.run("document.documentElement.scrollWidth") <= 390, "no sideways scrolling on a phone"
        low = page.run("document.querySelector('footer').getBoundingClientRect().bottom")
        assert low <= 844.5, "the buttons are on the screen"
        page.click("#in")
        assert page.wait("document.querySelector('#zoom').textContent === '130 %'")
        before = page.run("viewer.source.getContext('2d').getImageData(0, 0, 4, 4).data.join()")
        page.click("#window")
        page.run("(() => { const e = document.querySelector('#width'); e.value = 60; e.dispatchEvent(new Event('input')); })()")
        assert page.run("viewer.source.getContext('2d').getImageData(0, 0, 4, 4).data.join()") != before
        page.press("w")
        assert page.run("viewer.source.getContext('2d').getImageData(0, 0, 4, 4).data.join()") == before
        page.press("i")
        assert page.wait("document.querySelector('#smooth').getAttribute('aria-pressed') === 'false'")
        centre = page.run("viewer.canvas.getContext('2d').getImageData(200, 200, 1, 1).data[3]")
        assert centre == 255, "the image is drawn"


def test_people_label_on_the_same_page(chromium: Browser, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    (out / "images").mkdir(parents=True)
    (out / "images/000000.png").write_bytes(encoded(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    row = {"file": "a.png", "auto_label": "pneumonia", "confidence": 0.6, "queue": "uncertain", "image": 0}
    document = {"format": "manikin-annotation 1", "label": "finding", "classes": ["normal", "pneumonia"], "asked": {"seed": 0}}
    document["images"] = [row]
    (out / "annotate.json").write_text(json.dumps(document))
    with serving("annotate", "review", out) as (_, url):
        page = chromium.page(url)
        come_in(page, "anna")
        ready(page, 0)
        assert page.run("document.querySelector('#sure').hidden && document.querySelector('#reasons').hidden")
        page.press("1")
        page.wait("document.body.dataset.decided === '0:normal'")
        page.press("Enter")
        page.wait("!document.querySelector('#done').hidden")
    assert person_labels(out) == {0: "normal"}
