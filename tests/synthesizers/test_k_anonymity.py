"""The yardstick is what it says: every combination of quasi-identifiers is shared by k patients, and little more is lost than needed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ParameterError
from manikin.data.schema import Role
from manikin.io.tabular import read
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.synthesizers.tables.k_anonymity import SUPPRESSED, blurred_columns, parted


@pytest.fixture(scope="module")
def patients() -> Dataset:
    rng = np.random.default_rng(3)
    age = rng.integers(18, 95, 900)
    frame = {"age": age, "sex": rng.choice(["f", "m"], 900), "region": rng.choice(list("abcdefg"), 900), "ill": rng.random(900) < age / 120}
    return read(pd.DataFrame(frame))


def smallest_class(sample: Dataset, names: list[str]) -> int:
    return int(sample.to_pandas().groupby(names, dropna=False, observed=True).size().min())


@pytest.mark.parametrize("k", [2, 5, 11, 40])
def test_every_combination_is_shared_by_k_patients(patients: Dataset, k: int) -> None:
    model = synthesizer("k_anonymity", k=k).fit(patients, seed=0)
    names = blurred_columns(model.codec_)
    assert {"age", "sex"} <= set(names)
    assert "ill" not in names
    sample = model.sample(int((model.part_ != SUPPRESSED).sum()), seed=1)
    assert smallest_class(sample, names) >= k
    assert smallest_class(patients, names) < k, "the real table is not k-anonymous, or the test shows nothing"


def test_what_is_no_quasi_identifier_stays_as_it_was(patients: Dataset) -> None:
    model = synthesizer("k_anonymity", k=11, suppression=0.0).fit(patients, seed=0)
    sample = model.sample(len(patients), seed=1).to_pandas()
    assert sample["ill"].mean() == patients.to_pandas()["ill"].mean()


def test_more_patients_to_share_with_cost_more(patients: Dataset) -> None:
    kept = [
        synthesizer("k_anonymity", k=k, suppression=0.0).fit(patients, seed=0).sample(900, seed=1).to_pandas()["age"].nunique()
        for k in (2, 20, 200)
    ]
    assert kept[0] > kept[1] > kept[2]


def test_suppression_keeps_to_its_budget(patients: Dataset) -> None:
    for share in (0.0, 0.05, 0.3):
        model = synthesizer("k_anonymity", k=60, suppression=share).fit(patients, seed=0)
        assert (model.part_ == SUPPRESSED).mean() <= share


def test_patients_with_several_rows_count_once() -> None:
    places = np.repeat(np.linspace(0, 1, 40), 5)[:, None]
    records = np.repeat(np.arange(40), 5)
    assert min(len(np.unique(records[rows])) for rows in parted(places, records, 8)) >= 8


def test_a_table_without_quasi_identifiers_is_blurred_everywhere(patients: Dataset) -> None:
    plain = read(pd.DataFrame({"x1": np.arange(200) % 50, "x2": np.tile(["u", "v"], 100)}))
    assert not plain.columns.with_role(Role.QUASI_IDENTIFIER)
    model = synthesizer("k_anonymity", k=10, suppression=0.0).fit(plain, seed=0)
    assert smallest_class(model.sample(200, seed=0), ["x1", "x2"]) >= 10


@pytest.mark.parametrize(("wish", "says"), [({"k": 1}, "'k'"), ({"k": True}, "'k'"), ({"suppression": 0.9}, "'suppression'")])
def test_odd_wishes_are_refused(patients: Dataset, wish: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        synthesizer("k_anonymity", **wish).fit(patients, seed=0)


def test_too_few_patients_are_said_to_be_few(patients: Dataset) -> None:
    with pytest.raises(FitError, match="There are 7 patients"):
        synthesizer("k_anonymity").fit(patients.take(np.arange(7)), seed=0)


def test_it_is_never_a_release() -> None:
    entry = SYNTHESIZERS["k_anonymity"]
    assert entry.keeps_rows
    assert not entry.releasable
