from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from manikin.report.blocks import Banner, Bullets, Figure, Fold, Table, walk
from manikin.report.render import page
from manikin.report.study import chapters, title_of
from manikin.report.study_tradeoff import render_picture
from manikin.report.tradeoff_figures import epsilon_curve

HOSTILE = "<script>alert(1)</script>"
TITLES = {"column_shapes": "One-way tables", "excess": "Excess TSTR", "loss": "Utility lost", "membership": "Membership attack"}
OTHERS = ("pair_trends", "dependence", "c2st", "control", "cpu_seconds")


def points(name: str, epsilons: tuple[float | str, ...], *, failed: bool = False) -> list[dict[str, Any]]:
    made = []
    for epsilon in epsilons:
        for figure in (*TITLES, *OTHERS):
            value = None if failed else 0.02
            point = {"synthesizer": name, "epsilon": epsilon, "figure": figure, "n": 0 if failed else 2, "median": value}
            point |= {"low": value, "high": value, "interval": None if failed else [0.01, 0.04], "reference": None}
            if figure == "membership" and not failed:
                point["ceiling"] = 1.0 if epsilon == "inf" else 0.0272
            made.append(point)
    return made


def document() -> dict[str, Any]:
    made = [*points("real", ("inf",)), *points("independent", (1.0, "inf")), *points(HOSTILE, (1.0, 3.0, "inf"))]
    line = {"synthesizer": HOSTILE, "epsilon": 1.0, "surely": True, "text": f"{HOSTILE}: start at epsilon 1."}
    return {
        "study": "tradeoff",
        "made_by": "manikin 0.1.0",
        "unprotected": "No ledger covers the study.",
        "data": {"name": "patients.csv", "sha256": "0" * 64, "rows": 140, "patients": 140},
        "options": {"epsilons": [1.0, "inf"], "synthesizers": ["x"]},
        "notices": [],
        "cost": {"cpu_seconds": 12.0},
        "question": {"target": "died", "measure": "AUROC"},
        "figures": {name: {"title": TITLES.get(name, name), "side": "", "better": "lower"} for name in (*TITLES, *OTHERS)},
        "advice": [{"use": "open", "title": "Sharing openly", "rule": "little", "headline": "Start with it.", "lines": [line]}],
        "power": "It finds people where they are.",
        "points": [*made, *points("moody", (1.0,), failed=True)],
    }


def test_the_page_begins_with_what_must_not_be_done_and_where_to_start() -> None:
    parts = {chapter.anchor: walk(chapter.blocks) for chapter in chapters(document())}
    assert list(parts) == ["start", "curves", "figures", "design", "made"]
    assert isinstance(parts["start"][0], Banner)
    assert "do not publish" in parts["start"][0].title
    (where,) = [block for block in parts["start"] if isinstance(block, Table)]
    assert where.rows == ((HOSTILE, "1"),)
    assert any(isinstance(block, Bullets) and "start at epsilon 1." in block.items[0] for block in parts["start"])


def test_every_drawing_says_its_figures_and_a_failed_fit_is_in_the_table_alone() -> None:
    parts = {chapter.anchor: walk(chapter.blocks) for chapter in chapters(document())}
    drawn = [block for block in parts["curves"] if isinstance(block, Figure)]
    assert len(drawn) == 6
    attack = next(figure for figure in drawn if figure.title == "Membership attack")
    assert "2.0 % at epsilon 1, 2.0 % at epsilon 3, 2.0 % at inf; the train rows themselves 2.0 %." in attack.alt
    assert "most that is possible" in attack.svg
    assert all("moody" not in figure.svg for figure in drawn)
    (glance, *_) = [block for block in parts["figures"] if isinstance(block, Table)]
    assert ("moody", "1", *["failed"] * 7, "–") in glance.rows
    row = next(row for row in glance.rows if row[0] == HOSTILE)
    assert row[-1] == "2.7 %"
    assert sum(isinstance(block, Fold) for block in parts["figures"]) == 9


def test_the_curves_stand_alone_as_one_picture(tmp_path: Path) -> None:
    render_picture(document(), tmp_path / "study.svg")
    text = (tmp_path / "study.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == 6
    assert "var(--" not in text
    assert "Membership attack" in text


def test_every_text_is_escaped_and_the_page_is_the_same_again() -> None:
    html = page(chapters(document()), title=title_of(document()))
    assert "<script" not in html
    assert html == page(chapters(document()), title=title_of(document()))
    assert "What does privacy cost? patients.csv" in html


def test_a_curve_is_as_wide_as_a_phone_and_inf_lies_right_of_the_largest_budget() -> None:
    one = [{"epsilon": epsilon, "median": 0.5, "interval": [0.4, 0.6]} for epsilon in (0.1, 10.0, "inf")]
    for series in ([("a<b&c $x^2$", one)], [("only inf", one[2:])], [("only one", one[:1])]):
        svg = epsilon_curve(series, real=0.9)
        assert 'width="344"' in svg
        assert svg == epsilon_curve(series, real=0.9)
    svg = epsilon_curve([("a<b&c $x^2$", one)])
    assert "a&lt;b&amp;c $x^2$" in svg
    texts = [text for text in ("0.1", "10", "inf") if f">{text}<" in svg]
    assert texts == ["0.1", "10", "inf"]
    assert svg.index(">10<") < svg.index(">inf<")
