"""The transformer over patients' events: it learns what follows what, keeps lengths and conditions, and draws as it was trained."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from linked_tables import BY_DAY, built, once, values_by_code

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset
from manikin.data.errors import ModelFolderError, ParameterError
from manikin.data.schema import Column, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.io.linked.writing import FolderWriter
from manikin.synthesizers.records.event_tables import table_fields
from manikin.synthesizers.records.event_transformer import EventTransformer
from manikin.synthesizers.records.plan import PlanFields, grouped
from manikin.synthesizers.records.walk import CodecWalk
from manikin.training import loop
from manikin.training.control import Control, Progress
from manikin.training.networks.event_drawing import Facts, Heads, drawn, forced
from manikin.training.networks.event_history import History, Vocabulary
from manikin.training.networks.event_sampler import Drawn, EventSampler, _Run
from manikin.training.networks.event_transformer import N_CLOCK, Situation
from manikin.training.networks.event_windows import cut, window_nats

PATIENT = Column("patient", Kind.IDENTIFIER, Storage.INTEGER, roles=(Role.PATIENT_KEY,))


@cache
def chains(n: int = 300, seed: int = 0) -> Dataset:
    """Women have about 12 measurements, men 5; b follows a, a or c follow b; the number is high for women and keeps to the patient."""
    rng = np.random.default_rng(seed)
    women = rng.random(n) < 0.5
    lengths = np.where(women, rng.integers(10, 15, n), rng.integers(3, 8, n))
    cells: dict[str, list[str]] = {"patient": [], "day": [], "code": [], "value": []}
    for i in range(n):
        own, code, day = rng.normal(10 if women[i] else 5, 1.5), "a", 0
        for _ in range(lengths[i]):
            cells["patient"].append(str(i + 1))
            cells["day"].append(str(day))
            cells["code"].append(code)
            cells["value"].append(f"{own + (20 if code == 'c' else 0) + rng.normal(0, 0.4):.1f}")
            code = "b" if code == "a" else ("a" if rng.random() < 0.7 else "c")
            day += int(rng.integers(1, 4))
    people = {"patient": [str(i + 1) for i in range(n)], "sex": np.where(women, "f", "m")}
    sex = Column("sex", Kind.CATEGORICAL, levels=("f", "m"))
    return built([(once("people", sex), people), (values_by_code("tests", BY_DAY), cells)])


@cache
def model() -> EventTransformer:
    return EventTransformer(width=32, layers=1, epochs=14, batch_events=256, dropout=0.0, window=64).fit(chains(), seed=0)


def events(data: Dataset) -> pd.DataFrame:
    frame = texts_of(data.tables["tests"], data.schema["tests"])
    sex = texts_of(data.tables["people"], data.schema["people"])["sex"].to_numpy()
    return frame.assign(owner=data.owners["tests"], sex=sex[data.owners["tests"]], value=frame["value"].astype(float))


@cache
def made() -> Dataset:
    return model().sample(300, seed=1)


def test_what_follows_what_is_learned() -> None:
    frame = events(made())
    inside = frame["owner"].to_numpy()[1:] == frame["owner"].to_numpy()[:-1]
    pairs = pd.crosstab(frame["code"].to_numpy()[:-1][inside], frame["code"].to_numpy()[1:][inside], normalize="index")
    assert pairs.loc["a", "b"] > 0.97
    assert pairs.loc["b", "a"] == pytest.approx(0.7, abs=0.08)


def test_lengths_are_kept_by_sex() -> None:
    data = made()
    counts = np.bincount(data.owners["tests"], minlength=len(data))
    sex = texts_of(data.tables["people"], data.schema["people"])["sex"].to_numpy()
    assert counts[sex == "f"].mean() == pytest.approx(12, abs=1.0)
    assert counts[sex == "m"].mean() == pytest.approx(5, abs=1.0)
    assert counts[sex == "m"].std() < 2.5


def test_a_patient_keeps_her_level_and_numbers_follow_their_code() -> None:
    frame = events(made())
    plain = frame[frame["code"] != "c"]
    assert plain[plain["sex"] == "f"]["value"].mean() == pytest.approx(10, abs=1.2)
    assert plain[plain["sex"] == "m"]["value"].mean() == pytest.approx(5, abs=1.2)
    own = plain.groupby("owner")["value"]
    assert own.std().mean() < 1.0  # 0.4 within a patient, 1.5 between patients
    assert frame[frame["code"] == "c"]["value"].min() > 15


def test_conditions_hold_exactly_and_shape_what_follows() -> None:
    sample = model().sample(60, seed=3, conditions={"people.sex": "m"})
    assert set(texts_of(sample.tables["people"], sample.schema["people"])["sex"]) == {"m"}
    assert np.bincount(sample.owners["tests"], minlength=60).mean() == pytest.approx(5, abs=1.2)


def test_a_column_of_rows_is_no_condition() -> None:
    with pytest.raises(ParameterError, match="'code' changes from row to row"):
        model().sample(3, seed=3, conditions={"code": "a"})


def test_patients_are_continued_from_where_they_are() -> None:
    whole = chains(40, 6)
    rows = whole.tables["tests"]
    early = pd.to_numeric(rows.frame["day"]).to_numpy() <= 6
    data = Dataset({**whole.tables, "tests": rows.take(np.flatnonzero(early))}, whole.schema)
    until = np.full(40, 14.0)
    draws = list(model().continue_(data, until=until, draws=2, seed=5))
    assert [len(one) for one in draws] == [40, 40]
    before, after = events(data), [events(one) for one in draws]
    for one in after:
        for owner in range(40):
            ours, theirs = one[one["owner"] == owner], before[before["owner"] == owner]
            for name in ("day", "code", "value"):
                assert ours[name].tolist()[: len(theirs)] == theirs[name].tolist()
            assert (np.diff(ours["day"].astype(int)) >= 0).all()
        assert one["day"].astype(int).max() <= 15
        inside = one["owner"].to_numpy()[1:] == one["owner"].to_numpy()[:-1]
        follows_a = one["code"].to_numpy()[1:][inside & (one["code"].to_numpy()[:-1] == "a")]
        assert (follows_a == "b").mean() > 0.95
    assert len(after[0]) > len(before) + 20
    assert not after[0]["code"].equals(after[1]["code"])
    again = list(model().continue_(data, until=until, draws=2, seed=5))
    assert events(again[1]).equals(after[1])
    changed = events(next(model().continue_(data, until=until, draws=1, seed=5, set={"sex": "f"})))
    assert set(changed["sex"]) == {"f"}
    assert len(changed) > len(after[0])  # women have more


def test_a_level_of_rows_holds_in_every_new_row_and_numbers_follow_it() -> None:
    data = chains(40, 4)
    given = len(events(data))
    held = events(next(model().continue_(data, until=np.full(len(data), 60.0), draws=1, seed=5, set={"tests.code": "c", "sex": "m"})))
    assert set(held["sex"]) == {"m"}
    before = events(data).groupby("owner").size()
    new = held[held.groupby("owner").cumcount() >= before.reindex(held["owner"]).to_numpy()]
    assert len(new) == len(held) - given > 20
    assert set(new["code"]) == {"c"}
    assert new["value"].mean() > 18, "values of c are 20 higher"
    refused = (("day", 3, "cannot be held"), ("code", "zz", "never learned"), ("patient", 1, "is a key"), ("sox", "f", "No table"))
    for name, value, why in refused:
        with pytest.raises(ParameterError, match=why):
            next(model().continue_(data, until=np.full(len(data), 60.0), draws=1, seed=5, set={name: value}))


def test_likelihoods_follow_the_rows_of_each_table() -> None:
    data = chains(30, 5)
    mixed = data.tables["tests"].take(np.random.default_rng(0).permutation(len(data.tables["tests"])))
    found = model().log_likelihood(data)
    other = model().log_likelihood(Dataset({**data.tables, "tests": mixed}, data.schema))
    assert found.parts["tests"] == ("kind", "gap", "code", "value")
    assert found.events["tests"].shape == (len(data.tables["tests"]), 4)
    assert found.events["tests"].sum() == pytest.approx(other.events["tests"].sum(), rel=1e-4)
    assert (found.static < 0).all()
    assert (found.end < 0).all()
    column = other.events["tests"][:, 2]
    assert column.shape == (len(mixed),)


def test_likely_records_are_likely() -> None:
    data = chains(80, 5)
    backwards = data.tables["tests"].frame.copy()
    backwards["code"] = backwards["code"].to_numpy()[::-1]
    odd = Dataset({**data.tables, "tests": type(data.tables["tests"])(backwards, data.tables["tests"].marks)}, data.schema)
    likely, unlikely = (model().log_likelihood(one).events["tests"].sum() for one in (data, odd))
    assert likely > unlikely + 3 * 80


def test_the_cache_draws_from_the_states_of_training() -> None:
    fitted = model()
    records = fitted.codec_.encode(chains())
    long = np.flatnonzero(records.lengths >= 10)[:7]
    own = records.subset(long)
    vocabulary = Vocabulary.of(fitted.events_.tables)
    _, sampler = fitted._made_samplers()
    static = np.zeros((len(long), fitted.patients_.n_columns), dtype=np.int64)
    whole, part = (
        Drawn(
            np.stack([own.table[s : s + k] for s in own.starts[:-1]]),
            np.stack([own.tokens[s : s + k] for s in own.starts[:-1]]),
            np.stack([own.times[s : s + k] for s in own.starts[:-1]]),
            np.full(len(long), k),
        )
        for k in (10, 7)
    )
    with torch.no_grad():
        once, later = (_Run(sampler, static, None, drawn, None) for drawn in (whole, part))
        once.open(np.arange(len(long)))
        later.open(np.arange(len(long)))
        part.grow(10)
        for at in range(7, 10):
            key = later._take(0, np.arange(len(long)), whole.tokens[:, at], whole.days[:, at])
            later._advance(later._input(np.arange(len(long)), key))
    torch.testing.assert_close(once.state, later.state, atol=2e-5, rtol=1e-4)
    assert vocabulary.n_keys == len(once.seen[0])


def test_a_full_cache_starts_anew_and_goes_on() -> None:
    fitted = model()
    _, sampler = fitted._made_samplers()
    emitted = [[np.ones(column.n_tokens, dtype=bool) for column in table.fields] for table in fitted.events_.tables]
    short = EventSampler(fitted.events_, sampler.vocabulary, emitted, window=8, overlap=2)
    records = fitted.codec_.encode(chains())
    women = records.static[np.flatnonzero(records.lengths >= 10)[:5]]
    static = np.zeros((len(women), fitted.patients_.n_columns), dtype=np.int64)
    static[:, : women.shape[1]] = women
    drawn = short.sample(static, None, CodecWalk(fitted.codec_, women), np.random.default_rng(0), most=30)
    assert drawn.lengths.max() > 8


def test_patients_who_are_done_while_others_go_on_do_no_harm() -> None:
    rng = np.random.default_rng(1)
    n, events = 40, 8
    owner = np.repeat(np.arange(n), events)
    days = np.tile(np.arange(events), n)
    tables = []
    for name, codes in (("labs", 300), ("visits", 2)):
        columns = (PATIENT, Column("day", Kind.COUNT, Storage.INTEGER, decimals=0), Column("code", Kind.CODE))
        schema = TableSchema(name, columns, form=Form.EVENTS, start="day", min_patients=1)
        kept = rng.random(len(owner)) < 0.5
        texts = {"patient": owner.astype(str), "day": days.astype(str), "code": [f"c{i}" for i in rng.integers(0, codes, len(owner))]}
        frame = pd.DataFrame(texts, dtype=object)[kept].reset_index(drop=True)
        tables.append((schema, parse_table(frame, schema)))
    data = Dataset({schema.name: table for schema, table in tables}, Schema(tuple(schema for schema, _ in tables)))
    model = EventTransformer(max_steps=2).fit(data, seed=0)
    for seed in range(3):
        assert len(model.sample(60, seed=seed)) == 60


def test_windows_ask_about_every_event_once() -> None:
    starts = np.array([0, 3, 3, 50, 51])
    for rng in (None, np.random.default_rng(0)):
        windows = cut(starts, np.arange(4), window=16, overlap=4, rng=rng)
        asked = np.concatenate([np.arange(a, b) for a, b in zip(windows.asked, windows.stop, strict=True)])
        assert sorted(asked) == list(range(51))
        assert (windows.lengths <= 17).all()
        assert (windows.first >= starts[windows.patient]).all()


def test_windows_of_short_records_lose_nothing() -> None:
    fitted = model()
    records = fitted.codec_.encode(chains(20, 9))
    vocabulary = Vocabulary.of(fitted.events_.tables)
    history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
    static = torch.zeros(len(records), fitted.patients_.n_columns, dtype=torch.int64)
    alone = np.zeros(len(records))
    with torch.no_grad():
        for window in (64, 1000):
            windows = cut(history.starts, np.arange(len(records)), window=window, overlap=8)
            lost = window_nats(fitted.events_, vocabulary, history, static, None, windows, np.zeros(len(windows), dtype=bool))
            if window == 64:
                alone = lost.numpy()
        np.testing.assert_allclose(lost.numpy(), alone, rtol=1e-5)


def test_history_counts_what_came_before() -> None:
    codec = RecordsCodec()
    records = codec.fit_encode(chains(30, 2))
    tables = table_fields(codec.layout, records, {"tests": {"value": "code"}})
    vocabulary = Vocabulary.of(tables)
    history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
    number = vocabulary.numbers(records.table.astype(np.int64), records.tokens)
    for i in range(3):
        rows = range(records.starts[i], records.starts[i + 1])
        for e in rows:
            same = [g for g in rows if g < e and history.key[g] == history.key[e]]
            assert history.last[e] == (same[-1] if same else -1)
            assert history.seen[e] == len(same)
            assert history.mean[e] == pytest.approx(np.mean(number[same]) if same else 0, abs=1e-5)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)
    data = chains(120, 3)

    def new() -> EventTransformer:
        return EventTransformer(width=32, layers=1, batch_events=256, max_steps=12, window=64)

    def stop(progress: Progress) -> None:
        if progress.total_steps == 12 and progress.step >= 5:
            raise KeyboardInterrupt

    straight = new().fit(data, seed=4)
    control = Control(checkpoint=tmp_path / "run", checkpoint_seconds=0.0, on_progress=stop)
    with pytest.raises(KeyboardInterrupt):
        new().fit(data, seed=4, control=control)
    resumed = new().fit(data, seed=4, control=Control(checkpoint=tmp_path / "run"))
    for ours, theirs in zip(straight.events_.parameters(), resumed.events_.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "value"), [("dropout", 1.0), ("epochs", 0), ("window", 4), ("plan_slots", -1)])
def test_wrong_hyperparameters_are_named(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=name):
        EventTransformer(**{name: value}).fit(chains(), seed=0)


def test_arrays_draw_by_the_chances_of_the_network() -> None:
    network, rng = model().events_, np.random.default_rng(0)
    n, shape = 9, model().events_.shape
    state, said = (torch.from_numpy(rng.standard_normal((n, k), dtype=np.float32)) for k in (shape.width, shape.row_width))
    told = (N_CLOCK, 3 * network.slots.n, network.slots.n, network.slots.n)
    now = Situation(*(torch.from_numpy((rng.random((n, k)) < 0.5).astype(np.float32)) for k in told))
    emitted = [[np.arange(column.n_tokens) != 1 for column in table.fields] for table in network.tables]
    heads = Heads(network, emitted)
    with torch.no_grad():
        vocabulary = network.prepared()[1]
        np.testing.assert_allclose(heads.next(state.numpy(), Facts.of(now)), network.next(state, now).numpy(), rtol=1e-3, atol=1e-4)
        for f in range(len(network.tables[0].fields)):
            theirs = network.logits(0, f, state, said, now, vocabulary).numpy()
            ours = heads.logits(0, f, heads.hidden(0, state.numpy()), said.numpy(), Facts.of(now))
            assert np.isneginf(ours[:, 1]).all()
            np.testing.assert_allclose(np.delete(ours, 1, 1), np.delete(theirs, 1, 1), rtol=1e-3, atol=1e-3)


def test_tokens_are_drawn_by_their_chances_among_those_left() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25]], dtype=np.float32)).repeat(8000, 0)
    uniform = np.random.default_rng(0).random(8000, dtype=np.float32)
    assert np.bincount(drawn(logits, uniform, None)) / 8000 == pytest.approx([0.5, 0.25, 0.25], abs=0.02)
    allowed = np.array([[True, False, True]])
    assert np.bincount(drawn(logits, uniform, allowed)) / 8000 == pytest.approx([2 / 3, 0, 1 / 3], abs=0.02)
    never = np.array([[0.0, -np.inf, -np.inf]], dtype=np.float32).repeat(8000, 0)
    only = np.array([[False, True, True]]).repeat(8000, 0)
    assert np.bincount(drawn(never, uniform, only)) / 8000 == pytest.approx([0, 0.5, 0.5], abs=0.02)
    assert set(drawn(logits, uniform, np.zeros((1, 3), dtype=bool))) == {0, 1, 2}


def test_plans_have_the_mean_of_their_group_and_the_total_of_their_parts() -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate([np.zeros(30), 1 + rng.geometric(0.02, 400)]).astype(float)
    groups = grouped(numbers, most=6, fewest=11, has_none=True, is_whole=True)
    tokens = groups.tokens(numbers)
    assert (np.bincount(tokens) >= 11).all()
    drawn_numbers = groups.draw(np.repeat(tokens, 40), rng.random(40 * len(tokens)), is_whole=True)
    for token in range(len(groups)):
        real, made = numbers[tokens == token], drawn_numbers[np.repeat(tokens, 40) == token]
        assert made.mean() == pytest.approx(real.mean(), rel=0.03)
        assert made.min() >= real.min()
        assert made.max() <= real.max()
    plan, fitted = model().plan_, model()
    sampler, uniform = fitted._made_samplers()[0], rng.random((200, fitted.patients_.n_columns), dtype=np.float32)
    tokens = fitted._fields.sample(sampler, uniform, *fitted._given(None, 200))
    of_plan = tokens[:, plan.slots.n_static :]
    planned = plan.draw(of_plan, rng.random((200, 2 + plan.slots.n)))
    total = np.clip(planned.counts.sum(1), plan.total.low[of_plan[:, 1]], plan.total.high[of_plan[:, 1]])
    np.testing.assert_array_equal(planned.total, total)


@pytest.mark.parametrize("few", [[37, 58, 90], [37], [37, 412]])
def test_no_group_is_made_of_few_patients(few: list[int]) -> None:
    groups = grouped(np.array([0.0] * 500 + few), most=14, fewest=11, has_none=True, is_whole=True)
    assert [groups.low.tolist(), groups.high.tolist(), groups.power.tolist()] == [[0, 1], [0, 1], [1, 1]]
    assert grouped(np.array(few, dtype=float), most=14, fewest=11, has_none=False).high.tolist() == [1]


def test_the_ends_of_groups_are_held_by_many() -> None:
    rng = np.random.default_rng(3)
    for n in (11, 12, 21, 22, 23, 40, 150, 400):
        for is_whole in (True, False):
            numbers = rng.geometric(0.05, n).astype(float) if is_whole else rng.normal(0, 5, n)
            groups = grouped(numbers, most=14, fewest=11, has_none=True, is_whole=is_whole)
            assert np.bincount(groups.tokens(numbers), minlength=len(groups))[1:].min() >= 11
            assert (groups.low[1:] <= groups.high[1:]).all()
            inner = np.sort(numbers)[[10, -11]] if n >= 22 else np.sort(numbers)[[5, -6]]
            assert groups.low[1] >= inner[0]
            assert groups.high[-1] <= max(inner[1], inner[0])
    tail = grouped(np.concatenate([np.arange(1.0, 100), [10_000.0]]), most=14, fewest=11, has_none=True, is_whole=True)
    assert tail.high[-1] == 90
    assert tail.low[-1] < 90  # the eleven highest alone would be one number


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("power", lambda a: a * np.nan),
        ("power", lambda a: a + 100),
        ("power", lambda a: a[:-1]),
        ("low", lambda a: a + 1e6),
        ("high", lambda a: np.append(a, 1.0)),
        ("high", lambda a: np.where(a == a.max(), np.inf, a)),
        ("size", lambda a: np.concatenate([[a[0] + a[1] + 1, -1], a[2:]])),
        ("size", lambda a: a.astype(float)),
        ("size", lambda a: a + 2**62),
        ("has_none", lambda a: a[:-1]),
        ("of_key", lambda a: a + 100),
        ("key_of", lambda a: a + 0.5),
        ("has_level", lambda a: a.astype(float)),
    ],
)
def test_damaged_plans_are_refused(name: str, change: Callable[[Any], Any]) -> None:
    values, arrays = model().plan_.state()
    assert PlanFields.from_state(values, arrays).n == model().plan_.n
    with pytest.raises(ModelFolderError, match="plan of the model folder"):
        PlanFields.from_state(values, arrays | {name: change(arrays[name])})


def test_a_record_ends_where_no_table_is_left() -> None:
    class Closed(CodecWalk):
        """Nothing but the end may come."""

        def tables(self, rows: Any) -> Any:
            return np.arange(2)[None].repeat(len(rows), 0) == 1

    fitted = model()
    static = np.zeros((30, fitted.patients_.n_columns), dtype=np.int64)
    walk = Closed(fitted.codec_, static[:, : fitted.plan_.slots.n_static].astype(np.int32))
    made = fitted._made_samplers()[1].sample(static, None, walk, np.random.default_rng(0), most=6, least=3)
    assert made.lengths.tolist() == [0] * 30


def test_one_patient_without_events_is_not_told() -> None:
    data = chains(60, 4)
    rows = data.tables["tests"].take(np.flatnonzero(data.owners["tests"] > 0))
    fitted = EventTransformer(width=16, layers=1, max_steps=1, window=16).fit(Dataset({**data.tables, "tests": rows}, data.schema), seed=0)
    assert fitted.least_ == 1


def test_the_end_comes_when_the_plan_is_fulfilled_before_anything_is_learned() -> None:
    fitted = EventTransformer(width=32, layers=1, max_steps=1, window=64).fit(chains(), seed=0)
    made = fitted.sample(200, seed=2)
    real, ours = (np.bincount(data.owners["tests"], minlength=len(data)).mean() for data in (chains(), made))
    assert ours == pytest.approx(real, rel=0.25)


def test_a_stream_of_patients_holds_no_more_from_batch_to_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is alive between two batches, arrays and what waits for the file included, is after the ninth what it was after the fifth."""
    monkeypatch.setattr("manikin.synthesizers.records.event_transformer.patients_of", lambda size: 32)
    monkeypatch.setattr("manikin.io.tabular.GROUP_ROWS", 256)  # what waits for a group of rows of the file is less than that
    held = []
    stream = model().sample_batches(9 * 32, seed=1, batch_size=1)
    first = next(stream)
    gc.collect()
    gc.freeze()  # collecting is quick
    tracemalloc.start()
    with FolderWriter(tmp_path / "made", first.schema, like=".parquet") as writer:
        writer.append(first)
        for batch in stream:
            writer.append(batch)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0] / 2**10)
    tracemalloc.stop()
    gc.unfreeze()
    assert writer.n_rows["people"] == 9 * 32
    assert max(held[4:]) < max(held[:4]) + 16  # KiB; a batch is 30, what is drawn with it 1,000


def test_a_token_that_is_the_only_one_left_is_not_asked_of_the_network() -> None:
    """What `forced` says is what would be drawn; where any row has a choice, or nothing is left to one, it says nothing."""
    rng = np.random.default_rng(0)
    logits, uniform = rng.normal(0, 30, (50, 6)).astype(np.float32), rng.random(50, dtype=np.float32)
    allowed = np.eye(6, dtype=bool)[rng.integers(0, 6, 50)]
    assert np.array_equal(forced(allowed), drawn(logits, uniform, allowed))
    assert np.array_equal(np.broadcast_to(forced(allowed[:1]), 50), drawn(logits, uniform, allowed[:1]))
    two, none = allowed.copy(), allowed.copy()
    two[3] = True
    none[3] = False
    assert forced(two) is forced(none) is forced(None) is None
    emitted = [[np.arange(c.n_tokens) == 1 for c in table.fields] for table in model().events_.tables]
    heads = Heads(model().events_, emitted)
    for f in range(len(emitted[0])):
        token, says = heads.only(0, f)
        assert token == 1
        assert np.array_equal(says, heads.said(0, f, np.array([1], dtype=np.int32))[0])
