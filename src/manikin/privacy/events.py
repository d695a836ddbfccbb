"""What was done to private data, as frozen values whose meaning never changes. Knows no budget, no data and no noise.

The neighbours are everywhere the same: two sets of patients, one of which has one patient more, with all the rows of hers that count. A
mechanism's sensitivity is the most that this patient can change what it computes; noise is told as a multiple of it, so that an event
says nothing about the patients.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from manikin.data.errors import ParameterError, parameter_error

LEAST, MOST = 1e-9, 1e12  # what noise and epsilon may be: beyond it squares overflow, and no such event means anything
MOST_STEPS = 10**9


@dataclass(frozen=True)
class Gaussian:
    """A vector released with Gaussian noise. `noise_multiplier` is the noise's standard deviation over the L2 sensitivity."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        _positive(self, "noise_multiplier")


@dataclass(frozen=True)
class Laplace:
    """A number released with Laplace noise. `noise_multiplier` is the noise's scale over the L1 sensitivity, so epsilon is its inverse."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        _positive(self, "noise_multiplier")


@dataclass(frozen=True)
class Exponential:
    """One of several public candidates chosen by private scores: the exponential mechanism (McSherry & Talwar 2007,
    doi:10.1109/FOCS.2007.66) with chances proportional to exp(epsilon * score / (2 * sensitivity)).

    `epsilon` is its pure privacy parameter; it is moreover epsilon-bounded-range (Durfee & Rogers, arXiv 1905.04273).
    """

    epsilon: float

    def __post_init__(self) -> None:
        _positive(self, "epsilon")


@dataclass(frozen=True)
class SampledGaussian:
    """`steps` sums over Poisson samples of the patients, each released with Gaussian noise: DP-SGD (Abadi et al., arXiv 1607.00133).

    Attributes
    ----------
    noise_multiplier : standard deviation over the clipping norm. sampling_rate : chance of each patient to be in a step's sample, (0, 1].
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int

    def __post_init__(self) -> None:
        _positive(self, "noise_multiplier")
        if not 0 < self.sampling_rate <= 1:
            raise parameter_error("sampling_rate", "SampledGaussian", "a number in (0, 1]", self.sampling_rate)
        if type(self.steps) is not int or not 1 <= self.steps <= MOST_STEPS:
            raise parameter_error("steps", "SampledGaussian", f"an int in [1, {MOST_STEPS}]", self.steps)


@dataclass(frozen=True)
class Threshold:
    """A list of values found in the data, cut where noise makes a single patient's value survive with probability at most `delta`.

    The counts that were compared with the threshold are an event of their own.
    """

    delta: float

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise parameter_error("delta", "Threshold", "a number in (0, 1)", self.delta)


Event = Gaussian | Laplace | Exponential | SampledGaussian | Threshold
KINDS: dict[str, type[Event]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "exponential": Exponential,
    "sampled_gaussian": SampledGaussian,
    "threshold": Threshold,
}


def to_json(event: Event) -> dict[str, Any]:
    """The event as JSON values: its kind, and its parameters in full precision."""
    kind = next(name for name, made in KINDS.items() if type(event) is made)
    return {"kind": kind, **asdict(event)}


def from_json(values: Any) -> Event:
    """The event that `to_json` wrote.

    Raises
    ------
    ParameterError : no such kind of event, or parameters that are missing, left over or outside their domain.
    """
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str) or values["kind"] not in KINDS:
        raise ParameterError(f"A ledger's event must have a kind, one of {', '.join(KINDS)}.")
    own = {name: value for name, value in values.items() if name != "kind"}
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in own.values()):
        raise ParameterError(f"The parameters of a ledger's {values['kind']} event must be numbers.")
    try:
        return KINDS[values["kind"]](**own)
    except TypeError:
        raise ParameterError(f"The parameters of a ledger's {values['kind']} event are not those of its kind.") from None


def _positive(event: Gaussian | Laplace | SampledGaussian | Exponential, name: str) -> None:
    value = getattr(event, name)
    if isinstance(value, bool) or not (isinstance(value, int | float) and LEAST <= value <= MOST):
        raise parameter_error(name, type(event).__name__, f"a number in [{LEAST:g}, {MOST:g}]", value)
