"""The game on planted rows: it learns, both games; a collapsing configuration is caught; a killed run goes on to the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from manikin.data.errors import FitError
from manikin.training.control import Control
from manikin.training.loop import train
from manikin.training.monitors import Collapse, Divergence, LostBalance, Seen, Worsening
from manikin.training.networks.mixed import (
    Given,
    Group,
    MixedHead,
    PackedCritic,
    ResidualGenerator,
    Vocabulary,
    gradient_penalty,
)
from manikin.training.objectives.adversarial import Adversarial, Recipe
from manikin.training.objectives.by_level import LevelAsker, Levels
from manikin.training.objectives.likeness import Column, Likeness

N_LEVELS = 6


def rows(n: int, seed: int) -> np.ndarray:
    """Two dependent fields of six levels, int32 (n, 2)."""
    rng = np.random.default_rng(seed)
    first = rng.choice(N_LEVELS, n, p=[0.3, 0.25, 0.2, 0.12, 0.08, 0.05])
    second = np.where(rng.random(n) < 0.8, first, rng.integers(0, N_LEVELS, n))
    return np.stack([first, second], axis=1).astype(np.int32)


def encode(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    del rng
    return np.concatenate([np.eye(N_LEVELS, dtype=np.float32)[tokens[:, j]] for j in range(2)], axis=1)


def draw(network: nn.Module, n: int, rng: np.random.Generator) -> np.ndarray:
    noise = torch.from_numpy(rng.standard_normal((n, 8), dtype=np.float32))
    given = network(noise)
    assert isinstance(network.head, MixedHead)
    logits = network.head.logits(given).numpy()
    drawn = [(logits[:, j * 6 : j * 6 + 6] + rng.gumbel(size=(n, 6))).argmax(1) for j in range(2)]
    return np.stack(drawn, axis=1).astype(np.int32)


def game(network: nn.Module | None = None, *, learning_rate: float = 1e-3, pack: int = 1, **recipe: object) -> Adversarial:
    tokens = rows(2000, 0)
    torch.manual_seed(0)
    groups = [Group(N_LEVELS, has_scalar=False)] * 2
    likeness = Likeness(
        [Column("a", 6, 0, is_ordered=False), Column("b", 6, 0, is_ordered=False)],
        tokens,
        rows(600, 1),
        np.random.default_rng(0),
    )
    return Adversarial(
        network or ResidualGenerator(8, 0, (32, 32), groups),
        PackedCritic(2 * N_LEVELS, pack, (32, 32), dropout=0.0),
        tokens,
        encode=encode,
        draw=draw,
        likeness=likeness,
        recipe=Recipe(batch_size=100, learning_rate=learning_rate, **recipe),  # type: ignore[arg-type]
        seed=0,
    )


@pytest.mark.parametrize("play", ["wasserstein", "original"])
def test_it_learns_shares_and_dependence(play: str) -> None:
    objective = game(game=play, epochs=45, average_steps=100, learning_rate=3e-3 if play == "wasserstein" else 1e-3)
    before = objective.validate()
    training = train(objective, seed=0)
    assert before is not None
    last = training.signals[-1]
    assert last["drift"] < 0.6 * before
    assert last["coverage"] == 1.0
    assert 0.4 < (last["accuracy real"] + last["accuracy synthetic"]) / 2 < 0.95
    assert {"wasserstein", "gradient: critic", "loss: generator", "duplicates of train"} <= set(last)
    assert [len(shares) for shares in training.film[-1]["bins"].values()] == [6, 6]
    assert not training.warnings


class Stuck(nn.Module):
    """A generator whose noise never reaches its head: one row for ever."""

    n_noise = 8

    def __init__(self) -> None:
        super().__init__()
        self.head = MixedHead(4, [Group(N_LEVELS, has_scalar=False)] * 2)
        with torch.no_grad():
            assert self.head.cells is not None
            self.head.cells.bias[0] = self.head.cells.bias[N_LEVELS] = 40.0

    def forward(self, noise: torch.Tensor, conditions: torch.Tensor | None = None) -> Given:
        given: Given = self.head(torch.zeros(len(noise), 4))
        return given


def test_a_collapsing_configuration_is_warned_of_and_stopped_with_its_reason() -> None:
    training = train(game(Stuck(), learning_rate=1e-6, epochs=40), seed=0)
    assert training.stopped_because.startswith("collapsed: a sample holds")
    assert training.steps < 0.6 * training.planned_steps
    assert any("Mode collapse shows at step" in warning for warning in training.warnings)


def test_a_diverging_pair_is_stopped() -> None:
    with pytest.raises(FitError, match="diverged"):
        train(game(learning_rate=1e20, epochs=5), seed=0)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = game(epochs=4)
    train(whole, seed=3)

    class KilledError(Exception):
        pass

    def kill(progress: object) -> None:
        if progress.step >= 40:  # type: ignore[attr-defined]
            raise KilledError

    control = Control(checkpoint=tmp_path / "at", checkpoint_seconds=0.0)
    with pytest.raises(KilledError):
        train(game(epochs=4), seed=3, control=Control(checkpoint=tmp_path / "at", checkpoint_seconds=0.0, on_progress=kill))
    again = game(epochs=4)
    training = train(again, seed=3, control=control)
    assert training.is_resumed
    for a, b in zip(whole.average.state_dict().values(), again.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_asking_by_level_raises_rare_levels_and_finds_rows_that_hold_them() -> None:
    tokens = rows(5000, 2)
    levels = [Levels(j, np.bincount(tokens[:, j], minlength=6)) for j in range(2)]
    asker, rng = LevelAsker(levels, tokens), np.random.default_rng(0)
    asked = asker.ask(6000, rng, by_log=True)
    found = asker.rows(asked, rng)
    np.testing.assert_array_equal(tokens[found, asked.which], asked.token)
    rare = np.bincount(asked.token[asked.which == 0], minlength=6)[5] / (asked.which == 0).sum()
    assert rare > 0.12  # 5 % of the rows, log-frequency about 14 %
    plain = asker.ask(6000, rng, by_log=False)
    assert abs(np.bincount(plain.token[plain.which == 0], minlength=6)[5] / (plain.which == 0).sum() - 0.05) < 0.02
    np.testing.assert_array_equal(asked.level, 6 * asked.which + asked.token)


def test_a_level_without_rows_is_never_asked_for() -> None:
    asker = LevelAsker([Levels(0, np.array([5, 0, 7, 0]))])
    for by_log in (True, False):
        assert set(asker.ask(2000, np.random.default_rng(0), by_log=by_log).token) == {0, 2}


def test_the_gradient_penalty_of_a_linear_critic_is_known() -> None:
    linear = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, 0.0, 4.0]]))

    class Score(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = linear(x)
            return out.squeeze(1)

    penalty = gradient_penalty(Score(), torch.randn(20, 3), torch.randn(20, 3))
    torch.testing.assert_close(penalty, torch.full((20,), 16.0))


def test_heads_start_at_the_shares_of_the_data_and_large_vocabularies_too() -> None:
    rng = np.random.default_rng(0)
    shares = [rng.dirichlet(np.ones(n)) for n in (3, 6, 40)]
    codes = rng.standard_normal((40, 5)).astype(np.float32)
    groups = [Group(len(s), has_scalar=False, log_shares=np.log(s).astype(np.float32)) for s in shares[:2]]
    groups.append(Group(40, has_scalar=False, codes=codes, log_shares=np.log(shares[2]).astype(np.float32)))
    head = MixedHead(4, groups)
    with torch.no_grad():
        for linear in (head.cells, *(large[1] for large in head.large)):
            linear.weight.zero_()
        given = head(torch.randn(2, 4))
        logits = head.logits(given)
        start = 0
        for s in shares:
            torch.testing.assert_close(
                torch.softmax(logits[0, start : start + len(s)], 0), torch.tensor(s, dtype=torch.float32), atol=1e-5, rtol=0
            )
            start += len(s)
        soft = head.soft(given)
        assert soft.shape == (2, 3 + 6 + 5)
        torch.testing.assert_close(soft[0, 9:], torch.tensor(shares[2].astype(np.float32) @ codes), atol=1e-5, rtol=0)


def seen(step: int, **losses: float) -> Seen:
    return Seen(step, 100, losses, frozenset({"critic"}))


class Told:
    """An objective that only tells signals."""

    def __init__(self, **signals: float) -> None:
        self._signals = {name.replace("_", " "): value for name, value in signals.items()}

    def signals(self) -> dict[str, float]:
        return self._signals


def test_monitors_speak_once_and_only_of_what_lasts() -> None:
    balance, worse, collapse = LostBalance(warn_after=2), Worsening(warn_after=2), Collapse()
    said = []
    for step in range(50, 60):
        told = Told(accuracy_real=0.99, accuracy_synthetic=0.98, drift=0.1 + 0.02 * (step - 50), coverage=0.9, duplicates=0.0)
        said += [found.message for monitor in (balance, worse, collapse) if (found := monitor.observe(seen(step), told))]  # type: ignore[arg-type]
    assert len(said) == 2
    assert "50 % would be a draw" in said[0]
    assert "drifted" in said[1]


def test_a_drifting_loss_may_grow_and_an_undefined_one_may_not() -> None:
    divergence, told = Divergence(), Told()
    assert divergence.observe(seen(1, critic=1.0, generator=1.0), told) is None  # type: ignore[arg-type]
    assert divergence.observe(seen(2, critic=900.0, generator=1.0), told) is None  # type: ignore[arg-type]
    assert divergence.observe(seen(3, critic=1.0, generator=900.0), told) is not None  # type: ignore[arg-type]
    assert divergence.observe(seen(4, critic=float("nan"), generator=1.0), told) is not None  # type: ignore[arg-type]


def test_options_are_drawn_by_their_share_among_the_possible_ones() -> None:
    rng = np.random.default_rng(0)
    sizes = (2, 3, 9, 70)
    groups = [Group(n, has_scalar=False) for n in sizes[:3]]
    groups.append(Group(70, has_scalar=False, codes=rng.standard_normal((70, 5)).astype(np.float32)))
    head = MixedHead(4, groups)
    with torch.no_grad():
        given = head(torch.randn(1, 4))
        many = Given(
            given.scalars.expand(20_000, -1),
            [x.expand(20_000, -1, -1) for x in given.padded],
            [given.large[0].expand(20_000, -1)],
        )
        possible = [torch.from_numpy(rng.random(n) < 0.7) for n in sizes]
        for mask in possible:
            mask[0] = True
        drawn = head.drawn(many, torch.from_numpy(rng.random((20_000, 4), dtype=np.float32)), possible).numpy()
        ends = head.drawn(many, torch.full((20_000, 4), 1 - 2**-24), possible).numpy()  # the last possible one, not beyond
        logits, start = head.logits(given)[0].numpy(), 0
    for g, (n, mask) in enumerate(zip(sizes, possible, strict=True)):
        weight = np.exp(logits[start : start + n]) * mask.numpy()
        start += n
        found = np.bincount(drawn[:, g], minlength=n) / 20_000
        assert np.abs(found - weight / weight.sum()).sum() / 2 < 0.03
        assert mask.numpy()[drawn[:, g]].all()
        assert mask.numpy()[ends[:, g]].all()


@pytest.mark.parametrize("pack", [1, 3])
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_a_critics_slopes_are_those_of_differentiation(pack: int, hidden: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(0)
    vocabularies = [Vocabulary(4), Vocabulary(9, np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32))]
    told = PackedCritic(6, pack, hidden, dropout=0.0, vocabularies=vocabularies)
    levels = torch.randint(13, (12,), generator=rng)
    vectors = torch.zeros(12, 7)
    for i, level in enumerate(levels.tolist()):  # the slow, obvious one: what is told as a vector beside the row
        if level < 4:
            vectors[i, level] = 1.0
        else:
            vectors[i, 4:] = torch.from_numpy(vocabularies[1].codes[level - 4])
    plain = PackedCritic(13, pack, hidden, dropout=0.0)
    with torch.no_grad():
        for own, other in zip(plain.layers[1:], told.layers[1:], strict=True):
            own.load_state_dict(other.state_dict())
        first = plain.layers[0]
        first.bias.copy_(told.layers[0].bias)
        first.weight.copy_(
            torch.cat(
                [torch.cat([told.layers[0].weight[:, 6 * p : 6 * p + 6], told.told[p].weight.t()], 1) for p in range(pack)], 1
            )
        )
    rows = torch.randn(12, 6, generator=rng)
    torch.testing.assert_close(told(rows, levels), plain(rows, vectors))
    both = torch.cat([rows, vectors], dim=1).requires_grad_()
    (slope,) = torch.autograd.grad(plain(both).sum(), both, create_graph=True)
    norms = slope.reshape(12 // pack, -1).norm(dim=1)
    torch.testing.assert_close(told.slopes(rows, levels), norms)
    torch.testing.assert_close(plain.slopes(rows, vectors), norms)
    wanted = torch.autograd.grad(((norms - 1) ** 2).sum(), [layer.weight for layer in plain.layers])
    found = torch.autograd.grad(((plain.slopes(rows, vectors) - 1) ** 2).sum(), [layer.weight for layer in plain.layers])
    torch.testing.assert_close(found, wanted)


def test_choices_lie_row_beside_row_and_mean_the_same() -> None:
    rng = torch.Generator().manual_seed(0)
    head = MixedHead(
        5, [Group(2, has_scalar=True), Group(0, has_scalar=True), Group(7, has_scalar=False), Group(2, has_scalar=False)]
    )
    hidden = torch.randn(50, 5, generator=rng)
    with torch.no_grad():
        given = head(hidden)
        soft, logits = head.soft(given), head.logits(given)
        assert all(x.stride(0) == 1 for x in given.padded)
        wanted = [
            given.scalars[:, :1],
            logits[:, :2].softmax(1),
            given.scalars[:, 1:],
            logits[:, 2:9].softmax(1),
            logits[:, 9:].softmax(1),
        ]
        torch.testing.assert_close(soft, torch.cat(wanted, dim=1))
        target = torch.stack([torch.randint(n, (50,), generator=rng) for n in (2, 1, 7, 2)], dim=1)
        told = head.log_likelihood(given, target)
        for g, (start, n) in {0: (0, 2), 2: (2, 7), 3: (9, 2)}.items():
            plain = logits[:, start : start + n].log_softmax(1).gather(1, target[:, [g]]).squeeze(1)
            torch.testing.assert_close(told[:, g], plain)
        assert not told[:, 1].any()
        hard = head.soft(given, temperature=0.5, hard=True)
        assert ((hard[:, 4:11] > 0.5).sum(1) == 1).all()
