from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.errors import MissingExtraError
from manikin.evaluation.prepared import Feature, Sample, prepare_sides
from manikin.evaluation.studies.resampling import drawn, joined, oversampled, smoted, weighted, wishes
from manikin.workflow.sources import read

pytest.importorskip("imblearn")


@pytest.fixture(scope="module")
def table() -> tuple[tuple[Feature, ...], Sample, np.ndarray]:
    """Women of the breast cancer trial, every fifth tumour size missing; few of them without an event."""
    from lifelines.datasets import load_gbsg2

    frame: pd.DataFrame = load_gbsg2().head(200)
    frame["tsize"] = frame["tsize"].astype("Int64").mask(frame.index % 5 == 0)
    frame["event"] = np.where(frame.pop("cens").to_numpy() == 1, "yes", "no")
    keep = (frame["event"] == "no") | (frame.index % 4 == 0)
    data = read(frame[keep].reset_index(drop=True))
    features, (sample,) = prepare_sides(data.columns, [data])
    levels = next(f for f in features if f.name == "event").levels or ()
    return features, sample, sample.values["event"] == levels.index("yes")


def test_wishes_raise_the_rarer_class_within_each_group() -> None:
    positive = np.array([True, False, False, False, True, True, False, False])
    groups = np.array(["a", "a", "a", "a", "b", "b", "b", "c"])
    assert [wish.n for wish in wishes(positive)] == [2]
    found = wishes(positive, [groups])
    assert [(wish.rows.tolist(), wish.n) for wish in found] == [([0], 2), ([6], 1)]  # c has one class only and is left alone


def test_weights_give_the_mass_that_drawing_again_gives(table: Any) -> None:
    _, sample, positive = table
    wanted = wishes(positive)
    weights = weighted(len(sample), wanted)
    assert weights[positive].sum() == pytest.approx(weights[~positive].sum())
    again = oversampled(sample, wanted, seed=0)
    assert len(again) == pytest.approx(weights.sum())


def test_drawn_rows_are_real_rows_of_the_wished_class(table: Any) -> None:
    _, _, positive = table
    wanted = wishes(positive)
    rows = drawn(wanted, np.random.default_rng(0))
    assert len(rows) == wanted[0].n
    assert len(set(positive[rows])) == 1


def test_smote_interpolates_numbers_and_votes_on_levels_and_holes(table: Any) -> None:
    features, sample, positive = table
    wanted = wishes(positive)
    made = smoted(features, sample, wanted, seed=0)
    added = made.take(np.arange(len(sample), len(made)))
    rare = sample.take(wanted[0].rows)
    assert len(added) == wanted[0].n
    assert (added.values["event"] == rare.values["event"][0]).all()
    for feature in features:
        values, known = added.values[feature.name], rare.values[feature.name]
        if feature.is_number:
            present = values[~np.isnan(values)]
            assert (present == np.round(present, feature.column.decimals or 0)).all()
            if not rare.marks[feature.name].any():
                assert present.min() >= known.min()
                assert present.max() <= known.max()
        else:
            assert set(values) <= set(known)
    holes = added.marks["tsize"] > 0
    assert 0 < holes.sum() < len(added)
    assert (np.isnan(added.values["tsize"]) == holes).all()
    copies = set(zip(*(rare.values[f.name] for f in features if f.is_number), strict=True))
    new = [row for row in zip(*(added.values[f.name] for f in features if f.is_number), strict=True) if row not in copies]
    assert len(new) > 0.5 * len(added)
    again = smoted(features, sample, wanted, seed=0)
    assert all(np.array_equal(made.values[f.name], again.values[f.name], equal_nan=f.is_number) for f in features)


@pytest.mark.parametrize("numbers", [True, False])
def test_smote_takes_tables_of_one_kind_of_column(table: Any, *, numbers: bool) -> None:
    features, sample, positive = table
    chosen = [f for f in features if f.is_number == numbers and f.name != "tsize"]
    names = [feature.name for feature in chosen]
    cut = replace(
        sample,
        values={name: sample.values[name] for name in names},
        marks={name: sample.marks[name] for name in names},
    )
    assert len(smoted(chosen, cut, wishes(positive), seed=0)) > len(cut)


def test_a_single_row_is_drawn_again(table: Any) -> None:
    features, sample, positive = table
    alone = np.zeros(len(sample), dtype=bool)
    alone[np.flatnonzero(positive)[0]] = True
    made = smoted(features, sample, wishes(alone), seed=0)
    assert len(made) == 2 * (len(sample) - 1)
    assert len(set(made.values["time"][len(sample) :])) == 1


def test_groups_of_enough_rows_are_as_imbalanced_learn_draws_each_of_them(table: Any) -> None:
    from imblearn.over_sampling import SMOTENC

    from manikin.data.seeds import derive
    from manikin.evaluation.studies import resampling

    features, sample, positive = table
    wanted = wishes(positive)
    grid = resampling._Grid.of(features, sample)
    categories = [i for i, found in enumerate(grid.is_category) if found]
    seed = derive(0, "study", "smote") % 2**31
    slow = SMOTENC(categories, k_neighbors=5, random_state=seed).fit_resample(
        grid.matrix(sample), np.isin(np.arange(len(sample)), wanted[0].rows)
    )
    made = smoted(features, sample, wanted, seed=0)
    added = made.take(np.arange(len(sample), len(made)))
    assert np.array_equal(grid.matrix(added), grid.matrix(grid.sample(slow[0][len(sample) :])))


@pytest.fixture(scope="module")
def parabola() -> tuple[tuple[Feature, ...], Sample, np.ndarray, np.ndarray]:
    """Thirty rare rows of one group along a parabola, two rare rows of another far off, one of a third; all amid common ones."""
    t = np.arange(30.0)
    rare = pd.DataFrame({"x": t, "y": t**2, "group": "large"})
    tiny = pd.DataFrame({"x": [500.0, 502.0], "y": [0.0, 3.0], "group": "tiny"})
    alone = pd.DataFrame({"x": [900.0], "y": [9.0], "group": "alone"})
    common = pd.DataFrame({"x": np.arange(330) * 1.5, "y": 0.5, "group": ["large"] * 200 + ["tiny"] * 80 + ["alone"] * 50})
    frame = pd.concat([rare, tiny, alone, common], ignore_index=True).assign(ill=np.arange(363) < 33)
    frame["x"], frame["y"] = frame["x"] + 0.001, frame["y"] + 0.001  # numbers with a point
    data = read(frame)
    features, (sample,) = prepare_sides(data.columns, [data])
    positive = sample.values["ill"] == (next(f for f in features if f.name == "ill").levels or ()).index("True")
    group = np.array(next(f for f in features if f.name == "group").levels or (), dtype=object)[sample.values["group"]]
    return features, sample, positive, group


def test_a_tiny_group_does_not_narrow_the_neighbours_of_a_large_one(parabola: Any) -> None:
    features, sample, positive, group = parabola
    wanted = wishes(positive, [group])
    assert sorted((len(wish.rows), wish.n) for wish in wanted) == [(1, 49), (2, 78), (30, 170)]
    made = smoted(features, sample, wanted, seed=0)
    added = made.take(np.arange(len(sample), len(made)))
    x, y = added.values["x"] - 0.001, added.values["y"] - 0.001
    large, tiny, alone = x < 30, (x >= 500) & (x <= 502), np.isclose(x, 900)
    assert (large.sum(), tiny.sum(), alone.sum()) == (170, 78, 49)
    assert np.isclose(y[alone], 9).all()
    assert np.allclose(y[tiny], (x[tiny] - 500) * 1.5, atol=0.01)
    assert len(set(x[tiny])) > 50
    # Between neighbours at distance d the chord lies up to d²/4 above the parabola; with one neighbour alone, at most 1/4.
    above = y[large] - x[large] ** 2
    assert above.max() > 1
    assert (above > 0.3).mean() > 0.3


def test_patients_of_joined_samples_are_different_ones(table: Any) -> None:
    _, sample, _ = table
    assert joined(sample, sample).n_records == 2 * sample.n_records


def test_without_imbalanced_learn_the_extra_is_named(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    features, sample, positive = table
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("imblearn"):
            raise ModuleNotFoundError("No module named 'imblearn'", name="imblearn")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'manikin\[imbalanced\]'"):
        smoted(features, sample, wishes(positive), seed=0)
