"""Who was learned from? Attacks on generators of few linked patients, each patient held out in turn; one split says too little of them.

    python benchmarks/records_attack.py TABLES/mimic_iii OUT --peers-env PEERS --folds 5 --seeds 0,1 \\
        --synthesizers manikin:markov,manikin:markov+public=true,manikin:resample_patients

pools train and holdout of a folder that records_tables.py wrote, deals its patients into folds (anew for each seed), learns from all folds
but one, makes as many patients, and attacks those who were learned from and those who were not: by the judge's nearest patient
(records_judging/privacy.py) and by the scores of Manikin's own attack on histories. `manikin:resample_patients` gives real patients
away and shows what the attacks can find. Folds share the schema of the whole folder, as a run of `manikin synthesize` does. A run leaves
OUT/seed<S>/fold<K>/made/…/attack.json; what exists is not done again. OUT/attacks.json tells for each synthesizer, over its runs:

    auc        mean area under the ROC curve of each score, 0.5 is the best, and a 95 % interval around it as by chance alone (each fold has
               the variance of Mann and Whitney's U; seeds deal the same patients anew and are not counted as more of them)
    named      by Manikin's own attack, which is set to 1 % false alarms: among those learned from, and among those held out, whom it names
               more often than that, since a fold holds too few of them to place 1 %
    planted    runs in which near-copies, planted into the release, were found

Every table must have the patient's key, or be a vocabulary. No figure here was used to choose anything of a generator.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import records_judge
from records_judging import features, privacy, reading
from records_run import generate
from records_tables import Tables, of_patients
from run import Job

from manikin.data.schema import Schema
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.records.membership import SCORES, trajectory_membership
from manikin.io import linked
from manikin.workflow.sources import read_schema, write_schema

NORMAL_95 = 1.96


def pooled(folder: Path, key: str) -> Tables:
    """All patients of a folder, cells as text; vocabularies once."""
    first, second = (reading.load(folder / part, reading.facts_of(folder)).tables for part in ("train", "holdout"))
    return {name: pd.concat([table, second[name]], ignore_index=True) if key in table else table for name, table in first.items()}


def deal(source: Path, out: Path, n_folds: int, seed: int) -> list[Path]:
    """Writes OUT/fold<K>/<table>/{train,holdout,judge.json} and returns these folders' parents."""
    facts = reading.facts_of(source)
    key = facts["patients"]["key"]
    tables = pooled(source, key)
    owners = {name: table.get(key) for name, table in tables.items()}
    whole = out / "whole"
    if not (whole / "schema.toml").exists():
        whole.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            table.to_csv(whole / f"{name}.csv", index=False)
        given = source / "train" / "schema.toml"
        write_schema(read_schema(given) if given.exists() else linked.read(whole).schema, whole / "schema.toml")
    everybody = np.unique(np.concatenate([column.unique() for column in owners.values() if column is not None]))
    parts = np.array_split(np.random.default_rng([6_000, seed]).permutation(everybody), n_folds)
    folders = []
    for fold, held_out in enumerate(parts):
        here = out / f"fold{fold}"
        folders.append(here)
        if (here / source.name / "judge.json").exists():
            continue
        for part, kept in (("train", set(everybody) - set(held_out)), ("holdout", set(held_out))):
            folder = here / source.name / part
            folder.mkdir(parents=True, exist_ok=True)
            for name, table in of_patients(tables, owners, kept).items():
                table.to_csv(folder / f"{name}.csv", index=False)
            (folder / "schema.toml").write_text((whole / "schema.toml").read_text())
        (here / source.name / "judge.json").write_text(json.dumps(facts, indent=1) + "\n")
    return folders


def attacked(folder: Path, synthetic: Path, seed: int) -> dict:
    """What the attacks find in one run."""
    given = records_judge.load(folder)
    rows = features.rows(reading.load(synthetic, given.facts), given.known)
    judge = privacy.membership(given.train_rows, given.holdout_rows, rows, given.is_category, seed)
    train = linked.read(folder / "train")
    holdout = linked.read(folder / "holdout", schema=train.schema)
    left = {path.stem: pd.read_csv(path, nrows=0).columns for path in synthetic.glob("*.csv")}  # a release leaves identifiers out
    kept = [t.only([c for c in t.names if c in left[t.name]]) for t in train.schema.tables if t.name in left]
    made = linked.read(synthetic, schema=Schema(tuple(kept)))
    own = trajectory_membership(EvaluationData(train, holdout, (made,), train.schema), seed=seed)
    sizes = {"judge": (judge["n"], judge["n"])} | dict.fromkeys(own.details["attacks"], (own.attack.n, own.control.n))
    return {
        "auc": {"judge": judge["auc"]} | {name: one["auc"] for name, one in own.details["attacks"].items()},
        "sizes": sizes,
        "hits": [round(rate.value * rate.n, 1) for rate in (own.attack, own.control)],
        "attacked": [own.attack.n, own.control.n],
        "planted": bool(own.details["controls"]["planted"]["is_found"]),
    }


def one_run(job: Job, here: Path, options: argparse.Namespace) -> dict:
    """Makes and attacks unless both was done."""
    options = argparse.Namespace(**vars(options) | {"out": here / "made"})
    made = job.folder(options.out)
    kept = made / "attack.json"
    if not kept.exists() or set(json.loads(kept.read_text())["auc"]) != {"judge", *SCORES}:
        if not generate(job, here / job.table, options):
            raise SystemExit((made / "failed.txt").read_text())
        kept.write_text(json.dumps(attacked(here / job.table, made / "synthetic", job.seed), indent=1) + "\n")
    return json.loads(kept.read_text())


def summary(runs: list[dict], n_seeds: int) -> dict:
    """The runs of one synthesizer as one."""
    out: dict = {"runs": len(runs), "auc": {}}
    for name in runs[0]["auc"]:
        chance = [(n + m + 1) / (12 * n * m) for n, m in (run["sizes"][name] for run in runs)]
        mean, half = np.mean([run["auc"][name] for run in runs]), NORMAL_95 * np.sqrt(np.sum(chance) * n_seeds) / len(runs)
        out["auc"][name] = [round(float(value), 3) for value in (mean, mean - half, mean + half)]
    for i, side in enumerate(("learned_from", "held_out")):
        hits, people = (sum(run[what][i] for run in runs) for what in ("hits", "attacked"))
        out[side] = {"named": round(hits, 1), "of": people, "share": round(hits / people, 4)}
    return out | {"planted": sum(run["planted"] for run in runs)}


def main() -> None:
    """Deals, learns, attacks, and writes OUT/attacks.json after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peers-env", type=Path, required=True, help="folder that peers/setup.sh filled")
    parser.add_argument("--synthesizers", type=lambda text: text.split(","), required=True)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    options.cpu_limit_minutes, options.budget_minutes, options.at_least, options.retry = 40.0, None, 0, False
    runs: dict[str, list[dict]] = {name: [] for name in options.synthesizers}
    for seed in options.seeds:
        for here in deal(options.tables, options.out / f"seed{seed}", options.folds, seed):
            for name in options.synthesizers:
                job = Job(options.tables.name, name, seed)
                runs[name] += [one_run(job, here, options)]
                print(seed, here.name, name, runs[name][-1]["auc"], flush=True)
                table = {which: summary(found, options.seeds.index(seed) + 1) for which, found in runs.items() if found}
                (options.out / "attacks.json").write_text(json.dumps({"table": job.table, "synthesizers": table}, indent=1) + "\n")
    print((options.out / "attacks.json").read_text())


if __name__ == "__main__":
    main()
