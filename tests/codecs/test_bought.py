"""The table codec under a privacy ledger: everything that is learned is bought, and nothing of one patient is in it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.numbers import NumberCodec
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.schema import Schema
from manikin.io.inference import infer_schema
from manikin.io.tabular import read
from manikin.privacy import mechanisms
from manikin.privacy.accountant import precision
from manikin.privacy.events import Threshold
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset, opened


def table(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Cell texts of n patients: levels, numbers of one decimal, skewed counts, dates, and missing words."""
    rng = np.random.default_rng(seed)
    weight = [f"{value:.1f}" for value in rng.normal(70, 12, n)]
    lab = rng.integers(0, 50, n).astype(str).astype(object)
    lab[rng.random(n) < 0.2] = "?"
    lab[rng.random(n) < 0.2] = ""
    days = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    return pd.DataFrame(
        {
            "ward": rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
            "weight": weight,
            "visits": rng.poisson(0.4, n).astype(str),
            "lab": lab,
            "seen": days.strftime("%Y-%m-%d"),
            "dead": rng.integers(0, 2, n).astype(str),
        },
        dtype=object,
    )


def fitted(frame: pd.DataFrame | Dataset, epsilon: float = 8.0) -> tuple[TableCodec, PrivateDataset, Ledger]:
    data = read(frame) if isinstance(frame, pd.DataFrame) else frame
    ledger = Ledger(epsilon=epsilon, delta=1e-9)
    private = mechanisms.seal(data, ledger)
    return TableCodec().fit(private, ledger=ledger), private, ledger


def spent(ledger: Ledger) -> float:
    return sum(precision(spend.event) for spend in ledger.spends if spend.by == "TableCodec")


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
def test_the_codec_spends_its_share_and_no_more(epsilon: float) -> None:
    _, _, ledger = fitted(table(), epsilon)
    assert 0 < spent(ledger) <= 0.2 * ledger.precision
    assert sum(e.delta for e in ledger.events if isinstance(e, Threshold)) <= ledger.threshold_delta * (1 + 1e-9)
    assert ledger.cost().epsilon <= epsilon


def test_what_was_bought_describes_the_table() -> None:
    codec, private, ledger = fitted(table(6000))
    kinds = {column.name: str(column.kind) for column in codec.schema_}
    assert kinds == {
        "ward": "categorical", "weight": "continuous", "visits": "continuous", "lab": "continuous", "seen": "date", "dead": "boolean",
    }  # fmt: skip
    assert codec.schema_["weight"].decimals == 1
    assert [code.value for code in codec.schema_["lab"].missing] == ["", "?"]
    assert codec.schema_["seen"].time_format == "%Y-%m-%d"
    tokens = opened(codec.encode_private(private))
    for j, counts in enumerate(codec.counts_):
        true = np.bincount(tokens[:, j], minlength=len(counts))
        assert abs(true / true.sum() - counts / counts.sum()).sum() / 2 < 0.1
        assert len(codec.count_noises_[j]) == len(counts)
    assert 0 < codec.count_noise_ < 60
    assert ledger.public["columns"] == list(kinds)


def test_a_decoded_row_is_encoded_as_the_tokens_it_came_from_and_the_state_comes_back() -> None:
    codec, private, _ = fitted(table())
    tokens = opened(codec.encode_private(private)).copy()
    for j in range(tokens.shape[1]):
        emitted = codec.emitted(j)
        tokens[~emitted[tokens[:, j]], j] = np.flatnonzero(emitted)[0]
    made = codec.decode(tokens, np.random.default_rng(0))
    assert (codec.encode(made) == tokens).all()
    assert (opened(codec.encode_private(PrivateDataset(made, rows_per_patient=1))) == tokens).all()
    values, arrays = codec.state()
    back = TableCodec.from_state(json.loads(json.dumps(values)), arrays)
    assert (back.encode(made) == tokens).all()


def test_nothing_of_one_patient_is_in_the_state() -> None:
    odd = {"ward": "HIV clinic", "weight": "912.345678", "visits": "777777", "lab": "see Smith", "seen": "2150-06-06", "dead": "maybe"}
    frame = pd.concat([table(), pd.DataFrame([odd], dtype=object)], ignore_index=True)
    decimals = list[int | None]()
    for _ in range(5):
        codec, _, _ = fitted(frame)
        values, arrays = codec.state()
        text = json.dumps(values)
        assert not any(word in text for word in ("HIV", "912", "777777", "Smith", "2150", "maybe"))
        for codec_of, limit in zip(codec.fields_, (None, 999.9, 99, 99, None, None), strict=True):
            if isinstance(codec_of, NumberCodec) and limit is not None:
                assert codec_of.high.max() <= limit
        decimals.append(codec.schema_["weight"].decimals)
        assert {name for name in arrays if name.startswith("field")} == {f"field{j}.rows" for j in range(6)}
    assert decimals.count(1) >= 4  # noise may add a class of its own once in a thousand
    assert 6 not in decimals


def test_learned_facts_of_the_schema_are_not_kept() -> None:
    schema = infer_schema(table()).only
    loud = replace(
        schema, notes=("Smith",), columns=tuple(replace(column, notes=("Smith",), unit="Smith") for column in schema)
    )
    codec, _, _ = fitted(read(table(), schema=Schema((loud,))))
    assert "Smith" not in json.dumps(codec.state()[0])
    assert all(column.minimum is None for column in codec.schema_)
