"""Which of given patients a model finds surprising, and which of their events: nats, ranks and places, no value. Knows no model by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.synthesizers.base import Likelihood
from manikin.workflow.bands import names_of
from manikin.workflow.linked_given import able_model, learned_schema, read_given
from manikin.workflow.output import check_free, whole_file
from manikin.workflow.places import Place, name_of, place_of
from manikin.workflow.stages import Silent, Stages, Watcher

N_EVENTS = 3  # most surprising events that are named of each patient


@dataclass(frozen=True)
class Scored:
    """A table of patients, the most surprising first: `table` holds it."""

    out: Path
    n_patients: int
    table: pd.DataFrame
    notices: tuple[str, ...]


def anomalies(
    records: Place,
    model: str | Path,
    *,
    out: str | Path,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Scored:
    """Scores given patients by their log-likelihood under a model and writes a .csv or .parquet file, the most surprising first.

    A row is a patient: rank, her key, her events, the log-likelihood of her whole record in nats, the same per event (by which patients are
    ranked, so that long records are not surprising by being long), and her most surprising events: table, row of that table, and by what
    an event surprises most (that it is of this table, the time since the event before, a reference, a column). No cell is written.

    Raises
    ------
    InputError : the model cannot score, or the records cannot be used. Nothing is written.
    """
    target, source = Path(out), place_of(records)
    if not target.name.lower().endswith((".csv", ".parquet")):
        raise ParameterError(f"{target.name} ends in no format that can be written. Use .csv or .parquet.")
    check_free(target, force=force, inputs=[source, model])
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Loading the model and the patients"):
        fitted = able_model(model, "scores", "scores")
        data = read_given(source, learned_schema(fitted))
        if not len(data):
            raise ParameterError(f"{name_of(source)} holds no patients to score. Bring tables with rows.")
    with stages.stage("score", f"Scoring {len(data):,} patients"):
        table = ranked(data, fitted.log_likelihood(data))
    stages.note(
        "A rare patient is not a wrong one: what a model finds surprising is unlike those it learned from, or was entered wrongly. "
        "Patients that it learned from may look less surprising than others."
    )
    with whole_file(target, force=force) as beside:
        if target.suffix.lower() == ".parquet":
            table.to_parquet(beside, index=False)
        else:
            table.to_csv(beside, index=False, lineterminator="\n")
    return Scored(target, len(data), table, tuple(stages.notices))


def ranked(data: Dataset, found: Likelihood) -> pd.DataFrame:
    """The table of patients that `anomalies` writes."""
    n = len(data)
    total, n_events = found.static + found.end, np.zeros(n, dtype=np.int64)
    places: list[pd.DataFrame] = []
    for name, nats in found.events.items():
        owner = data.owners[name]
        own = nats.sum(axis=1) if nats.shape[1] else np.zeros(len(nats))
        total = total + np.bincount(owner, weights=own, minlength=n)
        n_events += np.bincount(owner, minlength=n)
        parts = np.array(found.parts[name] or ("",), dtype=object)
        worst = parts[nats.argmin(axis=1)] if nats.shape[1] and len(nats) else np.full(len(nats), "", dtype=object)
        places.append(pd.DataFrame({"patient": owner, "table": name, "row": np.arange(1, len(nats) + 1), "by": worst, "nats": own}))
    out = pd.DataFrame({"rank": np.zeros(n, dtype=np.int64), "patient": names_of(data), "events": n_events})
    out["log_likelihood"], out["per_event"] = total.round(4), (total / np.maximum(n_events, 1)).round(6)
    for name, cells in _most_surprising(places, n).items():
        out[name] = cells
    out = out.sort_values(["per_event", "log_likelihood"], kind="stable").reset_index(drop=True)
    out["rank"] = np.arange(1, n + 1)
    return out


def _most_surprising(places: list[pd.DataFrame], n: int) -> dict[str, npt.NDArray[Any]]:
    """Table, row, reason and nats of the most surprising events of each patient, empty where she has fewer."""
    names = [f"event_{i}" for i in range(1, N_EVENTS + 1)]
    out: dict[str, npt.NDArray[Any]] = {}
    for name in names:
        out |= {f"{name}_table": np.full(n, "", dtype=object), f"{name}_row": np.zeros(n, dtype=object)}
        out |= {f"{name}_by": np.full(n, "", dtype=object), f"{name}_nats": np.full(n, np.nan)}
        out[f"{name}_row"][:] = None
    if not places:
        return out
    events = pd.concat(places, ignore_index=True).sort_values(["patient", "nats"], kind="stable")
    place = events.groupby("patient").cumcount().to_numpy()
    for i, name in enumerate(names):
        own = events[place == i]
        at = own["patient"].to_numpy(dtype=np.int64)
        for key in ("table", "row", "by", "nats"):
            out[f"{name}_{key}"][at] = own[key].to_numpy()
    for name in names:
        out[f"{name}_nats"] = out[f"{name}_nats"].astype(float).round(4)
        out[f"{name}_row"] = pd.array(out[f"{name}_row"], dtype="Int64")  # type: ignore[assignment]
    return out
