"""Which of given patients are surprising: by a model's likelihood, with their events, or unlike reference patients. Ranks, no value."""

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
from manikin.workflow.linked_given import able_model, learned_schema, read_given, tell_empty
from manikin.workflow.output import check_free, whole_file
from manikin.workflow.places import Place, name_of, place_of, read_linked
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
    model: str | Path | None = None,
    *,
    out: str | Path,
    reference: Place | None = None,
    share: float = 0.05,
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Scored:
    """Scores given patients and writes a .csv or .parquet file, the most surprising first.

    With a model, by their log-likelihood under it. A row is a patient: rank, her key, her events, the log-likelihood of her whole record in
    nats, the same per event (by which patients are ranked, so that long records are not surprising by being long), and her most surprising
    events: table, row of that table, and by what an event surprises most (that it is of this table, the time since the event before, a
    reference, a column). No cell is written.

    With reference patients, by a variational autoencoder of their summaries (`workflow.unlike`): reconstruction and divergence in nats, p
    among reference patients whom it did not see, whether she is flagged, and the parts of the summary that cost most: table, column and
    statistic. No cell is written, no code either.

    Parameters
    ----------
    model, reference : one of them. share : of patients like the reference that may be flagged. seed : of the autoencoder.

    Raises
    ------
    InputError : the model cannot score, or the records or the reference patients cannot be used. Nothing is written.
    """
    if (model is None) == (reference is None):
        raise ParameterError("Patients are scored by a model or beside reference patients. Give --model or --reference, one of them.")
    target, source = Path(out), place_of(records)
    if not target.name.lower().endswith((".csv", ".parquet")):
        raise ParameterError(f"{target.name} ends in no format that can be written. Use .csv or .parquet.")
    stages = Stages(watcher or Silent())
    if model is not None:
        check_free(target, force=force, inputs=[source, model])
        table = _by_likelihood(source, model, stages)
    else:
        assert reference is not None
        check_free(target, force=force, inputs=[source, place_of(reference)])
        table = _by_reference(source, reference, share, seed, stages)
    with whole_file(target, force=force) as beside:
        if target.suffix.lower() == ".parquet":
            table.to_parquet(beside, index=False)
        else:
            table.to_csv(beside, index=False, lineterminator="\n")
    return Scored(target, len(table), table, tuple(stages.notices))


def _by_likelihood(source: Place, model: str | Path, stages: Stages) -> pd.DataFrame:
    """The table by a model's likelihood."""
    with stages.stage("load", "Loading the model and the patients"):
        fitted = able_model(model, "scores", "scores")
        data = _some(read_given(source, learned_schema(fitted)), source)
        tell_empty(data, source, stages)
    with stages.stage("score", f"Scoring {len(data):,} patients"):
        table = ranked(data, fitted.log_likelihood(data))
    stages.note(
        "A rare patient is not a wrong one: what a model finds surprising is unlike those it learned from, or was entered wrongly. "
        "Patients that it learned from may look less surprising than others."
    )
    return table


def _by_reference(source: Place, reference: Place, share: float, seed: int, stages: Stages) -> pd.DataFrame:
    """The table beside reference patients."""
    from manikin.workflow.unlike import unlike

    with stages.stage("load", "Reading the patients and those beside whom they are seen"):
        usual = read_linked(place_of(reference))
        data = _some(read_given(source, usual.schema), source)
        tell_empty(data, source, stages)
    with stages.stage("score", f"Learning from reference patients and scoring {len(data):,} others"):
        table = unlike(data, usual, names_of(data), share=share, seed=seed)
    stages.note(
        f"Of patients like the reference at most {share:.2%} are flagged. A rare patient is not a wrong one; patients who are also "
        "among the reference look more ordinary than they are."
    )
    return table


def _some(data: Dataset, source: Place) -> Dataset:
    if not len(data):
        raise ParameterError(f"{name_of(source)} holds no patients to score. Bring tables with rows.")
    return data


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
