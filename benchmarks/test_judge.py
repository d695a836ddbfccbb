"""The judge on tables whose scores are known: fresh rows, copies, shuffled columns, a lost level, unrounded numbers.

python -m pytest benchmarks/test_judge.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))

from judging import detection, fidelity, privacy, tables, utility

N = 600


def rows(n: int, seed: int) -> pd.DataFrame:
    """Dependent rows of every kind: a number, a count with missing cells, a code, levels, a target."""
    generator = np.random.default_rng(seed)
    age = generator.normal(60, 10, n).round(1)
    stage = np.where(age + generator.normal(0, 5, n) > 62, "None", np.where(generator.random(n) < 0.5, "I", "II"))
    visits = np.where(generator.random(n) < 0.2, np.nan, generator.poisson(np.where(stage == "None", 20, 6)))
    risk = 1 / (1 + np.exp(-(age - 65) / 5))
    died = np.where(generator.random(n) < risk, "yes", "no")
    return pd.DataFrame({"age": age, "visits": visits, "year": 1995 + (age > 60), "stage": stage, "died": died})


def given(folder: Path, synthetic: pd.DataFrame) -> tables.Tables:
    """Train, holdout and `synthetic` through files, as the command reads them."""
    frames = {"train": rows(N, 0), "test": rows(N, 1), "synthetic": synthetic}
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return tables.load(*(folder / f"{name}.csv" for name in frames), target="died")


def test_types_come_from_train(tmp_path: Path) -> None:
    synthetic = rows(N, 2).assign(year=lambda frame: frame["year"].astype(float))  # written as 1995.0
    table = given(tmp_path, synthetic)
    assert table.numbers == ("age", "visits")
    assert set(table.synthetic["year"]) == {"1995", "1996"}
    assert "None" in set(table.train["stage"])  # a category, not a missing cell
    assert table.positive == "yes"


def test_fresh_rows_score_as_real_rows(tmp_path: Path) -> None:
    table = given(tmp_path, rows(N, 2))
    assert detection.c2st(table, table.test, table.synthetic)["auc"] == pytest.approx(0.5, abs=0.05)
    assert fidelity.dependence(table)["value"] == pytest.approx(1, abs=0.2)
    excess = utility.excess(table, table.synthetic, utility.trained_on_real(table))
    assert excess["logistic"]["value"] == pytest.approx(1, abs=0.1)
    assert privacy.membership(table, table.synthetic)["auc"] == pytest.approx(0.5, abs=0.06)
    assert fidelity.geometry(table, table.synthetic)["coverage"] > 0.9


def test_copies_are_caught(tmp_path: Path) -> None:
    table = given(tmp_path, rows(N, 0))
    assert privacy.copies(table, table.synthetic) == {"share": 1.0, "n": N}
    attack = privacy.membership(table, table.synthetic)
    assert attack["auc"] > 0.8
    assert attack["tpr_at_1_percent_fpr"] == 1 or attack["auc"] < 1  # ties: a holdout row may equal a train row


def test_shuffled_columns_have_no_dependence(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    table = given(tmp_path, rows(N, 2).apply(lambda column: generator.permutation(column.to_numpy())))
    assert fidelity.dependence(table)["value"] == pytest.approx(0, abs=0.2)
    assert detection.c2st(table, table.test, table.synthetic)["auc"] > 0.65
    assert fidelity.shapes(table, table.synthetic)["worst"] > 0.9


def test_a_turned_target_has_negative_use(tmp_path: Path) -> None:
    # not shuffled columns: where all columns hang on one, a model of pure chance may point the right way
    table = given(tmp_path, rows(N, 2).replace({"died": {"yes": "no", "no": "yes"}}))
    excess = utility.excess(table, table.synthetic, utility.trained_on_real(table))
    assert excess["logistic"]["value"] == pytest.approx(-1, abs=0.1)
    assert excess["booster"]["value"] < -0.5


def test_a_lost_level_and_a_lost_missingness_are_named(tmp_path: Path) -> None:
    synthetic = rows(N, 2).replace({"stage": {"II": "I"}}).fillna({"visits": 7})
    table = given(tmp_path, synthetic)
    assert fidelity.level_coverage(table, table.synthetic)["over_half_percent"] == pytest.approx(6 / 7)
    assert fidelity.missingness(table, table.synthetic)["worst_column"] == "visits"


def test_unrounded_numbers_are_detected(tmp_path: Path) -> None:
    synthetic = rows(N, 2)
    table = given(tmp_path, synthetic.assign(visits=synthetic["visits"] + 0.37))
    assert detection.c2st(table, table.test, table.synthetic)["auc"] > 0.8


def test_cramers_v_of_known_tables() -> None:
    assert fidelity.cramers_v(np.diag([50, 50])) == pytest.approx(1, abs=0.01)
    assert fidelity.cramers_v(np.full((2, 2), 25)) == 0


def test_resampled_auroc_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    y, scores = generator.integers(0, 2, 200), generator.integers(0, 20, 200).astype(float)
    resampler = utility.Resampler(y, 3, seed=0)
    expected = [roc_auc_score(y, scores, sample_weight=weights) for weights in resampler.weights]
    assert resampler.aurocs(scores) == pytest.approx(expected)


def test_clopper_pearson_agrees_with_the_rule_of_three() -> None:
    assert privacy.clopper_pearson(0, 300)[1] == pytest.approx(3.69 / 300, rel=0.01)  # -ln(0.025) / n


def test_pairs_see_what_columns_do_not(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    shuffled = rows(N, 2).apply(lambda column: generator.permutation(column.to_numpy()))
    table = given(tmp_path, shuffled)
    fresh = fidelity.pairs(table, table.test)
    found = fidelity.pairs(table, table.synthetic)
    assert fidelity.pairs(table, table.train) == {"mean": 1.0, "worst": 1.0, "worst_pair": ["age", "visits"]}
    assert found["mean"] < fresh["mean"] - 0.05
    assert found["worst"] < fresh["worst"] - 0.1
    assert fidelity.shapes(table, table.synthetic)["mean"] > 0.95


def test_pair_distance_is_the_total_variation_of_their_table(tmp_path: Path) -> None:
    table = given(tmp_path, rows(N, 2))
    tables_of = [frame.groupby(["stage", "died"]).size() / N for frame in (table.train, table.synthetic)]
    by_hand = tables_of[0].subtract(tables_of[1], fill_value=0).abs().sum() / 2
    assert fidelity.pair_distances(table, table.synthetic)["stage", "died"] == pytest.approx(by_hand)
