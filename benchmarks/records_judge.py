"""Judges one synthetic folder of linked tables and writes JSON. Imports nothing of manikin, being the second opinion on our metrics.

    python benchmarks/records_judge.py TABLES/physionet2012 SYNTHETIC [--reference reference.json] [--out judge.json]

The first folder holds train/, holdout/ and judge.json, as records_tables.py writes them. Fidelity is measured against train, C2ST and TSTR
on the holdout. Every score has its reference: what real patients score (the holdout against train, parts of train against one another).
--reference keeps it between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Before numpy: a booster on two threads of a busy machine costs ten times the CPU seconds of one.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
from records_judging import detection, features, fidelity, halves, integrity, privacy, reading, utility

VERSION = 2


@dataclass(frozen=True)
class Given:
    """Train and holdout as cohorts and as rows of features."""

    facts: Mapping
    known: features.Vocabulary
    train: reading.Cohort
    holdout: reading.Cohort
    train_rows: pd.DataFrame
    holdout_rows: pd.DataFrame

    @property
    def is_category(self) -> np.ndarray:
        """Which features are levels."""
        return features.is_category(self.train_rows, self.known)

    @property
    def predictors(self) -> np.ndarray:
        """Which features may be used to predict the target."""
        told = self.facts["patients"]
        out = {told["target"], *told.get("after_the_fact", [])}
        return np.array([name not in out for name in self.train_rows.columns])

    def labels(self, cohort: reading.Cohort) -> np.ndarray:
        """1 where the target is positive."""
        told = self.facts["patients"]
        return (cohort.statics[told["target"]] == told["positive"]).to_numpy().astype(int)


def load(folder: Path) -> Given:
    """The real patients."""
    facts = reading.facts_of(folder)
    train, holdout = (reading.load(folder / part, facts) for part in ("train", "holdout"))
    known = features.vocabulary(train)
    return Given(facts, known, train, holdout, features.rows(train, known), features.rows(holdout, known))


def fidelity_scores(given: Given, made: reading.Cohort, train: reading.Cohort | None = None) -> dict:
    """All scores that need no classifier, against train or the part of it that is given."""
    train = given.train if train is None else train
    return {
        "codes": fidelity.codes(made, train, given.known),
        "timing": fidelity.timing(made, train),
        "values": fidelity.values(made, train, given.known),
        "in_time": fidelity.dependence_in_time(made, train, given.known),
        "statics": fidelity.statics(made, train, given.known),
    }


def halves_of(given: Given, made: reading.Cohort | None = None) -> dict[str, list[float]]:
    """Figures of made patients, or of real ones, against halves of train."""
    return halves.draws(given.train, lambda half, other: fidelity_scores(given, other, half), made)


def learned(given: Given, rows: pd.DataFrame, y: np.ndarray) -> dict[str, np.ndarray]:
    """AUROC on the holdout of what is learned from `rows`."""
    use = given.predictors
    held_out = given.holdout_rows.loc[:, use]
    return utility.trained(rows.loc[:, use], y, held_out, given.labels(given.holdout), given.is_category[use])


def reference(given: Given) -> dict:
    """The scores of real patients; they do not depend on the synthetic folder."""
    scores = fidelity_scores(given, given.holdout)
    scores["c2st"] = detection.c2st_of_halves(given.train_rows, len(given.holdout), given.is_category)
    if len(given.train) <= halves.MOST_PATIENTS:
        scores["halves"] = halves_of(given)
    if "target" in given.facts["patients"]:
        real = learned(given, given.train_rows, given.labels(given.train))
        half = np.random.default_rng(0).permutation(len(given.train))[: len(given.train) // 2]
        of_half = learned(given, given.train_rows.iloc[half], given.labels(given.train)[half])
        scores["excess_tstr"] = utility.excess(of_half, real)
        scores["trained_on_real"] = {name: list(map(float, aurocs)) for name, aurocs in real.items()}
    return {"version": VERSION, "scores": scores, "patients": {"train": len(given.train), "holdout": len(given.holdout)}}


def kept_reference(given: Given, path: Path | None) -> dict:
    """The reference from its file where there is one, else computed and, with a path, kept."""
    if path is not None and path.exists():
        known = json.loads(path.read_text())
        if known["version"] == VERSION:
            return known
    computed = reference(given)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(computed, indent=1) + "\n")
    return computed


def judge(
    given: Given,
    made: reading.Cohort,
    real: Mapping[str, list[float]] | None,
    real_halves: Mapping[str, list[float]] | None = None,
) -> dict:
    """All scores of the made patients; `real` is the AUROC of models learned from train, `real_halves` what real halves score."""
    rows = features.rows(made, given.known)
    scores = fidelity_scores(given, made)
    scores["c2st"] = detection.c2st(given.holdout_rows, rows, given.is_category)
    scores["membership"] = privacy.membership(given.train_rows, given.holdout_rows, rows, given.is_category)
    scores["integrity"] = integrity.integrity(made.tables, given.train.tables, given.facts)
    if real_halves is not None and len(made):
        scores["halves"] = halves.compared(halves_of(given, made), real_halves)
    if real is not None:
        n = min(len(made), len(given.train))
        aurocs = learned(given, rows.iloc[:n], given.labels(made)[:n]) if given.facts["patients"]["target"] in made.statics else None
        chance = {name: np.full_like(np.array(kept), 0.5) for name, kept in real.items()}
        scores["excess_tstr"] = utility.excess(aurocs or chance, {name: np.array(kept) for name, kept in real.items()})
    return scores


def main() -> None:
    """Judges as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="folder with train/, holdout/ and judge.json")
    parser.add_argument("synthetic", type=Path, help="folder of synthetic CSV tables")
    parser.add_argument("--reference", type=Path, default=None, help="file that keeps the scores of real patients")
    parser.add_argument("--out", type=Path, default=None, help="JSON to write; printed when left out")
    options = parser.parse_args()
    given = load(options.tables)
    real = kept_reference(given, options.reference)
    made = reading.load(options.synthetic, given.facts)
    scores = judge(given, made, real["scores"].pop("trained_on_real", None), real["scores"].pop("halves", None))
    scores |= {"reference": real["scores"], "patients": real["patients"] | {"synthetic": len(made)}}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    scores["judge_cpu_s"] = round(usage.ru_utime + usage.ru_stime, 1)
    text = json.dumps(scores, indent=1, default=float) + "\n"
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
