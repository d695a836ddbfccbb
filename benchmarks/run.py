"""Runs synthesizers on tables, has the judge score what they made, writes results.json. Knows no model and no score.

    python benchmarks/run.py --tables TABLES --peers-env PEERS --out RESULTS \\
        --tables-named diabetes20k,flchain --synthesizers manikin:autoregressive,mostly,arfpy,sdv:copula --seeds 0,1,2

A synthesizer is `adapter` or `adapter:model`; manikin runs in this interpreter, every peer in PEERS/<adapter>. A job
leaves RESULTS/<table>/<synthesizer>/seed<S>/{synthetic.csv,cost.json,judge.json,log.txt}; what exists is not done
again, so a broken run is resumed by the same command. A failed job leaves failed.txt and is tried again only with
--retry. results.json keeps rows of earlier runs with the same --out. With --splits tables under 2,000 rows are run on
five splits of their own instead of on the one given; with --fresh N every table is run on N new splits, for figures on rows
that no choice was made by.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import splits

HERE = Path(__file__).parent
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1")
SMALL_TABLE_DRAWS = 5  # synthetic rows per holdout row, so that C2ST can be averaged over disjoint draws


@dataclass(frozen=True)
class Job:
    """One table, one synthesizer, one seed."""

    table: str
    synthesizer: str
    seed: int

    def folder(self, results: Path) -> Path:
        """Where the job's files lie."""
        return results / self.table / self.synthesizer.replace(":", "_") / f"seed{self.seed}"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder that tables.py wrote")
    parser.add_argument("--peers-env", type=Path, required=True, help="folder that peers/setup.sh filled")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables-named", type=lambda text: text.split(","), required=True)
    parser.add_argument("--synthesizers", type=lambda text: text.split(","), required=True)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--splits", action="store_true", help="five splits of tables under 2,000 rows")
    parser.add_argument(
        "--fresh", type=int, default=0, metavar="N", help="N new splits of every table, of the size of the given one"
    )
    parser.add_argument("--cpu-limit-minutes", type=float, default=60.0, help="a job is ended beyond this")
    parser.add_argument("--retry", action="store_true", help="try failed jobs again")
    parser.add_argument("--no-judge", action="store_true", help="only make the synthetic files")
    return parser.parse_args()


def table_folders(tables: Path, names: list[str], out: Path, with_splits: bool, n_fresh: int = 0) -> dict[str, Path]:
    """The folder of each table by the name it has in the results."""
    folders = {}
    for name in names:
        if n_fresh:
            fresh = splits.fresh(tables / name, out / f"{name}-fresh", n_fresh)
            folders |= {f"{name}-fresh/{part.name}": part for part in fresh}
        elif with_splits and splits.is_small(tables / name):
            parts = splits.resplit(tables / name, out / name)
            folders |= {f"{name}/{part.name}": part for part in parts}
        else:
            folders[name] = tables / name
    return folders


def rows_to_sample(folder: Path) -> int:
    """As many as train has; for a small table at least five times the holdout."""
    n_train, n_test = (len(splits.read_text(folder / f"{part}.csv")) for part in ("train", "test"))
    return max(n_train, SMALL_TABLE_DRAWS * n_test) if n_train + n_test < splits.SMALL_TABLE_ROWS else n_train


def cpu_limit(seconds: float) -> Callable[[], None]:
    """Holds a child to CPU seconds; run between fork and exec."""
    return lambda: resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))


def generate(job: Job, folder: Path, options: argparse.Namespace) -> bool:
    """Fits and samples unless both files exist; whether they exist afterwards."""
    here = job.folder(options.out)
    synthetic, cost, failed = (here / name for name in ("synthetic.csv", "cost.json", "failed.txt"))
    if synthetic.exists() and cost.exists():
        return True
    if failed.exists() and not options.retry:
        return False
    here.mkdir(parents=True, exist_ok=True)
    adapter, _, model = job.synthesizer.partition(":")
    python = sys.executable if adapter == "manikin" else str(options.peers_env / adapter / "bin" / "python")
    command = [python, str(HERE / "peers" / f"{adapter}_run.py"), "--train", str(folder / "train.csv")]
    command += ["--out", str(synthetic), "--cost", str(cost), "--rows", str(rows_to_sample(folder))]
    command += ["--seed", str(job.seed)] + (["--model", model] if model else [])
    with (here / "log.txt").open("w") as log:
        done = subprocess.run(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | THREADS,
            preexec_fn=cpu_limit(60 * options.cpu_limit_minutes),
        )
    if done.returncode == 0:
        failed.unlink(missing_ok=True)
        return True
    failed.write_text(why_failed(done.returncode, here / "log.txt", options.cpu_limit_minutes) + "\n")
    return False


def why_failed(code: int, log: Path, limit_minutes: float) -> str:
    """What became of a job that gave no result."""
    if code == -signal.SIGXCPU:
        return f"not finished after {60 * limit_minutes:.0f} CPU s, the limit of this run"
    last = log.read_text().strip().splitlines()[-1:] or ["no output"]
    return f"exit {code}: {last[0][:300]}"


def judged(job: Job, folder: Path, options: argparse.Namespace) -> dict | None:
    """The judge's scores, from judge.json when it is newer than the synthetic file."""
    here = job.folder(options.out)
    scores = here / "judge.json"
    if not scores.exists() or scores.stat().st_mtime < (here / "synthetic.csv").stat().st_mtime:
        command = [sys.executable, str(HERE / "judge.py"), "--synthetic", str(here / "synthetic.csv")]
        for part in ("train", "test", "rest"):
            if (folder / f"{part}.csv").exists():
                command += [f"--{part}", str(folder / f"{part}.csv")]
        command += ["--target", (folder / "target.txt").read_text().strip(), "--out", str(scores)]
        if (folder / "key.txt").exists():
            command += ["--key", (folder / "key.txt").read_text().strip()]
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
        failed = job.folder(options.out) / "failed.txt"
        return base | {"failed": failed.read_text().strip()}
    cost = json.loads((job.folder(options.out) / "cost.json").read_text())
    return base | {"cost": cost, "scores": None if options.no_judge else judged(job, folder, options)}


def machine() -> dict[str, str | int]:
    """The machine in general words, without its name."""
    return {
        "cores": os.cpu_count() or 0,
        "threads used": 1,
        "architecture": platform.machine(),
        "system": platform.system(),
        "python of the judge": platform.python_version(),
    }


def shown_command(script: str = "run.py") -> str:
    """The command as typed, with local folders replaced by words."""
    words, hidden = sys.argv[1:], {"--tables": "TABLES", "--peers-env": "PEERS", "--out": "RESULTS"}
    shown = [hidden.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    return " ".join([f"python benchmarks/{script}", *shown])


def merged(results: Path, new: dict, script: str = "run.py") -> dict:
    """The earlier record with `new`'s row in the place of the same job's, and every command that was used."""
    old = json.loads(results.read_text()) if results.exists() else {"commands": [], "rows": []}
    same = tuple(new[key] for key in ("table", "synthesizer", "seed"))
    kept = [row for row in old["rows"] if (row["table"], row["synthesizer"], row["seed"]) != same]
    command = shown_command(script)
    commands = old["commands"] + [command] * (command not in old["commands"])
    return {"date": str(date.today()), "commands": commands, "machine": machine(), "rows": [*kept, new]}


def main() -> None:
    """Runs all jobs, seed by seed, and writes results.json after each."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    folders = table_folders(options.tables, options.tables_named, options.out, options.splits, options.fresh)
    results = options.out / "results.json"
    for seed in options.seeds:
        for synthesizer in options.synthesizers:
            for table, folder in folders.items():
                new = row(Job(table, synthesizer, seed), folder, options)
                results.write_text(json.dumps(merged(results, new), indent=1) + "\n")
                print(table, synthesizer, seed, new.get("failed", "done"), flush=True)


if __name__ == "__main__":
    main()
