"""The forest: Bayes over leaves is exact, strict relations hold, nobody is copied, and a real trial is hardly told from its likeness."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, split
from manikin.data.errors import ParameterError
from manikin.data.schema import Kind, Role
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.synthesizers.tables.forest import Forest, _draw_within, _Features
from manikin.synthesizers.tables.leaf_mixture import LeafMixture


def two_trees(sharpness: float = 1.0, *, is_geometric: bool = False) -> LeafMixture:
    """Three columns of 2, 3 and 2 tokens; two trees of two and three leaves."""
    rng = np.random.default_rng(3)
    sizes = (2, 3, 2)
    rows = np.array([30, 20, 10, 25, 15])
    tables = [np.stack([rng.multinomial(r, rng.dirichlet(np.ones(size))) for r in rows]) for size in sizes]
    entries = [np.nonzero(table) for table in tables]
    return LeafMixture(
        offsets=np.array([0, 2, 5]),
        rows=rows,
        support=rows,
        leaf=tuple(leaf.astype(np.int32) for leaf, _ in entries),
        token=tuple(token.astype(np.int32) for _, token in entries),
        count=tuple(table[entry].astype(np.int32) for table, entry in zip(tables, entries, strict=True)),
        frequencies=tuple(table[:2].sum(axis=0) for table in tables),
        smoothing=1.0,
        sharpness=np.full((2, 3), sharpness),
        is_geometric=np.full((2, 3), is_geometric),
    )


def slow_joint(mixture: LeafMixture, tree: int) -> np.ndarray[Any, Any]:
    """p(x) of one tree by enumeration: the obvious way."""
    first, last = mixture.offsets[tree], mixture.offsets[tree + 1]
    weights = mixture.rows[first:last] / mixture.rows[first:last].sum()
    joint = np.zeros([len(h) for h in mixture.histograms])
    for x in itertools.product(*(range(size) for size in joint.shape)):
        joint[x] = sum(w * np.prod([mixture.histograms[j][v, first + i] for j, v in enumerate(x)]) for i, w in enumerate(weights))
    return joint


def test_bayes_over_leaves_equals_enumeration() -> None:
    mixture = two_trees()
    for a, c in itertools.product(range(2), range(2)):
        weights = mixture.prior(1)
        mixture.update(weights, 2, np.array([c]))
        mixture.update(weights, 0, np.array([a]))
        conditionals = [slow_joint(mixture, tree)[a, :, c] for tree in range(2)]
        expected = np.mean([p / p.sum() for p in conditionals], axis=0)
        np.testing.assert_allclose(mixture.predict(weights, 1, is_geometric=False)[0], expected, rtol=1e-5)
        expected = np.exp(np.mean([np.log(p / p.sum()) for p in conditionals], axis=0))
        np.testing.assert_allclose(mixture.predict(weights, 1, is_geometric=True)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("is_geometric", [False, True])
def test_log_likelihood_is_that_of_what_is_drawn(is_geometric: bool) -> None:
    mixture = two_trees(1.5, is_geometric=is_geometric)
    everything = np.array(list(itertools.product(range(2), range(3), range(2))), dtype=np.int32)
    each = np.array([mixture.log_likelihoods(row[None], [1.5])[int(is_geometric), 0].sum() for row in everything])
    assert np.exp(each).sum() == pytest.approx(1, rel=1e-5), "a likelihood that does not sum to one is none"
    emitted = [np.ones(size, dtype=bool) for size in (2, 3, 2)]
    drawn = mixture.draw(
        np.zeros((40_000, 3), dtype=np.int32), np.zeros(3, dtype=bool), np.random.default_rng(0), emitted=emitted, allowed=lambda *_: None
    )
    shares = np.bincount(drawn @ np.array([6, 2, 1]), minlength=12) / len(drawn)
    np.testing.assert_allclose(shares, np.exp(each), atol=0.01)


def test_given_cells_may_differ_from_row_to_row() -> None:
    mixture, rng = two_trees(), np.random.default_rng(0)
    tokens = np.tile(np.array([[1, 2, 1]], dtype=np.int32), (900, 1))
    given = np.zeros((900, 3), dtype=bool)
    given[:300, 0] = given[300:600, 1:] = True
    emitted = [np.ones(size, dtype=bool) for size in (2, 3, 2)]
    drawn = mixture.draw(tokens, given, rng, emitted=emitted, allowed=lambda *_: None)
    assert (drawn[given] == tokens[given]).all()
    assert len(np.unique(drawn[600:], axis=0)) > 8


def test_what_may_not_be_emitted_is_not_drawn_and_rules_bind() -> None:
    mixture, rng = two_trees(), np.random.default_rng(0)
    emitted = [np.ones(2, dtype=bool), np.array([True, False, True]), np.ones(2, dtype=bool)]

    def allowed(column: int, tokens: Any, given: Any) -> Any:
        if column != 2:
            return None
        assert given[:2].all(), "the columns before are known"
        return np.stack([tokens[:, 0] == 0, tokens[:, 0] == 1], axis=1)  # column 2 repeats column 0

    drawn = mixture.draw(np.zeros((500, 3), dtype=np.int32), np.zeros(3, dtype=bool), rng, emitted=emitted, allowed=allowed)
    assert set(drawn[:, 1]) == {0, 2}
    assert (drawn[:, 0] == drawn[:, 2]).all()


def test_adversarial_rows_keep_a_leaf_together_and_part_its_columns() -> None:
    units = np.random.default_rng(0).integers(0, 10, 1000)
    tokens = np.repeat((np.repeat(np.arange(4), 250) * 10 + units)[:, None], 2, axis=1).astype(np.int32)
    made = _draw_within((tokens[:, :1] // 10).astype(np.int64), tokens, np.random.default_rng(1))
    assert (made[:, 0] // 10 == made[:, 1] // 10).all()
    assert (made[:, 0] == made[:, 1]).mean() < 0.2


def test_levels_of_like_patients_lie_near_each_other() -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 30, 3_000)
    data = read(pd.DataFrame({"ward": [f"w{v:02d}" for v in level], "age": 30 + 20 * (level % 2) + rng.integers(0, 5, 3_000)}))
    model = synthesizer("forest", n_trees=2).fit(data, seed=0)
    axis = _Features(model.codec_.encode(data), model.codec_.layout.fields).axes[0][:, 0]
    texts = model.codec_.columns_[0].levels
    odd = np.array([int(text[1:]) % 2 for text in texts], dtype=bool)
    own = axis[-len(texts) :]
    assert max(own[odd].max(), own[~odd].max()) > 0
    assert own[odd].min() > own[~odd].max() or own[odd].max() < own[~odd].min()


def strict(n: int = 600) -> Dataset:
    rng = np.random.default_rng(1)
    sex = rng.choice(["f", "m"], n)
    age = rng.integers(20, 90, n)
    band = np.array(["20-39", "40-59", "60-79", "80+"])[(age - 20) // 20]
    return read(pd.DataFrame({"sex": sex, "pregnant": np.where(sex == "m", "n/a", rng.choice(["yes", "no"], n)), "age": age, "band": band}))


def test_strict_relations_hold_nearly_always() -> None:
    frame = synthesizer("forest").fit(strict(), seed=0).sample(3_000, seed=1).to_pandas()
    assert ((frame["sex"] == "m") == (frame["pregnant"] == "n/a")).mean() > 0.98
    band = np.array(["20-39", "40-59", "60-79", "80+"])[(frame["age"].astype(int) - 20) // 20]
    assert (frame["band"] == band).mean() > 0.9


def test_conditional_rows_are_those_of_the_matching_patients() -> None:
    frame = synthesizer("forest").fit(strict(), seed=0).sample(1_000, seed=1, conditions={"pregnant": "yes", "band": "60-79"}).to_pandas()
    assert (frame["sex"] == "f").mean() > 0.97
    assert frame["age"].between(58, 81).mean() > 0.9


def test_leaves_of_few_patients_borrow_from_their_ancestors() -> None:
    data = strict()
    for few in (5, 25):
        mixture = synthesizer("forest", leaf_size=4, min_patients=few).fit(data, seed=0).mixture_
        assert mixture.support.min() >= few
        assert mixture.rows.reshape(-1).sum() == mixture.n_trees * len(data), "every patient still has her weight"


def test_patients_not_rows_are_counted() -> None:
    who = np.repeat(np.arange(60), 20)
    rows = read(pd.DataFrame({"patient": who, "x": who % 2, "y": who // 2 % 2}))
    key = replace(rows.columns["patient"], kind=Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    patients = replace(rows, schema=replace(rows.schema, tables=(rows.columns.replace_column(key),)))
    assert patients.n_records == 60
    rows = rows.only(["x", "y"])  # the four kinds of patient are 15 patients with 300 rows each
    few = {"leaf_size": 2, "min_patients": 20}
    assert synthesizer("forest", **few).fit(rows, seed=0).mixture_.support.min() == 300
    assert synthesizer("forest", **few).fit(patients, seed=0).mixture_.support.min() >= 600, "15 patients are too few, so 30 stand in"


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_trees", 0), ("leaf_size", 1), ("min_patients", 0), ("max_rounds", 0), ("smoothing", 0.0), ("sharpness", -1.0), ("max_tokens", 1)],
)
def test_hyperparameters_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=f"'{name}' parameter of Forest"):
        Forest(**{name: value}).fit(strict(60), seed=0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def gbsg2() -> tuple[Dataset, Dataset, Dataset]:
    from lifelines.datasets import load_gbsg2

    train, holdout = split(read(load_gbsg2()), holdout=0.3, seed=0)
    return train, holdout, synthesizer("forest").fit(train, seed=0).sample(4 * len(holdout), seed=1)


def ranks(frame: pd.DataFrame, real: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Columns as quantiles of the real ones, text as 0/1 per level, (n_rows, n_features)."""
    parts: list[np.ndarray[Any, Any]] = []
    for name in real:
        if pd.api.types.is_numeric_dtype(real[name]):
            order = np.sort(real[name])
            parts.append((np.searchsorted(order, frame[name], "left") + np.searchsorted(order, frame[name], "right")) / (2 * len(order)))
        else:
            parts += [(frame[name] == level).to_numpy(dtype=float) / 2 for level in sorted(real[name].unique())]
    return np.stack(parts, axis=1)


def test_real_trial_patients_are_hardly_told_from_synthetic_ones(gbsg2: tuple[Dataset, Dataset, Dataset]) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_score

    train, holdout, synthetic = gbsg2
    real, made = holdout.to_pandas(), synthetic.to_pandas()
    scores = []
    for start in range(4):
        x = np.concatenate([ranks(frame, train.to_pandas()) for frame in (real, made.iloc[start * len(real) : (start + 1) * len(real)])])
        judge = HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=0)
        scores.append(cross_val_score(judge, x, np.arange(len(x)) < len(real), cv=5, scoring="roc_auc").mean())
    assert np.mean(scores) < 0.65  # independent columns give about 0.72 here; a fresh real half about 0.51


def test_nobody_is_copied(gbsg2: tuple[Dataset, Dataset, Dataset]) -> None:
    train, holdout, synthetic = (part.to_pandas() for part in gbsg2)
    made, rng, shares = ranks(synthetic, train), np.random.default_rng(0), []

    def nearest(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        own = ranks(frame, train)
        return np.array([np.abs(own - row).sum(axis=1).min() for row in made])

    to_holdout = nearest(holdout)
    for _ in range(4):
        to_train = nearest(train.iloc[rng.permutation(len(train))[: len(holdout)]])
        shares.append((to_train < to_holdout).mean() + (to_train == to_holdout).mean() / 2)
    assert np.mean(shares) < 0.56, "synthetic patients lie no nearer to training patients than to others (0.5); copies give 0.65"
