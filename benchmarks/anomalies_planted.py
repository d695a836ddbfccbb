"""How well `manikin anomalies --reference` finds planted anomalies among real patients, and how many ordinary ones it flags.

    python benchmarks/anomalies_planted.py TABLES/physionet2012 [--reference 1500] [--seeds 0,1,2]

Train patients (a drawn part) are the reference; holdout patients are scored, each untouched or with one anomaly of these kinds: `unit` (all
her values of creatinine, glucose and temperature are in another unit), `spliced` (the second half of her stay is another patient's),
`sparse` (nine of ten of her rows are lost), `fast` (her stay runs four times as fast). Prints the AUC of each kind against the untouched
ones, the share of each kind and of the untouched that is flagged at 5 %, and CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

import manikin as mk
from manikin.data.dataset import Dataset, Table
from manikin.workflow.unlike import unlike

OTHER_UNITS = {"Creatinine": 88.4, "Glucose": 1 / 18, "Temp": 1.8}  # µmol/L, mmol/L, and a shift of 32 for °F
KINDS = ("unit", "spliced", "sparse", "fast")
PER_KIND, SHARE = 60, 0.05


def planted(data: Dataset, rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """The patients with anomalies, and the kind of each, "" for the untouched."""
    kind = np.full(len(data), "", dtype=object)
    order = rng.permutation(len(data))
    for i, name in enumerate(KINDS):
        kind[order[i * PER_KIND : (i + 1) * PER_KIND]] = name
    frame, owner = data.tables["events"].frame.copy(), data.owners["events"]
    of = kind[owner]
    code = frame["Parameter"].astype(str).to_numpy()
    value = frame["Value"].to_numpy(dtype=float).copy()
    for test, factor in OTHER_UNITS.items():
        hit = (of == "unit") & (code == test)
        value[hit] = value[hit] * factor + (32 if test == "Temp" else 0)
    minute = frame["minute"].to_numpy(dtype=float).copy()
    minute[of == "fast"] = np.floor(minute[of == "fast"] / 4)
    whose = owner.copy()
    spliced = np.flatnonzero(kind == "spliced")
    partner = dict(zip(spliced.tolist(), np.roll(spliced, 1).tolist(), strict=True))
    late = (of == "spliced") & (minute >= 1_440)
    whose[late] = [partner[i] for i in owner[late].tolist()]
    kept = ~((of == "sparse") & (rng.random(len(frame)) < 0.9))
    keys = data.tables["patients"].frame["RecordID"].to_numpy()[np.argsort(data.owners["patients"])]
    frame = frame.assign(Value=value, minute=minute, RecordID=keys[whose])
    marks = {name: mark[kept] for name, mark in data.tables["events"].marks.items()}
    tables = dict(data.tables) | {"events": Table(frame[kept].reset_index(drop=True), marks)}
    return Dataset(tables, data.schema, data.native), kind


def main() -> None:
    """Prints one line a seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--reference", type=int, default=1_500)
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, holdout = mk.read(options.tables / "train"), mk.read(options.tables / "holdout")
    found = []
    for seed in options.seeds:
        rng = np.random.default_rng(seed)
        usual = train.subset(np.sort(rng.permutation(len(train))[: options.reference]))
        data, kind = planted(holdout, rng)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        table = unlike(data, usual, [str(i) for i in range(len(data))], share=SHARE, seed=seed)
        cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
        of = kind[table["patient"].astype(int)]
        row = {"seed": seed, "cpu_s": round(cpu, 1), "flagged ordinary": round(float(table["flagged"][of == ""].mean()), 3)}
        for name in KINDS:
            both = (of == name) | (of == "")
            row |= {f"auc {name}": round(float(roc_auc_score(of[both] == name, table["nats"][both])), 3)}
            row |= {f"flagged {name}": round(float(table["flagged"][of == name].mean()), 3)}
        found.append(row)
        print(json.dumps(row), flush=True)
    print("mean", json.dumps(pd.DataFrame(found).drop(columns="seed").mean().round(3).to_dict()))


if __name__ == "__main__":
    main()
