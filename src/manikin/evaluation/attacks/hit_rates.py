"""How many people an attack names at a small rate of false alarms, and how sure that figure is. Knows scores, and nothing of their making.

People are dealt into ten parts. A part is attacked by the score that does best on members of the other parts and strangers of three of
them, at a threshold that strangers of the six that are left set. So nobody is measured whom the choice or the threshold has seen, the
strongest of the suite is shown without its luck, and everybody is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Rate
from manikin.evaluation.intervals import auc, clopper_pearson

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
N_PARTS = 10
N_SETTING = 6  # parts whose strangers set a threshold; those of three others choose the score
FALSE_POSITIVES = 0.01
STRICT = 0.001
MIN_STRICT = 5_000  # strangers below which one in a thousand is not resolved
WELL_PLACED = 165  # strangers of whom six tenths are 99: with fewer the largest score is not yet exceeded by one in a hundred


@dataclass(frozen=True)
class Roll:
    """Everybody's scores as ranks, ties in random order, and the parts they were dealt into.

    Attributes
    ----------
    members, strangers : int64 (n_attacks, n_members), (n_attacks, n_strangers); higher is likelier a member.
    member_parts, stranger_parts : int64 (n_members,), (n_strangers,) in 0 … 9.
    member_luck, stranger_luck : (n_members,), (n_strangers,) in [0, 1): on which side of two neighbouring thresholds a person falls.
    """

    names: tuple[str, ...]
    members: npt.NDArray[np.int64]
    strangers: npt.NDArray[np.int64]
    member_parts: npt.NDArray[np.int64]
    stranger_parts: npt.NDArray[np.int64]
    member_luck: Floats
    stranger_luck: Floats

    @classmethod
    def deal(cls, members: Mapping[str, Floats], strangers: Mapping[str, Floats], seed: int) -> Roll:
        """Deals people out; the same seed deals the same people alike, whatever they score."""
        names = tuple(members)
        n, m = len(members[names[0]]), len(strangers[names[0]])
        rng = generator(seed, "membership", "parts")
        parts = [rng.permutation(np.arange(size) % N_PARTS) for size in (n, m)]
        luck, ties = [rng.random(size) for size in (n, m)], rng.random(n + m)
        ranks = np.empty((len(names), n + m), dtype=np.int64)
        for row, name in zip(ranks, names, strict=True):
            row[np.lexsort((ties, np.concatenate([members[name], strangers[name]])))] = np.arange(n + m)
        return cls(names, ranks[:, :n], ranks[:, n:], parts[0], parts[1], luck[0], luck[1])

    @property
    def n_strangers(self) -> int:
        """How many people set thresholds and are the control."""
        return len(self.stranger_parts)


@dataclass(frozen=True)
class HitRate:
    """Who is named, by the attack that was chosen for each part, at a threshold and at its two confidence limits.

    Attributes
    ----------
    choice : per part, the name of the attack that measures it.
    members, strangers : bool (3, n_members), (3, n_strangers): named at the threshold, at the strictest and the loosest likely one.
    """

    choice: tuple[str, ...]
    members: Flags
    strangers: Flags

    def rate(self, among: Flags | None = None, *, alpha: float = 0.05) -> Rate:
        """The share of members (or of those `among` them) that are named."""
        return named_rate(self.members if among is None else self.members[:, among], alpha)

    def control(self, among: Flags | None = None, *, alpha: float = 0.05) -> Rate:
        """The share of strangers (or of those `among` them) that are named at thresholds which they did not set."""
        return named_rate(self.strangers if among is None else self.strangers[:, among], alpha)

    @cached_property
    def strongest(self) -> str:
        """The attack that was chosen for most parts; the first of them in alphabetical order where several were."""
        return max(sorted(set(self.choice)), key=self.choice.count)


def strongest(roll: Roll, *, false_positives: float = FALSE_POSITIVES) -> HitRate:
    """The hit rate of the strongest attack, chosen for each part on the other parts."""
    return _hits(roll, [_chosen(roll, part) for part in range(N_PARTS)], false_positives)


def single(roll: Roll, name: str, *, false_positives: float = FALSE_POSITIVES) -> HitRate:
    """The hit rate of one attack that is fixed beforehand."""
    return _hits(roll, [roll.names.index(name)] * N_PARTS, false_positives)


def threshold_limits(n_strangers: int, false_positives: float, *, alpha: float = 0.05) -> tuple[float, float]:
    """How many strangers, relative to those expected, may stand above a threshold whose true false-alarm rate is the one asked for.

    The j-th largest of m scores is exceeded with a probability that follows Beta(j, m + 1 - j). The limits are the j, in the sense of a
    confidence interval of the quantile (Conover 1999, section 3.2), at which the rate asked for is that law's upper and lower limit.
    """
    from scipy.optimize import brentq
    from scipy.special import betaincinv

    m, expected = n_strangers, false_positives * (n_strangers + 1)

    def law(j: float, at: float) -> float:
        """How far the limit of the law of the j-th largest is above the rate asked for."""
        return float(betaincinv(j, m + 1 - j, at)) - false_positives

    ends = (1e-3, m + 1 - 1e-3)
    low = 0.0 if law(ends[0], 1 - alpha / 2) > 0 else float(brentq(law, *ends, args=(1 - alpha / 2,)))
    high = float(m + 1) if law(ends[1], alpha / 2) < 0 else float(brentq(law, *ends, args=(alpha / 2,)))
    return low / expected, high / expected


def _chosen(roll: Roll, part: int) -> int:
    """The attack with the largest area under the first 3 % of its curve, from members of the other parts and strangers of three of them."""
    members = roll.members[:, roll.member_parts != part]
    strangers = np.sort(roll.strangers[:, _is_in(roll, part, range(1 + N_SETTING, N_PARTS))], axis=1)
    place = max(1, round(FALSE_POSITIVES * (strangers.shape[1] + 1)))
    areas = []
    for mine, others in zip(members, strangers, strict=True):
        thresholds = others[[-min(times * place, len(others)) for times in (1, 2, 3)]]
        areas.append((float((mine[:, None] > thresholds).mean()), auc(mine, others)))
    return max(range(len(areas)), key=lambda i: areas[i])


def _hits(roll: Roll, choice: Sequence[int], false_positives: float) -> HitRate:
    limits = (1.0, *threshold_limits(roll.n_strangers, false_positives))
    members, strangers = (np.zeros((3, side.shape[1]), dtype=bool) for side in (roll.members, roll.strangers))
    for part, attack in enumerate(choice):
        others = np.sort(roll.strangers[attack, _is_in(roll, part, range(1, 1 + N_SETTING))])[::-1]
        for i, stretch in enumerate(limits):
            place = max(1.0, stretch * false_positives * (len(others) + 1))
            for side, flags, parts, luck in (
                (roll.members, members, roll.member_parts, roll.member_luck),
                (roll.strangers, strangers, roll.stranger_parts, roll.stranger_luck),
            ):
                here = parts == part
                # Between two order statistics each person falls to one of them by his luck, so that the rate is exact on average.
                at = np.minimum((place + luck[here]).astype(int), len(others)) - 1
                flags[i, here] = side[attack, here] > others[at]
    return HitRate(tuple(roll.names[attack] for attack in choice), members, strangers)


def _is_in(roll: Roll, part: int, steps: range) -> Flags:
    """Which strangers are in the parts so many steps after this one, bool (n_strangers,)."""
    return np.isin(roll.stranger_parts, [(part + step) % N_PARTS for step in steps])


def named_rate(flags: Flags, alpha: float = 0.05) -> Rate:
    """The share named. Its interval joins Clopper-Pearson's with the noise of the threshold, as MOVER does.

    Each end is as far off as the square root of the sum of two squares: the distance of Clopper-Pearson's end, and that of the share
    which the confidence limit of the threshold would name (Donner & Zou 2012, doi:10.1177/0962280210383082).
    """
    n = flags.shape[1]
    if n == 0:
        return Rate(0.0, (0.0, 1.0), 0, 0)
    hits, strict, loose = (int(row.sum()) for row in flags)
    share, (low, high) = hits / n, clopper_pearson(hits, n, alpha=alpha)
    low = share - hypot(share - low, max(0.0, share - strict / n))
    high = share + hypot(high - share, max(0.0, loose / n - share))
    return Rate(round(share, 6), (round(max(0.0, low), 6), round(min(1.0, high), 6)), hits, n)
