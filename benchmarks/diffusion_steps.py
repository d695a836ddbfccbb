"""What few looks of a diffusion cost: C2ST and speed of samples drawn in few and in all steps from the same fit, paired by sample.

    python benchmarks/diffusion_steps.py TABLES OUT [--tables-named flchain,support2] [--looks 20,1000] [--samples 8] [--seed 0]

A sample has as many rows as the holdout. One sample differs from the next by more than looks do, so that the difference has an interval:
a t interval over the samples, which share the fit and the holdout rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from judging.detection import c2st
from judging.tables import load
from scipy.stats import t as student

import manikin as mk


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tables-named", type=lambda text: text.split(","), default=["flchain", "support2"])
    parser.add_argument("--looks", type=lambda text: [int(n) for n in text.split(",")], default=[20, 1000], help="few, then all")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def auc_of(folder: Path, made: Path, seed: int) -> float:
    """C2ST of a file against the holdout."""
    tables = load(folder / "train.csv", folder / "test.csv", made, (folder / "target.txt").read_text().strip())
    return c2st(tables, tables.test, tables.synthetic, 1, seed=seed)["auc"]


def measured(folder: Path, out: Path, looks: list[int], samples: int, seed: int) -> dict:
    """C2ST of every sample, rows per CPU second, and the paired difference of the first number of looks to the last."""
    model = mk.synthesizer("tabddpm").fit(mk.read(str(folder / "train.csv")), seed=seed)
    n_rows, file = len(pd.read_csv(folder / "test.csv", dtype=str)), out / "sample.csv"
    found: dict = {"table": folder.name, "holdout_rows": n_rows, "fit_seed": seed, "looks": {}}
    for n in looks:
        model.sampling_steps = n
        aucs, spent = [], 0.0
        for sample in range(samples):
            started = time.process_time()
            made = model.sample(n_rows, seed=100 + sample).to_pandas()
            spent += time.process_time() - started
            made.to_csv(file, index=False)
            aucs.append(auc_of(folder, file, sample))
        rate = round(samples * n_rows / spent)
        found["looks"][n] = {"c2st": [round(auc, 4) for auc in aucs], "mean": round(float(np.mean(aucs)), 4), "rows_per_cpu_s": rate}
        print(folder.name, n, found["looks"][n], flush=True)
    apart = np.array(found["looks"][looks[0]]["c2st"]) - np.array(found["looks"][looks[-1]]["c2st"])
    half = student.ppf(0.975, samples - 1) * apart.std(ddof=1) / np.sqrt(samples)
    found["difference"] = round(float(apart.mean()), 4)
    found["interval"] = [round(float(apart.mean() - half), 4), round(float(apart.mean() + half), 4)]
    return found


def main() -> None:
    """All tables, one after the other."""
    options = parse()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    found = []
    for name in options.tables_named:
        found.append(measured(options.tables / name, options.out, options.looks, options.samples, options.seed))
        print(json.dumps({key: found[-1][key] for key in ("table", "difference", "interval")}), flush=True)
        (options.out / "diffusion-steps.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
