"""Generators of grids: levels of patients, memory from step to step, missing cells and lengths come back; other data are refused."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from linked_tables import LINKED

from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ParameterError
from manikin.data.schema import Schema
from manikin.synthesizers import synthesizer
from manikin.synthesizers.records.grids import carried, remembering


def hourly(data: Dataset) -> pd.DataFrame:
    frame = data.tables["hourly"].frame
    return frame.assign(owner=data.owners["hourly"]).sort_values(["owner", "hour"])


def lag(frame: pd.DataFrame, column: str) -> float:
    return float(frame[column].corr(frame.groupby("owner")[column].shift(1)))


def test_noise_remembers_and_keeps_its_spread() -> None:
    drawn = np.random.default_rng(0).standard_normal((4000, 20, 2), dtype=np.float32)
    carry = np.array([0.0, 0.9], dtype=np.float32)
    made = remembering(drawn, carry)
    assert made.std(axis=(0, 1)) == pytest.approx([1, 1], abs=0.03)
    for j, wanted in enumerate(carry):
        assert np.corrcoef(made[:, 1:, j].ravel(), made[:, :-1, j].ravel())[0, 1] == pytest.approx(wanted, abs=0.02)


@pytest.mark.verify
@pytest.mark.parametrize(("name", "steps"), [("timevae", 400), ("timegan", 90)])
def test_grids_are_learned(name: str, steps: int) -> None:
    real = LINKED["grid"]()
    made = synthesizer(name, max_steps=steps).fit(real, seed=0).sample(300, seed=1)
    ours, theirs = hourly(made), hourly(real)
    lengths = [frame.groupby("owner").size() for frame in (ours, theirs)]
    assert lengths[0].mean() == pytest.approx(lengths[1].mean(), rel=0.15)
    for column in ("heart_rate", "lactate"):
        assert ours[column].isna().mean() == pytest.approx(theirs[column].isna().mean(), abs=0.08)
    assert ours["heart_rate"].mean() == pytest.approx(theirs["heart_rate"].mean(), abs=5)
    assert lag(theirs, "heart_rate") > 0.8
    assert lag(ours, "heart_rate") > 0.4
    assert (ours.groupby("owner")["hour"].diff().dropna() > 0).all()


def test_long_tables_and_long_records_are_refused_with_a_way_out() -> None:
    with pytest.raises(FitError, match=r"'value' measures what a code says.*event_transformer"):
        synthesizer("timevae", max_steps=2).fit(LINKED["events"](), seed=0)
    grid = LINKED["grid"]()
    own = grid.schema["hourly"]
    schema = Schema((grid.schema["patients"], replace(own, primary_key=())))
    many = {**grid.tables, "hourly": grid.tables["hourly"].take(np.repeat(np.arange(len(grid.tables["hourly"])), 120))}
    with pytest.raises(FitError, match=r"records of 1,\d\d\d steps.*coarser clock"):
        synthesizer("timegan", max_steps=2).fit(Dataset(many, schema), seed=0)


@pytest.mark.parametrize(("name", "setting"), [("timevae", {"trend": -1}), ("timevae", {"channels": ()}), ("timegan", {"hidden": 0})])
def test_hyperparameters_outside_their_domain_are_refused_by_name(name: str, setting: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=f"'{next(iter(setting))}'"):
        synthesizer(name, **setting).fit(LINKED["grid"](), seed=0)


def test_the_memory_of_noise_is_measured_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=100_000).astype(np.float32)
    after = (0.8 * before + 0.6 * rng.normal(size=100_000)).astype(np.float32)
    tracemalloc.start()
    found = carried(before, after, np.ones(100_000, dtype=np.int64))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(0.8, abs=0.03)
    assert most < 12 * before.size * 8, "a few arrays of the pairs' size, not some for each of 48 shares"
