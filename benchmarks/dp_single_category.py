"""A category that one patient alone holds: how often does a private generator publish it? Fits nothing itself.

    nice python benchmarks/dp_single_category.py --peers-env PEERS --out RESULTS [--synthesizers independent,aim,dpmm:mst] [--runs 20]

2,000 made-up rows of four columns, in one of which one row says PLANTED. Each synthesizer learns them `--runs` times at epsilon 1 and
delta 1/n and draws 2,000 rows; counted is in how many of its files the word stands, with its 95 % Clopper-Pearson interval, beside the
probability that its ledger states. `manikin:independent` without epsilon, whose rule of small cells holds the word back but gives no
probability, stands beside them. A peer that takes its list of categories from the data has published the word before it draws any noise.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import run
from dp_compare import job_name
from judging.privacy import clopper_pearson

HERE = Path(__file__).parent
N, N_TEST = 2_000, 500
PLANTED = "Wexley Bay"
TABLE = "single_category"
WITHOUT = "manikin:independent"


def rows(n: int, seed: int) -> pd.DataFrame:
    """Dependent columns without any rare level."""
    rng = np.random.default_rng(seed)
    age = rng.normal(60, 12, n).clip(18, 99).round()
    site = rng.choice(["Northam", "Eastfield", "Southport", "Weston", "Midvale"], n, p=[0.35, 0.25, 0.2, 0.12, 0.08])
    smoker = np.where(rng.random(n) < np.where(site == "Northam", 0.45, 0.2), "yes", "no")
    died = np.where(rng.random(n) < 1 / (1 + np.exp(-(age - 70) / 6)), "yes", "no")
    return pd.DataFrame({"age": age.astype(int), "site": site, "smoker": smoker, "died": died})


def write_table(folder: Path) -> None:
    """The table with its one planted cell, as run.py takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    train = rows(N, 0)
    train.loc[N // 2, "site"] = PLANTED
    train.to_csv(folder / "train.csv", index=False)
    rows(N_TEST, 1).to_csv(folder / "test.csv", index=False)
    (folder / "target.txt").write_text("died\n")


def stated(folder: Path) -> float | None:
    """The probability, by the ledger, that any value of a single patient's is found; None where there is no ledger."""
    path = folder / "ledger.json"
    if not path.exists():
        return None
    events = [spend["event"] for spend in json.loads(path.read_text())["spends"]]
    return float(sum(event.get("delta", 0) for event in events))


def outcome(synthesizer: str, options: argparse.Namespace) -> dict:
    """How often the word came out of one synthesizer."""
    how = SimpleNamespace(out=options.out, peers_env=options.peers_env, retry=False, no_judge=True, cpu_limit_minutes=options.minutes)
    hits, seconds, failed, probability = 0, [], [], None
    for seed in range(options.runs):
        job = run.Job(TABLE, synthesizer, seed)
        row, here = run.row(job, options.out / "tables" / TABLE, how), job.folder(options.out)
        if "failed" in row:
            failed.append(row["failed"])
            continue
        hits += PLANTED in (here / "synthetic.csv").read_text()
        seconds.append(row["cost"]["fit_cpu_s"])
        probability = stated(here)
    n = len(seconds)
    low, high = clopper_pearson(hits, n) if n else (0.0, 1.0)
    return {
        "synthesizer": synthesizer,
        "runs": n,
        "published": hits,
        "interval": [round(float(low), 4), round(float(high), 4)],
        "stated": probability,
        "fit_cpu_s": round(float(np.median(seconds)), 2) if n else None,
        "failed": sorted(set(failed)),
    }


def main() -> None:
    """Runs and writes results/dp-single-category.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-env", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes of one fit at most")
    parser.add_argument(
        "--synthesizers", type=lambda text: text.split(","), default=["independent", "aim", "dpmm:mst", "dpmm:aim"]
    )
    parser.add_argument("--results", type=Path, default=HERE / "results" / "dp-single-category.json")
    options = parser.parse_args()
    write_table(options.out / "tables" / TABLE)
    record: dict = {"command": "python benchmarks/dp_single_category.py --peers-env PEERS --out RESULTS", "rows": []}
    for synthesizer in [WITHOUT, *(job_name(name, 1.0) for name in options.synthesizers)]:
        record["rows"].append(outcome(synthesizer, options))
        print(json.dumps(record["rows"][-1]), flush=True)
        options.results.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
