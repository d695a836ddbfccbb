"""What privacy costs, on three real tables: runs `manikin study tradeoff` on each. Knows no generator but by name.

    python benchmarks/tradeoff.py SHARED_DATA_FOLDER OUT diabetes130            # the estimate, then the run; one table a command
    python benchmarks/tradeoff.py SHARED_DATA_FOLDER OUT cardio70k --estimate   # the estimate only

One process and one thread. A run that was interrupted goes on from its last fit, and one that is finished is taken up again: with more
seeds, epsilons and generators, and with the fits that failed.
OUT/NAME holds the study; benchmarks/results/tradeoff-NAME.json keeps it without its single trials, tradeoff-NAME.svg its curves. The tables
are public data, so that this curve may be shown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd
import tables

EPSILONS = "0.1,0.5,1,3,10,inf"
SYNTHESIZERS = "aim,independent,autoregressive,dpgan,dpwgan,pategan"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Run:
    """One table: how it is made, the options of its study, and what to expect of it.

    Attributes
    ----------
    judging : CPU seconds to measure one release. fitting : CPU seconds to learn once and draw, by generator; 60 where none is given.
    """

    make: Callable[[Path], pd.DataFrame]
    options: str
    judging: float
    fitting: dict[str, float]


def diabetes130(shared: Path) -> pd.DataFrame:
    """Encounters with their patient; readmission within 30 days as the target."""
    return tables.diabetes130(shared).drop(columns="encounter_id")


QUICK = {"independent": 1.0, "aim": 10.0}
# Delta is one public number for all epsilons: 1e-6 lies below 1 / (10 n) of each table.
RUNS = {
    "diabetes130": Run(diabetes130, "--target readmitted --max-rows 20000 --delta 1e-6", 22.0, QUICK),
    "cardio70k": Run(tables.cardio70k, "--target cardio --delta 1e-6", 12.0, QUICK),
    "support2": Run(tables.support2, "--target hospdead --delta 1e-6", 12.0, QUICK),
}


def estimate(run: Run, folder: Path, epsilons: str, synthesizers: str, seeds: int) -> tuple[int, float]:
    """Fits that are left, and the CPU seconds that they will take: by what is done already, or by what was measured before."""
    done = [json.loads(path.read_text(encoding="utf-8")) for path in folder.with_name(f"{folder.name}.partial").glob("trials/*.json")]
    if (folder / "study.json").exists():
        done += [one for one in json.loads((folder / "study.json").read_text(encoding="utf-8"))["trials"] if "failed" not in one]
    good = [trial for trial in done if "failed" not in trial]
    judging = median([trial["judging_cpu_seconds"] for trial in good] or [run.judging])
    names = list(dict.fromkeys(["independent", *(name.removesuffix("@inf") for name in synthesizers.split(","))]))
    n_left, seconds = seeds - sum(trial["synthesizer"] == "real" for trial in done), 0.0
    seconds += n_left * judging
    for name in names:
        own = [trial for trial in done if trial["synthesizer"] == name]
        spent = [trial["figures"]["cpu_seconds"]["value"] for trial in own if "failed" not in trial]
        left = max(0, seeds * (1 if f"{name}@inf" in synthesizers else len(epsilons.split(","))) - len(own))
        n_left, seconds = n_left + left, seconds + left * (judging + median(spent or [run.fitting.get(name, 60.0)]))
    return n_left, seconds


def main() -> None:
    """Says what the run will take, runs it and keeps its results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("table", choices=sorted(RUNS))
    parser.add_argument("--epsilons", default=EPSILONS)
    parser.add_argument("--synthesizers", default=SYNTHESIZERS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--more", default="", help="further options of the command, such as '--time-budget 5m'")
    parser.add_argument("--estimate", action="store_true", help="say what it will take, and stop")
    asked = parser.parse_args()
    run, folder = RUNS[asked.table], asked.out / asked.table
    n_left, seconds = estimate(run, folder, asked.epsilons, asked.synthesizers, asked.seeds)
    print(f"{asked.table}: {n_left} fits are left, some {seconds / 3600:.1f} CPU hours of one thread", flush=True)
    if asked.estimate:
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    table = asked.out / f"{asked.table}.csv"
    if not table.exists():
        run.make(asked.shared).to_csv(table, index=False)
    options = f"{run.options} --epsilons {asked.epsilons} --synthesizers {asked.synthesizers} --seeds {asked.seeds} {asked.more}"
    options += " --extend" if folder.exists() else ""
    print(f"manikin study tradeoff {table.name} {options} -o {asked.table}", flush=True)
    program = [sys.executable, "-m", "manikin.cli", "study", "tradeoff", str(table), *options.split(), "-o", str(folder)]
    subprocess.run(program, check=True, env={**os.environ, "MANIKIN_THREADS": "1"})
    keep(folder, asked.table)


def keep(folder: Path, name: str) -> None:
    """The study without its single trials, and its curves, into benchmarks/results."""
    document = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    for left_out in ("trials", "job"):
        document.pop(left_out)
    text = json.dumps(document, ensure_ascii=False)
    (RESULTS / f"tradeoff-{name}.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / f"tradeoff-{name}.svg").write_text((folder / "study.svg").read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main()
