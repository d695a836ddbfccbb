"""Judges one synthetic table and writes JSON. Imports nothing of manikin, being the second opinion on our metrics.

    python benchmarks/judge.py --train train.csv --test test.csv --synthetic synthetic.csv --target COLUMN
        [--rest rest.csv] [--reference reference.json] [--out judge.json] [--draws 5]

train are rows the generator saw, test (the holdout) rows it did not, rest further real rows for utility. Every score
comes with its reference: what real rows score. The reference does not depend on the synthetic table; --reference
keeps it between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from pathlib import Path

# Before numpy: a booster on two threads of a busy machine costs ten times the CPU seconds of one.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
from judging import detection, fidelity, privacy, tables, utility

VERSION = 3


def reference(given: tables.Tables, n_draws: int) -> dict:
    """The scores of real rows: halves of train for C2ST and utility, train rows for geometry, the holdout for the
    rest.
    """
    half = given.train.iloc[np.random.default_rng(0).permutation(len(given.train))[: len(given.train) // 2]]
    real = utility.trained_on_real(given)
    return {
        "version": VERSION,
        "trained_on_real": real,
        "c2st": detection.c2st_of_halves(given, n_draws),
        "excess_tstr_of_a_half": utility.excess(given, half, real),
        "shapes": fidelity.shapes(given, given.test),
        "pairs": fidelity.pairs(given, given.test),
        "missingness": fidelity.missingness(given, given.test),
        "geometry": fidelity.geometry(given, given.train),
        "copies": privacy.copies(given, given.test),
    }


def kept_reference(given: tables.Tables, path: Path | None, n_draws: int) -> dict:
    """The reference from its file where there is one, else computed and, with a path, kept."""
    if path is not None and path.exists():
        known = json.loads(path.read_text())
        if known["version"] == VERSION:
            return known
    computed = reference(given, n_draws)
    if path is not None:
        path.write_text(json.dumps(computed, indent=1) + "\n")
    return computed


def judge(given: tables.Tables, n_draws: int, real: dict[str, list[float]]) -> dict:
    """All scores of the synthetic table; `real` is the AUROC of models learned from train."""
    made = given.synthetic
    return {
        "c2st": detection.c2st(given, given.test, made, n_draws),
        "excess_tstr": utility.excess(given, made, real),
        "dependence": fidelity.dependence(given),
        "shapes": fidelity.shapes(given, made),
        "pairs": fidelity.pairs(given, made),
        "missingness": fidelity.missingness(given, made),
        "levels": fidelity.level_coverage(given, made),
        "geometry": fidelity.geometry(given, made),
        "copies": privacy.copies(given, made),
        "membership": privacy.membership(given, made),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "test", "synthetic"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--key", default=None, help="the patient key: made anew in a release, so it is not judged")
    parser.add_argument("--rest", type=Path, default=None, help="real rows for utility, where the holdout has few positives")
    parser.add_argument("--reference", type=Path, default=None, help="file that keeps the scores of real rows")
    parser.add_argument("--out", type=Path, default=None, help="JSON to write; printed when left out")
    parser.add_argument("--draws", type=int, default=detection.N_DRAWS, help="draws of the C2ST")
    return parser.parse_args()


def main() -> None:
    """Judges as the command line says."""
    options = parse()
    given = tables.load(options.train, options.test, options.synthetic, options.target, options.rest, options.key)
    real_rows = kept_reference(given, options.reference, options.draws)
    real = real_rows.pop("trained_on_real")
    scores = judge(given, options.draws, real) | {
        "reference": real_rows,
        "rows": {"train": len(given.train), "test": len(given.test), "synthetic": len(given.synthetic)},
        "columns": {"numbers": len(given.numbers), "categories": len(given.categories)},
        "n_unparsed": given.n_unparsed,
    }
    usage = resource.getrusage(resource.RUSAGE_SELF)
    scores["judge_cpu_s"] = round(usage.ru_utime + usage.ru_stime, 1)
    text = json.dumps(scores, indent=1, default=float) + "\n"
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
