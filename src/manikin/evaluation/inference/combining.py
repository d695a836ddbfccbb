"""How estimates from m synthetic tables become one estimate with an honest standard error. Knows no table and no model.

Symbols, as in the papers: q_l and v_l are the estimate and the variance that an ordinary analysis of the l-th table reports; q̄ and v̄ their
means; b = Σ (q_l − q̄)² / (m − 1); n the real patients that the generator learned from, k the patients of one synthetic table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ParameterError, parameter_error

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Sets:
    """The quantities of the rules, elementwise over coefficients."""

    v: Floats
    b: Floats
    m: int
    n: float
    k: float


@dataclass(frozen=True)
class Combined:
    """What may be said of the population from m synthetic tables; every figure has the shape of one table's estimates.

    Attributes
    ----------
    estimate : q̄.
    standard_error : √T by the rule; NaN where the rule gives a negative variance.
    interval : (low, high), 95 %.
    degrees_of_freedom : of the t distribution that the interval takes its quantile from; inf is the normal distribution.
    p_value : two-sided, against 0.
    naive_standard_error : √v̄, what the table reports when it is taken for real data.
    rule, n_sets, note : how it was made; the note is empty mostly.
    """

    estimate: Floats
    standard_error: Floats
    interval: tuple[Floats, Floats]
    degrees_of_freedom: Floats
    p_value: Floats
    naive_standard_error: Floats
    rule: str
    n_sets: int
    note: str = ""


def combine(
    estimates: Any,
    variances: Any,
    *,
    rule: str = "fully",
    n_real: float | None = None,
    n_synthetic: float | None = None,
) -> Combined:
    """One estimate, with its standard error and 95 % interval, from the analyses of m synthetic tables (m = 1 included).

    Parameters
    ----------
    estimates, variances : what the ordinary analysis of each table reports (squares of standard errors): numbers for one table, (m,)
        for one coefficient of m tables, (m, n_coefficients) for several.
    rule : with q̄, v̄, b, n, k as in this module's first lines

        "fully" : every cell is drawn from a model fitted to real data: T = v̄ (k/n + 1/m), normal, also for m = 1
            (Raab, Nowok & Dibben 2017, doi:10.29012/jpc.v7i3.407, T_s). All generators of Manikin are of this kind.
        "proper" : the same, when each table came from other parameters drawn from their posterior:
            T = v̄ (k/n + (1 + k/n)/m) (same source, T_p of proper synthesis).
        "partially" : real cells were kept and some replaced: T = v̄ + b/m, t with (m − 1)(1 + v̄ m / b)² degrees of freedom
            (Reiter 2003, Survey Methodology 29, 181–188). It wants a model of the very patients whose cells were replaced: a model
            of all, used for half of them, covers less. With m = 1, b is unknown; 2 v̄ bounds T, since b does not exceed v̄ where the
            model's parameters are fixed.
        "raghunathan" : tables drawn anew from the posterior of a population: T = (1 + 1/m) b − v̄, t with (m − 1)(1 − v̄ / ((1 + 1/m) b))²
            degrees of freedom (Raghunathan, Reiter & Rubin 2003, J. Official Statistics 19, 1–16). It needs m of 2 or more, and T may
            be negative, above all with few tables; then there is no standard error and the note says so.
        "naive" : T = v̄, as if the tables were real. For comparison only: its intervals are too short.
    n_real, n_synthetic : n and k, in patients; "fully" and "proper" need both.

    Raises
    ------
    ParameterError : an unknown rule, arrays of unlike shapes, a negative variance, or what the rule needs is not given.

    Examples
    --------
    >>> made = combine([0.52, 0.47, 0.55], [0.010, 0.011, 0.009], n_real=500, n_synthetic=500)
    >>> round(float(made.estimate), 3), round(float(made.standard_error), 3), round(float(made.naive_standard_error), 3)
    (0.513, 0.115, 0.1)
    """
    if rule not in _RULES:
        raise parameter_error("rule", "combine", f"one of {', '.join(_RULES)}", rule)
    q, v = (np.asarray(given, dtype=float) for given in (estimates, variances))
    q, v = (given[None] if given.ndim == 0 else given for given in (q, v))
    if q.shape != v.shape or q.ndim > 2 or not len(q):
        raise ParameterError(
            "combine needs estimates and variances of one shape, (m,) or (m, n_coefficients). "
            f"Got {q.shape} and {v.shape} instead."
        )
    if (v < 0).any():
        raise ParameterError("combine needs variances of 0 or more: the squares of each table's standard errors.")
    if rule in ("fully", "proper"):
        for name, given in (("n_real", n_real), ("n_synthetic", n_synthetic)):
            if given is None or not (given > 0 and math.isfinite(given)):
                raise parameter_error(name, "combine", f"a number of patients above 0 under the rule {rule!r}", given)
    m = len(q)
    between = q.var(axis=0, ddof=1) if m > 1 else np.full(q.shape[1:], np.nan)
    sets = _Sets(v.mean(axis=0), between, m, float(n_real or 1), float(n_synthetic or 1))
    total, df, note = _RULES[rule](sets)
    return _combined(q.mean(axis=0), total, df, sets, rule, note)


def _combined(q: Floats, total: Floats, df: Floats, sets: _Sets, rule: str, note: str) -> Combined:
    from scipy.special import stdtr, stdtrit

    error = np.sqrt(np.where(total >= 0, total, np.nan))
    df = np.broadcast_to(np.asarray(df, dtype=float), q.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = np.asarray(2 * stdtr(df, -np.abs(q / error)))
    half = stdtrit(df, 0.975) * error
    return Combined(q, error, (q - half, q + half), df, p_value, np.sqrt(sets.v), rule, sets.m, note)


_Answer = tuple[Floats, Any, str]


def _fully(sets: _Sets) -> _Answer:
    return sets.v * (sets.k / sets.n + 1 / sets.m), math.inf, ""


def _proper(sets: _Sets) -> _Answer:
    ratio = sets.k / sets.n
    return sets.v * (ratio + (1 + ratio) / sets.m), math.inf, ""


def _partially(sets: _Sets) -> _Answer:
    if sets.m == 1:
        note = "One partially synthetic table does not tell how much tables differ: twice its variance is an upper bound."
        return 2 * sets.v, math.inf, note
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (sets.m - 1) * (1 + sets.v * sets.m / sets.b) ** 2
    return sets.v + sets.b / sets.m, np.where(np.isnan(df), np.inf, df), ""


def _raghunathan(sets: _Sets) -> _Answer:
    if sets.m == 1:
        raise ParameterError("The rule 'raghunathan' of combine needs 2 synthetic tables or more. Use 'fully' for one.")
    spread = (1 + 1 / sets.m) * sets.b
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (sets.m - 1) * (1 - sets.v / spread) ** 2
    total = spread - sets.v
    is_negative = bool((total < 0).any())
    note = "The variance of Raghunathan et al. came out negative; take more tables, or the rule 'fully'." if is_negative else ""
    return total, np.where(np.isfinite(df) & (df > 0), df, np.inf), note


def _naive(sets: _Sets) -> _Answer:
    return sets.v, math.inf, "The tables were taken for real ones: intervals are too short."


_RULES: Mapping[str, Callable[[_Sets], _Answer]] = {
    "fully": _fully,
    "proper": _proper,
    "partially": _partially,
    "raghunathan": _raghunathan,
    "naive": _naive,
}
