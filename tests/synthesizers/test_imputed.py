"""What `missing="impute"` promises: no missing cell comes out, marginals stay, given missing cells stay missing, also after loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.errors import ParameterError
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.synthesizers.storage import load, save
from manikin.synthesizers.tables.one_shot import OneShot
from manikin.workflow.sources import read

ONE_SHOT = [name for name, entry in SYNTHESIZERS.items() if entry.is_neural and entry.modality == "table" and name != "autoregressive"]


def holed(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 90, n).astype(float),
            "creatinine": rng.lognormal(0, 0.5, n).round(1),
            "sex": rng.choice(["f", "m"], n),
            "stage": rng.choice(["I", "II", "III"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    frame.loc[rng.random(n) < 0.4, "creatinine"] = np.nan
    frame.loc[rng.random(n) < 0.3, "stage"] = None
    return frame


@pytest.mark.parametrize("name", ONE_SHOT)
def test_no_missing_cell_is_made(name: str, tmp_path: Path) -> None:
    model = synthesizer(name, max_steps=5, missing="impute").fit(read(holed()), seed=0)
    assert isinstance(model, OneShot)
    assert not model.sample(300, seed=1).to_pandas().isna().any(axis=None)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert not again.sample(300, seed=1).to_pandas().isna().any(axis=None)


def test_a_mask_is_the_default() -> None:
    made = synthesizer("tvae", max_steps=40).fit(read(holed()), seed=0).sample(500, seed=1).to_pandas()
    assert 0.2 < made["creatinine"].isna().mean() < 0.6


def test_imputing_keeps_the_distribution_of_what_is_there() -> None:
    data = read(holed(4000))
    model = synthesizer("wgan", max_steps=1, missing="impute").fit(data, seed=0)
    before = model.codec_.encode(data)
    after = model.codec_.impute(before, np.random.default_rng(1))
    j = [field.name for field in model.codec_.layout.fields].index("stage")
    m = model.codec_.layout.fields[j].n_missing
    there = np.bincount(before[before[:, j] >= m, j], minlength=m + 3)
    np.testing.assert_allclose(there / there.sum(), np.bincount(after[:, j], minlength=m + 3) / len(after), atol=0.02)
    kept = before >= np.array([field.n_missing for field in model.codec_.layout.fields])
    assert np.array_equal(before[kept], after[kept])


def test_a_missing_cell_that_is_given_stays_missing() -> None:
    model = synthesizer("cgan", columns=("creatinine",), max_steps=3, missing="impute").fit(read(holed()), seed=0)
    asked = read(holed()).only(["creatinine"]).take(np.arange(60))
    made = model.sample(60, seed=1, conditions=asked).to_pandas()
    assert made["creatinine"].isna().equals(holed()["creatinine"][:60].isna())
    assert not made["stage"].isna().any()


def test_another_word_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"The 'missing' parameter of tvae must be one of mask, impute\."):
        synthesizer("tvae", missing="drop").fit(read(holed()), seed=0)
