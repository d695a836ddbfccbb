"""What one measure costs here and in other evaluation packages: CPU seconds of each, measure by measure, on the same three files.

    python benchmarks/tables.py ../shared/data TABLES
    sh benchmarks/peers/setup.sh PEERS sdmetrics syntheval mostlyqa
    python benchmarks/evaluate_peers.py TABLES/diabetes20k SYNTHETIC.csv --peers-env PEERS --out OUT.json

Every measure runs in a process of its own, after the files are read and the package is imported; only what the measure itself takes is
counted (user + system, all threads, OMP_NUM_THREADS=1). A measure that needs longer than --limit CPU seconds is stopped and counts as that.
Ours is started right after each of theirs, so that a busy machine is as busy for both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# their measure -> ours that answers the same question
PAIRS = {
    "sdmetrics": {
        "column_shapes": "column_shapes",
        "column_pair_trends": "pair_trends",
        "missing_value_similarity": "missingness",
        "new_row_synthesis": "copies",
        "logistic_detection": "propensity",
        "dcr_overfitting_protection": "dcr_share",
        "disclosure_protection": "attribute_inference",
        "binary_adaboost": "tstr",
    },
    "syntheval": {
        "ks_test": "column_shapes",
        "corr_diff": "correlations",
        "mi_diff": "pair_trends",
        "p_mse": "propensity",
        "cls_acc": "tstr",
        "dcr": "dcr_share",
        "nndr": "dcr_share",
        "nnaa": "authenticity",
        "eps_risk": "authenticity",
        "hit_rate": "copies",
        "mia_risk": "membership",
    },
    "mostlyqa": {
        "univariate_accuracy": "column_shapes",
        "bivariate_accuracy": "pair_trends",
        "trivariate_accuracy": "three_way",
        "distances": "dcr_share",
    },
}
RUNNERS = {name: HERE / "peers" / f"{name}_measure.py" for name in (*PAIRS, "manikin")}


def run(python: str, package: str, measure: str, files: list[str], limit: float) -> dict[str, object]:
    """One measure in its own process: what it printed last, as JSON; or why there is none."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
    command = [python, str(RUNNERS[package]), measure, *files, str(limit)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if lines:
        return json.loads(lines[-1])
    if done.returncode in (-24, -9):  # SIGXCPU, SIGKILL: past the limit
        return {"cpu_seconds": limit, "stopped": True}
    return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("synthetic", type=Path)
    parser.add_argument("--peers-env", type=Path, required=True)
    parser.add_argument("--peers", default=",".join(PAIRS))
    parser.add_argument("--limit", type=float, default=600.0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    target = (given.table / "target.txt").read_text().strip()
    files = [str(given.table / "train.csv"), str(given.table / "test.csv"), str(given.synthetic), target]
    rows = json.loads(given.out.read_text()) if given.out.exists() else []
    known = {(row["package"], row["measure"]) for row in rows}
    for package in given.peers.split(","):
        for measure, ours in PAIRS[package].items():
            if (package, measure) in known:
                continue
            theirs = run(str(given.peers_env / package / "bin" / "python"), package, measure, files, given.limit)
            own = run(sys.executable, "manikin", ours, files, given.limit)
            row = {"package": package, "measure": measure, "ours": ours, "theirs_result": theirs, "ours_result": own}
            if "cpu_seconds" in theirs and "cpu_seconds" in own:
                row["ratio"] = round(float(own["cpu_seconds"]) / max(float(theirs["cpu_seconds"]), 1e-9), 3)
            rows.append(row)
            given.out.write_text(json.dumps(rows, indent=1))
            told = [str(one.get("cpu_seconds", one.get("error"))) for one in (theirs, own)]
            print(f"{package:10} {measure:28} {told[0]:>10}  ours {ours:20} {told[1]:>10}  ratio {row.get('ratio')}", flush=True)


if __name__ == "__main__":
    main()
