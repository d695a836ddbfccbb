from __future__ import annotations

from typing import Any

from manikin.report.blocks import Bullets, Figure, Fold, Table, Text, walk
from manikin.report.render import page
from manikin.report.study import chapters, difference, title_of
from manikin.report.study_figures import size_curve

HOSTILE = "<script>alert(1)</script>"
MEASURES = ("auroc", "auprc", "recall", "precision", "brier_recalibrated", "calibration_error")


def line(arm: str, measure: str) -> dict[str, Any]:
    made: dict[str, Any] = {"arm": arm, "learner": "booster", "measure": measure, "mean": 0.7, "n": 5}
    if arm != "real":
        made |= {"difference": -0.021, "interval": [-0.04, -0.002], "p": 0.01, "p_holm": 0.04, "verdict": "hurt"}
    return made


def document() -> dict[str, Any]:
    arms = [
        {
            "key": key,
            "title": title,
            "generator": None,
            "n_train": 100,
            "n_added": 10,
            "n_positive": 50,
            "n_test": 40,
            "n_test_positive": 9,
        }
        for key, title in (("real", "real rows"), ("with-forest", "real rows and forest"))
    ]
    of_group = {"column": "ward", "learner": "booster", "n_positive": 9.0, "n_splits": 5}
    groups = []
    for arm in ("real", "with-forest"):
        figures = {
            measure: {key: value for key, value in line(arm, measure).items() if key not in ("arm", "measure")}
            for measure in MEASURES
        }
        groups.append({**of_group, "arm": arm, "group": HOSTILE, "n_test": 60.0, "too_few": False, "figures": figures})
        groups.append({**of_group, "arm": arm, "group": "burns", "n_test": 7.0, "too_few": True, "figures": None})
    better = {"brier_recalibrated": "lower", "calibration_error": "lower"}
    return {
        "study": "augmentation",
        "made_by": "manikin 0.1.0",
        "data": {"name": "patients.csv", "sha256": "0" * 64, "rows": 140, "patients": 140},
        "options": {"target": "died", "groups": ["ward"], "max_rows": None},
        "notices": [],
        "cost": {"cpu_seconds": 12.0},
        "question": {"target": "died", "positive": HOSTILE, "groups": ["ward"], "balance": []},
        "design": {"splits": 5},
        "arms": arms,
        "learners": {"booster": "gradient-boosted trees"},
        "measures": {name: {"title": name.upper(), "better": better.get(name, "higher")} for name in MEASURES},
        "sentences": [{"arm": "with-forest", "learner": "booster", "verdict": "hurt", "text": "forest: it hurt."}],
        "results": [line(arm, measure) for measure in MEASURES for arm in ("real", "with-forest")],
        "groups": groups,
    }


def test_the_page_holds_sentences_drawings_and_groups_that_are_too_few() -> None:
    parts = {chapter.anchor: walk(chapter.blocks) for chapter in chapters(document())}
    assert list(parts) == ["short", "differences", "figures", "groups", "design", "made"]
    assert any(isinstance(block, Bullets) and "forest: it hurt." in block.items for block in parts["short"])
    (glance,) = [block for block in parts["short"] if isinstance(block, Table)]
    assert glance.head[0] == "Learned from"
    assert {row[-1] for row in glance.rows} == {"", "hurt"}
    assert any("-0.021 [-0.040, -0.002]" in row for row in glance.rows)
    drawn = [block for block in parts["differences"] if isinstance(block, Figure)]
    assert len(drawn) == 4
    assert "-0.021 [-0.040, -0.002]" in drawn[0].alt
    assert any(isinstance(block, Text) and "burns (7 test rows, 9 positive)" in block.text for block in parts["groups"])
    shown = [block for block in parts["groups"] if isinstance(block, Table)]
    assert all("burns" not in row for table in shown for row in table.rows)
    assert any(isinstance(block, Fold) for block in parts["figures"])


def test_comparisons_without_a_difference_are_folded_away() -> None:
    quiet = document()
    quiet["sentences"] = [{**quiet["sentences"][0], "verdict": "no visible difference", "text": "forest: nothing to see."}]
    (short,) = [chapter for chapter in chapters(quiet) if chapter.anchor == "short"]
    assert not any(isinstance(block, Bullets) for block in short.blocks)
    (fold,) = [block for block in short.blocks if isinstance(block, Fold)]
    assert any(isinstance(block, Bullets) and "forest: nothing to see." in block.items for block in walk(fold.blocks))


def test_every_text_is_escaped_and_nothing_is_loaded() -> None:
    html = page(chapters(document()), title=title_of(document()))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert 'name="viewport"' in html
    assert html == page(chapters(document()), title=title_of(document()))


def test_a_missing_difference_is_a_dash() -> None:
    assert difference({"difference": None}) == "–"
    assert difference({"difference": 0.1, "interval": None}) == "+0.100"


def test_a_curve_is_as_wide_as_a_phone_and_escapes_names() -> None:
    points = [{"size": size, "mean": 0.9 - size / 2000, "interval": [0.1, 0.95]} for size in (100, 200, 500)]
    svg = size_curve([("real", points), ("a<b&c $x^2$", points[1:])], axis="C2ST AUC", mark=0.5)
    assert 'width="344"' in svg
    assert "a&lt;b&amp;c" in svg
    assert svg == size_curve([("real", points), ("a<b&c $x^2$", points[1:])], axis="C2ST AUC", mark=0.5)
