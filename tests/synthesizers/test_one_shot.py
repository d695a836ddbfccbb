"""What all one-shot networks share: fitted again they are as new, and looks at held-out rows ask for no memory of any size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import manikin as mk
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.rules import ImpliedRule
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.training.networks import mixed


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


@pytest.mark.parametrize("name", ["ctgan", "tvae", "tabddpm"])
def test_a_look_takes_no_more_rows_at_a_time_than_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"code": [f"c{i}" for i in rng.integers(0, 90, 3000)], "ward": rng.choice(["a", "b"], 3000)})
    asked: list[int] = []
    forward = mixed.MixedHead.forward

    def watched(head: mixed.MixedHead, hidden: torch.Tensor, more: torch.Tensor | None = None) -> mixed.Given:
        if not torch.is_grad_enabled():
            asked.append(len(hidden))
        return forward(head, hidden, more)

    monkeypatch.setattr(mixed.MixedHead, "forward", watched)
    monkeypatch.setattr(mixed, "MOST_GIVEN", 5000)
    model = mk.synthesizer(name, batch_size=20, max_steps=2, max_onehot=8).fit(mk.read(frame), seed=0)
    assert max(asked) <= 5000 // 90
    assert len(asked) > 3
    assert model.training_["curve"][-1][2] is not None


@pytest.mark.parametrize("name", ["ctgan", "wgan", "cgan", "tvae", "tabddpm", "medgan", "fairgan", "tablegan"])
def test_what_no_saved_model_may_have_is_not_learned(name: str) -> None:
    with pytest.raises(mk.ManikinError, match=r"max_onehot.*\[1, 4096\]"):
        mk.synthesizer(name, max_onehot=4097, max_steps=2).fit(stays(3, 0), seed=0)
