"""Runs of private generators of which everything that leaves a seal is recorded, and can be answered again to a run on other patients."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import torch

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, flat
from manikin.data.schema import Kind, Role
from manikin.io.tabular import read
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed

try:
    from manikin.privacy import dpsgd
except ImportError:  # not in every version
    dpsgd = None  # type: ignore[assignment]

INSIDE = {
    "seal",
    "seal_records",
    "noise_of",
    "assigned",
    "private_generator",
    "plan",
}  # they give seals, public numbers or chance, and answer nothing


def answering() -> Iterator[tuple[ModuleType, str]]:
    """Every function of the two modules through which something of private rows becomes known."""
    for module in (mechanisms, dpsgd):
        if module is None:
            continue
        for name, function in vars(module).items():
            is_own = inspect.isfunction(function) and function.__module__ == module.__name__
            if is_own and not name.startswith("_") and name not in INSIDE:
                yield module, name


@dataclass
class Query:
    """What was asked, the exact rows or scores that it was answered from, and the answer."""

    name: str
    rows: Any
    scores: Any
    sensitivity: float
    answer: Any


@dataclass
class Tape:
    """Answers in the order in which they were given."""

    queries: list[Query] = field(default_factory=list)
    answers: list[Query] | None = None  # of another tape, to be given instead of true ones

    @contextmanager
    def running(self) -> Iterator[None]:
        """Records, or plays back, while a generator learns."""
        with pytest.MonkeyPatch.context() as patch:
            for module, name in list(answering()):
                patch.setattr(module, name, self._wrapped(name, getattr(module, name)))
            yield

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        takes = inspect.signature(function)

        def asked(*args: Any, **kwargs: Any) -> Any:
            given = takes.bind(*args, **kwargs).arguments
            real = function(*args, **kwargs)
            answer = real
            if self.answers is not None:
                assert len(self.queries) < len(self.answers), f"{name} was asked, and the other run had finished"
                other = self.answers[len(self.queries)]
                assert other.name == name, f"{name} was asked, and {other.name} in the other run"
                answer = copy.deepcopy(other.answer)
                assert kind_of(answer) == kind_of(real) or name == "discovered", f"{name} answers in another shape"
            scores = given["scores"](behind(given["rows"])) if "scores" in given else None
            self.queries.append(Query(name, rows_of(given), scores, float(given.get("sensitivity", 1)), copy.deepcopy(answer)))
            return answer

        return asked


def behind(thing: Any) -> Any:
    """What lies behind a seal of any kind."""
    return getattr(thing, next(slot for slot in type(thing).__slots__ if slot.startswith("_")))


def rows_of(given: dict[str, Any]) -> Any:
    """The rows, or the teachers' votes, that a query was answered from."""
    for value in given.values():
        if isinstance(value, Sealed):
            return np.array(behind(value))
    return given["votes"].copy() if "votes" in given else None


def kind_of(answer: Any) -> Any:
    if isinstance(answer, list | tuple):
        return [kind_of(one) for one in answer]
    shape = getattr(answer, "shape", None)
    return type(answer).__name__ if shape is None else tuple(shape)


def bytes_of(model: Any) -> bytes:
    """Everything fitted, as one string of bytes."""
    values, arrays = model.state()
    parts = [json.dumps(values, sort_keys=True, default=str).encode()]
    for name in sorted(arrays):
        own = np.ascontiguousarray(arrays[name])
        parts += [f"{name} {own.dtype} {own.shape}".encode(), own.tobytes()]
    return b"\n".join(parts)


@dataclass
class Run:
    """A fitted model with its ledger, tape and sample."""

    model: Any
    ledger: Ledger
    tape: Tape
    state: bytes
    sample: bytes
    remembered: str


def run(
    make: Callable[[], Any],
    data: Dataset,
    *,
    answers: list[Query] | None = None,
    epsilon: float = 8.0,
    rows_per_patient: int = 1,
) -> Run:
    """Learns under a new ledger with seed 0, and samples with seed 1."""
    ledger, tape = Ledger(epsilon=epsilon, delta=1e-5, rows_per_patient=rows_per_patient), Tape(answers=answers)
    with tape.running():
        model = make().fit(data, seed=0, ledger=ledger)
    if answers is not None:
        assert len(tape.queries) == len(answers), "the other run asked more"
    sample = model.sample(50, seed=1)
    assert sample.columns.names == [c.name for c in data.columns if c.kind.is_learned or c.has_role(Role.PATIENT_KEY)]
    return Run(model, ledger, tape, bytes_of(model), sample.to_pandas().to_csv(index=False).encode(), remembered(model))


TIMES = ("second", "time", "duration", "rate_per", "per_second", "memory", "begun", "ended")


def remembered(thing: Any, depth: int = 16, seen: frozenset[int] = frozenset()) -> str:
    """Everything that a fitted object holds, saved or not, in words; seals are closed, and what a clock said is left out."""
    if isinstance(thing, str | bytes | int | float | bool | np.generic | slice | type(None)):
        return repr(thing)
    if depth == 0 or id(thing) in seen:
        return "…"
    seen = seen | {id(thing)}
    if isinstance(thing, np.ndarray | torch.Tensor):
        own = thing.detach().cpu().numpy() if isinstance(thing, torch.Tensor) else thing
        return f"{own.dtype}{own.shape}{crc32(own.tobytes()) if own.dtype != object else repr(own.tolist())}"
    if isinstance(thing, dict):
        own_keys = [key for key in thing if not any(word in str(key).lower() for word in TIMES)]
        return "{" + ", ".join(f"{key!r}: {remembered(thing[key], depth - 1, seen)}" for key in own_keys) + "}"
    if isinstance(thing, list | tuple):
        return "[" + ", ".join(remembered(one, depth - 1, seen) for one in thing) + "]"
    if isinstance(thing, pd.DataFrame | pd.Series | Dataset):
        return repr(thing)
    if isinstance(thing, torch.nn.Module):
        return remembered(dict(thing.state_dict()), depth - 1, seen)
    if hasattr(thing, "__dict__") and not callable(thing) and not isinstance(thing, ModuleType | Ledger):
        return type(thing).__name__ + remembered(vars(thing), depth - 1, seen)
    return type(thing).__name__


# ---- patients ----

NAMES = ["patient", "sex", "age", "weight kg", "code", "admitted", "smoker", "note"]


def patients(frame: pd.DataFrame) -> Dataset:
    """A data set as it is read from a file: everything is learned from the cells but names, the key and what is left out."""
    data = read(frame.astype(object), name="register")
    columns = []
    for column in data.columns:
        if column.name == "patient":
            column = replace(column, kind=Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,), levels=None)
        elif column.name == "note":
            column = replace(column, kind=Kind.TEXT, roles=(Role.DIRECT_IDENTIFIER,), levels=None)
        else:
            assert column.kind.is_learned, column
            column = replace(column, roles=())
        columns.append(column)
    schema = type(data.columns)("register", tuple(columns), data.columns.rules, data.columns.min_patients, data.columns.notes)
    texts = data.table.frame.copy()
    for name in ("patient", "note"):
        texts[name] = frame[name].to_numpy(dtype=object)
    return flat(type(data.table)(texts, data.table.marks), schema)


def ordinary(n: int = 500, *, rows: int = 1, seed: int = 0) -> pd.DataFrame:
    """Texts of a plain register, every patient with the same number of rows."""
    rng = np.random.default_rng(seed)
    sick, total = rng.random(n * rows) < 0.4, n * rows
    return pd.DataFrame(
        {
            "patient": [f"p{i // rows}" for i in range(total)],
            "sex": rng.choice(["f", "m"], total),
            "age": np.clip(rng.normal(60 + 10 * sick, 9), 18, 95).round().astype(int).astype(str),
            "weight kg": np.where(rng.random(total) < 0.1, "", [f"{value:.1f}" for value in rng.normal(75, 12, total)]),
            "code": np.where(sick, rng.choice(["I10", "I25.1"], total), rng.choice(["E11.9", "J45.0"], total)),
            "admitted": (pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, total), unit="D")).strftime(
                "%Y-%m-%d"
            ),
            "smoker": np.where(sick, "yes", "no"),
            "note": [f"note {i}" for i in range(total)],
        }
    )


def foreign(n: int = 173, seed: int = 5) -> pd.DataFrame:
    """The same columns, of other patients: other sizes, levels, ranges, decimals, formats, missing codes, everything."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient": [f"q{i}" for i in range(n)],
            "sex": rng.choice(["woman", "man", "other", "unknown"], n),
            "age": [f"{value:.2f}" for value in rng.lognormal(9, 2, n)],
            "weight kg": np.where(rng.random(n) < 0.3, "-9", rng.integers(-5_000, 9_000_000, n).astype(str)),
            "code": rng.choice(["250.83", "V58", "401"], n),
            "admitted": (pd.Timestamp("1931-01-01") + pd.to_timedelta(rng.integers(0, 9_000, n), unit="h")).strftime(
                "%d.%m.%Y %H:%M"
            ),
            "smoker": ["1"] * n,
            "note": [f"{i}" for i in range(n)],
        }
    )


def crossed(n: int = 90, seed: int = 6) -> pd.DataFrame:
    """The same columns with their contents exchanged: numbers where levels were, times where numbers were."""
    other = ordinary(n, seed=seed)
    return other.assign(age=other["admitted"], admitted=other["sex"], sex=other["weight kg"], code=other["age"], smoker="")


def one_more(frame: pd.DataFrame, rows: int = 1) -> pd.DataFrame:
    """One patient more, the last, who is like nobody: new levels, a huge number, words in numbers, another spelling."""
    odd = {
        "patient": "zz",
        "sex": "007",
        "age": "about 60",
        "weight kg": "1e15",
        "code": "unheard of",
        "admitted": "31.12.9998",
        "smoker": "?",
        "note": "none",
    }
    return pd.concat([frame, pd.DataFrame([odd] * rows)], ignore_index=True)


class Floor:
    """The least private generator: what the codec buys, each column drawn by itself. Quick, so that leaks are planted in it."""

    def fit(self, data: Dataset, *, seed: int, ledger: Ledger) -> Floor:
        private = mechanisms.seal(data, ledger)
        self.codec_ = TableCodec(max_tokens=16).fit(private, ledger=ledger)
        tokens = self.codec_.encode_private(private)
        cells = tokens.map(lambda own: own[:, 0].astype(np.int64))
        sizes = [self.codec_.layout.fields[0].n_tokens]
        self.first_ = mechanisms.noisy_counts(
            cells, sizes, ledger, precision=ledger.precision_left / 2, purpose="first column", by="floor"
        )
        return self

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        values, arrays = self.codec_.state()
        return values, {**arrays, "first": self.first_[0]}

    def sample(self, n: int, *, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        weights = [np.where(self.codec_.emitted(j), own, 0) + 1e-9 for j, own in enumerate(self.codec_.counts_)]
        tokens = np.stack([rng.choice(len(own), size=n, p=own / own.sum()) for own in weights], axis=1).astype(np.int32)
        return self.codec_.decode(tokens, rng)
