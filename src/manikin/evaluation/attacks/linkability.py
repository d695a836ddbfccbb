"""Do two parties find out by means of the release that their records are of one person? Each knows other columns of him.

After the linkability risk of the Article 29 Working Party and Giomi et al. 2023 (arXiv 2211.10459). Not assessed here: linking with a
file of another population, and two releases of one table linked with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, attacking, targets
from manikin.evaluation.attacks.trials import Trial, found, judged_groups
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.features import embedding, entropy
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Feature, Prepared, Sample

Rows = npt.NDArray[np.int64]
MAX_TARGETS = 2_000
MAX_RELEASE = 100_000  # all of an ordinary release: of one that is cut in half, half of the leaks cannot be found
MIN_ROWS = 20
NEIGHBOURS = (1, 5)
IDENTIFYING = 0.5  # a half that tells fewer of the release's rows apart cannot link most of them
LINKABILITY = AttackDefinition(
    "linkability",
    "Linkability (residual risk)",
    ThreatModel(
        knows="holds the release and two sets of records, each with other columns of the same people",
        wants="wants to know which records of the two sets are of one person",
        succeeds="succeeds when the same released row is among the nearest of both of a person's records",
        risk="linkability",
    ),
)


@dataclass(frozen=True)
class Split:
    """The columns that one party knows, and those that the other does."""

    name: str
    one: tuple[Feature, ...]
    other: tuple[Feature, ...]


@attacking(LINKABILITY, min_rows=MIN_ROWS)
def linkability(data: Prepared, *, seed: int) -> AttackResult:
    """Residual risk of being linked through the release, of the most surely dangerous split of columns; in (-inf, 1], 0 is none.

    Three splits of the columns: quasi-identifiers against the rest, halves that tell rows apart about as well (columns by falling
    entropy, dealt in turn), and random halves; each with the 1 and the 5 nearest release rows. Targets are one row a patient, the
    control the same with people of the holdout. The baseline is the chance that k of n rows and k others share one. The interval holds
    the largest true risk of all ways (Bonferroni). Where the better half tells few release rows apart, the note says that a low figure
    is no safety: on an exact copy too, records that look alike cannot be linked.
    """
    if len(data.features) < 2:
        raise UndefinedMetricError("there is one column, and two parties must know different ones")
    attacked = targets(data.real, MAX_TARGETS, seed, "linkability", "train")
    controls = targets(data.held, MAX_TARGETS, seed, "linkability", "holdout")
    release = data.fake.draw(MAX_RELEASE, seed, "linkability", "synthetic")
    splits = _splits(data, release, seed)
    with one_thread():
        trials = [trial for split in splits for trial in _trials(data, split, attacked, controls, release)]
    finding = found(trials)
    worst = finding.worst
    apart = max(min(_apart(release, split.one), _apart(release, split.other)) for split in splits)
    notes = [finding.note]
    if apart < IDENTIFYING:
        notes.append(
            f"Of the release's rows {100 * apart:.0f} % are told apart by both halves of the columns: too few for linking, "
            "so that a low figure is no safety."
        )
    return LINKABILITY.result(
        worst.value,
        interval=finding.interval,
        n=worst.attack.n,
        n_requested=worst.attack.n,
        reference=0.0,
        attack=worst.attack,
        control=worst.control,
        baseline=worst.trial.baseline,
        power=finding.power,
        groups=judged_groups(data, finding),
        details={
            **worst.trial.labels,
            "n_release": len(release),
            "told_apart": apart,
            "columns": {split.name: [[f.name for f in half] for half in (split.one, split.other)] for split in splits},
            "trials": finding.summaries,
        },
        note=" ".join(note for note in notes if note),
    )


def _splits(data: Prepared, release: Sample, seed: int) -> list[Split]:
    """Up to three splits of the columns, without one that was there before."""
    quasi = tuple(f for f in data.features if f.column.has_role(Role.QUASI_IDENTIFIER))
    rest = tuple(f for f in data.features if f not in quasi)
    informing = sorted(data.features, key=lambda f: -entropy(release, f))
    order = generator(seed, "linkability", "columns").permutation(len(data.features))
    half = len(order) // 2
    random = [tuple(data.features[i] for i in sorted(part)) for part in (order[:half], order[half:])]
    proposed = [
        Split("quasi-identifiers against the rest", quasi, rest),
        Split("balanced halves", tuple(informing[::2]), tuple(informing[1::2])),
        Split("random halves", random[0], random[1]),
    ]
    kept: dict[frozenset[frozenset[str]], Split] = {}
    for split in proposed:
        if split.one and split.other:
            halves = frozenset(frozenset(f.name for f in part) for part in (split.one, split.other))
            kept.setdefault(halves, split)
    return list(kept.values())


def _trials(data: Prepared, split: Split, attacked: Sample, controls: Sample, release: Sample) -> list[Trial]:
    """One trial for each number of neighbours."""
    most = min(max(NEIGHBOURS), len(release))
    near: dict[str, list[Rows]] = {"attack": [], "control": []}
    for part in (split.one, split.other):
        fitted = embedding(data).of(part)
        points = fitted.points(release)
        near["attack"].append(nearest(fitted.points(attacked), points, most)[1])
        near["control"].append(nearest(fitted.points(controls), points, most)[1])
    made = []
    for k in sorted({min(k, most) for k in NEIGHBOURS}):
        chance = _chance(k, len(release))
        made.append(
            Trial(
                {"split": split.name, "k": k},
                _share_one(near["attack"], k),
                _share_one(near["control"], k),
                Rate(chance, (chance, chance), 0, 0),
                attacked,
                controls,
            )
        )
    return made


def _share_one(near: Sequence[Rows], k: int) -> npt.NDArray[np.bool_]:
    """Whether the first k neighbours of both records have a release row in common, bool (n_targets,)."""
    one, other = near
    return np.asarray((one[:, :k, None] == other[:, None, :k]).any(axis=(1, 2)))


def _chance(k: int, n: int) -> float:
    """The probability that k of n rows and k others, drawn blindly, share one."""
    missed = 1.0
    for i in range(k):
        missed *= max(0.0, (n - k - i) / (n - i))
    return 1 - missed


def _apart(sample: Sample, features: Sequence[Feature]) -> float:
    """The share of rows that no other row equals in these columns."""
    mixed = np.zeros(len(sample), dtype=np.int64)
    for feature in features:
        cells = np.where(sample.marks[feature.name] > 0, np.nan, sample.values[feature.name].astype(float))
        codes = np.unique(cells, return_inverse=True)[1]
        mixed = np.unique(mixed * (int(codes.max()) + 1) + codes, return_inverse=True)[1]
    return float((np.unique(mixed, return_counts=True)[1] == 1).sum() / len(sample))
