"""How much energy a job took, estimated from its CPU and GPU seconds; the assumption is always stated beside the figure.

Knows no meter: nothing is measured at the plug.
"""

from __future__ import annotations

from dataclasses import dataclass

# Defaults of the Green Algorithms method for a processor that is not known: Lannelongue, Grealey & Inouye 2021,
# doi:10.1002/advs.202100707, with the tool's tables v2.2.
WATTS_PER_CORE = 12.0
WATTS_PER_GB = 0.3725
POWER_USAGE_EFFECTIVENESS = 1.67
WATTS_PER_GPU = 250.0  # a data-centre card at work; ours, since that method wants the model of the card


@dataclass(frozen=True)
class Energy:
    """An estimate in watt-hours, at or above 0; `assumption` says what it rests on."""

    watt_hours: float
    assumption: str


def estimate_energy(*, cpu_seconds: float, wall_seconds: float, memory_gb: float = 0.0, gpu_seconds: float = 0.0) -> Energy:
    """(CPU seconds x 12 W + GPU seconds x 250 W + seconds x GB x 0.3725 W) x 1.67 / 3600.

    Reference: Green Algorithms, doi:10.1002/advs.202100707.

    >>> estimate_energy(cpu_seconds=3600, wall_seconds=0).watt_hours
    20.04
    """
    joules = cpu_seconds * WATTS_PER_CORE + gpu_seconds * WATTS_PER_GPU + wall_seconds * memory_gb * WATTS_PER_GB
    assumption = (
        f"{WATTS_PER_CORE:g} W per busy core, {WATTS_PER_GPU:g} W per busy GPU, {WATTS_PER_GB:g} W per GB held, and "
        f"{POWER_USAGE_EFFECTIVENESS:g} times that for cooling and losses (Green Algorithms defaults, doi:10.1002/advs.202100707); "
        "not measured"
    )
    return Energy(round(joules * POWER_USAGE_EFFECTIVENESS / 3600, 4), assumption)
