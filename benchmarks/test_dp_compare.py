"""The comparison of private generators: which jobs there are, who is said to lead, and what is missing is named.

python -m pytest benchmarks/test_dp_compare.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

import dp_compare
import tables


def row(name: str, seed: int, dependence: float, tstr: float, seconds: float, width: float = 0.001) -> dict:
    """A row of run.py with these figures."""
    utility = {learner: {"value": tstr, "interval": [tstr - width, tstr + width]} for learner in ("booster", "logistic")}
    scores = {
        "dependence": {"value": dependence},
        "excess_tstr": utility,
        "shapes": {"mean": 0.9},
        "pairs": {"mean": 0.9},
        "c2st": {"auc": 0.8},
        "missingness": {"mean": 0.0},
        "rows": {"train": 100},
        "columns": {"numbers": 1, "categories": 2},
        "reference": {
            "excess_tstr_of_a_half": utility,
            "shapes": {"mean": 1.0},
            "pairs": {"mean": 1.0},
            "c2st": {"auc": 0.5},
            "missingness": {"mean": 0.0},
        },
    }
    cost = {"fit_cpu_s": seconds, "sample_cpu_s": 0.0, "peak_mb": 100.0, "versions": {}, "notes": []}
    return {"table": "cardio70k", "synthesizer": name, "seed": seed, "cost": cost, "scores": scores}


def test_lead_is_told_where_it_is_one() -> None:
    ours = [row("manikin:aim+epsilon=1", seed, 0.5 + seed / 100, 0.9, 10.0) for seed in range(3)]
    theirs = [row("dpmm:mst", seed, value, 0.9 + seed / 100, 100.0) for seed, value in enumerate((0.2, 0.3, 0.4))]
    assert dp_compare.lead(ours, theirs, "dependence") == "above"
    assert dp_compare.lead(theirs, ours, "dependence") == "**below**"
    assert dp_compare.lead(ours, theirs, "excess TSTR booster") == "ranges overlap, median **below**"
    wide = [row("dpmm:mst", 0, 0.2, 0.93, 100.0, width=0.05)]
    ours_wide = [row("manikin:aim+epsilon=1", 0, 0.2, 0.9, 10.0, width=0.05)]
    assert dp_compare.lead(ours_wide, wide, "excess TSTR logistic") == "0.900, 0.930: the holdout shows no difference"
    lines = dp_compare.leads({"manikin:aim+epsilon=1": ours, "dpmm:mst": theirs})
    assert lines[2].endswith("| 0.10 |")


def test_what_is_missing_is_named() -> None:
    lost = [{"table": "cardio70k", "synthesizer": "dpmm:aim", "seed": seed, "failed": "not finished"} for seed in (0, 1)]
    rows = [row("dpmm:mst", 0, 0.2, 0.9, 100.0), *lost]
    text = "\n".join(dp_compare.section("cardio70k", rows))
    assert "| dpmm:mst | 1 | 0.200 |" in text
    assert "* no figure: dpmm:aim, seed 0, 1: not finished" in text


def test_peers_are_not_run_on_the_table_of_ours_alone() -> None:
    options = SimpleNamespace(seeds=[0], tables_named=["diabetes30", "diabetes48"], synthesizers=["aim", "dpmm:mst"], epsilon=0.5)
    names = {(job.table, job.synthesizer) for job in dp_compare.jobs(options)}
    assert names == {
        ("diabetes30", "manikin:aim+epsilon=0.5"),
        ("diabetes48", "manikin:aim+epsilon=0.5"),
        ("diabetes30", "dpmm:mst+epsilon=0.5"),
    }


def test_variants_follow_the_epsilon() -> None:
    assert dp_compare.job_name("aim+public-levels", 1.0) == "manikin:aim+epsilon=1+public-levels"
    assert dp_compare.job_name("dpmm:mst+bounds", 1.0) == "dpmm:mst+bounds"


def test_few_columns_are_chosen_by_their_place() -> None:
    frame = pd.DataFrame([[0] * 50], columns=["diag_1", "target", *(f"c{i}" for i in range(48))])
    assert list(tables.few_columns(frame, "target").columns) == [*(f"c{i}" for i in range(29)), "target"]
