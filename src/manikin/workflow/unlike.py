"""Which of given patients are unlike reference patients, by a variational autoencoder of their summaries; the share that is flagged holds.

A part of the reference patients is learned from, the rest, whom the autoencoder never saw, says how high scores of ordinary patients are:
the p of a patient is (1 + those at or above her score) / (1 + all of them), so that of patients like these no more than a share `share`
is flagged, whatever the autoencoder is worth (conformal p-values; Bates et al. 2023, arXiv 2104.08279).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError, parameter_error
from manikin.data.seeds import generator
from manikin.training.control import Control

Floats = npt.NDArray[np.float64]
CALIBRATED = 0.4  # of the reference patients
FEWEST = 50
N_PARTS = 3


def unlike(
    data: Dataset, reference: Dataset, names: Sequence[str], *, share: float, seed: int, control: Control | None = None
) -> pd.DataFrame:
    """The table of patients, the most unlike first; parts of a summary are told by table, column and statistic, without a code or level.

    Parameters
    ----------
    names : the patients' keys. share : of ordinary patients that may be flagged, in (0, 1).

    Raises
    ------
    ParameterError : there are too few reference patients for such a share.
    """
    from manikin.evaluation.records.summary import per_patient, planned
    from manikin.evaluation.records.vocabulary import tables_of_patients
    from manikin.synthesizers.records.surprise import learn

    if not 0 < share < 1:
        raise parameter_error("share", "anomalies", "a number between 0 and 1", share)
    n = len(reference)
    few = round(CALIBRATED * n)
    if n < FEWEST or (few + 1) * share < 1:
        least = max(FEWEST, int(np.ceil((1 / share - 1) / CALIBRATED)) + 1)
        raise ParameterError(
            f"{n:,} reference patients are too few to flag a share of {share:g}: {least:,} are needed. Bring more, or raise --share."
        )
    order = generator(seed, "calibration").permutation(n)
    ordinary, learned = (reference.subset(np.sort(one)) for one in (order[:few], order[few:]))
    plan = planned(learned, tables_of_patients(learned.schema))
    model = learn(per_patient(learned, plan), seed=seed, control=control)
    usual, found = model.score(per_patient(ordinary, plan)), model.score(per_patient(data, plan))
    p = conformal(found.total, usual.total)
    out = pd.DataFrame({"rank": np.zeros(len(data), dtype=np.int64), "patient": list(names)})
    out["nats"], out["reconstruction"] = found.total.round(4), found.parts.sum(axis=1).round(4)
    out["divergence"], out["p"], out["flagged"] = found.divergence.round(4), p.round(6), p <= share
    excess = found.parts - np.median(usual.parts, axis=0)
    places = {told.column.name: told.place for told in plan.told}
    parts = [places.get(name, name) for name in model.names]
    best = np.argsort(-excess, axis=1, kind="stable")[:, :N_PARTS]
    for i in range(N_PARTS):
        inside = best.shape[1] > i
        out[f"part_{i + 1}"] = [parts[j] for j in best[:, i]] if inside else ""
        out[f"part_{i + 1}_nats"] = excess[np.arange(len(data)), best[:, i]].round(4) if inside else np.nan
    out = out.sort_values("nats", ascending=False, kind="stable").reset_index(drop=True)
    out["rank"] = np.arange(1, len(out) + 1)
    return out


def conformal(scores: Floats, usual: Floats) -> Floats:
    """p of each score among those of ordinary patients, float64 (n,), in (0, 1]."""
    order = np.sort(usual)
    return (1 + len(order) - np.searchsorted(order, scores, side="left")) / (1.0 + len(order))
