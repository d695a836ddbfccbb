"""table-GAN as a synthesizer: the target and its absence, both ways to lay a row out, and what they keep."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Role
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import load, save
from manikin.synthesizers.tables.tablegan import NO_TARGET, TableGAN, cells_of


@cache
def table(target: str | None = "cens") -> Dataset:
    """The breast cancer trial of lifelines, with or without a target in its schema."""
    from lifelines.datasets import load_gbsg2

    data = read(load_gbsg2().rename(columns=str), name="gbsg2")
    columns = tuple(
        replace(c, roles=(*(r for r in c.roles if r is not Role.TARGET), *((Role.TARGET,) if c.name == target else ())))
        for c in data.columns
    )
    return replace(data, schema=replace(data.schema, tables=(replace(data.columns, columns=columns),)))


@cache
def fitted(target: str | None, **settings: Any) -> TableGAN:
    model: TableGAN = synthesizer("tablegan", max_steps=12, channels=8, batch_size=100, **settings).fit(table(target), seed=0)
    return model


@pytest.mark.parametrize("encoding", ["vectors", "cells"])
@pytest.mark.parametrize("target", ["cens", "age", None])
def test_any_target_or_none_and_either_layout(target: str | None, encoding: str, tmp_path: Path) -> None:
    model = fitted(target, encoding=encoding)
    assert (NO_TARGET in model.training_["warnings"]) == (target is None)
    assert any("loss: classifier" in entry for entry in model.training_["signals"]) == (target is not None)
    back = load(save(model, tmp_path / "model"))
    first, second = (m.sample(50, seed=1) for m in (model, back))
    pd.testing.assert_frame_equal(texts_of(first.table, first.columns), texts_of(second.table, second.columns))


def test_the_loss_can_be_left_out_by_hand_and_then_nothing_is_said() -> None:
    model = fitted("cens", classification=False)
    assert model.target_ is None
    assert NO_TARGET not in model.training_["warnings"]


def test_one_cell_per_column_brings_every_token_back() -> None:
    codec = fitted("cens").codec_
    rows = cells_of(codec)
    assert rows.width == len(codec.fields_)
    for j, part in enumerate(rows.parts_):
        assert np.unique(part.scale).size == part.n_tokens, "no two tokens share a place"
        assert part.scale.min() >= -1
        assert part.scale.max() <= 1
        may = codec.emitted(j)
        tokens = np.zeros((part.n_tokens, len(codec.fields_)), dtype=np.int32)
        tokens[:, j] = np.arange(part.n_tokens)
        scalars = rows.encode(tokens, np.random.default_rng(0))
        back = rows.draw(
            scalars, np.empty((part.n_tokens, 0), np.float32), np.zeros(tokens.shape, np.float32), emitted=codec.emitted
        )
        assert (back[may, j] == tokens[may, j]).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("encoding", "pixels"), ("delta_mean", -0.1), ("delta_sd", True), ("information", float("inf")), ("channels", 1000)],
)
def test_wrong_hyperparameters_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=name):
        synthesizer("tablegan", **{name: value}).fit(table(), seed=0)
