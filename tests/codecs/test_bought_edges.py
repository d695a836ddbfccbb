"""Bought columns at their edges: tables that are hardly there, declared facts, code sets, and the histograms' arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.bought import histograms
from manikin.codecs.bought.fit import reading_schema
from manikin.codecs.bought.reading import WORDS, read, time_class
from manikin.codecs.bought.tails import with_tails
from manikin.codecs.code_sets import CodeSetCodec
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import BudgetError, FitError, ParameterError
from manikin.data.rules import CombinationRule, OrderRule, RangeRule, Rule
from manikin.data.schema import Column, Kind, MissingCode, Role, Schema, Source, Sources, Storage, TableSchema
from manikin.io.tabular import read as read_table
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import opened

DECLARED = Sources(Source.DECLARED, Source.DECLARED, Source.DECLARED)
WARD = Column("ward", Kind.CATEGORICAL)


def dataset(columns: list[Column], texts: dict[str, list[str]], rules: tuple[Rule, ...] = ()) -> Dataset:
    schema = TableSchema("t", tuple(columns), rules)
    return flat(parse_table(pd.DataFrame(texts, dtype=object), schema), schema)


def fit(data: Dataset, epsilon: float = 10.0, **ledger: Any) -> tuple[TableCodec, Ledger, np.ndarray[Any, Any]]:
    book = Ledger(epsilon=epsilon, delta=1e-10, **ledger)
    private = mechanisms.seal(data, book)
    codec = TableCodec().fit(private, ledger=book)
    tokens = opened(codec.encode_private(private))
    assert (tokens >= 0).all()
    assert all(tokens[:, j].max(initial=0) < own.n_tokens for j, own in enumerate(codec.fields_))
    values, arrays = codec.state()
    TableCodec.from_state(json.loads(json.dumps(values)), arrays)
    return codec, book, tokens


COMMON = ["a", "b"] * 1000


@pytest.mark.parametrize(
    "cells",
    [
        [f"name {i}" for i in range(2000)],
        [str(i * 7919 + 10**9) for i in range(2000)],
        [""] * 2000,
        ["x"] * 2000,
        ["5.5"] * 2000,
        [f"level {i % 1000}" for i in range(2000)],
        [*[""] * 1999, "Smith"],
        [str(float(v)) for v in np.random.default_rng(0).standard_cauchy(2000)],
        [f"{i % 28 + 1}.{i % 12 + 1}.20{i % 10:02d}" for i in range(2000)],
    ],
    ids=["all different", "wide numbers", "empty", "one level", "one number", "many levels", "one note", "heavy tails", "dates"],
)
def test_a_column_of_any_shape_is_learned_or_stays_empty(cells: list[str]) -> None:
    codec, _, tokens = fit(dataset([Column("x", Kind.CATEGORICAL), WARD], {"x": cells, "ward": COMMON}))
    drawn = tokens.copy()
    for j in range(tokens.shape[1]):
        emitted = codec.emitted(j)
        assert emitted.any()
        drawn[~emitted[tokens[:, j]], j] = np.flatnonzero(emitted)[0]
    made = codec.decode(drawn, np.random.default_rng(0))
    assert len(made) == len(cells)
    assert (codec.encode(made) == drawn).all()


def test_ten_thousand_levels_of_one_patient_each_are_none() -> None:
    """Each may survive with the list's delta, 10^-11 / 2: by chance once in 20 million runs of this test."""
    cells = [f"v{i}" for i in range(10_000)]
    codec, _, _ = fit(dataset([Column("x", Kind.CATEGORICAL), WARD], {"x": cells, "ward": ["a", "b"] * 5000}), epsilon=1.0)
    assert codec.columns_[0].n_tokens <= 2
    assert '"v' not in json.dumps(codec.state()[0]["columns"])


@pytest.mark.parametrize("n", [0, 1, 20])
def test_too_few_patients_are_refused_with_the_way_out(n: int) -> None:
    data = dataset([WARD], {"ward": ["a"] * n})
    with pytest.raises(FitError, match="larger one, fewer columns, or declare"):
        TableCodec().fit(data, ledger=Ledger(epsilon=0.1, delta=1e-5))


def test_a_ledger_that_is_used_up_and_a_share_that_is_none_are_refused() -> None:
    data, ledger = dataset([WARD], {"ward": COMMON}), Ledger(epsilon=1.0, delta=1e-5)
    private = mechanisms.seal(data, ledger)
    cells = private.map(lambda rows: np.zeros(len(rows), dtype=np.int64))
    mechanisms.noisy_counts(cells, [1], ledger, precision=ledger.precision_left * (1 - 1e-12), purpose="all of it")
    with pytest.raises(BudgetError, match="Nothing is left"):
        TableCodec().fit(private, ledger=ledger)
    with pytest.raises(ParameterError, match="share"):
        TableCodec().fit(data, ledger=Ledger(epsilon=1.0, delta=1e-5), share=0.0)


# ---- declared facts ----


def test_declared_facts_are_not_bought() -> None:
    ward = replace(WARD, levels=("a", "b", "HIV clinic"), source=DECLARED)
    age = Column("age", Kind.COUNT, Storage.INTEGER, minimum=0.0, maximum=99.0, decimals=0, source=DECLARED)
    age = replace(age, missing=(MissingCode("-9", "unknown", Source.DECLARED),))
    cells = {"ward": [*COMMON[:1998], "HIV clinic", "HIV clinic"], "age": [str(i % 50) for i in range(1999)] + ["-9"]}
    codec, ledger, tokens = fit(dataset([ward, age], cells))
    assert not any("cells are written" in spend.purpose or "found" in spend.purpose for spend in ledger.spends)
    assert codec.schema_["ward"].levels == ("a", "b", "HIV clinic")
    assert [code.value for code in codec.schema_["age"].missing] == ["-9"]
    assert tokens[-1].tolist() == [2, 0]
    low, high = codec.columns_[1].low, codec.columns_[1].high  # type: ignore[union-attr]
    assert low.min() >= 0
    assert high.max() <= 99
    assert ledger.public["facts declared"] == ["ward: kind, levels, range", "age: kind, levels, range, missing codes"]


def test_declared_significant_digits_bind_and_those_that_were_read_off_do_not() -> None:
    values = np.exp(np.random.default_rng(0).normal(1, 2, 4000))
    texts = {"dose": [f"{value:.3g}" for value in values.clip(0.01, 900)], "ward": COMMON * 2}
    for kind, held in ((Source.DECLARED, True), (Source.DATA, False)):
        source = Sources(kind, Source.DATA, Source.DATA)
        column = Column("dose", Kind.CONTINUOUS, Storage.REAL, decimals=4, significant=3, source=source)
        codec, _, tokens = fit(dataset([column, WARD], texts))
        made = codec.decode(tokens, np.random.default_rng(1)).table.frame["dose"].dropna().to_numpy(dtype=float)
        is_short = np.isclose(made, [float(f"{value:.3g}") for value in made], rtol=1e-12)
        assert bool(is_short.all()) is held


def test_decimals_that_are_not_declared_are_bought() -> None:
    column = Column("weight", Kind.CONTINUOUS, source=Sources(Source.DECLARED, Source.DATA, Source.DATA))
    codec, _, _ = fit(dataset([column, WARD], {"weight": [f"{50 + i % 300 / 10:.1f}" for i in range(2000)], "ward": COMMON}))
    assert codec.schema_["weight"].decimals == 1
    assert codec.schema_["weight"].storage is Storage.REAL


def test_levels_that_are_declared_bind_whatever_the_digits() -> None:
    column = Column("grade", Kind.CATEGORICAL, levels=("1", "2"), source=Sources(levels=Source.DECLARED))
    codec, _, tokens = fit(dataset([column, WARD], {"grade": ["1", "2.0"] * 1000, "ward": COMMON}))
    assert codec.schema_["grade"].levels == ("1", "2")
    assert (tokens[:, 0] == np.arange(2000) % 2).all()


def test_only_declared_rules_that_need_nothing_learned_bind() -> None:
    number = Column("low", Kind.COUNT, Storage.INTEGER, decimals=0)
    rules = (
        OrderRule(("low", "high"), confirmed=True, source="declared"),
        RangeRule(("low",), confirmed=True, maximum=5.0),
        CombinationRule(("ward", "low"), confirmed=True, source="declared"),
        OrderRule(("ward", "low"), confirmed=True, source="declared"),
    )
    cells = {"low": ["1", "3"] * 1000, "high": ["4", "8"] * 1000, "ward": COMMON}
    codec, ledger, _ = fit(dataset([number, replace(number, name="high"), WARD], cells, rules[:3]))
    assert [rule.about for rule in codec.release_schema.rules] == ["order rule of low, high"]
    assert ledger.public["rules left out"] == ["range rule of low", "combination rule of ward, low"]
    assert codec.rules_.orders


def test_rows_of_a_patient_raise_the_noise() -> None:
    key = Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    cells = {"id": [str(i // 2) for i in range(2000)], "ward": COMMON}
    one, two = (fit(dataset([key, WARD], cells), rows_per_patient=k)[0] for k in (1, 2))
    assert two.count_noises_[0][0] == pytest.approx(2 * one.count_noises_[0][0])
    assert one.release_schema["id"].kind is Kind.IDENTIFIER


# ---- sets of codes ----


def test_codes_of_sets_are_bought_with_a_bounded_number_per_row() -> None:
    rng = np.random.default_rng(0)
    codes = ["428.0", "250.00", "401.9", "V58.1"]
    cells = ["|".join(rng.choice(codes, rng.integers(0, 4), replace=False)) for _ in range(4000)]
    column = Column("icd9", Kind.CODE_SET, separator="|", code_system="ICD-9-CM")
    codec, ledger, tokens = fit(dataset([column, WARD], {"icd9": [*cells[:-1], "666.66|428.0"], "ward": COMMON * 2}))
    own = codec.columns_[0]
    assert isinstance(own, CodeSetCodec)
    assert set(own.codes) == set(codes)
    assert "666" not in json.dumps(codec.state()[0])
    made = codec.decode(tokens, np.random.default_rng(0))
    assert (codec.encode(made) == tokens).mean() > 0.999
    assert ledger.public["codes of a row that count, in sets of codes"] == 8


# ---- reading ----


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("5.0", "5"), (" 05 ", "5"), ("1e3", "1000"), ("-0", "0"), ("2020-1-5", "2020-01-05"), ("5/1/2020 7:05", "05/01/2020 07:05")],
)
def test_a_cell_has_one_spelling(text: str, spelled: str) -> None:
    assert read(text).text == spelled
    assert read(spelled) == read(text)


def test_classes_tell_decimals_words_and_days_that_are_no_months() -> None:
    assert read("1.25").kind - read("1").kind == 2
    assert read("1.123456789").kind == read("1.12345678901").kind
    assert {read(word).kind for word in WORDS} == set(range(1, len(WORDS) + 1))
    assert read("13/02/2020").kind == time_class(3, 0, is_midnight=True)
    assert read("31/31/2020").kind == read("Mrs Smith").kind == 0


def test_read_anew_one_patient_changes_nobody_elses_cells() -> None:
    """By inference a bad cell of one patient decides how all others' are read; by the reading schema it does not."""
    cells = [str(i % 40) for i in range(400)]
    notes = ["no value today", "late", "Smith", "x y", "lost", "spilt", "who knows"]

    def rows(last: list[str]) -> list[str]:
        frame = pd.DataFrame({"lab": [*cells, "remark", *last], "ward": ["a"] * (401 + len(last))}, dtype=object)
        schema = Schema((reading_schema(read_table(frame).columns),))
        data = read_table(frame, schema=schema)
        private = mechanisms.seal(data, Ledger(epsilon=1.0, delta=1e-5))
        return opened(private.map(lambda own: own.table.frame["lab"].to_numpy(dtype=object))).tolist()[:401]

    assert rows([]) == rows(notes) == [*cells, "remark"]


# ---- histograms ----


def test_a_histogram_is_combined_as_least_squares_would() -> None:
    """One clear cell of two is split in three; estimates and variances are those of weighted least squares over all answers."""
    v, s = 4.0, 3.0
    cells = histograms.Cells(
        np.array([0.0, 100.0]), np.array([99.0, 199.0]), np.array([500.0, 1.0]), np.array([v, v]), np.empty(0)
    )
    parted = histograms.split(cells, 500 / (3 * histograms.PER_PART))
    assert parted.start.tolist() == [0.0, 50.0, 100.0]
    answers = np.array([310.0, 150.0, 7.0])
    new = histograms.combined(cells, parted, answers, s)
    design = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    weight = np.diag([1 / v, 1 / v, 1 / s**2, 1 / s**2, 1 / s**2])
    covariance = np.linalg.inv(design.T @ weight @ design)
    expected = covariance @ design.T @ weight @ np.array([500.0, 1.0, *answers])
    assert new.rows == pytest.approx(expected)
    assert new.variance == pytest.approx(np.diag(covariance))


def test_the_public_start_covers_the_line_and_knows_zero() -> None:
    cells = histograms.by_magnitude()
    assert (np.diff(cells.start) > 0).all()
    assert cells.end[:-1] == pytest.approx(cells.start[1:] - 1)
    for value in (-1e15, -20.0, -1.0, 0.0, 1.0, 9.0, 10.0, 123.0, 1e14):
        at = int(cells.place(np.array([value]))[0])
        assert cells.start[at] <= value <= cells.end[at] or abs(value) >= 1e15
    zero = int(cells.place(np.zeros(1))[0])
    assert cells.start[zero] == cells.end[zero] == 0


def test_what_does_not_stand_clear_is_left_out_and_runs_that_do_are_kept() -> None:
    rows = np.array([0.0, 1.0, 0.0, 30.0, 2.0, 4.0, 3.0, 2.0, -1.0, 0.5])
    cells = histograms.Cells(np.arange(10.0), np.arange(10.0), rows, np.ones(10), np.empty(0), alone=0.0)
    assert histograms.groups(cells) == [(3, 3), (4, 6)]
    assert all(rows[a : b + 1].sum() > 4 * np.sqrt(b - a + 1) for a, b in histograms.groups(cells))


def test_an_extreme_and_a_spike() -> None:
    """Zero is a token of its own; one patient's 10^9 is in no cell, and is read as the highest."""
    rng = np.random.default_rng(1)
    cells = [str(v) for v in np.where(rng.random(2000) < 0.6, 0, rng.integers(1, 90, 2000))]
    codec, _, tokens = fit(dataset([WARD, replace(WARD, name="visits")], {"ward": COMMON, "visits": [*cells[:-1], "1000000000"]}))
    own = codec.columns_[1]
    assert isinstance(own, NumberCodec)
    assert own.low[0] == own.high[0] == 0
    assert own.high.max() <= 999
    assert tokens[-1, 1] == own.n_tokens - 1


@pytest.mark.parametrize("epsilon", [1.0, 1e4])
def test_without_any_noise_one_patient_does_not_stand_clear(epsilon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thresholds alone keep her out, for noise of any size: here it is drawn as 0."""

    class Silent:
        def normal(self, *, scale: float, size: Any = None) -> Any:
            return np.zeros(() if size is None else size)

        laplace = normal

        def permutation(self, n: int) -> Any:
            return np.arange(n)

    odd = {"ward": "HIV clinic", "weight": "912.345678", "lab": "N/A", "seen": "2150-06-06", "note": "Smith"}
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 700, 3000), unit="D")
    frame = pd.DataFrame(
        {
            "ward": rng.choice(["a", "b"], 3000),
            "weight": [f"{value:.1f}" for value in rng.normal(70, 5, 3000)],
            "lab": rng.integers(0, 50, 3000).astype(str),
            "seen": days.strftime("%Y-%m-%d"),
            "note": rng.choice(["", "x"], 3000),
        },
        dtype=object,
    )
    frame = pd.concat([frame, pd.DataFrame([odd], dtype=object)], ignore_index=True)
    monkeypatch.setattr(mechanisms, "private_generator", Silent)
    data = read_table(frame, schema=Schema((reading_schema(read_table(frame).columns),)))
    codec = TableCodec().fit(data, ledger=Ledger(epsilon=epsilon, delta=1e-9))
    text = json.dumps(codec.state()[0])
    assert not any(word in text for word in ("HIV", "Smith", "N/A"))
    weight, seen = codec.columns_[1], codec.columns_[3]
    assert isinstance(weight, NumberCodec)
    assert isinstance(seen, NumberCodec)
    assert weight.high.max() < 200
    assert codec.schema_["weight"].decimals == 1
    assert seen.high.max() < np.datetime64("2100-01-01").astype(int)


def test_what_is_rare_comes_back_as_its_group_and_changes_no_other_share() -> None:
    """A hundred codes of one block, six patients each, come back as codes of that block; other rare levels by the word for it."""
    rare = [f"41{i}.{j:02d}" for i in range(5) for j in range(20)]
    cells = ["486"] * 1000 + [rare[i % 100] for i in range(630)] + ["250.01"] * 370
    column = Column("diag_1", Kind.CODE, code_system="ICD-9-CM")
    ward = ["a"] * 1400 + [f"name {i}" for i in range(600)]
    codec, _, tokens = fit(dataset([column, WARD], {"diag_1": cells, "ward": ward}), epsilon=3.0)
    made = codec.decode(tokens, np.random.default_rng(0)).table.frame
    assert codec.emitted(1).all()
    share = {text: n / len(made) for text, n in made["diag_1"].astype(str).value_counts().items()}
    assert share["486"] == pytest.approx(0.5, abs=0.02)
    assert sum(n for text, n in share.items() if text.startswith("41")) == pytest.approx(0.315, abs=0.02)
    assert sum(n for text, n in share.items() if text.startswith("250")) == pytest.approx(0.185, abs=0.02)
    assert set(made["ward"].astype(str)) == {"a", "(rare)"}
    assert (made["ward"] == "a").mean() == pytest.approx(0.7)


def test_the_last_bin_falls_off_from_its_neighbours_and_keeps_its_rows() -> None:
    """Geometric counts 1000, 500, 250, … binned from 3 up come back with nearly the mean that they have."""
    true = 1000 * 0.5 ** np.arange(10)
    low, high = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 9.0])
    parts = with_tails(low, high, np.array([*true[:3], true[3:].sum()]))
    tail = parts[-1]
    assert sum(rows for _, _, rows in tail) == pytest.approx(true[3:].sum(), rel=0.01)
    mean = sum((a + b) / 2 * rows for a, b, rows in tail) / sum(rows for _, _, rows in tail)
    assert mean == pytest.approx(np.average(np.arange(3, 10), weights=true[3:]), rel=0.05)
    mirrored = with_tails(-high[::-1], -low[::-1], np.array([true[3:].sum(), *true[2::-1]]))
    assert mirrored[0] == [(-b, -a, rows) for a, b, rows in tail[::-1]]
    assert with_tails(low[:2], high[:2], true[:2]) == [[(0.0, 0.0, 1000.0)], [(1.0, 1.0, 500.0)]]
