"""The two-level network sees no later part, draws as its likelihood says, and learns planted visits; other tables are refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from linked_tables import LINKED, built, identifier

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ModelFolderError, ParameterError
from manikin.data.schema import Column, Form, Kind, Schema, Storage
from manikin.synthesizers import synthesizer
from manikin.synthesizers.records.visits import codes_of, count_rows, encoded, make_plan, visits_of
from manikin.training.networks.visits import MaskedHead, Sets, VisitNet, VisitShape
from manikin.training.objectives.visits import VisitData

SHAPE = VisitShape(static=(3, 2), fields=(2, 4), n_codes=5, longest=8, width=32, layers=2, heads=1, hidden=16, dropout=0.0)


def network(seed: int = 0) -> VisitNet:
    torch.manual_seed(seed)
    net = VisitNet(SHAPE, np.zeros(5, np.float32), np.zeros(11, np.float32)).eval()
    for one in net.parameters():
        torch.nn.init.normal_(one, std=0.5)
    return net


def some_visits() -> VisitData:
    parts = [[0, 2, 6, 8], [0, 5], [0, 3, 7, 9, 10]]
    edges = np.cumsum([0, *map(len, parts)])
    return VisitData(np.array([[1, 0], [2, 1]]), np.array([0, 2, 3]), edges, np.concatenate(parts))


def test_a_part_of_a_visit_sees_only_the_parts_before_it() -> None:
    torch.manual_seed(1)
    head = MaskedHead([0, 0, 1, 1, 2, 3, 4], 3, 8, np.zeros(7, np.float32), is_direct=True)
    for one in head.parameters():
        torch.nn.init.normal_(one)
    known, none = torch.randn(1, 3), head(torch.zeros(1, 3), Sets(torch.tensor([0]), torch.tensor([0])))
    assert none.shape == (1, 7)
    alone = head(known, Sets(torch.tensor([0]), torch.tensor([0])))
    for part, block in ((2, 1), (4, 2), (5, 3), (6, 4)):
        with_it = head(known, Sets(torch.tensor([0, part]), torch.tensor([0])))
        blocks = torch.tensor([0, 0, 1, 1, 2, 3, 4])
        same = torch.isclose(with_it, alone)[0]
        assert bool(same[blocks <= block].all()), "no part sees itself or what comes after it"
        assert not bool(same[blocks > block].any()), "every later part sees it"


def test_a_visit_sees_only_the_visits_before_it() -> None:
    net, data = network(), some_visits()
    whole = [one.detach().numpy() for one in net.nats(data.batch(np.array([0])))]
    first = VisitData(data.static, np.array([0, 1, 1]), data.edges, data.parts)
    own = net.step(net.statics(torch.tensor([[1, 0]])), None, 0, caches := [None] * 2)
    logits = net.head(own, Sets(torch.tensor([0, 2, 6, 8]), torch.tensor([0])))
    again = net.step(net.statics(torch.tensor([[1, 0]])), Sets(torch.tensor([0, 2, 6, 8]), torch.tensor([0])), 1, caches)
    second = net.head(again, Sets(torch.tensor([0, 5]), torch.tensor([0])))
    third = net.step(net.statics(torch.tensor([[1, 0]])), Sets(torch.tensor([0, 5]), torch.tensor([0])), 2, caches)
    end = net.head(third, Sets(torch.tensor([1]), torch.tensor([0])))
    by_hand = slow_nats(logits[0], [0, 2, 6, 8]) + slow_nats(second[0], [0, 5]) - float(torch.log_softmax(end[0, :2], 0)[1].detach())
    assert whole[1][0] == pytest.approx(by_hand, rel=1e-5), "step by step and all at once are one likelihood"
    assert len(first.lengths) == 2


def slow_nats(logits: torch.Tensor, held: list[int]) -> float:
    """Nats of a visit, part by part."""
    one = torch.log_softmax(logits[:2], 0)[0] + torch.log_softmax(logits[2:6], 0)[held[1] - 2]
    codes = torch.sigmoid(logits[6:])
    for k in range(5):
        one = one + torch.log(codes[k] if 6 + k in held else 1 - codes[k])
    return -float(one.detach())


def test_sets_of_codes_are_drawn_as_the_likelihood_says() -> None:
    """The inverse survival draws whole sets with the chances that the masked head gives them code by code."""
    from manikin.synthesizers.records.visit_draws import VisitSampler

    net, sampler = network(3), VisitSampler.__new__(VisitSampler)
    n = 4000
    own = net.step(net.statics(torch.tensor([[1, 0]])), None, 0, [None] * 2).detach()
    sampler.network, sampler.head, sampler.offsets = net, net.head.ready(), [0, 2, 6]
    sampler.plan = type("Plan", (), {"n_codes": 5, "is_moment": False})()  # type: ignore[assignment]
    sampler._barred = lambda *_: None  # type: ignore[method-assign]
    with torch.no_grad():
        state = sampler.head.begin(own.expand(n, -1))
        for part in (0, 3):
            sampler.head.hold(state, torch.arange(n), torch.full((n,), part))
        owner, code = sampler._codes(state, None, np.arange(n), np.zeros((n, 1), np.int32), np.random.default_rng(0))  # type: ignore[arg-type]
    drawn = np.zeros(n, dtype=int)
    np.add.at(drawn, owner, 2**code)
    wanted = []
    for number in range(32):
        held = [0, 3, *(6 + k for k in range(5) if number >> k & 1)]
        logits = net.head(own, Sets(torch.tensor(held), torch.tensor([0])))[0]
        first = slow_nats(logits, held) + float((torch.log_softmax(logits[:2], 0)[0] + torch.log_softmax(logits[2:6], 0)[1]).detach())
        wanted.append(np.exp(-first))
    assert sum(wanted) == pytest.approx(1, abs=1e-5)
    got = np.bincount(drawn, minlength=32) / n
    assert np.abs(got - wanted).max() < 4 * np.sqrt(0.25 / n)


def test_visits_are_rows_with_their_codes_or_moments() -> None:
    for real, table, is_moment, n_codes in ((LINKED["visits"](), "stays", False, 5), (ward(), "diagnoses", True, 6)):
        codec = RecordsCodec(max_tokens=8)
        records = codec.fit_encode(real)
        plan = make_plan(codec, records, "halo", 3)
        visit, starts = visits_of(plan, codec, records)
        data = encoded(plan, codec, records)
        assert (plan.is_moment, plan.n_codes) == (is_moment, n_codes)
        frame = real.tables[table].frame.assign(owner=real.owners[table])
        wanted = frame.groupby(["owner", "day"]).ngroups if is_moment else len(frame)
        assert int(starts[-1]) == visit.max() + 1 == wanted
        held = np.bincount(data.parts, minlength=sum(plan.sizes(codec)) + n_codes)[-n_codes:]
        if is_moment:
            counts = frame["code"].astype(str).value_counts()
            assert sorted(held.tolist()) == sorted(counts.tolist())


def test_numbers_by_a_code_are_levels_of_it() -> None:
    rng = np.random.default_rng(0)
    n = 60
    rows = {"id": np.repeat(np.arange(n), 6).astype(str), "day": np.tile([0, 0, 1, 1, 2, 2], n).astype(str)}
    rows["code"] = np.tile(["K", "Na"], 3 * n)
    level = np.where(rows["code"] == "K", rng.normal(4, 0.5, 6 * n), rng.normal(140, 4, 6 * n))
    real = ward(n, rows | {"value": level.round(1).astype(str)})
    codec = RecordsCodec(max_tokens=8, max_ranks=20)
    plan = make_plan(codec, codec.fit_encode(real), "halo", 4)
    assert (plan.is_moment, plan.n_codes) == (True, 8)
    made = synthesizer("halo", max_steps=3).fit(real, seed=0).sample(50, seed=1).tables["diagnoses"].frame
    assert made.loc[made["code"] == "K", "value"].max() < 10 < made.loc[made["code"] == "Na", "value"].min()


def test_what_fewer_than_eleven_patients_hold_does_not_come_out() -> None:
    """A missing value and a level of one patient are no codes; her rows set no counts."""
    n = 40
    rows = {"id": np.repeat(np.arange(n), 4).astype(str), "day": np.tile([0, 0, 1, 1], n).astype(str)}
    rows["code"] = np.tile(["K", "note"], 2 * n)
    rows["value"] = np.where(rows["code"] == "K", np.random.default_rng(0).normal(4, 0.5, 4 * n).round(1).astype(str), "")
    rows["value"][[0, 41]] = "", "77.7"
    again = np.repeat([0, 1], [30, 90])  # patient 0 repeats what she alone lacks, and a note
    rows = {key: np.concatenate([own[again], own]) for key, own in rows.items()}
    model = synthesizer("halo", max_steps=1, width=32, levels=3).fit(ward(n, rows), seed=0)
    plan, counts = model.plan_, model.rows_
    n_missing = model.codec_.layout.tables[0].layout.fields[plan.value[0]].n_missing
    by_token = [sorted((plan.code_low[plan.code_token == token] >= n_missing).tolist()) for token in np.unique(plan.code_token)]
    assert sorted(by_token) == [[False], [True, True, True]], "a note has no number, and K always has one"
    assert counts.repeats.max() < 1.5 / n, "a heavy patient weighs as any other"
    made = model.sample(100, seed=1).tables["diagnoses"].frame
    assert (made["value"].isna() == (made["code"] == "note")).all()


def test_counts_of_codes_that_few_patients_have_are_the_defaults() -> None:
    codec = RecordsCodec(max_tokens=8)
    records = codec.fit_encode(ward(40))
    plan = make_plan(codec, records, "halo", 3)
    mine = np.flatnonzero(codes_of(plan, records, 0) == 0)
    owner = np.repeat(np.arange(len(records)), records.lengths)
    few = replace(records, tokens=records.tokens.copy())
    one = records.tokens[np.flatnonzero(codes_of(plan, records, 0) == 1)[0], plan.key[0]]
    few.tokens[mine[owner[mine] != owner[mine[0]]], plan.key[0]] = one
    counts = count_rows(plan, codec, few)
    assert (counts.repeats[0], counts.place[0], counts.spread[0]) == (0, 0.5, 0.3)
    assert counts.place[1] != 0.5


def ward(n: int = 400, given: dict[str, Any] | None = None) -> Dataset:
    """Codes that come in pairs within a visit, and one that follows another in the next visit; women have other codes than men."""
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], n)
    visits = 1 + rng.binomial(4, 0.5, n)
    rows: dict[str, list[str]] = {"id": [], "day": [], "code": []}
    for i in range(n):
        last = False
        for v in range(visits[i]):
            held = ["w" if sex[i] == "f" else "m"] if rng.random() < 0.7 else []
            held += ["a", "b"] if rng.random() < 0.4 else ["c"]
            held += ["after"] if last else []
            last = "a" in held
            for code in held:
                rows["id"].append(str(i + 50))
                rows["day"].append(str(10 * v))
                rows["code"].append(code)
    patient, events = (Schema(LINKED["visits"]().schema.tables)[name] for name in ("patients", "diagnoses"))
    people = replace(patient, columns=(identifier("id", *patient["patient"].roles), patient["sex"]), primary_key=("id",))
    day = Column("day", Kind.DURATION, Storage.INTEGER, decimals=0, unit="d")
    number = (Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=1, by="code"),) if given else ()
    coded = replace(
        events,
        columns=(identifier("id", *patient["patient"].roles), day, Column("code", Kind.CODE), *number),
        primary_key=(),
        foreign_keys=(replace(events.foreign_keys[0], columns=("id",), table="patients", references=("id",)),),
        form=Form.EVENTS,
        start="day",
    )
    return built([(people, {"id": [str(i + 50 * (not given)) for i in range(n)], "sex": sex}), (coded, given or rows)])


@pytest.mark.verify
def test_planted_visits_are_learned() -> None:
    made = synthesizer("halo", epochs=60, patience=None).fit(ward(), seed=0).sample(600, seed=1)
    frame = made.tables["diagnoses"].frame.assign(owner=made.owners["diagnoses"])
    sex = made.tables["patients"].frame["sex"].astype(str).to_numpy()
    held = frame.assign(code=frame["code"].astype(str)).groupby(["owner", "day"])["code"].agg(set)
    both = [{"a", "b"} <= codes for codes in held if "a" in codes or "b" in codes]
    assert np.mean(both) > 0.95, "codes of one visit come together"
    wrong = [("m" if sex[owner] == "f" else "w") in codes for (owner, _), codes in held.items()]
    assert np.mean(wrong) < 0.02, "static fields rule the visits"
    owners = held.index.get_level_values("owner").to_numpy()
    follows = ["after" in held.iloc[i + 1] for i in range(len(held) - 1) if owners[i] == owners[i + 1] and "a" in held.iloc[i]]
    never = ["after" in held.iloc[i + 1] for i in range(len(held) - 1) if owners[i] == owners[i + 1] and "a" not in held.iloc[i]]
    assert np.mean(follows) > 0.95, "what a visit holds rules the next"
    assert np.mean(never) < 0.05
    assert len(held) / 600 == pytest.approx(3, abs=0.25)


def test_tables_that_are_no_visits_are_refused_by_name() -> None:
    visits = LINKED["visits"]()
    timed = replace(visits.schema["diagnoses"], start=None, foreign_keys=())
    lost = Dataset(visits.tables, Schema((*visits.schema.tables[:2], timed)))
    with pytest.raises(FitError, match=r"'diagnoses'.*'halo'.*event_transformer"):
        synthesizer("halo", max_steps=1).fit(lost, seed=0)
    with pytest.raises(FitError, match=r"'halo' learns one table of visits"):
        synthesizer("halo", max_steps=1).fit(LINKED["nasty"](), seed=0)


@pytest.mark.parametrize(("key", "value"), [("width", 33), ("hidden", 0), ("levels", 99), ("dropout", 1.0), ("learning_rate", 0)])
def test_hyperparameters_are_typed(key: str, value: float) -> None:
    with pytest.raises(ParameterError, match=key):
        synthesizer("halo", **{key: value}).fit(LINKED["visits"](), seed=0)


def test_forged_folders_and_conditions_that_hardly_anybody_meets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.synthesizers.records.halo.MOST_POOLS", 2)
    monkeypatch.setattr("manikin.synthesizers.records.halo.POOL", 50)
    model = synthesizer("halo", max_steps=1, width=32).fit(LINKED["visits"](), seed=0)
    values, arrays = model.state()
    shape, many = values["shape"], [*values["plan"]["fields"], 0]
    sizes = [*shape["fields"], shape["fields"][1]]
    for path, value in (
        ("longest", 10**9),
        ("shape", shape | {"width": 4096}),
        ("shape", shape | {"n_codes": 10**7}),
    ):
        with pytest.raises(ModelFolderError):
            synthesizer("halo").restore(values | {path: value}, arrays)
    with pytest.raises(ModelFolderError):
        synthesizer("halo").restore(values, arrays | {"plan.code_token": arrays["plan.code_token"] + 1000})
    with pytest.raises(ModelFolderError, match="visits of the model folder"):
        synthesizer("halo").restore(values | {"plan": values["plan"] | {"fields": many}, "shape": shape | {"fields": sizes}}, arrays)
    with pytest.raises(ModelFolderError, match="not of the codec's fields"):
        synthesizer("halo").restore(values | {"shape": shape | {"is_direct": not shape["is_direct"]}}, arrays)
    with pytest.raises(ModelFolderError, match="out of bounds"):
        synthesizer("halo").restore(values, arrays | {"rows.repeats": np.full(len(arrays["rows.repeats"]), 1 - 1e-12)})
    first = int(np.cumsum([0, *model.codec_.layout.static.sizes])[model.codec_.layout.static.names.index("sex")])
    model.network_.own.bias.data[first + 2] = 30.0
    with pytest.raises(ParameterError, match="fewer than one in"):
        model.sample(2, seed=0, conditions={"sex": "f"})
