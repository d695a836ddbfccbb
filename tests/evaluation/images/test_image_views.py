from __future__ import annotations

import base64
import json

import numpy as np

from evaluation.images.films import dataset, evidence, films
from manikin.evaluation.images.pictures import prepare_images
from manikin.evaluation.images.views import views


def test_what_is_drawn_is_small_and_json(judged):
    made = views(judged("copies"), (), seed=0)
    assert len(json.dumps(made)) < 300_000
    view = made["images"]
    assert [row["label"] for row in view["galleries"]] == ["clear", "shadow"]
    for text in (view["galleries"][0]["real"], view["nearest"][0]["train"]):
        assert base64.b64decode(text).startswith(b"\x89PNG")
    assert view["nearest"][0]["likeness"]["train"] == 1.0
    assert [row["is_usual"] for row in view["nearest"]] == [False] * 6 + [True] * 3
    assert len(view["intensity"]["edges"]) == len(view["intensity"]["train"]) + 1
    assert len(view["spectrum"]["frequency"]) == len(view["spectrum"]["synthetic"])
    assert len(view["map"]["train"][0]) == 2


def test_volumes_colour_and_nothing_at_all_are_drawn_or_left_out():
    rng = np.random.default_rng(0)
    for shape in ((1, 5, 9, 70), (3, 40, 90), (2, 1, 1)):
        data = dataset(rng.random((12, *shape)), rng.random(12) < 0.5)
        assert views(prepare_images(evidence(data, data, data)), (), seed=0)["images"]["galleries"]
    one = films(1, 1)
    assert views(prepare_images(evidence(one, one, one)), (), seed=0)["images"] == {}
