"""How the strongest of several membership attacks is best reported: the table of docs/decisions/0009, simulated.

    python benchmarks/membership_choice.py [--repeats 200]

Five attacks whose scores correlate at 0.6, one of which sees a leak best. Three ways to a rate at 1 % false alarms: `chosen` (attack and
threshold on other people, in rotation), `widened` (the largest rate, Bonferroni's interval with the threshold's noise) and `before` (the
largest rate, half of the strangers for the threshold, Bonferroni's interval without its noise).
"""

from __future__ import annotations

import argparse

import numpy as np

from manikin.evaluation.attacks.hit_rates import Roll, single, strongest
from manikin.evaluation.base import Rate
from manikin.evaluation.intervals import clopper_pearson

N_ATTACKS, CORRELATION = 5, 0.6
SIZES = ((225, 137), (500, 500), (1_500, 1_500), (4_000, 6_000))
LEAKS = (0.0, 0.02, 0.05)


def widened(roll: Roll) -> Rate:
    best = max((single(roll, name) for name in roll.names), key=lambda hits: hits.members[0].sum())
    return best.rate(alpha=0.05 / N_ATTACKS)


def before(roll: Roll) -> Rate:
    calibrates = roll.stranger_parts < 5
    place = max(1, int(0.01 * (calibrates.sum() + 1)))
    thresholds = [np.sort(scores[calibrates])[-place] for scores in roll.strangers]
    hits = max(int((mine > at).sum()) for mine, at in zip(roll.members, thresholds, strict=True))
    n = roll.members.shape[1]
    return Rate(hits / n, clopper_pearson(hits, n, alpha=0.05 / N_ATTACKS), hits, n)


def drawn(n: int, rng: np.random.Generator) -> np.ndarray:
    shared = rng.normal(size=n)
    return np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * rng.normal(size=(N_ATTACKS, n))


def dealt(n_members: int, n_strangers: int, leak: float, seed: int) -> Roll:
    rng = np.random.default_rng(seed)
    members, strangers = drawn(n_members, rng), drawn(n_strangers, rng)
    is_leaked = rng.random(n_members) < leak
    for attack, strength in enumerate((6, 3, 1)):
        members[attack, is_leaked] += strength
    sides = ({str(i): side[i] for i in range(N_ATTACKS)} for side in (members, strangers))
    return Roll.deal(*sides, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    ways = {"chosen": lambda roll: strongest(roll).rate(), "widened": widened, "before": before}
    for n, m in SIZES:
        for leak in LEAKS:
            rolls = [dealt(n, m, leak, seed) for seed in range(repeats if n < 4_000 else max(1, repeats * 3 // 10))]
            truth = leak + (1 - leak) * 0.01
            for way, measure in ways.items():
                rates = [measure(roll) for roll in rolls]
                ends = np.array([rate.interval for rate in rates])
                holds = float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
                mean = np.mean([rate.value for rate in rates])
                print(
                    f"{n:>5} members {m:>5} strangers leak {leak:.2f} truth {truth:.4f} {way:8} mean {mean:.4f} "
                    f"holds {holds:.2f} upper end {ends[:, 1].mean():.4f} detects {(ends[:, 0] > 0.01).mean():.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
