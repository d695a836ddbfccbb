"""Sets of codes, the figures of medGAN's paper (arXiv 1703.06490, section 5): how often each code is held, and how well others tell it.

    python benchmarks/medgan_codes.py SHARED_DATA_FOLDER OUT [diabetes|mimic] [STEPS] [HYPERPARAMETER=VALUE...]

rows=N takes N rows only. Real train and holdout parts hold different patients. OUT/medgan-NAME.json keeps the figures, OUT/medgan-NAME.svg
the scatter plots.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Role, Schema, Storage, TableSchema
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.training.control import Control

PREDICTED = 30  # codes that are told from the others
PREDICTION_ROWS = 20_000


def diabetes(shared: Path) -> Dataset:
    """Encounters of diabetes130: the set of diag_1 … diag_3, keyed to patients."""
    frame = pd.read_csv(shared / "diabetes130" / "diabetic_data.csv.gz", dtype=str, keep_default_na=False)
    codes = frame[["diag_1", "diag_2", "diag_3"]].to_numpy()
    cells = ["|".join(sorted({code for code in row if code != "?"})) for row in codes]
    return _data(pd.DataFrame({"patient": frame["patient_nbr"], "diagnoses": cells}), ["diagnoses"])


def mimic(shared: Path) -> Dataset:
    """The 100 patients of the MIMIC-III demo: ICD-9 codes (three digits) and drugs, as often as they were noted."""
    folder = shared / "mimic_iii_demo"
    patients = pd.read_csv(folder / "PATIENTS.csv.gz", dtype=str).rename(columns=str.lower)
    diagnoses = pd.read_csv(folder / "DIAGNOSES_ICD.csv.gz", dtype=str).rename(columns=str.lower)
    drugs = pd.read_csv(folder / "PRESCRIPTIONS.csv.gz", dtype=str).rename(columns=str.lower)
    diagnoses["code"] = diagnoses["icd9_code"].str[:3]
    drugs["code"] = drugs["drug"].str.lower().str.replace("|", " ", regex=False).str.strip()
    frame = pd.DataFrame({"patient": patients["subject_id"], "gender": patients["gender"]})
    for name, rows in (("diagnoses", diagnoses), ("drugs", drugs)):
        bags = rows.dropna(subset="code").groupby("subject_id")["code"].agg("|".join)
        frame[name] = frame["patient"].map(bags).fillna("")
    return _data(frame, ["diagnoses", "drugs"])


def _data(frame: pd.DataFrame, sets: list[str]) -> Dataset:
    columns = [Column("patient", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,))]
    columns += [
        Column(name, Kind.CODE_SET, separator="|") if name in sets else Column(name, Kind.CATEGORICAL)
        for name in frame.columns[1:]
    ]
    return read(frame.astype(object), schema=Schema((TableSchema("codes", tuple(columns)),)))


def bags(data: Dataset, names: list[str]) -> list[list[str]]:
    """Per row the codes of all sets, as often as they stand there."""
    cells = texts_of(data.table, data.columns)
    return [
        [f"{name}: {code}" for name, cell in zip(names, row, strict=True) for code in cell.split("|") if code]
        for row in cells[names].to_numpy()
    ]


def matrix(rows: list[list[str]], codes: list[str]) -> np.ndarray:
    """How often each row holds each code, float32 (n_rows, n_codes)."""
    place = {code: i for i, code in enumerate(codes)}
    out = np.zeros((len(rows), len(codes)), dtype=np.float32)
    for i, row in enumerate(rows):
        for code in row:
            if code in place:
                out[i, place[code]] += 1
    return out


def agreement(real: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Of two vectors of figures by code: R2 around the diagonal, correlation, mean absolute gap."""
    spread = float(((real - real.mean()) ** 2).sum())
    r2 = 1 - float(((real - other) ** 2).sum()) / spread if spread else float("nan")
    correlation = float(np.corrcoef(real, other)[0, 1]) if other.std() else 0.0
    return {"r2": r2, "correlation": correlation, "gap": float(np.abs(real - other).mean())}


def prediction(learned: np.ndarray, tested: np.ndarray, chosen: list[int]) -> np.ndarray:
    """AUROC on holdout rows of each chosen code told from the others by logistic regression; 0.5 where it never occurs."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    out = []
    for j in chosen:
        x, xt = (csr_matrix(np.delete(rows > 0, j, axis=1).astype(float)) for rows in (learned, tested))
        y, yt = learned[:, j] > 0, tested[:, j] > 0
        if len(np.unique(y)) < 2 or len(np.unique(yt)) < 2:
            out.append(0.5)
            continue
        model = LogisticRegression(C=1.0, max_iter=200, solver="liblinear").fit(x, y)
        out.append(float(roc_auc_score(yt, model.decision_function(xt))))
    return np.array(out)


def pair_shares(rows: np.ndarray) -> np.ndarray:
    """Share of rows that hold both, over all pairs of codes."""
    held = (rows > 0).astype(np.float32)
    both = held.T @ held / len(held)
    return both[np.triu_indices(len(both), 1)]


def main(shared: Path, out: Path, name: str, steps: int, changed: dict[str, Any]) -> None:
    """Fits, samples, measures one table."""
    data = {"diabetes": diabetes, "mimic": mimic}[name](shared)
    rows_wanted = changed.pop("rows", len(data))
    data = data.take(np.sort(np.random.default_rng(1).permutation(len(data))[:rows_wanted]))
    names = [column.name for column in data.columns if column.kind is Kind.CODE_SET]
    outside = np.isin(
        data.records, np.random.default_rng(0).permutation(data.records.max() + 1)[: (data.records.max() + 1) // 5]
    )
    train, holdout = data.take(np.flatnonzero(~outside)), data.take(np.flatnonzero(outside))
    real, kept = bags(train, names), bags(holdout, names)
    held = pd.Series([code for row in real for code in set(row)]).value_counts()
    codes = held.index[held >= data.columns.min_patients].tolist()
    figures: dict[str, Any] = {"rows": [len(train), len(holdout)], "codes": len(codes), "models": {}}
    tested = matrix(kept, codes)
    rows = {"train": matrix(real, codes)}
    for model in ("medgan", "independent"):
        made = synthesizer(model, **(changed if model == "medgan" else {}))
        started = time.process_time()
        control = {"control": Control(max_steps=steps)} if model == "medgan" else {}
        made.fit(train, seed=0, **control)
        fitted = time.process_time() - started
        rows[model] = matrix(bags(made.sample(len(train), seed=1), names), codes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        figures["models"][model] = {"fit cpu seconds": fitted, "peak GiB": peak}
        if model == "medgan":
            figures["models"][model] |= {k: made.training_[k] for k in ("steps", "stopped_because", "best_step", "warnings")}
    n = min(len(kept), PREDICTION_ROWS)
    chosen = list(range(min(PREDICTED, len(codes))))
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    told = {source: prediction(own[:PREDICTION_ROWS], tested[:n], chosen) for source, own in rows.items()}
    for source, own in rows.items():
        mine = figures["models"].setdefault(source, {})
        share, target = (own > 0).mean(0), (tested > 0).mean(0)
        curves[source] = (target, share)
        mine["probability"] = agreement(target, share)
        mine["mean count"] = agreement(tested.mean(0), own.mean(0))
        mine["pairs"] = agreement(pair_shares(tested[:, :200]), pair_shares(own[:, :200]))
        mine["codes per row"] = float(own.sum(1).mean())
        mine["prediction AUROC"] = float(told[source].mean())
        mine["prediction against train"] = agreement(told["train"], told[source])
    out.mkdir(parents=True, exist_ok=True)
    (out / f"medgan-{name}.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))
    plot(out / f"medgan-{name}.svg", curves, told)


def plot(path: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]], told: dict[str, np.ndarray]) -> None:
    """Dimension-wise probability and prediction, a point per code."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    for source, (target, share) in curves.items():
        left.loglog(np.maximum(target, 1e-5), np.maximum(share, 1e-5), ".", label=source, alpha=0.6, markersize=4)
        if source != "train":
            right.plot(told["train"], told[source], ".", label=source)
    left.set(xlabel="share of holdout rows with the code", ylabel="share of made rows", title="dimension-wise probability")
    right.set(xlabel="AUROC, learned on train", ylabel="AUROC, learned on made rows", title="dimension-wise prediction")
    for axis in (left, right):
        low, high = axis.get_xlim()
        axis.plot([low, high], [low, high], color="0.7", linewidth=0.8)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[5:])
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[3] if len(sys.argv) > 3 else "diabetes",
        int(sys.argv[4]) if len(sys.argv) > 4 else 2000,
        {key: json.loads(value) for key, value in given.items()},
    )
