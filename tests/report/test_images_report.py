"""The chapter on images says in words what a reader would notice, and draws nothing that is not a picture."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Results, Section
from manikin.report import images_wording
from manikin.report.answers import is_useful, resembles
from manikin.report.blocks import Bullets, Figure, Level, Text, walk
from manikin.report.images import images
from manikin.report.images_figures import picture, strip
from manikin.report.render import render_html
from manikin.report.safety import is_safe
from manikin.report.summary import summary
from manikin.training.pictures import png


def b64(height: int = 4, width: int = 6) -> str:
    return base64.b64encode(png(np.full((1, height, width), 99, dtype=np.uint8))).decode()


def figure(name: str, value: float, low: float, high: float, reference: float, spread: float = 0.01, **more: Any) -> MetricResult:
    of = {"interval": (low, high), "reference": reference, "reference_interval": (reference - spread, reference + spread), "n": 300}
    return MetricResult(name, name, METRICS[name].section, Direction.REFERENCE, value, unit="images", **of, **more)


def attack(name: str, value: float, low: float, high: float, reference: float) -> AttackResult:
    of = {"interval": (low, high), "reference": reference, "n": 900, "power": 0.02}
    return AttackResult(name, name, Section.PRIVACY, Direction.LOWER, value, **of)


@pytest.fixture
def results() -> Results:
    labels = {"label": "effusion", "synthetic": 0.5, "synthetic_interval": [0.4, 0.6], "holdout": 0.9, "holdout_interval": [0.8, 0.95]}
    metrics = (
        figure("image_c2st", 0.8, 0.75, 0.85, 0.5),
        figure("image_c2st_cnn", 0.7, 0.6, 0.8, 0.5),
        figure("image_sharpness", 0.7, 0.65, 0.75, 1.0),
        figure(
            "image_intensity", 0.1, 0.09, 0.11, 0.01,
            details={"synthetic": {"brightness": 0.6, "contrast": 0.1}, "holdout": {"brightness": 0.5, "contrast": 0.2}},
        ),
        figure("image_diversity", 0.6, 0.55, 0.65, 0.3),
        figure("image_labels", 0.7, 0.6, 0.8, 0.92, details={"labels": [labels | {"n_synthetic": 40}]}),
        figure("frechet_cnn", 2.0, 1.5, 2.5, 0.1, details={"space": "cnn", "space_words": "features of a network"}),
        figure("image_recall", 0.3, 0.2, 0.4, 0.9, details={"spaces": {"cnn": {"value": 0.2, "reference": 0.9}}}),
        figure(
            "image_tstr", 0.85, 0.8, 0.9, 0.95,
            details={"target": "finding", "gap": -0.2, "gap_interval": [-0.25, -0.15], "excess": 0.8},
        ),
        figure("image_rare_class", 0.02, 0.01, 0.03, 0.05, details={"label": "effusion"}),
        figure(
            "image_nearer_train", 0.5, 0.48, 0.52, 0.5,
            details={"nearest_train": {side: {"q01": 0.1, "q05": 0.2, "median": 0.3} for side in ("synthetic", "holdout")}},
        ),
    )
    near = {"likeness": {"train": 0.9, "holdout": 0.8}, "is_usual": False, "synthetic": b64(), "train": b64(), "holdout": b64()}
    view = {
        "size": [512, 512], "judged_size": [64, 64], "axes": 2, "column": "file", "label": "finding",
        "n": {"train": 1_000, "holdout": 300, "synthetic": 1_200},
        "galleries": [{"label": "effusion", "n": {"real": 24, "synthetic": 24}, "real": b64(), "synthetic": b64()}],
        "nearest": [near, near | {"is_usual": True}],
        "intensity": {"edges": [0.0, 0.5, 1.0], "train": [0.5, 0.5], "holdout": [0.5, 0.5], "synthetic": [0.4, 0.6]},
        "spectrum": {"frequency": [0.1, 0.2, 0.3], "train": [1, 0.1, 0.01], "synthetic": [1, 0.05, 0.001], "holdout": [1, 0.1, 0.01]},
        "map": {"train": [[0, 0], [1, 1]], "synthetic": [[0, 1]]},
    }
    run = {"rows": {"train": 1_000, "holdout": 300, "synthetic": 1_200}, "columns": 2, "synthesizer": "dcgan"}
    tried = (attack("image_membership", 0.01, 0.0, 0.02, 0.01), attack("image_copies", 0.0, -0.01, 0.01, 0))
    return Results(metrics, {"images": view}, run, tried)


def told(blocks: Any) -> str:
    return " ".join(
        " ".join(block.items) if isinstance(block, Bullets) else block.text for block in walk(blocks) if isinstance(block, Bullets | Text)
    )


def test_what_a_reader_would_notice_is_said(results):
    text = told(images(results))
    for words in ("1,000 real images of 512 × 512 pixels", "64 × 64", "blurred", "brighter by 10", "less contrast", "few kinds are made",
                  "“effusion” does not always show", "unseen", "this page stays inside"):
        assert words in text, words


def test_every_picture_has_an_alternative_text(results):
    drawn = [block for block in walk(images(results)) if isinstance(block, Figure)]
    assert len(drawn) == 2 + 3 + 2
    assert all(one.alt and one.svg.startswith("<svg") for one in drawn)


def test_the_answers_are_those_of_images(results):
    alike, useful, safe = resembles(results), is_useful(results), is_safe(results)
    assert alike.level is Level.POOR
    assert any("decision trees" in reason for reason in alike.reasons)
    assert useful.level is Level.POOR
    assert any("were taken away bring" in reason for reason in useful.reasons)
    assert safe.level is Level.GOOD
    assert any("burned-in text" in text for text in safe.not_assessed)
    text = told(summary(results))
    assert "1,200 synthetic images were made by the generator “dcgan”, which learned from 1,000 real images" in text
    lacking = Results(results.metrics, results.views, results.run, results.attacks[:1])
    assert any("One of the two kinds of attack" in reason for reason in (*is_safe(lacking).reasons, *is_safe(lacking).more))
    none = Results(tuple(m for m in results.metrics if m.name != "image_tstr"), {}, results.run)
    assert is_useful(none).level is Level.UNKNOWN


def test_the_page_holds_pictures_and_nothing_that_is_none(results):
    results = Results(results.metrics, {"images": dict(results.views["images"]) | {"map": {}}}, results.run, results.attacks)
    page = render_html(results)
    assert page.count("data:image/png;base64,") == 2 + 6
    view = dict(results.views["images"])
    view["galleries"] = [{"label": "<b>x</b>", "n": {}, "real": 'x"/><script>alert(1)</script>', "synthetic": "iVBORw0KGgo" + "A" * 9}]
    view["nearest"] = [{"synthetic": None, "likeness": {}}]
    evil = render_html(Results(results.metrics, {"images": view}, results.run, results.attacks))
    assert "<script" not in evil
    assert "data:image/png;base64," not in evil


def test_pictures_of_any_shape():
    assert picture(None) == picture("") == strip([]) == ""
    huge = base64.b64encode(png(np.zeros((1, 1, 1), np.uint8))[:16] + b"\xff" * 40).decode()
    assert picture(huge) == ""
    assert "viewBox" in picture(b64(1, 1))
    assert "&lt;" not in strip([(b64(), "<a>")])
    assert "<a>" not in strip([(b64(), "<a>")])


def test_every_attack_on_images_has_words():
    own = {name for name, entry in ATTACKS.items() if entry.modality == "images"}
    assert own == set(images_wording.ATTACKS) == set(images_wording.ATTACK_NAMES)
    assert own <= set(images_wording.IMAGES)
    assert not images(Results(()))
