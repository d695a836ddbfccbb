"""The tabular diffusion: dependence is learned, a class is an input, wide vocabularies stay small, folders are checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Role
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import load, save


def clinic(n: int = 900, target: str | None = "ill") -> Dataset:
    """A class that moves a lab, its missingness and a ward; and a number that is twice another."""
    rng = np.random.default_rng(0)
    ill = rng.random(n) < 0.3
    lab = np.round(np.where(ill, 9, 5) + rng.normal(0, 0.5, n), 1).astype(object)
    lab[rng.random(n) < np.where(ill, 0.05, 0.4)] = None
    dose = np.round(rng.gamma(3, 20, n), 1)
    frame = pd.DataFrame(
        {
            "lab": lab,
            "dose": dose,
            "double": np.round(2 * dose, 1),
            "ward": np.where(ill, "icu", rng.choice(["ward", "day"], n)),
            "ill": np.where(ill, "yes", "no"),
        }
    )
    data = read(frame, name="clinic")
    columns = tuple(replace(c, roles=(Role.TARGET,) if c.name == target else ()) for c in data.columns)
    return replace(data, schema=replace(data.schema, tables=(replace(data.columns, columns=columns),)))


SMALL: dict[str, Any] = {"hidden": (64, 64), "batch_size": 128, "steps": 500, "patience": None}


@pytest.fixture(scope="module")
def fitted() -> Any:
    return synthesizer("tabddpm", by_target=True, **SMALL).fit(clinic(), seed=0)


def test_dependence_and_missingness_are_learned(fitted: Any) -> None:
    frame = fitted.sample(2_000, seed=1).to_pandas()
    ill = frame["ill"] == "yes"
    assert ill.mean() == pytest.approx(0.3, abs=0.05)
    assert (frame["ward"].eq("icu") == ill).mean() > 0.93
    lab = frame["lab"].astype(float)
    assert lab[ill].mean() - lab[~ill].mean() > 3
    assert lab[~ill].isna().mean() - lab[ill].isna().mean() > 0.2
    assert frame[["dose", "double"]].astype(float).corr(method="spearman").iloc[0, 1] > 0.9


def test_many_steps_and_few_make_the_same_table(fitted: Any) -> None:
    def table(steps: int) -> pd.DataFrame:
        few = replace(fitted, sampling_steps=steps)
        for name in ("codec_", "vectors_", "network_", "_target"):
            setattr(few, name, getattr(fitted, name))
        return few.sample(1_500, seed=1).to_pandas()

    few, many = table(20), table(200)
    assert few["dose"].astype(float).median() == pytest.approx(many["dose"].astype(float).median(), rel=0.15)
    assert few["lab"].isna().mean() == pytest.approx(many["lab"].isna().mean(), abs=0.06)
    crossed = [pd.crosstab(one["ward"], one["ill"], normalize=True) for one in (few, many)]
    assert (crossed[0] - crossed[1]).abs().to_numpy().max() < 0.06


def test_a_class_is_conditioned_on_as_an_input(fitted: Any) -> None:
    frame = fitted.sample(400, seed=1, conditions={"ill": "yes"}).to_pandas()
    assert set(frame["ill"]) == {"yes"}
    assert (frame["ward"] == "icu").mean() > 0.93
    assert frame["lab"].astype(float).mean() > 8


@pytest.mark.parametrize("conditions", [{"ward": "icu"}, {"ill": "yes", "dose": 10.0}])
def test_other_conditions_are_refused_by_name(fitted: Any, conditions: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="tabddpm"):
        fitted.sample(3, seed=1, conditions=conditions)


def test_a_model_without_a_class_refuses_the_target_too() -> None:
    model = synthesizer("tabddpm", max_steps=2, hidden=(8, 8)).fit(clinic(200), seed=0)
    with pytest.raises(ParameterError, match="tabddpm"):
        model.sample(3, seed=1, conditions={"ill": "yes"})


def test_a_class_needs_one_target_of_levels() -> None:
    for target in (None, "dose"):
        with pytest.raises(ParameterError, match="'by_target' parameter"):
            synthesizer("tabddpm", by_target=True, max_steps=2).fit(clinic(target=target), seed=0)


def test_saved_and_loaded_it_makes_the_same_rows(fitted: Any, tmp_path: Path) -> None:
    save(fitted, tmp_path / "model")
    again = load(tmp_path / "model")
    for conditions in (None, {"ill": "no"}):
        one, two = (model.sample(50, seed=3, conditions=conditions).to_pandas() for model in (fitted, again))
        pd.testing.assert_frame_equal(one, two)


def test_rows_do_not_depend_on_the_batch_size(fitted: Any) -> None:
    whole = fitted.sample(300, seed=2).to_pandas()
    parts = pd.concat([part.to_pandas() for part in fitted.sample_batches(300, seed=2, batch_size=70)], ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts)


def test_a_wide_vocabulary_costs_its_embedding_and_a_narrow_head() -> None:
    rng = np.random.default_rng(0)
    codes = np.array([f"C{i:04}" for i in range(600)])
    frame = pd.DataFrame({"code": np.repeat(codes, 20), "x": rng.normal(size=12_000).round(2)})
    model = synthesizer("tabddpm", hidden=(64, 64), max_steps=3).fit(read(frame, name="codes"), seed=0)
    n_levels = model.codec_.fields_[0].n_tokens
    assert n_levels >= 600
    head = model.network_.denoiser.head
    assert sum(p.numel() for p in head.parameters()) < 64 * n_levels * 0.6, "no dense layer from hidden units to every level"
    assert len(set(model.sample(2_000, seed=1).to_pandas()["code"])) > 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("kernel", "absorbing"),
        ("hidden", ()),
        ("sampling_steps", 0),
        ("diffusion_steps", 1 << 40),
        ("learning_rate", -1.0),
        ("noise", 2.0),
        ("dropout", 1.0),
    ],
)
def test_hyperparameters_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"'{name}' parameter of tabddpm"):
        synthesizer("tabddpm", **{name: value}).fit(clinic(60), seed=0)
