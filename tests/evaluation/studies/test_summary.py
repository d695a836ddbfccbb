from __future__ import annotations

from typing import Any

import numpy as np

from manikin.evaluation.studies.summary import compared, groups_compared, headline, sentences

TITLES = {"real": "real rows", "good": "good rows", "bad": "bad rows", "same": "the same rows"}


def trial(auroc: float, brier: float, group: float | None = 0.7) -> dict[str, Any]:
    figures = {"auroc": auroc, "auprc": auroc - 0.2, "brier": brier}
    whole = dict.fromkeys(
        ("auroc", "auprc", "recall", "precision", "f1", "brier", "calibration_error", "overprediction"), group
    )
    sex = {"F": {"n": 50, "n_positive": 20, "figures": None if group is None else whole}}
    return {"learners": {"booster": {"figures": figures, "groups": {"sex": sex}}}}


def planted(n_splits: int = 8) -> dict[str, list[dict[str, Any]]]:
    rng = np.random.default_rng(0)
    trials: dict[str, list[dict[str, Any]]] = {name: [] for name in TITLES}
    for base in rng.uniform(0.6, 0.9, n_splits):
        trials["real"].append(trial(base, 0.20))
        trials["good"].append(trial(base + 0.05 + rng.normal(0, 0.005), 0.20 + rng.normal(0, 0.01)))
        trials["bad"].append(trial(base - 0.05 + rng.normal(0, 0.005), 0.25 + rng.normal(0, 0.005)))
        trials["same"].append(trial(base + rng.normal(0, 0.02), 0.20 + rng.normal(0, 0.02)))
    return trials


def test_planted_effects_are_found_although_splits_differ_more_than_arms() -> None:
    lines = compared(planted(), test_to_train=0.4)
    told = {line["arm"]: line for line in sentences(lines, TITLES, {"booster": "trees"})}
    assert {name: line["verdict"] for name, line in told.items()} == {
        "good": "helped",
        "bad": "hurt",
        "same": "no visible difference",
    }
    assert "AUROC +0.0" in told["good"]["text"]
    brier = next(line for line in lines if (line["arm"], line["measure"]) == ("bad", "brier"))
    assert brier["verdict"] == "hurt"  # a higher Brier score is a worse one
    assert "Brier" in told["bad"]["text"]


def test_the_headline_counts() -> None:
    told = sentences(compared(planted(), test_to_train=0.4), TITLES, {"booster": "trees"})
    assert headline(told) == "Of 3 comparisons with real rows alone, 1 ranked patients visibly better, 1 visibly worse."
    assert headline(told[-1:]).startswith("In none of 1")


def test_the_family_is_corrected_and_holds_both_ranking_figures() -> None:
    lines = compared(planted(), test_to_train=0.4)
    of_good = next(line for line in lines if (line["arm"], line["measure"]) == ("good", "auroc"))
    assert of_good["p_holm"] > of_good["p"]
    same = [line for line in lines if line["arm"] == "same" and line["measure"] in ("auroc", "auprc")]
    assert all(line["p_holm"] >= line["p"] for line in same)


def test_groups_without_enough_rows_are_too_few() -> None:
    trials = planted(4)
    for arm in trials:
        for number in (0, 1, 2):
            trials[arm][number]["learners"]["booster"]["groups"]["sex"]["F"]["figures"] = None
    lines = groups_compared(trials, test_to_train=0.4)
    assert all(line["too_few"] and line["figures"] is None for line in lines)
    assert not groups_compared(planted(4), test_to_train=0.4)[0]["too_few"]
