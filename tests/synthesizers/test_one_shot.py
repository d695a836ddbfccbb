"""What all one-shot networks share: a model that has sampled learns another table as a new one does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.rules import ImpliedRule
from manikin.data.schema import Column, Kind, Storage, TableSchema


def stays(n_wards: int, seed: int) -> Dataset:
    """Whoever lies in the first ward stays for 7 days, by a confirmed rule."""
    rng = np.random.default_rng(seed)
    ward = rng.integers(0, n_wards, 400)
    days = np.where(ward == 0, 7, rng.integers(1, 40, 400))
    texts = pd.DataFrame({"ward": [f"w{i}" for i in ward], "days": [str(i) for i in days]}, dtype=object)
    rule = ImpliedRule(("ward", "days"), confirmed=True, when=("w0",), then=("7",))
    columns = (Column("ward", Kind.CATEGORICAL), Column("days", Kind.COUNT, Storage.INTEGER, decimals=0))
    schema = TableSchema("stays", columns, (rule,))
    return flat(parse_table(texts, schema), schema)


@pytest.mark.parametrize("name", ["tvae", "cgan"])
def test_rules_of_what_was_sampled_do_not_bind_the_next_table(name: str) -> None:
    model = mk.synthesizer(name, max_steps=3).fit(stays(8, 0), seed=0)
    model.sample(30, seed=0)
    again = model.fit(stays(3, 1), seed=1)
    new = mk.synthesizer(name, max_steps=3).fit(stays(3, 1), seed=1)
    assert again.training_["curve"] == new.training_["curve"]
    assert again.sample(200, seed=2).to_pandas().equals(new.sample(200, seed=2).to_pandas())
