"""Nothing of the patients reaches a private model but what its ledger lists: every private generator, by playing answers back.

A generator learns on one register while everything that leaves a seal is recorded. It learns again on an entirely different register and
is given the first one's answers. Whatever it knows then must be the same to the byte: had it looked at the rows by any other way (a
level list, a maximum, a number of rows, a loss), the second register would show. And with one patient more, every query must have been
answered from the same rows but hers, within the sensitivity that is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from models import new
from private_runs import Floor, Run, behind, crossed, foreign, one_more, ordinary, patients, run

from manikin.codecs.numbers import NumberCodec
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError, ManikinError
from manikin.data.schema import Kind, Schema, Source
from manikin.privacy import accountant, dpsgd, mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset
from manikin.synthesizers import SYNTHESIZERS

STEPS = 12
PRIVATE = ["floor", *sorted(name for name, entry in SYNTHESIZERS.items() if entry.private and entry.modality == "table")]
OTHERS: dict[str, Callable[[], Any]] = {"other values": foreign, "other kinds": crossed, "hardly anybody": lambda: foreign(3)}


def maker(name: str) -> Callable[[], Any]:
    return Floor if name == "floor" else lambda: new(name, steps=STEPS)


@cache
def first(name: str) -> Run:
    """The run whose answers the others are given."""
    return run(maker(name), patients(ordinary()))


@pytest.fixture(params=PRIVATE)
def private(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    """DP-SGD's noise is searched to a tenth here, which leaves a little unspent and saves most of the accountant's time."""
    monkeypatch.setattr(dpsgd, "noise_multiplier", partial(accountant.noise_multiplier, tolerance=0.1))


# ---- the transcript ----


@pytest.mark.parametrize("other", OTHERS)
def test_the_model_is_made_of_bought_answers_alone(private: str, other: str) -> None:
    one = first(private)
    two = run(maker(private), patients(OTHERS[other]()), answers=one.tape.queries)
    assert two.ledger.spends == one.ledger.spends
    assert two.ledger.public == one.ledger.public
    assert two.state == one.state
    assert two.sample == one.sample
    assert two.remembered == one.remembered, "nor does anything else that the object holds (training figures, notes)"


def test_one_patient_more_moves_no_other_row(private: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_neighbour(maker(private), monkeypatch)


def coded(frame: pd.DataFrame) -> Dataset:
    """The register with a column of codes that are declared to be ICD-10, so that a tree of counts is bought."""
    data = patients(frame)
    source = replace(data.columns["code"].source, kind=Source.DECLARED)
    column = replace(data.columns["code"], kind=Kind.CODE, code_system="ICD-10-CM", levels=None, source=source)
    return replace(data, schema=Schema((data.columns.replace_column(column),)))


def test_a_tree_of_codes_is_made_of_bought_answers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one = run(Floor, coded(ordinary()))
    assert any("codes by block" in spend.purpose for spend in one.ledger.spends)
    two = run(Floor, coded(foreign().assign(code=["Z99.8", "A01", "flu"] * 57 + ["", "?"])), answers=one.tape.queries)
    assert (two.ledger.spends, two.state, two.sample, two.remembered) == (one.ledger.spends, one.state, one.sample, one.remembered)
    check_neighbour(Floor, monkeypatch, read=coded)


def check_neighbour(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, rows: int = 1, read: Callable[..., Dataset] = patients
) -> None:
    """Every query is answered from the same rows but hers; scores and votes move by no more than is claimed."""
    monkeypatch.setattr(
        mechanisms, "private_generator", lambda: np.random.default_rng(3)
    )  # the same chance for the same patients
    frame = ordinary(200, rows=rows)
    one = run(make, read(frame), rows_per_patient=rows)
    two = run(make, read(one_more(frame, rows)), answers=one.tape.queries, rows_per_patient=rows)
    assert two.ledger.spends == one.ledger.spends
    assert two.state == one.state
    for ours, others in zip(one.tape.queries, two.tape.queries, strict=True):
        if ours.name == "noisy_votes":
            moved = (ours.rows != others.rows).any(axis=0)
            assert moved.sum() <= 1, "more than one teacher changed its mind"
        elif ours.rows is not None and len(ours.rows) >= len(frame):
            assert same_rows(ours.rows, others.rows[: len(ours.rows)]), f"{ours.name}: other patients' rows were changed"
            assert len(others.rows) == len(ours.rows) + rows
        if ours.scores is not None:
            assert np.abs(ours.scores - others.scores).max() <= ours.sensitivity * (1 + 1e-9)


def same_rows(ours: np.ndarray, others: np.ndarray) -> bool:
    if ours.dtype == object or others.dtype == object:
        return list(ours) == list(others)
    return np.array_equal(ours, others, equal_nan=ours.dtype.kind == "f")


# ---- planted leaks are caught ----


def number_field(codec: TableCodec) -> int:
    return next(j for j, one in enumerate(codec.fields_) if isinstance(one, NumberCodec))


def true_maximum(codec: TableCodec, private: PrivateDataset) -> None:
    j = number_field(codec)
    most = behind(private).table.frame.select_dtypes("number").max().max()
    field = codec.fields_[j]
    high = np.append(field.high[:-1], most)
    codec.fields_ = tuple(replace(field, high=high) if i == j else one for i, one in enumerate(codec.fields_))
    codec.columns_ = codec.fields_


def learned_levels(codec: TableCodec, private: PrivateDataset) -> None:
    levels = private.columns["sex"].levels
    codec.schema_ = codec.schema_.replace_column(replace(codec.schema_["sex"], levels=levels))


def learned_decimals(codec: TableCodec, private: PrivateDataset) -> None:
    codec.schema_ = codec.schema_.replace_column(replace(codec.schema_["age"], decimals=private.columns["age"].decimals))


def notes_of_reading(codec: TableCodec, private: PrivateDataset) -> None:
    codec.schema_ = replace(codec.schema_, notes=(f"{len(private.columns['sex'].levels or ())} levels",))


def number_of_rows(codec: TableCodec, private: PrivateDataset) -> None:
    codec.counts_ = tuple(own * len(behind(private)) // max(own.sum(), 1) for own in codec.counts_)


def exact_counts(codec: TableCodec, private: PrivateDataset) -> None:
    tokens = behind(codec.encode_private(private))
    codec.counts_ = tuple(np.bincount(tokens[:, j], minlength=one.n_tokens) for j, one in enumerate(codec.fields_))


def unsaved_figure(codec: TableCodec, private: PrivateDataset) -> None:
    codec.fitted_on = len(behind(private))  # type: ignore[attr-defined]


def note_in_the_ledger(codec: TableCodec, private: PrivateDataset) -> None:
    codec.ledger.public["rows"] = len(behind(private))  # type: ignore[attr-defined]


LEAKS = [
    true_maximum,
    learned_levels,
    learned_decimals,
    notes_of_reading,
    number_of_rows,
    exact_counts,
    unsaved_figure,
    note_in_the_ledger,
]


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_planted_in_the_codec_is_caught(leak: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = TableCodec.fit

    def fit(self: TableCodec, data: Any, *, ledger: Any = None, share: float = 0.2) -> TableCodec:
        honest(self, data, ledger=ledger, share=share)
        if leak is note_in_the_ledger:
            self.ledger = ledger  # type: ignore[attr-defined]
        leak(self, data)
        self.__dict__.pop("ledger", None)
        return self

    monkeypatch.setattr(TableCodec, "fit", fit)
    one = run(Floor, patients(ordinary()))
    two = run(Floor, patients(foreign()), answers=one.tape.queries)
    found = [name for name in ("state", "remembered") if getattr(one, name) != getattr(two, name)]
    found += ["public"] if one.ledger.public != two.ledger.public else []
    assert found


def test_a_change_that_sees_other_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that are moved by how many rows there are: the model looks innocent, and the noise covers one patient no more."""
    honest = TableCodec.encode_private

    def moved(self: TableCodec, private: PrivateDataset) -> Any:
        size = self.layout.fields[0].n_tokens
        return honest(self, private).map(lambda own: (own + len(own)) % size)

    monkeypatch.setattr(TableCodec, "encode_private", moved)
    with pytest.raises(AssertionError, match="other patients' rows were changed"):
        check_neighbour(Floor, monkeypatch)


def test_an_understated_sensitivity_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Chooser(Floor):
        def fit(self, data: Any, *, seed: int, ledger: Ledger) -> Floor:
            super().fit(data, seed=seed, ledger=ledger)
            rows = mechanisms.seal(data, ledger).map(lambda own: np.ones(len(own)))
            ask = {"sensitivity": 1.0, "precision": 1e-3, "purpose": "choice"}
            self.choice_ = mechanisms.chosen(rows, lambda own: np.array([0.0, 2 * own.sum()]), ledger, **ask)
            return self

    with pytest.raises(AssertionError):
        check_neighbour(Chooser, monkeypatch)


def test_a_query_that_depends_on_the_rows_is_caught() -> None:
    class Curious(Floor):
        def fit(self, data: Any, *, seed: int, ledger: Ledger) -> Floor:
            super().fit(data, seed=seed, ledger=ledger)
            if len(data) > 200:
                mechanisms.count(mechanisms.seal(data, ledger), ledger, epsilon=0.01)
            return self

    one = run(Curious, patients(ordinary()))
    with pytest.raises(AssertionError):
        run(Curious, patients(foreign()), answers=one.tape.queries)


# ---- the budget ----


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-5), (4.0, None)])
def test_no_more_is_spent_than_was_given(private: str, epsilon: float, delta: float | None) -> None:
    ledger = Ledger(epsilon=epsilon, delta=delta)
    maker(private)().fit(patients(ordinary()), seed=0, ledger=ledger)
    assert ledger.delta is not None
    assert ledger.delta <= 1e-4
    spent = accountant.epsilon(ledger.events, ledger.delta)
    assert spent <= epsilon
    if private != "floor":
        assert spent > 0.75 * epsilon, "and what was given is used"
    for spend in ledger.spends:
        assert spend.purpose
        assert spend.by or spend.purpose == "number of patients"
        assert set(spend.columns) <= {"sex", "age", "weight kg", "code", "admitted", "smoker"}


def test_too_little_is_refused_by_name_and_nothing_is_overspent(private: str) -> None:
    ledger = Ledger(epsilon=0.01, delta=1e-6)
    try:
        maker(private)().fit(patients(ordinary(60)), seed=0, ledger=ledger)
    except ManikinError as error:
        assert not any(word in str(error) for word in ("I10", "E11.9", "p17"))  # noqa: PT017 (either way out is right)
    assert accountant.epsilon(ledger.events, 1e-6) <= 0.01


def test_the_same_seed_learns_another_model(private: str) -> None:
    """A published seed must not repeat the noise."""
    again = run(maker(private), patients(ordinary()))
    assert again.state != first(private).state


def test_whatever_is_answered_is_in_the_ledger(private: str) -> None:
    """As many spends as answers (a list of values found has two, and a block of DP-SGD many answers)."""
    one = first(private)
    asked = [query.name for query in one.tape.queries]
    lines = [type(spend.event).__name__ for spend in one.ledger.spends]
    assert lines.count("Laplace") == asked.count("count")
    assert lines.count("Exponential") == asked.count("chosen")
    assert lines.count("Threshold") == asked.count("discovered")
    assert lines.count("Gaussian") == sum(asked.count(name) for name in ("noisy_counts", "discovered", "noisy_votes"))
    steps = sum(spend.event.steps for spend in one.ledger.spends if type(spend.event).__name__ == "SampledGaussian")
    assert steps >= asked.count("noisy_gradient")
    assert set(asked) <= {"count", "chosen", "discovered", "noisy_counts", "noisy_votes", "noisy_gradient"}, (
        "count its spends here"
    )


# ---- patients with many rows ----


def test_two_rows_a_patient_are_counted_and_covered(private: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_neighbour(maker(private), monkeypatch, rows=2)


def test_a_patient_with_500_rows_counts_as_one(private: str) -> None:
    frame = ordinary(800)
    frame.loc[:499, "patient"] = "p0"
    made = run(maker(private), patients(frame))
    sizes = {len(query.rows) for query in made.tape.queries if query.rows is not None and query.name == "noisy_counts"}
    assert sizes <= {301}, "of her 500 rows one counts"


def test_a_generator_without_a_ledger_refuses_one_by_name(name: str) -> None:
    if SYNTHESIZERS[name].private:
        pytest.skip("it can keep one")
    with pytest.raises(BudgetError, match=name):
        new(name).fit(patients(ordinary(60)), seed=0, ledger=Ledger(epsilon=1.0, delta=1e-6))
