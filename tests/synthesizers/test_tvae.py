"""TVAE on real tables: dependence is learned, codes are cheap, hyperparameters bind, traversals tell what they should."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from lifelines.datasets import load_gbsg2

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.io.tabular import read
from manikin.report.blocks import Figure, Slider, walk
from manikin.report.explanation import explanation_html
from manikin.report.traversal import traversal_blocks
from manikin.synthesizers import synthesizer
from manikin.synthesizers.tables.traversal import draw_latent, separateness, traverse
from manikin.synthesizers.tables.tvae import TVAE


@cache
def gbsg2() -> Dataset:
    return read(load_gbsg2().rename(columns=str), name="gbsg2")


@cache
def learned() -> TVAE:
    """A model that has learned enough to tell age from menopause; no test may change it."""
    model: TVAE = synthesizer("tvae", max_steps=150).fit(gbsg2(), seed=0)
    return model


def test_dependence_of_a_trial_is_learned() -> None:
    made = learned().sample(1500, seed=1).to_pandas()
    ages = made.groupby("menostat", observed=True)["age"].mean()
    assert ages["Post"] - ages["Pre"] > 5  # years; 14 in the trial


def test_levels_are_drawn_not_taken_at_their_best() -> None:
    """The original takes the likeliest level; shares of a rare one then vanish."""
    real, made = gbsg2().to_pandas(), learned().sample(2000, seed=1).to_pandas()
    for grade in ("I", "III"):
        assert (made["tgrade"] == grade).mean() == pytest.approx((real["tgrade"] == grade).mean(), abs=0.06)


def test_numbers_keep_their_spread() -> None:
    real, made = gbsg2().to_pandas()["age"].astype(float), learned().sample(2000, seed=1).to_pandas()["age"].astype(float)
    assert 0.75 < made.std() / real.std() < 1.25


@pytest.mark.parametrize("wrong", [{"latent": 0}, {"prior": "uniform"}, {"stop_by": "loss"}, {"weight": 0}, {"encoder": ()}])
def test_hyperparameters_outside_their_domain_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        synthesizer("tvae", **wrong).fit(gbsg2(), seed=0)


def test_the_papers_own_recipe_runs() -> None:
    model = synthesizer("tvae", prior="normal", numbers="modes", latent=128, weight=2.0, max_steps=5).fit(gbsg2(), seed=0)
    assert len(model.sample(10, seed=0)) == 10


def test_thousands_of_codes_take_little_of_the_network() -> None:
    rng = np.random.default_rng(0)
    code = rng.integers(400, size=6000)
    table = read(
        pd.DataFrame({"code": [f"C{c:03d}" for c in code], "age": (40 + code % 30 + rng.integers(5, size=6000)).astype(str)})
    )
    model = synthesizer("tvae", max_steps=3).fit(table, seed=0)
    n_tokens = model.vectors_.parts_[0].n_tokens
    assert n_tokens > 200
    assert model.network_.encoder[0].in_features < 80
    assert sum(p.numel() for p in model.network_.head.parameters()) < 60 * n_tokens


def test_conditions_are_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"tvae.*cannot condition"):
        learned().sample(5, seed=0, conditions={"menostat": "Pre"})


@pytest.fixture
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score's interval from few draws, which is all that a test of the form needs."""
    monkeypatch.setattr("manikin.synthesizers.tables.traversal.REPEATS", 3)


@pytest.mark.usefixtures("few_repeats")
def test_traversal_is_plain_repeatable_and_orders_by_information() -> None:
    found = traverse(learned(), seed=4, n_dimensions=3, rows=50)
    assert json.loads(json.dumps(found)) == found
    assert traverse(learned(), seed=4, n_dimensions=3, rows=50) == found
    told = [strip["information"] for strip in found["dimensions"]]
    assert told == sorted(told, reverse=True)
    for strip in found["dimensions"]:
        moves = [one["moved"] for one in strip["columns"]]
        assert moves == sorted(moves, reverse=True)
        for one in strip["columns"]:
            assert one["column"] in gbsg2().columns
            assert len(one["missing"]) == len(found["stops"])


def test_score_sees_a_dimension_that_is_a_column_and_not_one_that_is_noise() -> None:
    """A latent space made by hand: dimension 1 is the column `age`, the rest is noise; then the same rotated."""
    model = learned()
    latent = draw_latent(model, 2000, 0)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(latent.vectors.shape)
    field = [one.name for one in model.codec_.layout.fields].index("age")
    aligned = noise.copy()
    aligned[:, 0] = latent.tokens[:, field] + 0.01 * rng.standard_normal(2000)
    information = np.linspace(1.0, 0.1, aligned.shape[1])
    good = separateness(model, type(latent)(aligned, latent.tokens, information), 0)
    bad = separateness(model, type(latent)(noise, latent.tokens, information), 0)
    assert good["columns"][0]["column"] == "age"
    assert good["columns"][0]["gap"] > 0.5
    assert good["interval"][0] > good["mixed"] > 0
    assert bad["value"] <= 2 * bad["chance"]
    assert bad["interval"][0] <= bad["value"] <= bad["interval"][1]


@pytest.mark.parametrize("wrong", [{"rows": 3}, {"n_dimensions": 0}, {"by": "luck"}])
def test_traversal_refuses_what_it_cannot_do(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        traverse(learned(), seed=0, **wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("few_repeats")
@pytest.mark.parametrize("by", ["dimensions", "principal"])
def test_page_has_a_slider_and_a_drawing_for_every_column_and_no_script(by: str) -> None:
    found = traverse(learned(), seed=0, n_dimensions=2, n_columns=3, rows=50, by=by)
    blocks = walk(traversal_blocks(found))
    sliders = [block for block in blocks if isinstance(block, Slider)]
    assert [len(slider.frames) for slider in sliders] == [11, 11]
    assert len({slider.anchor for slider in sliders}) == 2
    assert sum(isinstance(block, Figure) for block in blocks) == 6
    page = explanation_html({"synthesizer": "tvae", "rows": 50, "traversal": found})
    assert page.count('type="radio"') == 22
    assert "<script" not in page
