"""Rows about codes that too few patients have: drawn, and left out when they are decoded; frequent codes do not take their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from codec_tables import PUBLIC, check_keys, key, link, linked, number

import manikin as mk
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Form, Kind, TableSchema
from manikin.release.manifest import Choice
from manikin.workflow.decide import Decision, learn
from manikin.workflow.learn import Limits
from manikin.workflow.linked_notices import withheld_words
from manikin.workflow.stages import Silent, Stages

K, COMMON, N = 5, ("a", "b", "c"), 60


def clinic(*, more: Sequence[Column] = (), n_rare: int = 3, is_parent: bool = False, public: bool = False, seed: int = 0) -> Dataset:
    """Patients with events: each has one or two of three codes, and `n_rare` codes that nobody else has."""
    rng = np.random.default_rng(seed)
    code = Column("code", Kind.CODE, **({"source": PUBLIC} if public else {}))
    schema = [
        TableSchema(
            "patients",
            (key("pid", patient=True), Column("sex", Kind.CATEGORICAL)),
            min_patients=K,
            primary_key=("pid",),
            form=Form.STATIC,
        ),
        TableSchema(
            "events",
            (key("pid", patient=True), key("eid"), number("day"), code, *more),
            min_patients=K,
            form=Form.EVENTS,
            primary_key=("eid",),
            foreign_keys=(link("pid", "patients"),),
            start="day",
        ),
    ]
    texts: dict[str, dict[str, list[str]]] = {table.name: {name: [] for name in table.names} for table in schema}
    for i in range(N):
        for name, cell in zip(("pid", "sex"), (str(100 + i), "fm"[i % 2]), strict=True):
            texts["patients"][name].append(cell)
        for j, own in enumerate([*COMMON[: 1 + i % 2], *(f"r{i}.{j}" for j in range(n_rare))]):
            cells = (str(100 + i), str(1000 + 10 * i + j), str(int(rng.integers(30))), own, *(str(rng.choice(list("xyz"))) for _ in more))
            for name, cell in zip(schema[1].names, cells, strict=True):
                texts["events"][name].append(cell)
    if is_parent:
        schema.append(
            TableSchema("notes", (key("eid"), number("length")), min_patients=K, form=Form.EVENTS, foreign_keys=(link("eid", "events"),))
        )
        texts["notes"] = {"eid": texts["events"]["eid"], "length": [str(i % 7) for i in range(len(texts["events"]["eid"]))]}
    return linked(schema, texts)


def codes_of(data: Dataset) -> pd.Series:
    return data.tables["events"].frame["code"].astype(str)


def test_rows_about_rare_codes_are_left_out_and_no_frequent_code_takes_their_place() -> None:
    data = clinic()
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    made = codec.decode(records, np.random.default_rng(0))
    real = codes_of(data)
    assert codes_of(made).value_counts().to_dict() == real[real.isin(COMMON)].value_counts().to_dict()
    check_keys(made, against=data)


def test_a_public_list_withholds_nothing() -> None:
    data = clinic(public=True)
    codec = RecordsCodec()
    made = codec.decode(codec.fit_encode(data), np.random.default_rng(0))
    assert codes_of(made).value_counts().to_dict() == codes_of(data).value_counts().to_dict()
    assert not codec.events_[0].withheld.any()


def test_rows_that_others_refer_to_stay() -> None:
    data = clinic(is_parent=True)
    codec = RecordsCodec()
    made = codec.decode(codec.fit_encode(data), np.random.default_rng(0))
    assert len(made.tables["events"]) == len(data.tables["events"])
    assert set(codes_of(made)) <= set(COMMON)
    check_keys(made, against=data)


def test_where_no_code_may_be_shown_rows_stay_and_their_code_is_empty() -> None:
    data = clinic()
    rare = data.tables["events"].frame["code"].astype(str).str.startswith("r").to_numpy()
    own = Dataset({**data.tables, "events": data.tables["events"].take(rare)}, data.schema)
    codec = RecordsCodec()
    made = codec.decode(codec.fit_encode(own), np.random.default_rng(0))
    assert len(made.tables["events"]) == int(rare.sum())
    assert (made.tables["events"].mark("code") > 0).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_markov_gives_frequent_codes_to_as_many_as_have_them(seed: int) -> None:
    data = clinic()
    made = mk.synthesizer("markov").fit(data, seed=seed).sample(400, seed=seed)
    owners = pd.Series(made.owners["events"])
    share = {code: owners[(codes_of(made) == code).to_numpy()].nunique() / 400 for code in COMMON}
    assert set(codes_of(made)) == {"a", "b"}
    assert abs(share["b"] - 0.5) < 0.1, share  # half of the patients have it; every rare row was a frequent one once


@pytest.mark.parametrize(("name", "epochs"), [("halo", 10), ("timevae", 10), ("event_transformer", 3)])
def test_networks_leave_them_out_too(name: str, epochs: int) -> None:
    made = mk.synthesizer(name, epochs=epochs).fit(clinic(), seed=0).sample(100, seed=0)
    assert set(codes_of(made)) <= set(COMMON)
    assert len(codes_of(made)) / 100 < 3, "1.5 of 4.5 rows of a patient are not about a rare code"


def test_what_a_row_is_about() -> None:
    many = Column("drug", Kind.CATEGORICAL)
    whose = Column("provider", Kind.CODE)
    assert _about(pharmacy(("code", Column("code", Kind.CODE), 3), ("drug", many, 60))) == "drug", "a richer column than that of codes"
    icd = Column("icd", Kind.CODE, code_system="ICD-9-CM")
    assert _about(pharmacy(("icd", icd, 3), ("drug", many, 60))) == "icd", "a code of a system is what a row is about"
    assert _about(pharmacy(("provider", whose, 300), ("drug", many, 60))) == "drug", "most rows have a frequent drug, and rare providers"
    assert _about(pharmacy(("drug", many, 4))) is None, "few levels do not say what rows are about"


def pharmacy(*columns: tuple[str, Column, int]) -> Dataset:
    """Events of which each column has so many levels."""
    rng, n = np.random.default_rng(0), 1200
    events = TableSchema(
        "events",
        (key("pid", patient=True), number("day"), *(column for _, column, _ in columns)),
        min_patients=K,
        form=Form.EVENTS,
        start="day",
    )
    texts = {"pid": [str(100 + i % N) for i in range(n)], "day": [str(i // N) for i in range(n)]}
    for name, column, n_levels in columns:
        codes = rng.integers(0, n_levels, n)
        texts[name] = [f"{401 + code}" if column.code_system else f"{name} {code}" for code in codes]
    return linked([events], {"events": texts})


def _about(data: Dataset) -> str | None:
    codec = RecordsCodec()
    codec.fit(data)
    own = codec.events_[0]
    return own.names[own.about] if own.about >= 0 else None


def test_a_run_says_how_many_rows_are_left_out(tmp_path: Path) -> None:
    stages = Stages(Silent())
    decision = Decision(Choice(name="markov", asked="markov", hyperparameters={}), Limits())
    learn(tmp_path, clinic(), decision, 0, stages)
    (said,) = [text for text in stages.notices if "left out" in text]
    assert "67% of events (code)" in said
    public = Stages(Silent())
    learn(tmp_path, clinic(public=True), decision, 0, public)
    assert not any("left out" in text for text in public.notices)
    assert withheld_words([("events", "code", 0.001)]) == ""
