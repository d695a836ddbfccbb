"""Explaining saved models: what is written, what is refused, and how a part is added."""

from __future__ import annotations

import json

import pytest
from lifelines.datasets import load_gbsg2

import manikin as mk
from manikin.data.errors import ParameterError
from manikin.report.blocks import Figure, Fold, Text, walk
from manikin.report.explanation import EXPLANATIONS, asked, drivers, explanation_html, sentence
from manikin.workflow import explanation
from manikin.workflow.explanation import explain


@pytest.fixture(scope="module")
def model():
    return mk.synthesizer("forest").fit(mk.read(load_gbsg2()), seed=0)


@pytest.fixture(scope="module")
def done(model, tmp_path_factory):
    return explain(model, by=["menostat", "age"], rows=300, out=tmp_path_factory.mktemp("explained") / "out")


def test_page_and_figures_are_written(done):
    document = json.loads((done.out / "explain.json").read_text(encoding="utf-8"))
    assert "in the house" in document["internal"]
    assert document["format"] == "manikin-explanation"
    assert document["conditions"] == ["menostat", "age"]
    page = (done.out / "explain.html").read_text(encoding="utf-8")
    assert "What drives the generator" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_age_and_menopause_drive_one_another(done):
    rows = {(row["condition"], row["output"]): row for row in done.document["sensitivity"]}
    assert rows["menostat", "age"]["is_sure"]
    assert rows["menostat", "age"]["shift"] > 0.5
    assert max(rows, key=lambda pair: rows[pair]["effect"]) in {("menostat", "age"), ("age", "menostat")}
    assert len(rows) == 2 * (len({output for _, output in rows}) - 1)


def test_columns_are_chosen_by_their_role_when_none_are_named(model, monkeypatch):
    monkeypatch.setattr(explanation, "MAX_CONDITIONS", 2)
    made = explain(model, rows=40)
    assert "age" in made.document["conditions"]
    assert made.out is None
    assert any("--by" in notice for notice in made.notices)


def test_what_cannot_be_asked_is_refused_by_name(model, women, tmp_path):
    with pytest.raises(ParameterError, match="no column of the table"):
        explain(model, by=["agee"], rows=40)
    with pytest.raises(ParameterError, match="40 or more"):
        explain(model, rows=10)
    rows = mk.synthesizer("resample").fit(mk.read(women), seed=0)
    with pytest.raises(ParameterError, match=r"resample model cannot hold a column .* forest"):
        explain(rows, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_part_brings_its_own_key(model, monkeypatch):
    monkeypatch.setattr(explanation, "PARTS", (lambda *_: {"traversals": [1]},))
    assert explain(model, by=["age"], rows=40).document["traversals"] == [1]


def test_sections_without_matter_are_left_out():
    assert set(EXPLANATIONS) >= {"drivers", "asked"}
    assert drivers({}) == ()
    page = explanation_html({"synthesizer": "forest", "rows": 40})
    assert "What drives the generator" not in page
    assert "How it was asked" in page


def row(**more):
    plain = {"condition": "a", "output": "b", "effect": 0.4, "interval": [0.3, 0.5], "null": 0.05, "excess": 0.35}
    return {**plain, "explained": 0.3, "shift": None, "is_sure": True, **more}


def test_a_driver_in_words():
    assert sentence(row()).endswith("40.0 % of the rows change place (5.0 % by chance); it settles 30.0 % of the variation.")
    assert sentence(row(shift=1.26)).endswith("its mean travels 1.3 standard deviations.")
    blocks = walk(drivers({"sensitivity": [row(), row(condition="c", is_sure=False)]}))
    assert [type(block) for block in blocks if isinstance(block, Figure | Fold)] == [Figure, Fold]
    assert any(isinstance(block, Text) and "moved for sure by “c”" in block.text for block in blocks)
    calm = walk(drivers({"sensitivity": [row(is_sure=False)]}))
    assert any(isinstance(block, Text) and block.text.startswith("No column moves another") for block in calm)
    assert asked({"rows": 500, "conditions": ["a"], "left_out": ["d"], "synthesizer": "forest"})
