"""What FairGAN's lambda buys and costs (arXiv 1805.11202, section 6): parity of the outcome, leakage of the group, utility.

    python benchmarks/fairgan_tradeoff.py SHARED_DATA_FOLDER OUT [heart|diabetes] [STEPS] [SEED] [LAMBDA...]

For each lambda one line of OUT/fairgan-NAME.jsonl: the risk difference of the outcome between the groups of the made rows, how well a
boosted forest tells the group from the other columns of made rows, and how well one that learned on made rows tells the outcome of real
holdout rows. The first line holds the same of the real train rows.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.schema import Kind, Role
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.training.control import Control

TABLES = {"heart": ("sex", "disease"), "diabetes": ("gender", "readmitted")}
MOST_ROWS = 12_000


def heart(shared: Path) -> pd.DataFrame:
    """Four hospitals; disease is any narrowing."""
    frame = pd.read_csv(shared / "heart_uci" / "heart_4sites.csv", dtype=str, keep_default_na=False).replace("?", "")
    frame["disease"] = np.where(frame.pop("num") == "0", "no", "yes")
    frame["sex"] = frame["sex"].map(lambda text: "m" if text.startswith("1") else "f")
    return frame


def diabetes(shared: Path) -> pd.DataFrame:
    """12,000 encounters of as many patients; readmitted within 30 days or later against not."""
    frame = pd.read_csv(shared / "diabetes130" / "diabetic_data.csv.gz", dtype=str, keep_default_na=False).replace("?", "")
    frame = frame[frame["gender"] != "Unknown/Invalid"].drop_duplicates("patient_nbr").sample(MOST_ROWS, random_state=0)
    frame["readmitted"] = np.where(frame["readmitted"] == "NO", "no", "yes")
    frame = frame.drop(columns=["encounter_id", "patient_nbr", "diag_1", "diag_2", "diag_3", "weight", "payer_code"])
    return frame.loc[:, frame.nunique() > 1]


def numbers(data: Dataset, leave_out: list[str]) -> np.ndarray:
    """Columns as numbers for trees: levels as places in their list, NaN where missing."""
    out = []
    for column in data.columns:
        if column.name in leave_out or not column.kind.is_learned:
            continue
        series = data.table.frame[column.name]
        if column.kind.is_number or column.kind.is_time:
            out.append(pd.to_numeric(series, errors="coerce").to_numpy(dtype=float))
        else:
            out.append(series.astype(str).map(lambda text: int.from_bytes(text.encode()[:6], "big")).to_numpy(dtype=float))
    return np.stack(out, axis=1)


def told(learned: tuple[np.ndarray, np.ndarray], tested: tuple[np.ndarray, np.ndarray]) -> float:
    """AUROC of a small boosted forest, learned on one set and tested on another."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    if len(np.unique(learned[1])) < 2 or len(np.unique(tested[1])) < 2:
        return 0.5
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, max_leaf_nodes=15, random_state=0).fit(*learned)
    return float(roc_auc_score(tested[1], model.predict_proba(tested[0])[:, 1]))


def figures(made: Dataset, holdout: Dataset, protected: str, outcome: str) -> dict[str, float]:
    """Risk difference of the outcome, leakage of the group among made rows, utility on holdout rows."""
    cells, real = (texts_of(d.table, d.columns) for d in (made, holdout))
    group, ill = (cells[protected] == sorted(set(real[protected]))[0]).to_numpy(), (cells[outcome] == "yes").to_numpy()
    half = np.random.default_rng(0).permutation(len(made)) < len(made) // 2
    x = numbers(made, [protected])
    leak = told((x[half], group[half]), (x[~half], group[~half]))
    use = told((numbers(made, [outcome]), ill), (numbers(holdout, [outcome]), (real[outcome] == "yes").to_numpy()))
    return {
        "risk difference": float(ill[group].mean() - ill[~group].mean()),
        "leakage AUROC": leak,
        "TSTR AUROC": use,
        "outcome share": float(ill.mean()),
    }


def main(shared: Path, out: Path, name: str, steps: int, seed: int, lambdas: list[float]) -> None:
    """Fits one model per lambda."""
    protected, outcome = TABLES[name]
    data = read({"heart": heart, "diabetes": diabetes}[name](shared), name=name)
    schema = data.columns
    for column in schema:
        roles = tuple(role for role in column.roles if role is not Role.TARGET)
        if column.name == outcome:
            roles = (*roles, Role.TARGET)
        kind = Kind.CATEGORICAL if column.name in (protected, outcome) and column.kind is Kind.TEXT else column.kind
        schema = schema.replace_column(replace(column, roles=roles, kind=kind))
    data = replace(data, schema=replace(data.schema, tables=(schema,)))
    outside = np.random.default_rng(seed).permutation(len(data)) < len(data) // 5
    train, holdout = data.take(np.flatnonzero(~outside)), data.take(np.flatnonzero(outside))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"fairgan-{name}.jsonl"

    def write(line: dict[str, Any]) -> None:
        with path.open("a") as file:
            file.write(json.dumps({"seed": seed, **line}) + "\n")
        print(json.dumps(line), flush=True)

    write({"lambda": "real train rows", **figures(train, holdout, protected, outcome)})
    for fairness in lambdas:
        model = synthesizer("fairgan", protected=protected, outcome=outcome, fairness=fairness)
        model.fit(train, seed=seed, control=Control(max_steps=steps))
        made = model.sample(max(len(train), 4000), seed=seed + 1)
        done = {key: model.training_[key] for key in ("steps", "best_step", "stopped_because")}
        write({"lambda": fairness, **figures(made, holdout, protected, outcome), **done})


if __name__ == "__main__":
    given = sys.argv[3:]
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        given[0] if given else "heart",
        int(given[1]) if len(given) > 1 else 1500,
        int(given[2]) if len(given) > 2 else 0,
        [float(text) for text in given[3:]] or [0.0, 0.3, 1.0, 3.0, 10.0],
    )
