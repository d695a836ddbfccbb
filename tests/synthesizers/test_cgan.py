"""The conditional GAN: its forest over the listed columns counts patients, not rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import manikin as mk


def test_a_level_of_one_patient_with_many_rows_is_in_no_part_of_the_model() -> None:
    rng = np.random.default_rng(0)
    patients = np.concatenate([np.repeat(np.arange(60), 5), np.full(15, 60)])
    common = rng.choice(["north", "south"], len(patients))
    frame = pd.DataFrame(
        {
            "patient_id": [f"P{number:04d}" for number in patients],
            "ward": np.where(patients == 60, "attic", common),
            "age": rng.integers(20, 80, len(patients)),
        }
    )
    model = mk.synthesizer("cgan", columns=("ward",), epochs=1, max_steps=2).fit(mk.read(frame), seed=0)
    values, _ = model.state()
    assert "attic" not in json.dumps(values)
    made = model.sample(30, seed=1, conditions={"ward": "north"}).to_pandas()
    assert set(made["ward"]) == {"north"}
    assert made["patient_id"].is_unique


def test_a_folder_whose_forest_knows_other_columns_is_refused() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"ward": rng.choice(["a", "b"], 80), "sex": rng.choice(["f", "m"], 80), "age": rng.integers(20, 80, 80)}
    )
    model = mk.synthesizer("cgan", columns=("ward",), epochs=1, max_steps=2).fit(mk.read(frame), seed=0)
    values, arrays = model.state()
    assert mk.synthesizer("cgan").restore(values, arrays).conditionable() == ["ward"]
    values["own"]["columns"] = ["sex"]
    with pytest.raises(mk.ManikinError, match="not those of its forest"):
        mk.synthesizer("cgan").restore(values, arrays)
