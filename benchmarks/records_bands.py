"""Do bands of continued patients hold what came? Held-out patients are cut at a time, continued many times, compared with their future.

    python benchmarks/records_bands.py TABLES/physionet600 OUT --cut 0.5 --until 1 --patients 150 --draws 40
    python benchmarks/records_bands.py TABLES/pbcseq OUT --cut 365 --until 1825 --patients 62 --draws 40 --model event_transformer

learns from train as the comparison does (or takes --saved MODEL), gives the events of the first --cut days of held-out patients who have
more, continues them until --until days and makes the bands of `manikin continue` (eighths of the time between the last given event and the
end; the 90 % band of what draws hold there). Told are, over all patients, numbers and steps that at least --least draws reach:

    coverage   share of real means within the band (0.9 is wanted), with a 95 % interval by resampled patients; by code and by step, too
    places     how real means lie among the draws: the least and greatest decile-to-uniform ratio of their ranks
    width      width of the band over that of the 5 to 95 % range of the same number in train: 1 is what nobody's past tells
    rows       coverage of the number of events until the end, and the mean of the draws over the real mean
    unreached  share of real means where fewer draws than --least hold anything

No figure here was used to choose anything of a model.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import pandas as pd

import manikin as mk
from manikin.data.dataset import Dataset
from manikin.io import linked
from manikin.workflow.bands import HIGH, LOW, N_STEPS, Values, bands_of
from manikin.workflow.linked_times import days, first_and_last

BY = ["patient", "table", "column", "code"]
N_RESAMPLED = 1000


def cut(data: Dataset, days_given: float) -> tuple[Dataset, Dataset]:
    """Patients who have events on both sides of a time since their first one: as they were until then, and whole."""
    first, last = first_and_last(data)
    whole = data.subset(np.flatnonzero(last - first > days_given))
    first, _ = first_and_last(whole)
    tables = dict(whole.tables)
    for name, at in days(whole).items():
        kept = np.flatnonzero(at - first[whole.owners[name]] <= days_given)
        tables[name] = whole.tables[name].take(kept)
    return Dataset(tables, whole.schema, whole.native), whole


def stepped(cells: pd.DataFrame, last: np.ndarray, until: np.ndarray) -> pd.DataFrame:
    """Means of numbers by patient, number and eighth of the time that is drawn."""
    cells = cells[cells["days"].to_numpy() <= until[cells["patient"].to_numpy(dtype=np.int64)]]
    patient = cells["patient"].to_numpy(dtype=np.int64)
    width = np.maximum(until - last, 1e-9) / N_STEPS
    step = np.clip(((cells["days"].to_numpy() - last[patient]) / width[patient]).astype(np.int64), 0, N_STEPS - 1)
    by = [*BY, "step", *(["draw"] if "draw" in cells else [])]
    return cells.assign(step=step, patient=patient).groupby(by, sort=True)["value"].mean().reset_index()


def share(inside: np.ndarray, patient: np.ndarray) -> dict:
    """A share with its interval, patients drawn again."""
    totals = pd.DataFrame({"inside": inside, "n": 1, "patient": patient}).groupby("patient")[["inside", "n"]].sum().to_numpy()
    rng = np.random.default_rng(0)
    drawn = totals[rng.integers(0, len(totals), (N_RESAMPLED, len(totals)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return {"share": round(float(inside.mean()), 4), "interval": [round(float(low), 4), round(float(high), 4)], "n": len(inside)}


def main() -> None:
    """Learns, continues, compares, prints and writes OUT/bands-<table>-<model>.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cut", type=float, required=True, help="days since the first event that are given")
    parser.add_argument("--until", type=float, required=True, help="days since the first event")
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--least", type=int, default=19, help="draws that must hold a number for its band to count")
    parser.add_argument("--model", default="event_transformer", help="event_transformer+epochs=1 sets a hyperparameter")
    parser.add_argument("--saved", type=Path, help="a model that learned already; written there after learning if it is not")
    parser.add_argument("--set", action="append", default=[], metavar="COL=VALUE")
    parser.add_argument("--part", default="holdout")
    options = parser.parse_args()
    began = time.process_time()
    train = linked.read(options.tables / "train")
    name, *chosen = options.model.split("+")
    told = {key: json.loads(value) for key, value in (part.split("=", 1) for part in chosen)}
    if options.saved is not None and options.saved.exists():
        model = mk.load(options.saved)
    else:
        model = mk.synthesizer(name, **told).fit(train, seed=0)
        if options.saved is not None:
            mk.save(model, options.saved)
    fitted = time.process_time()
    held = linked.read(options.tables / options.part, schema=train.schema)
    known, whole = cut(held, options.cut)
    order = np.random.default_rng(0).permutation(len(whole))[: options.patients]
    known, whole = known.subset(np.sort(order)), whole.subset(np.sort(order))
    given, until = Values.of(known), np.full(len(known), options.until)
    real = Values.of(whole, beyond=known)
    n_of = lambda cells: np.bincount(  # noqa: E731
        cells["patient"].to_numpy(dtype=np.int64)[cells["days"].to_numpy() <= options.until], minlength=len(known)
    )
    conditions = dict(one.split("=", 1) for one in options.set) or None
    draws = [Values.of(one, beyond=known) for one in model.continue_(known, until=until, draws=options.draws, seed=0, set=conditions)]
    counts = np.stack([n_of(draw.cells) for draw in draws])
    bands = bands_of(given, draws, until)
    number = {patient: i for i, patient in enumerate(given.patients)}
    bands["patient"] = bands["patient"].map(number)
    width = np.maximum(until - given.last, 1e-9) / N_STEPS
    bands["step"] = np.round((bands["from_days"] - given.last[bands["patient"]]) / width[bands["patient"]]).astype(int)
    bands = bands[[*BY, "step", "draws", "low", "median", "high"]]
    came = stepped(real.cells, given.last, until).merge(bands, on=[*BY, "step"], how="left")
    reached = came[came["draws"] >= options.least].reset_index(drop=True)
    inside = reached["value"].between(reached["low"], reached["high"]).to_numpy()
    means = stepped(pd.concat([d.cells.assign(draw=i) for i, d in enumerate(draws)], ignore_index=True), given.last, until)
    ranks = reached.merge(means.rename(columns={"value": "drawn"}), on=[*BY, "step"])
    below = (ranks["drawn"] < ranks["value"]) + 0.5 * (ranks["drawn"] == ranks["value"])
    place = below.groupby([ranks[one] for one in [*BY, "step"]]).mean().to_numpy()
    deciles = np.histogram(place, bins=np.linspace(0, 1, 11))[0] / max(len(place), 1) * 10
    spread = Values.of(train).cells.groupby(["table", "column", "code"])["value"].quantile([LOW, HIGH]).unstack()
    marginal = reached.merge((spread[HIGH] - spread[LOW]).rename("wide").reset_index(), on=["table", "column", "code"])
    marginal = marginal[marginal["wide"] > 0]
    few, many = np.quantile(counts, [LOW, HIGH], axis=0)
    real_counts = n_of(real.cells)
    document = {
        "table": options.tables.name,
        "model": options.model,
        "given_days": options.cut,
        "until_days": options.until,
        "patients": len(known),
        "draws": options.draws,
        "coverage": share(inside, reached["patient"].to_numpy()),
        "below": round(float((reached["value"] < reached["low"]).mean()), 4),
        "above": round(float((reached["value"] > reached["high"]).mean()), 4),
        "deciles_of_places": deciles.round(2).tolist(),
        "width_to_train": round(float(((marginal["high"] - marginal["low"]) / marginal["wide"]).median()), 3),
        "unreached": round(float((~(came["draws"] >= options.least)).mean()), 4),
        "rows": share(((real_counts >= few) & (real_counts <= many)).astype(float), np.arange(len(known)))
        | {"drawn_to_real": round(float(counts.mean() / max(real_counts.mean(), 1e-9)), 3)},
        "by_step": [round(float(inside[reached["step"] == step].mean()), 3) for step in range(N_STEPS) if (reached["step"] == step).any()],
        "by_code": {
            " ".join(filter(None, key[1:])): [round(float(inside[rows].mean()), 3), len(rows)]
            for key, rows in reached.groupby(["table", "column", "code"]).indices.items()
        },
        "fit_cpu_s": round(fitted - began, 1),
        "continue_cpu_s": round(time.process_time() - fitted, 1),
    }
    print(json.dumps(document, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    what = options.model + "".join(f"+{one}" for one in options.set)
    (options.out / f"bands-{options.tables.name}-{what}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
