"""Runs generators of linked patients on folders, has the judge score what they made, writes results.json. Knows no model and no score.

    python benchmarks/records_run.py --tables TABLES --peers-env PEERS --out RESULTS \\
        --tables-named pbcseq,physionet600 --synthesizers sdv:par,mostly,manikin:event_transformer --seeds 0

A synthesizer is `adapter` or `adapter:model[+option=value]`; manikin runs in this interpreter, every peer in PEERS/<adapter>, whose adapter
is peers/records_<adapter>_run.py. A job leaves RESULTS/<table>/<synthesizer>/seed<S>/{synthetic/,cost.json,judge.json,log.txt}; what exists
is not done again, so a broken run is resumed by the same command. A failed job leaves failed.txt and is tried again only with --retry.
As many patients are sampled as there are to learn from, but at least --at-least (so that small folders can be judged on several draws).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from run import THREADS, Job, cpu_limit, merged, why_failed

HERE = Path(__file__).parent
SCRIPT = Path(__file__).name
HERE_TOO = ("manikin", "floor")  # run in this interpreter


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder that records_tables.py wrote")
    parser.add_argument("--peers-env", type=Path, required=True, help="folder that peers/setup.sh filled")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables-named", type=lambda text: text.split(","), required=True)
    parser.add_argument("--synthesizers", type=lambda text: text.split(","), required=True)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    parser.add_argument("--cpu-limit-minutes", type=float, default=40.0, help="a job is ended beyond this")
    parser.add_argument("--budget-minutes", type=float, default=None, help="the peer's own limit, where it has one")
    parser.add_argument("--at-least", type=int, default=0, help="fewest patients to sample")
    parser.add_argument("--retry", action="store_true", help="try failed jobs again")
    parser.add_argument("--no-judge", action="store_true", help="only make the synthetic folders")
    return parser.parse_args()


def n_patients(folder: Path) -> int:
    """Patients to learn from, by judge.json."""
    facts = json.loads((folder / "judge.json").read_text())
    table = facts["patients"]["table"] or facts["events"][0]["table"]
    return pd.read_csv(folder / "train" / f"{table}.csv", usecols=[facts["patients"]["key"]]).iloc[:, 0].nunique()


def generate(job: Job, folder: Path, options: argparse.Namespace) -> bool:
    """Fits and samples unless both exist; whether they exist afterwards."""
    here = job.folder(options.out)
    synthetic, cost, failed = (here / name for name in ("synthetic", "cost.json", "failed.txt"))
    if synthetic.exists() and cost.exists():
        return True
    if failed.exists() and not options.retry:
        return False
    here.mkdir(parents=True, exist_ok=True)
    adapter, _, model = job.synthesizer.partition(":")
    python = sys.executable if adapter in HERE_TOO else str(options.peers_env / adapter / "bin" / "python")
    command = [python, str(HERE / "peers" / f"records_{adapter}_run.py"), "--train", str(folder / "train"), "--out", str(synthetic)]
    command += ["--cost", str(cost), "--judge", str(folder / "judge.json"), "--seed", str(job.seed)]
    command += ["--patients", str(max(n_patients(folder), options.at_least))] + (["--model", model] if model else [])
    command += ["--budget-minutes", str(options.budget_minutes)] if options.budget_minutes else []
    with (here / "log.txt").open("w") as log:
        limit = cpu_limit(60 * options.cpu_limit_minutes)
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | THREADS, preexec_fn=limit)
    if done.returncode == 0:
        failed.unlink(missing_ok=True)
        return True
    failed.write_text(why_failed(done.returncode, here / "log.txt", options.cpu_limit_minutes) + "\n")
    return False


def judged(job: Job, folder: Path, options: argparse.Namespace) -> dict | None:
    """The judge's scores, from judge.json when it is newer than the synthetic folder."""
    here = job.folder(options.out)
    scores = here / "judge.json"
    if not scores.exists() or scores.stat().st_mtime < (here / "synthetic").stat().st_mtime:
        command = [sys.executable, str(HERE / "records_judge.py"), str(folder), str(here / "synthetic"), "--out", str(scores)]
        command += ["--reference", str(options.out / job.table / "reference.json")]
        done = subprocess.run(command, env=os.environ | THREADS, capture_output=True, text=True)
        if done.returncode:
            print(f"judge failed on {here}:\n{done.stderr}", file=sys.stderr)
            return None
    return json.loads(scores.read_text())


def row(job: Job, folder: Path, options: argparse.Namespace) -> dict:
    """One row of results.json: the job, its cost and its scores, or why there are none."""
    base = asdict(job)
    if not generate(job, folder, options):
        return base | {"failed": (job.folder(options.out) / "failed.txt").read_text().strip()}
    cost = json.loads((job.folder(options.out) / "cost.json").read_text())
    return base | {"cost": cost, "scores": None if options.no_judge else judged(job, folder, options)}


def main() -> None:
    """Runs all jobs, seed by seed, and writes results.json after each."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.json"
    for seed in options.seeds:
        for synthesizer in options.synthesizers:
            for table in options.tables_named:
                new = row(Job(table, synthesizer, seed), options.tables / table, options)
                results.write_text(json.dumps(merged(results, new, SCRIPT), indent=1) + "\n")
                print(table, synthesizer, seed, new.get("failed", "done"), flush=True)


if __name__ == "__main__":
    main()
