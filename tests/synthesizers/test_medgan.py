"""medGAN on sets of codes: codes that go together are made together, counts come back as counts, rare codes stay out."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Column, Kind, Schema, TableSchema
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import load, save
from manikin.synthesizers.tables.medgan import MedGAN

STEPS = 510


def table(n: int = 600) -> Dataset:
    """Two kinds of patients with codes of their own; insulin is noted as often as the disease is bad; one code is rare."""
    rng = np.random.default_rng(4)
    diabetic = rng.random(n) < 0.5
    cells, drugs = [], []
    for is_diabetic in diabetic:
        likely = (
            {"E11": 0.9, "N18": 0.6, "I10": 0.05, "I25": 0.05}
            if is_diabetic
            else {"E11": 0.05, "N18": 0.05, "I10": 0.9, "I25": 0.6}
        )
        cells.append("|".join(code for code, share in likely.items() if rng.random() < share) or "Z00")
        drugs.append("|".join(["insulin"] * int(rng.integers(1, 4))) if is_diabetic else "aspirin")
    cells[:4] = ["RARE|E11"] * 4
    frame = pd.DataFrame({"diagnoses": cells, "drugs": drugs, "age": rng.integers(30, 90, n).astype(str)}, dtype=object)
    columns = (
        Column("diagnoses", Kind.CODE_SET, separator="|"),
        Column("drugs", Kind.CODE_SET, separator="|"),
        Column("age", Kind.CONTINUOUS, decimals=0),
    )
    return read(frame, schema=Schema((TableSchema("codes", columns),)))


@cache
def made() -> pd.DataFrame:
    sample = model().sample(1500, seed=1)
    return texts_of(sample.table, sample.columns)


@cache
def model() -> MedGAN:
    fitted: MedGAN = synthesizer("medgan", batch_size=150, epochs=150, pretrain_epochs=20, max_steps=STEPS).fit(table(), seed=0)
    return fitted


def held(cells: pd.Series, code: str) -> np.ndarray:
    return np.array([code in cell.split("|") for cell in cells])


def test_codes_that_go_together_are_made_together() -> None:
    real = texts_of(table().table, table().columns)
    for frame, most in ((real, 1.0), (made(), 1.0)):
        with_e11, without = held(frame["diagnoses"], "E11"), ~held(frame["diagnoses"], "E11")
        gap = held(frame["diagnoses"], "N18")[with_e11].mean() - held(frame["diagnoses"], "N18")[without].mean()
        assert 0.2 < gap < most
    for code in ("E11", "N18", "I10", "I25"):
        assert abs(held(made()["diagnoses"], code).mean() - held(real["diagnoses"], code).mean()) < 0.15


def test_counts_come_back_as_counts() -> None:
    counts = np.array([cell.split("|").count("insulin") for cell in made()["drugs"]])
    assert set(np.unique(counts)) == {0, 1, 2, 3}


def test_rare_codes_stay_out_and_the_other_columns_are_taken_along() -> None:
    assert not made()["diagnoses"].str.contains("RARE").any()
    assert pd.to_numeric(made()["age"]).between(30, 90).all()


def test_the_autoencoder_has_a_stage_of_its_own() -> None:
    entries = model().training_["signals"]
    assert "loss: autoencoder" in entries[0]
    assert "loss: critic" in entries[-1]
    assert "drift" in entries[-1]


def test_only_the_most_frequent_codes_have_a_field_where_fewer_are_asked_for() -> None:
    few = synthesizer("medgan", max_codes=2, max_steps=5).fit(table(), seed=0)
    cells = texts_of((sample := few.sample(200, seed=0)).table, sample.columns)["diagnoses"]
    assert len({code for cell in cells for code in cell.split("|")}) <= 2


def test_saved_model_makes_the_same_bags(tmp_path_factory: pytest.TempPathFactory) -> None:
    back = load(save(model(), tmp_path_factory.mktemp("medgan") / "model"))
    sample = back.sample(1500, seed=1)
    pd.testing.assert_frame_equal(texts_of(sample.table, sample.columns), made())


@pytest.mark.parametrize(
    ("name", "value"),
    [("weight_decay", -1), ("weight_decay", 1), ("temperature", 0), ("latent", 0), ("blocks", 99), ("critic", ())],
)
def test_wrong_hyperparameters_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match="latent" if name == "blocks" else name):
        synthesizer("medgan", **{name: value}).fit(table(), seed=0)
