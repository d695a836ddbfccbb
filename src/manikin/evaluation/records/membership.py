"""Was this patient in the train data? By the sequence of her events, not by a summary of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, least_rate
from manikin.evaluation.attacks.hit_rates import FALSE_POSITIVES, WELL_PLACED, Roll, single, strongest
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.intervals import delong
from manikin.evaluation.prepared import mixed
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.history import History
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.records.measured import numbers_of
from manikin.evaluation.records.runs import longest_runs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MIN_PATIENTS = 20
MAX_TARGETS = 1_500
MAX_KNOWN = 3_000
MAX_RELEASE = 5_000
N_BINS = 10
COMMON = 0.1  # features that more of the known patients have tell nobody apart
SHARE = 0.05  # of the release that planted near-copies are
DROPPED = 0.2  # of a near-copy's features
CHUNK = 400  # targets compared at once
TRAJECTORIES = AttackDefinition(
    "trajectory_membership",
    "Membership attack on histories (hit rate at 1 % false alarms)",
    ThreatModel(
        knows="holds the release, whole histories of the targets, and histories of other patients of the same population",
        wants="wants to know whether a patient's history was among those that the generator learned from",
        succeeds="succeeds when he names a patient who was, at a threshold that names 1 in 100 of those who were not",
        risk="membership",
    ),
)
SCORES = {
    "overlap": "events and pairs of events in common with the nearest synthetic patient, rare ones weighing more",
    "overlap_ratio": "the same against the nearest other real patient",
    "run": "the longest passage in common with any synthetic patient",
    "run_beyond": "the same beyond the longest in common with any other real patient",
    "rare_codes": "how much more of the release than of other real patients has the codes of the target that hardly anybody has",
    "rare_levels": "the same of all levels of her events",
}


@dataclass(frozen=True)
class Crowds:
    """Who plays which part, as histories; nobody plays two."""

    members: History
    strangers: History
    known: History
    release: History


@of_patients(TRAJECTORIES, least=MIN_PATIENTS)
def trajectory_membership(data: LinkedData, *, seed: int) -> AttackResult:
    """True-positive rate at 1 % false positives of the strongest of six attacks on sequences of events; in [0, 1], about 0.01 is best.

    Members are half of train, the attacker's known patients the other half, non-members the holdout. A history is the set of its events
    (table, levels, numbers as they are) and of its pairs of consecutive events (numbers in tenths), weighed by how rare they are among
    the known patients (inverse document frequency; what more than a tenth of them have is left out); two histories are as near as the
    cosine of these. Rare codes are asked for beside that: a release that holds a code which hardly anybody has tells that somebody of
    train had it, whoever the synthetic patient is (a likelihood ratio of frequencies, Homer et al. 2008,
    doi:10.1371/journal.pgen.1000167; Sankararaman et al. 2009, doi:10.1038/ng.436). See `SCORES`. The score is chosen, its threshold set
    and people measured on different people in turn (`hit_rates`). The reference is the rate at which holdout patients are named.
    `details.controls.planted`: the attack where 5 % of the release are train patients with a fifth of their features lost.
    """
    crowds = _crowds(data, seed)
    tokens = [_binned(data, side) for side in (crowds.members, crowds.strangers, crowds.known, crowds.release)]
    sides = [crowds.members, crowds.strangers, crowds.known, crowds.release]
    members, strangers, known, release = _vectors(sides, tokens)
    near = {name: (_nearest(side, release), _nearest(side, known)) for name, side in (("members", members), ("strangers", strangers))}
    shared = [longest_runs([crowds.members, crowds.strangers], crowd) for crowd in (crowds.release, crowds.known)]
    runs = {name: (shared[0][i], shared[1][i]) for i, name in enumerate(near)}
    codes = [(_coded(side), side.patient) for side in sides]
    levels = [(side.marks.item.astype(np.uint64), side.patient[side.marks.event]) for side in sides]
    rare = dict(zip(near, zip(_rare(sides, codes), _rare(sides, levels), strict=True), strict=True))
    made = {name: _scores(near[name], runs[name], rare[name]) for name in near}
    roll = Roll.deal(made["members"], made["strangers"], seed)
    best = strongest(roll)
    found, control = best.rate(), best.control()
    planted = _planted(members, strangers, release, near, runs, seed)
    areas = {name: _area(made, name) for name in roll.names}
    return TRAJECTORIES.result(
        found.value,
        interval=found.interval,
        n=found.n,
        reference=control.value,
        reference_interval=control.interval,
        attack=found,
        control=control,
        baseline=Rate(FALSE_POSITIVES, (FALSE_POSITIVES, FALSE_POSITIVES), 0, 0),
        n_requested=MAX_TARGETS,
        power=least_rate(round(1 / (1 / found.n + 1 / control.n)), FALSE_POSITIVES),
        details={
            "strongest": best.strongest,
            **areas[best.strongest],
            "n_members": found.n,
            "n_strangers": control.n,
            "n_reference": crowds.known.n_patients,
            "n_release": crowds.release.n_patients,
            "attacks": {name: {"tpr": single(roll, name).rate().value, **areas[name]} for name in roll.names},
            "controls": {"planted": planted},
        },
        note=_note(roll, planted),
    )


def _crowds(data: LinkedData, seed: int) -> Crowds:
    rng = generator(seed, "trajectories")
    order = rng.permutation(data.real.n_patients)
    half = len(order) // 2
    sizes = ((data.real, order[:half][:MAX_TARGETS]), (data.real, order[half:][:MAX_KNOWN]))
    members, known = (side.take(np.sort(chosen)) for side, chosen in sizes)
    strangers = data.held.take(np.sort(rng.permutation(data.held.n_patients)[:MAX_TARGETS]))
    release = data.fake.take(np.sort(rng.permutation(data.fake.n_patients)[:MAX_RELEASE]))
    if min(side.n_patients for side in (members, known)) < MIN_PATIENTS // 2:
        raise UndefinedMetricError(f"the patients do not divide into {MIN_PATIENTS // 2} targets and as many known people")
    if min(len(side) for side in (members, strangers, known, release)) == 0:
        raise UndefinedMetricError("a side has no events")
    return Crowds(members, strangers, known, release)


def _binned(data: LinkedData, side: History) -> npt.NDArray[np.uint64]:
    """Each event as its table, code and tenths of its numbers, uint64 (n_events,)."""
    made = _coded(side)
    for measure in np.unique(side.numbers.measure):
        reference = numbers_of(data.real, int(measure))[0]
        if not len(reference):
            continue
        cuts = np.quantile(reference, np.linspace(0, 1, N_BINS + 1)[1:-1])
        values, events = numbers_of(side, int(measure))
        place = np.searchsorted(cuts, values).astype(np.uint64)
        np.add.at(made, events, mixed(place + np.uint64(16) * np.uint64(measure) + np.uint64(7)))
    return made


def _coded(side: History) -> npt.NDArray[np.uint64]:
    """Each event as its table and code, uint64 (n_events,)."""
    return mixed(side.code.astype(np.int64).astype(np.uint64) * np.uint64(64) + side.table.astype(np.uint64))


def _vectors(sides: Sequence[History], tokens: Sequence[npt.NDArray[np.uint64]]) -> list[Any]:
    """Each side's patients as sparse rows of unit length; the third side are the known patients, who say what is rare."""
    from scipy.sparse import csr_matrix

    hashes, patients = [], []
    for side, token in zip(sides, tokens, strict=True):
        same = np.flatnonzero(side.patient[1:] == side.patient[:-1])
        pairs = mixed(token[same] * np.uint64(3) + mixed(token[same + 1]))
        hashes.append(np.concatenate([side.content, pairs]))
        patients.append(np.concatenate([side.patient, side.patient[same]]))
    matrices = _incidence(sides, hashes, patients)
    known = matrices[2]
    frequency = np.asarray(known.sum(axis=0)).ravel()
    weight = np.log((1 + known.shape[0]) / (1 + frequency)).astype(np.float32)
    weight[frequency > COMMON * known.shape[0]] = 0.0
    return [_unit(csr_matrix(matrix.multiply(weight[None, :]))) for matrix in matrices]


def _incidence(sides: Sequence[History], hashes: Sequence[npt.NDArray[np.uint64]], patients: Sequence[Ints]) -> list[Any]:
    """Who has what: for each side a sparse matrix of ones (n_patients, n_features), features being the distinct hashes of all sides."""
    from scipy.sparse import csr_matrix

    place, distinct = pd.factorize(np.concatenate(hashes))
    matrices = []
    for side, column, patient in zip(sides, np.split(place, np.cumsum([len(part) for part in hashes])[:-1]), patients, strict=True):
        matrix = csr_matrix((np.ones(len(column), dtype=np.float32), (patient, column)), shape=(side.n_patients, len(distinct)))
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        matrices.append(matrix)
    return matrices


def _rare(sides: Sequence[History], had: Sequence[tuple[npt.NDArray[np.uint64], Ints]]) -> list[Floats]:
    """Of members and of strangers, (n_targets,): the mean, over what a target has and few of the known patients, of the logarithm of how
    many of the release have it beside how many of the known; 0 for who has nothing rare. Half a patient is added to counts.

    Parameters
    ----------
    had : for each side numbers of what is had, and whose they are, (n,) each.
    """
    members, strangers, known, release = _incidence(sides, [numbers for numbers, _ in had], [patients for _, patients in had])
    of_known, of_release = (np.asarray(side.sum(axis=0), dtype=float).ravel() for side in (known, release))
    is_rare = (of_known <= COMMON * known.shape[0]).astype(float)
    ratio = np.log((of_release + 0.5) / (release.shape[0] + 1)) - np.log((of_known + 0.5) / (known.shape[0] + 1))
    return [np.asarray(side @ (ratio * is_rare) / np.maximum(side @ is_rare, 1.0), dtype=float) for side in (members, strangers)]


def _unit(matrix: Any) -> Any:
    from scipy.sparse import diags

    matrix.eliminate_zeros()
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (diags(1 / np.maximum(length, 1e-9)) @ matrix).tocsr()


def _nearest(targets: Any, crowd: Any) -> Floats:
    """The largest cosine of each target with anybody of the crowd, (n_targets,)."""
    across = crowd.T.tocsr()
    made = [
        np.asarray((targets[start : start + CHUNK] @ across).max(axis=1).todense(), dtype=float).ravel()
        for start in range(0, targets.shape[0], CHUNK)
    ]
    return np.concatenate(made) if made else np.empty(0)


def _scores(near: tuple[Floats, Floats], runs: tuple[Ints, Ints], rare: tuple[Floats, Floats]) -> dict[str, Floats]:
    overlap, other = near
    run, usual = (np.log2(1.0 + length) for length in runs)
    ratio = np.log(overlap + 0.01) - np.log(other + 0.01)
    made = (overlap, ratio, run, run - usual, *rare)
    return dict(zip(SCORES, made, strict=True))


def _planted(members: Any, strangers: Any, release: Any, near: Mapping[str, Any], runs: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The same attack where near-copies of members are 5 % of the release; by overlap alone, since passages are broken by what is lost, and
    rare codes would find what the rest of the release gives away.
    """
    rng = generator(seed, "trajectories", "planted")
    n = max(1, round(SHARE / (1 - SHARE) * release.shape[0]))
    chosen = rng.permutation(members.shape[0])[:n]
    copies = members[np.sort(chosen)].copy()
    copies.data[rng.random(len(copies.data)) < DROPPED] = 0.0
    copies = _unit(copies)
    made = {}
    for name, side in (("members", members), ("strangers", strangers)):
        overlap = np.maximum(near[name][0], _nearest(side, copies))
        made[name] = _scores((overlap, near[name][1]), runs[name], (np.zeros(len(overlap)),) * 2)
    best = strongest(Roll.deal(made["members"], made["strangers"], seed))
    found, control = best.rate(), best.control()
    return {
        "tpr": found.value,
        "tpr_interval": found.interval,
        "fpr_control": control.value,
        "share": SHARE,
        "n_planted": len(chosen),
        "is_found": found.interval[0] > FALSE_POSITIVES,
    }


def _area(made: Mapping[str, Mapping[str, Floats]], name: str) -> dict[str, Any]:
    """The AUC of one attack, its interval widened (Bonferroni) since the strongest of several is shown."""
    from scipy.special import ndtri

    area, variance = delong(made["members"][name], made["strangers"][name])
    half = float(ndtri(1 - 0.025 / len(SCORES))) * variance**0.5
    return {"auc": area, "auc_interval": (max(0.0, area - half), min(1.0, area + half))}


def _note(roll: Roll, planted: Mapping[str, Any]) -> str:
    notes = []
    if not planted["is_found"]:
        notes.append(
            f"Near-copies of train patients, planted into the release until they were {100 * SHARE:.0f} % of it, were not found: this "
            "attack has no power on these data, and that it finds nothing says nothing."
        )
    if roll.n_strangers < WELL_PLACED:
        notes.append(f"The threshold rests on {roll.n_strangers} people, too few to place 1 % false alarms.")
    return " ".join(notes)
