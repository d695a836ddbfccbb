"""The chain over linked patients: chances blend as they say, a known chain is found again, numbers follow their last value."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from linked_tables import built, identifier, moments, values_by_code

import manikin as mk
from manikin.data.errors import ModelFolderError
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Storage, TableSchema
from manikin.synthesizers.records.chances import NONE, Chances, counted

N = 20_000


def chain(n: int = 400) -> mk.Dataset:
    """Records whose codes run a -> b -> c -> a nine times in ten, whose values follow the last of the same code."""
    rng = np.random.default_rng(8)
    lengths = rng.integers(5, 15, n)
    owner, code, value, time = [], [], [], []
    for i, length in enumerate(lengths):
        at, level = rng.integers(3), {name: rng.normal(10 * k, 3) for k, name in enumerate("abc")}
        for step in range(length):
            at = (at + 1) % 3 if rng.random() < 0.9 else rng.integers(3)
            level["abc"[at]] = 0.95 * level["abc"[at]] + 0.05 * 10 * at + rng.normal(0, 0.4)
            owner.append(str(i + 1))
            code.append("abc"[at])
            value.append(f"{level['abc'[at]]:.1f}")
            time.append(np.datetime64("2020-01-01") + np.timedelta64(int(i) * 100 + step, "D"))
    table = values_by_code("events")
    return built([(table, {"patient": owner, "at": moments(np.array(time)), "code": code, "value": value})])


def test_chances_given_a_parent_are_those_counted() -> None:
    rng = np.random.default_rng(0)
    given = rng.integers(0, 3, N)
    tokens = np.where(rng.random(N) < 0.8, given, rng.integers(0, 4, N))
    patients = np.arange(N) % 500
    own = counted(tokens, np.ones(4, dtype=bool), {7: (given, 3), 9: (rng.integers(0, 3, N), 3)}, patients)
    assert own.parent == 7, "the parent that says most"
    drawn = own.draw(np.full(N, 1), None, rng)
    np.testing.assert_allclose(np.mean(drawn == 1), np.mean(tokens[given == 1] == 1), atol=0.01)
    free = own.draw(np.full(N, NONE), None, rng)
    np.testing.assert_allclose(np.bincount(free, minlength=4) / N, np.bincount(tokens, minlength=4) / N, atol=0.015)
    np.testing.assert_allclose(np.exp(own.nats(np.arange(4), np.full(4, 1))).sum(), 1.0)


def test_masks_hold_and_what_nobody_else_has_is_not_kept() -> None:
    rng = np.random.default_rng(1)
    given, tokens = np.repeat([0, 1], 50), np.concatenate([np.zeros(50), np.full(50, 1)]).astype(np.int64)
    tokens[0] = 2
    own = counted(tokens, np.ones(3, dtype=bool), {0: (given, 2)}, np.arange(100))
    assert set(own.tokens[own.starts[0] : own.starts[1]]) == {0}, "one patient alone has the pair of 0 and 2"
    allowed = np.zeros((200, 3), dtype=bool)
    allowed[:, 2] = True
    assert (own.draw(np.zeros(200, dtype=np.int64), allowed, rng) == 2).all()
    hidden = counted(tokens, np.array([True, True, False]), {0: (given, 2)}, np.arange(100))
    assert not (hidden.draw(np.full(500, NONE), None, rng) == 2).any()


def test_no_rows_and_no_parent() -> None:
    own = counted(np.zeros(0, dtype=np.int64), np.ones(2, dtype=bool), {}, np.zeros(0, dtype=np.int64))
    assert set(own.draw(np.full(50, NONE), None, np.random.default_rng(0)).tolist()) == {0, 1}
    with pytest.raises(ModelFolderError, match="Save the model again"):
        Chances.from_state({**own.state(), "shares": np.ones(5)}, 2)


def nights(empty: bool) -> mk.Dataset:
    """Records that begin at 22:00 and end with three rows at one time; `empty`: a table that has no row lies behind."""
    n = 60
    time = np.datetime64("2020-01-01T22:00") + np.arange(n)[:, None] * np.timedelta64(7, "D") + np.array([0, 60, 300, 300, 300])
    at, cells = Column("at", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M"), {"at": moments(time.ravel())}
    keys = {"patient": [str(i) for i in np.repeat(np.arange(n), 5)]}
    tables = [(TableSchema("rows", (identifier("patient", Role.PATIENT_KEY), at), form=Form.EVENTS, start="at"), keys | cells)]
    if empty:
        tables.append((TableSchema("more", tables[0][0].columns, form=Form.EVENTS, start="at"), {"patient": [], "at": []}))
    return built(tables)


@pytest.mark.parametrize("empty", [False, True])
def test_a_first_row_lies_where_first_rows_do_whatever_the_patient_before_ended_with(empty: bool) -> None:
    made = mk.synthesizer("markov").fit(nights(empty), seed=0).sample(200, seed=1)
    first = np.flatnonzero(np.diff(made.owners["rows"], prepend=-1))
    hours = made.tables["rows"].frame["at"].to_numpy()[first].astype("datetime64[h]").astype(int) % 24
    assert (hours == 22).mean() > 0.95


@pytest.mark.parametrize("name", ["next", "usual", "static0/parent", "event0.1/parent", "event0.0/parent", "longest"])
def test_a_forged_chain_is_refused(name: str) -> None:
    own = mk.synthesizer("markov").fit(chain(40), seed=0)
    values, arrays = own.state()
    assert type(own)().restore(values, arrays).sample(3, seed=0)
    if name == "longest":
        values = values | {name: 1}
    else:
        arrays = arrays | {name: np.full_like(arrays[name], 4_007 if "parent" in name else 0)}
    with pytest.raises(ModelFolderError, match="Save the model again"):
        type(own)().restore(values, arrays)


@pytest.mark.parametrize("name", ["next", "usual", "same0", "begins0", "event0.1/counts"])
def test_a_chain_of_arrays_of_another_type_is_refused(name: str) -> None:
    own = mk.synthesizer("markov").fit(chain(40), seed=0)
    values, arrays = own.state()
    with pytest.raises(ModelFolderError, match="Save the model again"):
        type(own)().restore(values, arrays | {name: arrays[name].astype(bool)})


def test_a_known_chain_is_found_again() -> None:
    data = chain()
    made = mk.synthesizer("markov").fit(data, seed=0).sample(400, seed=1)
    frame, real = made.tables["events"].frame, data.tables["events"].frame
    owner = made.owners["events"]
    codes = frame["code"].astype(str).to_numpy()
    same = owner[1:] == owner[:-1]
    after = {"a": "b", "b": "c", "c": "a"}
    step = np.array([new == after[old] for old, new in pairwise(codes)])[same]
    assert 0.85 < step.mean() < 0.97, "0.9 and a third of the rest, less what backs off"
    lengths, theirs = np.bincount(owner), np.bincount(data.owners["events"])
    assert abs(lengths.mean() - theirs.mean()) < 0.7
    spans = [
        np.ptp(t.tables["events"].frame["at"].to_numpy()[t.owners["events"] == 7]) / np.timedelta64(1, "D")
        for t in (data, made)
    ]
    assert max(spans) < 16, "records end when their time is over"
    for code in "abc":
        assert abs(frame["value"][codes == code].median() - real["value"][real["code"] == code].median()) < 1.0
        own = frame["value"].to_numpy()[codes == code]
        who = owner[codes == code]
        pair = who[1:] == who[:-1]
        assert np.corrcoef(own[:-1][pair], own[1:][pair])[0, 1] > 0.7, "values follow the last one of their code"


def wards(n: int = 120) -> mk.Dataset:
    """Stays of some days, each with laboratory values until its end, with drugs at each midnight, and with findings, which have no time and
    never stand twice in one."""
    rng = np.random.default_rng(5)
    owner = np.repeat(np.arange(n), rng.integers(1, 4, n))
    days = rng.gamma(3, 1.5, len(owner)) + 0.5
    begin = np.datetime64("2020-01-01T08:00") + (np.arange(len(owner)) * 60 * 1440).astype("timedelta64[m]")
    stay = np.repeat(np.arange(len(owner)), np.maximum(np.round(4 * days), 1).astype(int))
    place = rng.random(len(stay))
    place = place[np.lexsort((place, stay))]
    at = begin[stay] + (place * 1440 * days[stay]).astype("timedelta64[m]")
    found = [rng.choice(10, rng.integers(2, 5), replace=False) for _ in owner]
    finding = np.repeat(np.arange(len(owner)), [len(own) for own in found])
    nights = np.repeat(np.arange(len(owner)), np.floor(days + 1 / 3).astype(int))  # they begin at eight
    night = 1 + np.concatenate([np.arange(n) for n in np.bincount(nights, minlength=len(owner))])
    drug, midnight = np.repeat(nights, 4), begin[np.repeat(nights, 4)].astype("datetime64[D]") + np.repeat(night, 4)
    key, stays = identifier("patient", Role.PATIENT_KEY), identifier("stay")
    by_minute = {"storage": Storage.TIMESTAMP, "time_format": "%Y-%m-%d %H:%M"}
    to_stay = (ForeignKey(("stay",), "stays", ("stay",)),)
    columns = (key, stays, Column("begins", Kind.DATETIME, **by_minute), Column("ends", Kind.DATETIME, **by_minute))
    tables = [
        (
            TableSchema("stays", columns, form=Form.INTERVALS, primary_key=("stay",), start="begins", end="ends"),
            owner,
            np.arange(len(owner)),
        ),
        (
            TableSchema(
                "labs",
                (key, stays, Column("at", Kind.DATETIME, **by_minute)),
                form=Form.EVENTS,
                start="at",
                foreign_keys=to_stay,
            ),
            owner[stay],
            stay,
        ),
        (
            TableSchema(
                "drugs",
                (key, stays, Column("day", Kind.DATE, Storage.TEXT, time_format="%Y-%m-%d"), Column("drug", Kind.CODE)),
                form=Form.EVENTS,
                start="day",
                foreign_keys=to_stay,
            ),
            owner[drug],
            drug,
        ),
        (
            TableSchema("findings", (key, stays, Column("code", Kind.CODE)), form=Form.EVENTS, foreign_keys=to_stay),
            owner[finding],
            finding,
        ),
    ]
    ends = begin + (days * 1440).astype("timedelta64[m]")
    rest = [
        {"begins": moments(begin), "ends": moments(ends)},
        {"at": moments(at)},
        {"day": midnight.astype(str).tolist(), "drug": [f"d{k}" for k in rng.integers(0, 8, len(drug))]},
        {"code": [f"c{k}" for k in np.concatenate(found)]},
    ]
    cells = [{"patient": (who + 1).astype(str), "stay": (place + 1).astype(str)} for _, who, place in tables]
    return built([(table, own | more) for (table, _, _), own, more in zip(tables, cells, rest, strict=True)])


def test_a_stay_is_filled_with_its_rows_and_what_has_no_time_comes_with_it() -> None:
    data = wards()
    made = [mk.synthesizer("markov").fit(data, seed=0).sample(200, seed=seed) for seed in (1, 2)]
    for one in made:
        stays, labs, findings = (one.tables[name].frame for name in ("stays", "labs", "findings"))
        for name in ("labs", "findings"):
            mean, real = (len(d.tables[name]) / len(d) for d in (one, data))
            assert mean == pytest.approx(real, rel=0.2), f"as many {name} as real patients have"
        assert (~stays["stay"].isin(findings["stay"])).mean() < 0.1
        later = stays.groupby("patient").cumcount() > 0
        assert (~stays["stay"].isin(labs["stay"]))[later].mean() < 0.1, "later stays have their share"
        ends = labs[["stay"]].merge(stays, on="stay")["ends"].to_numpy()
        assert (labs["at"].to_numpy() <= ends).all()
        assert findings.duplicated(["stay", "code"]).mean() < 0.04, "never, in real stays"
        last = labs.groupby("stay")["at"].max()
        share = (last - stays.set_index("stay")["begins"]) / (
            stays.set_index("stay")["ends"] - stays.set_index("stay")["begins"]
        )
        assert share.mean() > 0.5, "they do not all come at its beginning"
        nights, real = (d.tables["drugs"].frame.groupby(["stay", "day"]).size().groupby("stay").size() for d in (one, data))
        assert nights.mean() == pytest.approx(real.mean(), rel=0.3), "drugs come night by night"
        assert len(nights) > 0.95 * len(stays), "no stay is without drugs"
