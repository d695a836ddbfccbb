"""What the bought codec may not do: look at rows, depend on anything but answers, or show what one patient alone holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.bought import fit as bought_fit
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError
from manikin.io.tabular import read
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed

ASKED = ("count", "noisy_counts", "discovered")


def mixed(n: int, seed: int) -> pd.DataFrame:
    """Texts, numbers, dates, codes and missing words."""
    rng = np.random.default_rng(seed)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    frame = pd.DataFrame(
        {
            "ward": rng.choice(["a", "b", "c"], n),
            "weight": [f"{value:.1f}" for value in rng.normal(70, 12, n)],
            "visits": rng.poisson(0.4, n).astype(str),
            "seen": days.strftime("%Y-%m-%d"),
            "diagnosis": rng.choice(["250.01", "428", "V57", "414", "401", "V58.1"], n),
            "flag": rng.integers(0, 2, n).astype(str),
        },
        dtype=object,
    )
    frame.loc[rng.random(n) < 0.1, "weight"] = "?"
    return frame


def quite_other(n: int) -> pd.DataFrame:
    """The same columns with other kinds, levels, ranges, formats and missing words, and another number of patients."""
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "ward": rng.integers(1000, 2000, n).astype(str),
            "weight": rng.choice(["light", "heavy"], n),
            "visits": [f"{value:.3f}" for value in rng.normal(-1e6, 1e4, n)],
            "seen": rng.choice(["03/04/1950", "04/12/1951"], n),
            "diagnosis": rng.choice(["x", "y", ""], n),
            "flag": rng.choice(["yes", "no", "N/A"], n),
        },
        dtype=object,
    )


class Tape:
    """Records what the mechanisms answered, and plays it back in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answers: list[Any] = []
        self.is_playing = False
        for name in ASKED:
            patch.setattr(mechanisms, name, self._wrap(getattr(mechanisms, name)))

    def _wrap(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*args: Any, **kwargs: Any) -> Any:
            real = ask(*args, **kwargs)
            if self.is_playing:
                return self.answers.pop(0)
            self.answers.append(real)
            return real

        return answer


def state_of(data: Dataset) -> str:
    ledger = Ledger(epsilon=8.0)
    codec = TableCodec().fit(data, ledger=ledger)
    values, arrays = codec.state()
    public = {name: array.tolist() for name, array in arrays.items()}
    noises = [own.tolist() for own in codec.count_noises_]
    return json.dumps([values, public, noises, codec.count_noise_, ledger.to_json()["public"]], sort_keys=True)


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> Tape:
    return Tape(monkeypatch)


def test_answers_are_all_that_reaches_the_state(tape: Tape) -> None:
    first = state_of(read(mixed(2500, 0)))
    tape.is_playing = True
    assert state_of(read(quite_other(40))) == first
    assert not tape.answers


@pytest.mark.parametrize(
    "leak",
    [
        lambda rows: rows.max(),
        lambda rows: np.unique(rows),
        lambda rows: len(rows),
        lambda rows: rows[0],
        lambda rows: np.asarray(rows),
        lambda rows: sorted(rows),
        lambda rows: rows.map(lambda own: own[:3]),
    ],
)
def test_a_codec_that_looks_at_the_rows_is_stopped(leak: Callable[[Sealed], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    buy_lines = bought_fit.buy_lines

    def peeking(read: Sealed, *args: Any, **kwargs: Any) -> None:
        leak(read)
        buy_lines(read, *args, **kwargs)

    monkeypatch.setattr(bought_fit, "buy_lines", peeking)
    with pytest.raises(BudgetError):
        TableCodec().fit(read(mixed(300, 0)), ledger=Ledger(epsilon=8.0, delta=1e-5))
