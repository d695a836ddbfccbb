"""The transformer over events under a privacy ledger: one patient is one bounded row, and a killed run buys nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from linked_tables import built, moments, values_by_code

from manikin.codecs.records.bought import as_readable
from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError
from manikin.privacy import accountant, dpsgd, mechanisms
from manikin.privacy.events import SampledGaussian
from manikin.privacy.ledger import Ledger, read_ledger
from manikin.privacy.per_patient import clipped_sum
from manikin.synthesizers.records import taught
from manikin.synthesizers.records.event_transformer import EventTransformer
from manikin.synthesizers.records.markov import Markov
from manikin.synthesizers.records.plan import in_hindsight
from manikin.training.control import Control
from manikin.training.networks.event_history import History, Plan, Vocabulary
from manikin.training.networks.event_packed import PackedNats, Packing, packed
from manikin.training.networks.event_windows import Windows, window_nats
from manikin.training.objectives.row_private import PrivateRowObjective, RowRecipe

LABS = values_by_code("labs")


def labs(n: int = 200, *, odd: int = 0) -> Dataset:
    """Patients with about eight values of three codes; `odd`: behind them one with so many of a code that nobody else has."""
    rng = np.random.default_rng(3)
    owner = np.repeat(np.arange(n), 4 + rng.integers(0, 9, n))
    code = rng.choice(["a", "b", "c"], len(owner))
    value = rng.normal(np.select([code == "a", code == "b"], [1.0, 50.0], 400.0), 0.5)
    at = np.datetime64("2020-01-01T00:00") + np.arange(len(owner)) * np.timedelta64(90, "m")
    owner, code = np.r_[owner, np.full(odd, n)], np.r_[code, np.full(odd, "zzz")]
    value, at = np.r_[value, np.full(odd, 9e9)], np.r_[at, np.datetime64("1931-01-01T00:00") + np.arange(odd) * np.timedelta64(1, "D")]
    texts = {"patient": owner.astype(str), "at": moments(at), "code": code, "value": [f"{v:.1f}" for v in value]}
    return built([(LABS, {name: list(column) for name, column in texts.items()})])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets are added up as one Gaussian event, which is never too little; few patients of the chain teach."""
    monkeypatch.setattr(accountant, "MOST_PRECISION", 0.0)
    monkeypatch.setattr(taught, "DRAWN_PATIENTS", 60)


@pytest.fixture(scope="module")
def parts() -> tuple[EventTransformer, History, np.ndarray, Plan, Packing]:
    """A model without a budget, and what it reads."""
    data = labs(60)
    model = EventTransformer(max_steps=3, width=32).fit(data, seed=0)
    records, vocabulary = model.codec_.encode(data), Vocabulary.of(model.events_.tables)
    history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
    numbers = in_hindsight(model.plan_.slots, history, vocabulary)
    static = np.concatenate([records.static, model.plan_.tokens(numbers)], 1)
    plan = Plan(numbers.counts, numbers.days.astype(np.float32), numbers.total.astype(np.float32))
    return model, history, static, plan, Packing.of(model.events_, records.tokens.shape[1], 40)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("window", [5, 40])
def test_the_nats_of_a_row_are_those_of_the_patient(parts: Any, window: int, told: bool) -> None:
    model, history, static, plan, packing = parts
    vocabulary, network = Vocabulary.of(model.events_.tables), model.events_
    rows = torch.from_numpy(packed(packing, history, static, plan))
    nats = PackedNats(network, vocabulary, packing, window)
    for i in range(20):
        n, first = int(history.lengths[i]), int(history.starts[i])
        start = int(0.999 * (max(n + 1 - window, 0) + 1))  # the last part, with the end of the record
        asked = Windows(*(np.array([one]) for one in (i, first + start, first + start, first + n)))
        whole = window_nats(network, vocabulary, history, torch.from_numpy(static.astype(np.int64)), plan, asked, np.array([told]))
        own = nats(rows[i], torch.tensor(0.999), torch.tensor(float(told)))
        assert float(own) == pytest.approx(float(whole) / (n - start + 1), rel=2e-3)


def test_a_patient_of_any_length_moves_a_step_by_no_more_than_the_clipping_norm(parts: Any) -> None:
    model, *_, packing = parts
    vocabulary, network = Vocabulary.of(model.events_.tables), model.events_
    objective = PrivateRowObjective(PackedNats(network, vocabulary, packing, 16), RowRecipe(steps=1))
    rows = torch.from_numpy(packed(packing, *parts[1:4]))[:6].clone()
    rows[0, packing.head + 2 :: packing.each] = 1e30  # days that nobody has
    for clip_norm in (0.1, 1.0):
        for i in range(len(rows)):
            own = clipped_sum(network, objective.losses, rows[i : i + 1], torch.ones(1, 1), clip_norm=clip_norm, is_recorded=False)
            assert float(sum(one.double().square().sum() for one in own)) ** 0.5 <= clip_norm
    network.requires_grad_(requires_grad=False)


def test_neighbours_have_the_same_codes_bounds_and_shapes_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "private_generator", lambda: np.random.default_rng(3))
    seen: list[torch.Tensor] = []

    def silent(sampler: dpsgd.Sampler, module: torch.nn.Module, loss: object) -> list[torch.Tensor]:
        sampler.draw()
        seen.append(sampler._rows)
        return [0 * one.detach() for one in module.parameters() if one.requires_grad]

    monkeypatch.setattr(dpsgd, "noisy_gradient", silent)
    kept: list[Any] = []
    real = mechanisms.noisy_counts.__wrapped__  # type: ignore[attr-defined]

    def kept_counts(*args: Any, **named: Any) -> Any:
        """The first run's answers, to the second run as well."""
        made = real(*args, **named)
        if len(seen) == 0:
            kept.append(made)
            return made
        return kept.pop(0)

    monkeypatch.setattr(mechanisms, "noisy_counts", kept_counts)
    first, second = (
        EventTransformer(max_steps=1).fit(labs(odd=odd), seed=0, ledger=Ledger(epsilon=20.0, delta=1e-4)) for odd in (0, 3000)
    )
    names = [{*model.codec_.schema_["labs"]["code"].levels} for model in (first, second)]
    assert names[0] == names[1] == {"a", "b", "c"}
    assert first.longest_ == second.longest_
    shapes = [{name: array.shape for name, array in model.state()[1].items()} for model in (first, second)]
    assert shapes[0] == shapes[1]
    ours, others = seen[0], seen[-1]
    assert len(others) == len(ours) + 1
    assert torch.equal(ours, others[:-1]), "one patient more changes nobody's row"
    assert others[-1].isfinite().all()


def test_a_killed_run_goes_on_and_buys_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, file = as_readable(labs()), tmp_path / "ledger.json"
    (tmp_path / "checkpoint").mkdir()
    control, calls, real = Control(checkpoint=tmp_path / "checkpoint"), 0, dpsgd.noisy_gradient

    def killed(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise RuntimeError("killed")
        return real(*args)

    monkeypatch.setattr(dpsgd, "noisy_gradient", killed)
    model = EventTransformer(max_steps=6)
    with pytest.raises(RuntimeError, match="killed"):
        model.fit(data, seed=0, ledger=Ledger(epsilon=20.0, delta=1e-4, file=file), control=control)
    monkeypatch.setattr(dpsgd, "noisy_gradient", real)
    ledger = read_ledger(file, file=file)
    bought = [one for one in ledger.spends if not isinstance(one.event, SampledGaussian)]
    model.fit(data, seed=0, ledger=ledger, control=control)
    assert [one for one in ledger.spends if not isinstance(one.event, SampledGaussian)] == bought
    assert sum(one.event.steps for one in ledger.spends if isinstance(one.event, SampledGaussian)) == 6
    assert model.training_["resumed"]
    assert accountant.epsilon(ledger.events, 1e-4) <= 20.0
    kept = model.training_["curve"], model.training_["seconds"]
    assert kept[1] == 0
    assert all(loss is None for _, *losses in kept[0] for loss in losses), "no loss of patients is told"


def test_patients_of_the_chain_are_drawn_in_blocks_and_no_more_than_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught, "DRAWN_PATIENTS", 2000)
    monkeypatch.setattr(taught, "DRAWN_EVENTS", 2500)
    chain, asked = Markov().fit(labs(60), seed=0), list[int]()
    monkeypatch.setattr(Markov, "block", 256)
    real = chain.draw

    def draw(n: int, rng: np.random.Generator) -> Any:
        asked.append(n)
        return real(n, rng)

    monkeypatch.setattr(chain, "draw", draw)
    made = taught.Teacher(None, chain, Ledger(epsilon=1.0), Control()).patients(0)  # type: ignore[arg-type]
    assert asked in ([256], [256] * 2), "two thousand at once ask for as much memory as no sample does"
    assert 200 <= len(made) < 512
    assert made.n_events <= 2500


def test_a_time_budget_is_refused_before_anything_is_bought() -> None:
    ledger = Ledger(epsilon=1.0)
    with pytest.raises(BudgetError, match="Give --max-steps"):
        EventTransformer().fit(labs(30), seed=0, ledger=ledger, control=Control(time_budget_seconds=5))
    assert not ledger.is_begun
