"""Noise, sensitivity and survival of each mechanism against slow exact computations. A right one fails less than once in a million."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from register import people
from scipy.stats import binom, chi2, kstest, laplace, norm

from manikin.data.dataset import Table, flat
from manikin.data.errors import BudgetError, ParameterError
from manikin.data.schema import Column, Kind, Role, TableSchema
from manikin.privacy import mechanisms
from manikin.privacy.accountant import exponential_epsilon
from manikin.privacy.events import Exponential, Gaussian, Laplace, Threshold
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed, opened, opened_data

NEVER = 1e-7


@pytest.fixture
def rich() -> Ledger:
    """A ledger that allows thousands of answers."""
    return Ledger(epsilon=1e6, delta=1e-3, rows_per_patient=1)


class Silent:
    """A generator without noise: what is left is the exact answer."""

    def normal(self, *, scale: float = 1.0, size: int | None = None) -> Any:
        return np.zeros(size) if size is not None else 0.0

    laplace = gumbel = normal

    def integers(self, most: int, size: int) -> Any:
        return np.arange(size) % most

    def permutation(self, n: int) -> Any:
        return np.arange(n)


@pytest.fixture
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "private_generator", Silent)


def same(observed: Counter[Any], chances: dict[Any, float], n: int) -> None:
    """Chi-square of frequencies with known chances."""
    statistic = sum((observed[key] - n * chance) ** 2 / (n * chance) for key, chance in chances.items())
    assert set(observed) <= set(chances)
    assert statistic < chi2.ppf(1 - NEVER, len(chances) - 1)


# ---- noise ----


@pytest.mark.parametrize(("k", "n_tables"), [(1, 1), (1, 3), (3, 2)])
def test_counts_have_the_noise_that_is_claimed(k: int, n_tables: int) -> None:
    ledger = Ledger(epsilon=50.0, delta=1e-6, rows_per_patient=k)
    cells = Sealed(np.tile(np.arange(10)[:, None], (1, n_tables)))
    tables = mechanisms.noisy_counts(cells, [4_000] * n_tables, ledger, precision=0.01, purpose="counts")
    sigma = k * np.sqrt(n_tables / 0.01)
    assert mechanisms.noise_of(ledger, 0.01, n_tables=n_tables) == pytest.approx(sigma)
    noise = np.concatenate(tables) - np.tile(np.repeat([1, 0], [10, 3_990]), n_tables)
    assert np.array_equal(noise, np.rint(noise)), "counts are whole numbers"
    dithered = noise + np.random.default_rng(0).uniform(-0.5, 0.5, len(noise))
    assert kstest(dithered, norm(0, np.sqrt(sigma**2 + 1 / 6)).cdf).pvalue > NEVER
    n = len(noise)
    assert chi2.ppf(NEVER, n) < (noise**2).sum() / (sigma**2 + 1 / 12) < chi2.ppf(1 - NEVER, n)
    correlation = np.corrcoef(noise[:-1], noise[1:])[0, 1]
    assert abs(correlation) < norm.ppf(1 - NEVER) / np.sqrt(n)
    assert ledger.events == [Gaussian(10.0)]


def test_the_number_of_patients_has_laplace_noise(rich: Ledger) -> None:
    private = mechanisms.seal(people([f"p{i}" for i in range(900)], ["x"] * 900), rich)
    noise = np.array([mechanisms.count(private, rich, epsilon=0.05) for _ in range(500)]) - 900
    dithered = noise + np.random.default_rng(0).uniform(-0.5, 0.5, len(noise))
    assert kstest(dithered, laplace(scale=20.0).cdf).pvalue > NEVER
    assert rich.events[-1] == Laplace(20.0)


def test_votes_have_the_noise_that_is_claimed(ledger: Ledger) -> None:
    votes = np.random.default_rng(0).random((4_000, 30)) < 0.5
    noise = mechanisms.noisy_votes(votes, ledger, noise=40.0, purpose="votes") - votes.sum(axis=1)
    assert kstest(noise, norm(0, 40.0).cdf).pvalue > NEVER
    assert ledger.events == [Gaussian(40.0 / np.sqrt(4_000))]


def test_every_answer_has_its_own_noise(ledger: Ledger) -> None:
    cells = Sealed(np.zeros(3, dtype=int))
    ask = {"precision": 1e-4, "purpose": "counts"}
    first, second = (mechanisms.noisy_counts(cells, [50], ledger, **ask)[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_seeds_of_numpy_and_python_change_no_noise(ledger: Ledger) -> None:
    import random

    drawn = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002 (the global generator is what must not matter)
        random.seed(0)
        drawn.append(mechanisms.private_generator().integers(2**62, size=4).tolist())
    assert drawn[0] != drawn[1]


# ---- sensitivity, by brute force over all neighbours of small tables ----


def neighbours(k: int, n_values: int) -> Iterator[tuple[list[tuple[str, int]], list[tuple[str, int]]]]:
    """Every pair of tables of up to three patients with up to k rows each, one of which lacks one patient."""
    own = [rows for length in range(1, k + 1) for rows in product(range(n_values), repeat=length)]
    for n in (1, 2, 3):
        for chosen in combinations(own, n):
            table = [(f"p{i}", value) for i, rows in enumerate(chosen) for value in rows]
            for gone in range(n):
                yield table, [row for row in table if row[0] != f"p{gone}"]


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.usefixtures("no_noise")
def test_one_patient_moves_all_tables_together_by_one_unit_of_noise(k: int) -> None:
    """L2 distance of all counts, over the noise that they get, is at most the square root of the precision that is paid."""
    worst, precision = 0.0, 0.01
    for one, other in neighbours(k, 2):
        ledger, answers = Ledger(epsilon=5.0, delta=1e-6, rows_per_patient=k), []
        for rows in (one, other):
            values = np.array([value for _, value in rows], dtype=int)
            cells = Sealed(np.stack([values, 1 - values, values * 0], axis=1) if len(values) else np.empty((0, 3), dtype=int))
            answers.append(
                np.concatenate(mechanisms.noisy_counts(cells, [2, 2, 1], ledger, precision=precision, purpose="counts"))
            )
        noise = mechanisms.noise_of(ledger, precision, n_tables=3)
        worst = max(worst, float(np.linalg.norm(answers[0] - answers[1]) / noise))
    assert worst == pytest.approx(precision**0.5), "no less would be wrong, no more is wasted"


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.usefixtures("no_noise")
def test_a_patient_with_many_rows_counts_no_more_than_allowed(k: int) -> None:
    ledger = Ledger(epsilon=5.0, delta=1e-6, rows_per_patient=k)
    private = mechanisms.seal(people(["many"] * 500 + ["one"], ["x"] * 500 + ["y"]), ledger)
    levels = private.map(lambda data: (data.table.frame["value"] == "y").to_numpy().astype(int))
    counts = mechanisms.noisy_counts(levels, [2], ledger, precision=0.1, purpose="counts")[0]
    assert counts.tolist() == [k, 1]
    assert ledger.n_patients == 2
    assert private.rows_per_patient == k


@pytest.mark.usefixtures("no_noise")
def test_one_patient_is_one_patient_however_many_rows_she_has(rich: Ledger) -> None:
    for rows in (1, 7, 500):
        assert mechanisms.count(mechanisms.seal(people(["a"] * rows + ["b"], ["x"] * (rows + 1)), rich), rich, epsilon=1.0) == 2


def test_rows_outside_the_cells_count_in_none(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "private_generator", Silent)
    cells = Sealed(np.array([mechanisms.NOWHERE, 0, 5, 2**40, -(2**40)]))
    assert mechanisms.noisy_counts(cells, [2], ledger, precision=1.0, purpose="counts")[0].tolist() == [1, 0]


# ---- values found by a threshold ----


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("precision", [0.01, 0.11, 4.0, 400.0])
def test_what_one_patient_alone_holds_survives_as_rarely_as_is_claimed(k: int, precision: float) -> None:
    """The exact chance that any of her values survives, rounding included, over all ways to spread her rows; exact, not simulated."""
    delta, ledger = 1e-3, Ledger(epsilon=1e4, delta=0.5, rows_per_patient=k)
    _, threshold = mechanisms.discovered(Sealed(np.array([None])), ledger, precision=precision, delta=delta, purpose="values")
    noise = k / precision**0.5
    least = np.floor(threshold) + 1  # the least whole number that is kept
    for parts in {(k,), (1,) * k, (k - 1, 1) if k > 1 else (1,)}:
        survives = 1 - np.prod([norm.cdf((least - 0.5 - count) / noise) for count in parts])
        assert survives <= delta * (1 + 1e-9)
    alone = norm.sf((least - 0.5 - k) / noise)
    assert alone > 0 or noise < 0.4
    if noise > 10:
        assert alone > delta / k / 2, "and no threshold is much higher than it must be"


def test_survival_in_practice_is_what_is_computed(rich: Ledger) -> None:
    """20,000 patients, each alone with her value, at a delta large enough to see; a hundred hold another value together."""
    n, delta, precision = 20_000, 0.01, 0.04
    texts = np.array([f"only {i}" for i in range(n)] + ["shared"] * 100, dtype=object)
    rich.delta = 0.5
    found, threshold = mechanisms.discovered(Sealed(texts), rich, precision=precision, delta=delta, purpose="values")
    chance = norm.sf((np.floor(threshold) + 0.5 - 1) * precision**0.5)
    survivors = len(found) - ("shared" in found)
    assert "shared" in found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(number > threshold for number in found.values())
    assert binom.ppf(NEVER, n, chance) <= survivors <= binom.ppf(1 - NEVER, n, chance)
    assert chance <= delta
    assert rich.events[:2] == [Threshold(delta), Gaussian(5.0)]


@pytest.mark.parametrize("texts", [[], [None, None]])
def test_nothing_to_be_found_is_paid_for_all_the_same(texts: list[Any], ledger: Ledger) -> None:
    found, _ = mechanisms.discovered(Sealed(np.array(texts, dtype=object)), ledger, precision=0.1, delta=1e-8, purpose="values")
    assert found == {}
    assert len(ledger.spends) == 2


@pytest.mark.parametrize(("k", "per_row"), [(1, 8), (3, 4)])
def test_several_values_of_a_row_count_up_to_a_bound(k: int, per_row: int) -> None:
    """The noise is that of the worst patient: k rows with the same per_row values change as many counts by k each; more are cut away."""
    precision, delta, ledger = 0.04, 1e-3, Ledger(epsilon=1e4, delta=0.5, rows_per_patient=k)
    rows = np.empty(1_000, dtype=object)
    rows[:] = [tuple(f"v{i}" for i in range(3 * per_row))] * 1_000
    noise = k * (per_row / precision) ** 0.5
    found, threshold = mechanisms.discovered(
        Sealed(rows), ledger, precision=precision, delta=delta, purpose="codes", per_row=per_row
    )
    assert len(found) == 3 * per_row
    assert abs(sum(found.values()) - 1_000 * per_row) < 6 * noise * (3 * per_row) ** 0.5
    assert threshold >= k + noise * norm.isf(delta / (k * per_row))
    alone = norm.sf((np.floor(threshold) + 0.5 - k) / noise)
    assert k * per_row * alone <= delta
    with pytest.raises(ParameterError, match="per_row"):
        mechanisms.discovered(Sealed(rows), ledger, precision=precision, delta=delta, purpose="codes", per_row=0)


def test_the_noise_of_several_values_of_a_row_is_what_is_computed() -> None:
    """2,000 values, each in 8 rows of its own: as many pass the threshold as for noise of k * sqrt(per_row / precision) = 2."""
    ledger, n, delta = Ledger(epsilon=1e4, delta=0.5), 2_000, 0.04
    rows = np.empty(8 * n, dtype=object)
    rows[:] = [(f"v{i % n}",) for i in range(8 * n)]
    found, threshold = mechanisms.discovered(
        Sealed(rows), ledger, precision=100.0, delta=delta, purpose="codes", per_row=400
    )
    chance = norm.sf((np.floor(threshold) + 0.5 - 8) / 2.0)
    assert binom.ppf(NEVER, n, chance) <= len(found) <= binom.ppf(1 - NEVER, n, chance)


# ---- rows that count, groups of patients ----


def test_rows_of_a_patient_are_equally_likely_and_nobody_elses_are_moved() -> None:
    """All subsets of her rows equally often, whatever rows another patient has beside her."""
    n, seen = 2_000, {}
    for others in (0, 1, 40):
        patients = np.array([1, 0, 1, 1, 1, *[2] * others])
        if others:
            patients = np.roll(patients, 2)
        kept: Counter[Any] = Counter()
        rng = mechanisms.private_generator()
        mine = np.flatnonzero(patients == 1).tolist()
        for _ in range(n):
            rows = set(mechanisms._bounded(patients, 2, rng).tolist())
            assert all(sum(patients[list(rows)] == one) == min(2, (patients == one).sum()) for one in np.unique(patients))
            kept[tuple(mine.index(row) for row in mine if row in rows)] += 1
        same(kept, dict.fromkeys(combinations(range(4), 2), 1 / 6), n)
        seen[others] = kept
    assert len(seen) == 3


def test_whose_rows_all_count_keeps_them_in_order(ledger: Ledger) -> None:
    data = people(["a", "b", "c"], ["x", "y", "z"])
    private = mechanisms.seal(data, ledger)
    assert opened_data(private).table.frame["value"].tolist() == ["x", "y", "z"]


def test_groups_are_drawn_for_each_patient_alone(ledger: Ledger) -> None:
    """All rows of a patient are in one group, groups are equally likely, and no two patients' groups hang together."""
    wide = Ledger(epsilon=5.0, delta=1e-6, rows_per_patient=3)
    patients = [f"p{i // 3}" for i in range(9_000)]
    private = mechanisms.seal(people(patients, ["x"] * 9_000), wide)
    groups = opened(mechanisms.assigned(private, 5)).reshape(-1, 3)
    assert (groups == groups[:, :1]).all()
    same(Counter(groups[:, 0].tolist()), dict.fromkeys(range(5), 0.2), 3_000)
    pairs = Counter(zip(groups[:-1:2, 0].tolist(), groups[1::2, 0].tolist(), strict=True))
    same(pairs, dict.fromkeys(product(range(5), repeat=2), 0.04), 1_500)
    assert not np.array_equal(groups, opened(mechanisms.assigned(private, 5)).reshape(-1, 3))


# ---- the exponential mechanism ----


def test_choices_are_as_likely_as_is_claimed(rich: Ledger) -> None:
    scores, precision, n = np.array([0.0, 3.0, 5.0, 9.0]), 0.25, 700
    epsilon = exponential_epsilon(precision)
    weights = np.exp(epsilon * scores / (2 * 2.0))
    rows = Sealed(np.zeros(3))
    ask = {"sensitivity": 2.0, "precision": precision, "purpose": "choice"}
    picked = Counter(mechanisms.chosen(rows, lambda _: scores, rich, **ask) for _ in range(n))
    same(picked, dict(enumerate(weights / weights.sum())), n)
    assert rich.events[-1] == Exponential(epsilon)


# ---- what is claimed does not depend on the patients ----


def ask_everything(cells: np.ndarray, texts: np.ndarray) -> Ledger:
    ledger = Ledger(epsilon=50.0, delta=1e-6)
    mechanisms.noisy_counts(Sealed(cells), [3], ledger, precision=0.1, purpose="counts", columns=("a",), by="test")
    mechanisms.discovered(Sealed(texts), ledger, precision=0.1, delta=1e-8, purpose="values", columns=("a",), by="test")
    mechanisms.chosen(
        Sealed(cells), lambda x: np.bincount(x, minlength=3) * 1.0, ledger, sensitivity=1, precision=0.1, purpose="choice"
    )
    mechanisms.noisy_votes(cells[:1, None] > 1, ledger, noise=3.0, purpose="votes")
    return ledger


def test_neighbours_have_the_same_events() -> None:
    rng = np.random.default_rng(0)
    cells, texts = rng.integers(3, size=30), np.array([f"v{i % 4}" for i in range(30)], dtype=object)
    whole = ask_everything(cells, texts)
    for gone in range(30):
        assert ask_everything(np.delete(cells, gone), np.delete(texts, gone)).spends == whole.spends


def test_queries_that_cannot_be_asked_are_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="precision"):
        mechanisms.noisy_counts(Sealed(np.zeros(3, dtype=int)), [2], ledger, precision=0.0, purpose="counts")
    with pytest.raises(ValueError, match="cells"):
        mechanisms.noisy_counts(Sealed(np.zeros((3, 2), dtype=int)), [2], ledger, precision=0.1, purpose="counts")
    with pytest.raises(BudgetError):
        mechanisms.noisy_counts(Sealed(np.zeros(3, dtype=int)), [2], ledger, precision=1e9, purpose="counts")


def test_rows_without_a_patient_key_take_nobody_s_place(rich: Ledger) -> None:
    """As one patient they would share one place: another such patient would push the others' rows out of it."""
    schema = TableSchema("t", (Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), Column("x", Kind.CATEGORICAL)))
    frame = pd.DataFrame({"id": ["a", "a", None, None, "", "b"], "x": pd.Categorical(list("uvwxyz"))})
    kept = opened_data(mechanisms.seal(flat(Table(frame, {"id": np.array([0, 0, 1, 1, 0, 0], dtype=np.int8)}), schema), rich))
    assert kept.n_records == len(kept) == rich.n_patients == 5
    assert set(kept.table.frame["x"]) >= set("wxyz")


def test_one_endless_cell_does_not_make_every_value_endless(rich: Ledger) -> None:
    texts = np.array(["short"] * 50_000 + ["long" * 250_000], dtype=object)  # as fixed-width texts 200 GB
    found, _ = mechanisms.discovered(Sealed(texts), rich, precision=1e3, delta=1e-6, purpose="values")
    assert list(found) == ["short"]
