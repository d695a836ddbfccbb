"""Vectors give tokens back, whatever the columns hold; what may not be generated is not; a damaged folder is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.table import TableCodec
from manikin.codecs.vectors import ALL_CELLS, Numbers, VectorCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import ModelFolderError
from manikin.workflow.sources import read

NUMBERS: tuple[Numbers, ...] = ("modes", "quantile", "standard")


def columns(n: int, seed: int) -> Dataset:
    """Two numbers (one with a spike and holes), a count, a date, few and many levels."""
    rng = np.random.default_rng(seed)
    dose = np.where(rng.random(n) < 0.4, 0.0, np.round(rng.gamma(2, 30, n), 1))
    weight = pd.Series(np.round(rng.normal(70, 12, n), 1)).mask(rng.random(n) < 0.2)
    frame = pd.DataFrame(
        {
            "dose": dose,
            "weight": weight,
            "visits": rng.poisson(2, n),
            "admitted": pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "sex": rng.choice(["f", "m"], n),
            "ward": [f"w{i}" for i in rng.integers(0, 90, n)],
        }
    )
    return read(frame)


def fitted(data: Dataset, numbers: Numbers, **settings_: int) -> tuple[TableCodec, VectorCodec, Tokens]:
    table = TableCodec(max_tokens=ALL_CELLS).fit(data)
    tokens = table.encode(data)
    return table, VectorCodec(numbers=numbers, **settings_).fit(table, seed=0), tokens


def perfect(vectors: VectorCodec, X: np.ndarray, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """Scalars and logits of a network that knows each row."""
    scalars, logits = [], []
    for part, span in zip(vectors.parts_, vectors.spans, strict=True):
        if part.is_number:
            scalars.append(X[:, span.start])
        if part.n_choices:
            sure = np.full((len(X), part.n_choices), -60.0, dtype=np.float32)
            chosen = X[:, span.start + 1 : span.stop].argmax(1) if part.is_number else tokens[:, part.index]
            sure[np.arange(len(X)), chosen] = 0.0
            logits.append(sure)
    empty = np.empty((len(X), 0), dtype=np.float32)
    return np.stack(scalars, 1) if scalars else empty, np.concatenate(logits, 1) if logits else empty


def any_token(codec: TableCodec) -> Callable[[int], Allowed]:
    return lambda j: np.ones(codec.fields_[j].n_tokens, dtype=bool)


@settings(max_examples=12, deadline=None)
@given(n=st.integers(60, 400), seed=st.integers(0, 10_000), numbers=st.sampled_from(NUMBERS), most=st.sampled_from([8, 64]))
def test_what_a_perfect_network_gives_is_the_row(n: int, seed: int, numbers: Numbers, most: int) -> None:
    table, vectors, tokens = fitted(columns(n, seed), numbers, max_onehot=most)
    rng = np.random.default_rng(seed)
    X = vectors.encode(tokens, rng)
    assert X.shape == (n, vectors.width)
    assert np.isfinite(X).all()
    assert np.abs(X).max() <= 1.0 + 1e-6
    drawn = vectors.draw(*perfect(vectors, X, tokens), rng.random(tokens.shape, dtype=np.float32), emitted=any_token(table))
    for part in vectors.parts_:
        mine, back = tokens[:, part.index], drawn[:, part.index]
        if not part.is_number:
            np.testing.assert_array_equal(back, mine)
            continue
        same_number = np.isclose(part.scale[mine], part.scale[back], atol=1e-4) | (mine == back)
        reach = np.nanmax(np.abs(part.scale)) > 3.5  # beyond the reach of its mode a number is drawn in
        assert same_number.mean() > (0.97 if reach else 0.995)
        is_constant = np.isin(mine, part.tokens)
        np.testing.assert_array_equal(back[is_constant], mine[is_constant])


def test_quantile_scores_are_normal_and_spikes_keep_their_weight() -> None:
    table, vectors, tokens = fitted(columns(4000, 1), "quantile", levels_below=2)
    part = next(p for p in vectors.parts_ if table.layout.fields[p.index].column == "dose")
    scalar = vectors.encode(tokens, np.random.default_rng(0))[:, vectors.spans[part.index].start] * 4
    assert abs(scalar.mean()) < 0.05
    assert abs(scalar.std() - 1) < 0.05
    rng = np.random.default_rng(2)
    noise = np.clip(rng.standard_normal((20_000, 1)) / 4, -1, 1).astype(np.float32)
    alone = VectorCodec(numbers="quantile")
    alone.parts_ = (part,)
    drawn = alone.draw(
        noise,
        np.empty((20_000, 0), np.float32),
        rng.random((20_000, len(vectors.parts_)), dtype=np.float32),
        emitted=any_token(table),
        tokens=np.zeros((20_000, len(vectors.parts_)), np.int32),
        given=np.zeros(len(vectors.parts_), dtype=bool),
    )
    zero = tokens[(columns(4000, 1).table.frame["dose"] == 0).to_numpy(), part.index][0]
    assert abs((drawn[:, part.index] == zero).mean() - 0.4) < 0.02


@pytest.mark.parametrize("numbers", NUMBERS)
def test_what_may_not_be_generated_is_not(numbers: Numbers) -> None:
    _table, vectors, tokens = fitted(columns(300, 3), numbers)
    rng = np.random.default_rng(0)
    n_scalars = sum(part.is_number for part in vectors.parts_)
    n_logits = sum(part.n_choices for part in vectors.parts_)
    masks = {part.index: rng.random(part.n_tokens) < 0.5 for part in vectors.parts_}
    for mask in masks.values():
        mask[-1] = True
    drawn = vectors.draw(
        rng.uniform(-1, 1, (500, n_scalars)).astype(np.float32),
        rng.normal(0, 30, (500, n_logits)).astype(np.float32),
        rng.random((500, tokens.shape[1]), dtype=np.float32),
        emitted=masks.__getitem__,
    )
    for part in vectors.parts_:
        assert masks[part.index][drawn[:, part.index]].all(), part.index


def test_rules_bind_field_by_field_and_given_fields_stay() -> None:
    table, vectors, _tokens = fitted(columns(300, 4), "modes")
    fields = [f.column for f in table.layout.fields]
    sex, ward = fields.index("sex"), fields.index("ward")

    def allowed(j: int, drawn: Tokens, done: np.ndarray) -> Allowed | None:
        if j != ward:
            return None
        assert done[sex]
        even = np.arange(table.fields_[ward].n_tokens) % 2 == 0
        return np.where((drawn[:, sex] == 0)[:, None], even, ~even)

    rng = np.random.default_rng(0)
    n_scalars, n_logits = sum(p.is_number for p in vectors.parts_), sum(p.n_choices for p in vectors.parts_)
    given = np.zeros(len(fields), dtype=bool)
    given[sex] = True
    start = np.zeros((400, len(fields)), dtype=np.int32)
    start[::2, sex] = 1
    drawn = vectors.draw(
        rng.uniform(-1, 1, (400, n_scalars)).astype(np.float32),
        rng.normal(0, 1, (400, n_logits)).astype(np.float32),
        rng.random((400, len(fields)), dtype=np.float32),
        emitted=any_token(table),
        allowed=allowed,
        tokens=start,
        given=given,
    )
    np.testing.assert_array_equal(drawn[:, sex], start[:, sex])
    np.testing.assert_array_equal(drawn[:, ward] % 2, (drawn[:, sex] != 0).astype(int))


@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_saved_codec_is_the_same_and_a_changed_one_is_refused(numbers: Numbers) -> None:
    table, vectors, tokens = fitted(columns(300, 5), numbers)
    values, arrays = vectors.state()
    back = VectorCodec.from_state(values, arrays, table)
    np.testing.assert_array_equal(
        back.encode(tokens, np.random.default_rng(0)), vectors.encode(tokens, np.random.default_rng(0))
    )
    name = next(key for key in arrays if key.endswith(".scale"))
    tampered: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (values | {"parts": values["parts"][:-1]}, arrays),
        (values | {"code_width": 10**9}, arrays),
        (values, {key: array for key, array in arrays.items() if key != name}),
        (values, arrays | {name: arrays[name][:-1]}),
        (values, arrays | {name.replace("scale", "tokens"): np.array([10**6], dtype=np.int32)}),
        (values | {"parts": [own | {"n_tokens": own["n_tokens"] + 1} for own in values["parts"]]}, arrays),
        (values, arrays | {name.replace("scale", "mean"): np.full_like(arrays[name.replace("scale", "mean")], np.nan)}),
        (values, arrays | {name.replace("scale", "spread"): 0 * arrays[name.replace("scale", "spread")]}),
        (values, arrays | {name.replace("scale", "tokens"): arrays[name.replace("scale", "tokens")].astype(np.float32)}),
    ]
    p = int(name.removeprefix("part").split(".")[0])
    most = {"mean": 10, "tokens": values["parts"][p]["n_tokens"]}
    for part, n in ((part, n + 1) for part, n in most.items()):
        many = {name.replace("scale", part): np.ones(n, dtype=arrays[name.replace("scale", part)].dtype)}
        many |= {name.replace("scale", "spread"): np.ones(n, dtype=np.float32)} if part == "mean" else {}
        longer = arrays | many
        n_options = len(longer[name.replace("scale", "mean")]) + len(longer[name.replace("scale", "tokens")])
        own = [one | {"n_options": n_options} if i == p else one for i, one in enumerate(values["parts"])]
        tampered.append((values | {"parts": own}, longer))
    for bad_values, bad_arrays in tampered:
        with pytest.raises(ModelFolderError):
            VectorCodec.from_state(bad_values, bad_arrays, table)


def test_width_does_not_grow_with_the_vocabulary() -> None:
    rng = np.random.default_rng(0)
    few = read(pd.DataFrame({"code": [f"A{i}" for i in rng.integers(0, 70, 20_000)], "x": rng.choice(["a", "b"], 20_000)}))
    many = read(pd.DataFrame({"code": [f"A{i}" for i in rng.integers(0, 900, 20_000)], "x": rng.choice(["a", "b"], 20_000)}))
    assert fitted(few, "modes")[1].width == fitted(many, "modes")[1].width


def test_a_folder_cannot_ask_for_codes_of_any_size() -> None:
    table, vectors, _ = fitted(
        read(pd.DataFrame({"code": [f"A{i % 90}" for i in range(3_000)], "x": ["a", "b"] * 1_500})), "modes"
    )
    values, arrays = vectors.state()
    wide = replace(table.fields_[0], levels=tuple(f"B{i}" for i in range(100_000)), counts=np.ones(100_000, dtype=np.int64))
    table.fields_ = (wide, table.fields_[1])
    values["parts"][0]["n_tokens"] = wide.n_tokens
    with pytest.raises(ModelFolderError, match="larger than any table's"):
        VectorCodec.from_state(values | {"code_width": 1024}, arrays, table)


def test_many_long_one_hot_columns_come_back() -> None:
    table, vectors, _ = fitted(read(pd.DataFrame({f"x{j}": ["a", "b"] * 100 for j in range(9)})), "modes", max_onehot=4096)
    values, arrays = vectors.state()
    wide = [replace(one, levels=tuple(f"B{i}" for i in range(3000)), counts=np.ones(3000, dtype=int)) for one in table.fields_]
    table.fields_ = tuple(wide)
    values["parts"] = [one | {"n_tokens": f.n_tokens} for one, f in zip(values["parts"], wide, strict=True)]
    assert VectorCodec.from_state(values, arrays, table).width == sum(one.n_tokens for one in wide)
