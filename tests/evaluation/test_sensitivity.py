"""A generator made by hand, of which every drive is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from manikin.data.cells import parse_table
from manikin.data.dataset import flat
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.sensitivity import document, sensitivity

SCHEMA = TableSchema(
    "t",
    (
        Column("sex", Kind.CATEGORICAL),
        Column("height", Kind.CONTINUOUS, Storage.REAL, decimals=1),
        Column("ward", Kind.CATEGORICAL),
        Column("noise", Kind.CONTINUOUS, Storage.REAL, decimals=2),
        Column("fixed", Kind.CATEGORICAL),
    ),
)


def draw(n, seed, conditions):
    """Sex moves height by two of its standard deviations and settles the ward of women; nothing moves the noise."""
    rng = np.random.default_rng(seed)
    given = dict(conditions or {})
    sex = np.full(n, given["sex"]) if "sex" in given else rng.choice(["F", "M"], n)
    height = np.full(n, given["height"], dtype=float) if "height" in given else 165 + 12 * (sex == "M") + rng.normal(0, 6, n)
    if "height" in given and "sex" not in given:
        sex = np.where(rng.random(n) < 1 / (1 + np.exp(-(height - 171) / 3)), "M", "F")
    ward = np.where(sex == "F", "gynaecology", rng.choice(["surgery", "medicine"], n))
    texts = {
        "sex": sex,
        "height": [f"{v:.1f}" for v in height],
        "ward": ward,
        "noise": ["" if missing else f"{v:.2f}" for v, missing in zip(rng.normal(size=n), rng.random(n) < 0.1, strict=True)],
        "fixed": ["x"] * n,
    }
    return flat(parse_table(pd.DataFrame(texts, dtype=object), SCHEMA), SCHEMA)


@pytest.fixture(scope="module")
def found():
    drives = sensitivity(draw, SCHEMA, ["sex", "height", "noise", "fixed"], n=300, seed=0)
    return {(drive.condition, drive.output): drive for drive in drives}


def test_what_moves_is_found_and_what_does_not_is_not(found):
    assert found["sex", "height"].is_sure
    assert found["sex", "ward"].is_sure
    assert found["height", "sex"].is_sure
    assert not any(drive.is_sure for pair, drive in found.items() if "noise" in pair or "fixed" in pair)


def test_the_sizes_are_the_true_ones(found):
    # All women in one ward, no man: each value's rows differ from the half-and-half mixture by one half.
    assert found["sex", "ward"].effect == pytest.approx(0.5, abs=0.02)
    assert found["sex", "ward"].explained == pytest.approx(
        0.6, abs=0.03
    )  # 1 - E[1 - sum p_k^2] / (1 - sum p^2) = 1 - 0.25/0.625
    assert found["sex", "height"].shift == pytest.approx(12 / np.sqrt(36 + 36), abs=0.15)
    assert found["sex", "height"].explained == pytest.approx(0.5, abs=0.06)
    assert found["sex", "ward"].null < 0.1


def test_a_column_with_one_value_cannot_be_held(found):
    assert {condition for condition, _ in found} == {"sex", "height", "noise"}
    assert all(drive.condition != drive.output for drive in found.values())


def test_the_same_seed_gives_the_same_figures_and_they_are_plain_json():
    first, second = (document(sensitivity(draw, SCHEMA, ["sex"], n=60, seed=3)) for _ in range(2))
    assert first == second == json.loads(json.dumps(first))
    assert first != document(sensitivity(draw, SCHEMA, ["sex"], n=60, seed=4))
