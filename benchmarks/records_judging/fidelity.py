"""How near a cohort is to train: codes, pairs, lengths, values, dependence in time, statics, missing cells. Knows no classifier.

R2 is the coefficient of determination about the identity, 1 - sum (made - real)^2 / sum (real - mean real)^2: a shift lowers it, and it
can be below 0. KS is the Kolmogorov-Smirnov distance, TV the total variation distance; 1 minus either is shown, 1 being the best.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import ks_2samp

from records_judging.features import Vocabulary, lengths
from records_judging.reading import Cohort

MOST_PAIRED_CODES = 300
LEAST_STEPS = 200  # of a code in train, for its lag-1 autocorrelation to be compared


def r2(made: np.ndarray, real: np.ndarray) -> float:
    """Coefficient of determination about the identity; NaN where train does not vary."""
    spread = float(((real - real.mean()) ** 2).sum())
    return 1 - float(((made - real) ** 2).sum()) / spread if spread > 0 else float("nan")


def held(cohort: Cohort, codes: tuple[str, ...], by: str = "patient") -> sparse.csr_matrix:
    """1 where a patient (or a patient's moment) has a code, shape (n_patients or n_moments, n_codes)."""
    place = pd.Index(codes).get_indexer(cohort.events["code"])
    unit, n_units = cohort.events["patient"].to_numpy(), len(cohort)
    if by == "moment":
        unit = cohort.events.groupby(["patient", "time"], sort=False, dropna=False).ngroup().to_numpy()
        n_units = int(unit.max(initial=-1)) + 1
    inside = place >= 0
    matrix = sparse.csr_matrix((np.ones(int(inside.sum())), (unit[inside], place[inside])), shape=(n_units, len(codes)))
    matrix.data[:] = 1.0
    return matrix


def codes(made: Cohort, train: Cohort, known: Vocabulary) -> dict:
    """Prevalence among patients, rows a patient, pairs within a patient and within a moment, each as R2 over codes or pairs."""
    sides, every = (made, train), list(known.codes)
    share = [np.asarray(held(side, known.codes).sum(0)).ravel() / max(len(side), 1) for side in sides]
    rate = [side.events["code"].value_counts().reindex(every, fill_value=0).to_numpy() / max(len(side), 1) for side in sides]
    top = known.codes[:MOST_PAIRED_CODES]
    above = np.triu_indices(len(top), 1)
    pairs = {}
    for by in ("patient", "moment"):
        matrices = [held(side, top, by) for side in sides]
        joint = [np.asarray((matrix.T @ matrix).todense())[above] / max(matrix.shape[0], 1) for matrix in matrices]
        pairs[by] = r2(*joint)
    unknown = ~made.events["code"].isin(set(known.codes))
    return {
        "prevalence_r2": r2(*share),
        "rate_r2": r2(*rate),
        "pairs_r2": pairs["patient"],
        "moment_pairs_r2": pairs["moment"],
        "next_pairs_r2": r2(*next_pairs(made, train, top)),
        "share_of_codes_found": float((share[0] > 0).mean()),
        "unknown_codes": float(unknown.mean()) if len(unknown) else 0.0,
        "n_codes": len(known.codes),
    }


def next_pairs(made: Cohort, train: Cohort, codes: tuple[str, ...]) -> list[np.ndarray]:
    """For each pair of codes (a, b), the share of steps from one moment of a patient to her next that lead from a to b; of both sides."""
    out = []
    for side in (made, train):
        groups = side.events[["patient", "time"]].assign(
            moment=side.events.groupby(["patient", "time"], sort=False, dropna=False).ngroup()
        )
        owner = groups.drop_duplicates("moment").sort_values("moment")["patient"].to_numpy()
        matrix = held(side, codes, "moment")
        first = np.flatnonzero(owner[1:] == owner[:-1])
        out.append(np.asarray((matrix[first].T @ matrix[first + 1]).todense()).ravel() / max(len(first), 1))
    return out


def gaps(cohort: Cohort) -> np.ndarray:
    """Times between a patient's successive moments."""
    moments = cohort.events[["patient", "time"]].dropna().drop_duplicates()
    step = moments["time"].diff()[moments["patient"].eq(moments["patient"].shift())]
    return step.to_numpy()


def closeness(made: np.ndarray, real: np.ndarray) -> float:
    """1 - KS of two samples without their missing cells; 0 where one is empty and the other is not."""
    made, real = made[~np.isnan(made)], real[~np.isnan(real)]
    if not len(real):
        return float("nan") if not len(made) else 0.0
    return 1 - float(ks_2samp(made, real, method="asymp").statistic) if len(made) else 0.0


def timing(made: Cohort, train: Cohort) -> dict:
    """Lengths, spans and gaps, 1 - KS."""
    ours, theirs = lengths(made), lengths(train)
    scores = {name: closeness(ours[name].to_numpy(), theirs[name].to_numpy()) for name in ("n_rows", "n_moments", "span")}
    return scores | {"gaps": closeness(gaps(made), gaps(train))}


def values(made: Cohort, train: Cohort, known: Vocabulary) -> dict:
    """1 - KS of the values of each code with enough of them, mean and worst; share of values outside train's range of the code."""
    ours, theirs = (dict(list(cohort.events.dropna(subset="value").groupby("code")["value"])) for cohort in (made, train))
    scores, outside, n = {}, 0, 0
    for code in known.with_values:
        real, other = (side[code].to_numpy() if code in side else np.array([]) for side in (theirs, ours))
        if not len(real):
            continue  # a part of train without any
        scores[code] = closeness(other, real)
        outside, n = outside + int(((other < real.min()) | (other > real.max())).sum()), n + len(other)
    if not scores:
        return {"mean": float("nan"), "worst": float("nan"), "worst_code": "", "outside": 0.0}
    worst = min(scores, key=lambda code: scores[code])
    return {"mean": float(np.mean(list(scores.values()))), "worst": scores[worst], "worst_code": worst, "outside": outside / max(n, 1)}


def lag1(cohort: Cohort, known: Vocabulary, reference: Cohort) -> dict[str, float]:
    """Correlation of a code's value with the patient's next one, on ranks within train, so that a wild value does not decide it."""
    events = cohort.events.dropna(subset="value")
    of_train = {code: np.sort(part.to_numpy()) for code, part in reference.events.dropna(subset="value").groupby("code")["value"]}
    out = {}
    for code, part in events.groupby("code"):
        if code not in of_train:
            continue
        ranks = np.searchsorted(of_train[code], part["value"].to_numpy()) / len(of_train[code])
        same = part["patient"].to_numpy()[1:] == part["patient"].to_numpy()[:-1]
        first, second = ranks[:-1][same], ranks[1:][same]
        if same.sum() >= 3 and first.std() > 0 and second.std() > 0:
            out[str(code)] = float(np.corrcoef(first, second)[0, 1])
    return {code: out.get(code, 0.0) for code in known.with_values}


def dependence_in_time(made: Cohort, train: Cohort, known: Vocabulary) -> dict:
    """Mean and greatest error of the lag-1 autocorrelation over codes with enough steps in train; 0 is the best."""
    events = train.events.dropna(subset="value")
    steps = (events.groupby("code").size() - events.groupby("code")["patient"].nunique()).to_dict()
    long = [code for code in known.with_values if steps.get(code, 0) >= LEAST_STEPS]
    if not long:
        return {"mean_error": float("nan"), "worst_error": float("nan"), "n_codes": 0}
    ours, theirs = lag1(made, known, train), lag1(train, known, train)
    errors = np.array([abs(ours[code] - theirs[code]) for code in long])
    return {"mean_error": float(errors.mean()), "worst_error": float(errors.max()), "n_codes": len(long)}


def statics(made: Cohort, train: Cohort, known: Vocabulary) -> dict:
    """1 - KS or TV of each static, mean and worst, and the mean difference of missing rates of statics and values."""
    scores, missing = {}, []
    for name in (*known.numbers, *known.levels):
        if name not in made.statics:
            scores[name] = 0.0
            continue
        ours, theirs = made.statics[name], train.statics[name]
        missing.append(abs(float(ours.isna().mean() - theirs.isna().mean())))
        if name in known.numbers:
            scores[name] = closeness(ours.to_numpy(float), theirs.to_numpy(float))
        else:
            shares = [side.value_counts(normalize=True) for side in (ours, theirs)]
            scores[name] = 1 - float(shares[0].sub(shares[1], fill_value=0.0).abs().sum()) / 2
    missing.append(abs(float(made.events["value"].isna().mean() - train.events["value"].isna().mean())) if len(made.events) else 1.0)
    mean = float(np.nanmean(list(scores.values()))) if scores else float("nan")
    return {"mean": mean, "worst": float(np.nanmin(list(scores.values()))) if scores else float("nan"), "missing": float(np.mean(missing))}
