"""The regression that is run when nobody names one: the schema's outcome on a bounded set of covariates. Knows no estimator.

A person's own analyses say more; this one is a fair guess at what a biostatistician would begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Kind, Role
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.inference.design import coding, explained
from manikin.evaluation.inference.formula import Analysis, Factor
from manikin.evaluation.prepared import Feature, Prepared

MAX_TERMS = 15
MAX_LEVELS = 4  # of one column; the rarer ones are pooled
EVENTS_PER_TERM = 10  # the usual rule of thumb (Peduzzi et al. 1996, doi:10.1016/S0895-4356(96)00236-3)
MIN_COMPLETE = 0.7  # rows with an outcome that must keep every cell
MIN_SHARE = 0.01  # of the patients hold a level, for it to have a term


def default_analyses(data: Prepared) -> tuple[Analysis, ...]:
    """Cox where the schema has a time and an event, linear or logistic for a target that is neither; both where there are both.

    Raises
    ------
    UndefinedMetricError : the schema names neither, or they are not columns of all tables.
    """
    features = {feature.name: feature for feature in data.features}
    time, event = (_role(data, features, role) for role in (Role.TIME, Role.EVENT))
    found = []
    if data.target in features and (not (time and event) or data.target not in (time, event)):
        found.append(Analysis(Factor(str(data.target)), None, None, (), is_default=True))
    if time and event and features[time].is_number:
        found.append(Analysis(None, time, event, (), is_default=True))
    if not found:
        raise UndefinedMetricError("no target column is named, nor a time with its event, that all three tables hold")
    outcomes = {name for name in (time, event, data.target) if name}
    return tuple(_with_covariates(analysis, outcomes, data, features) for analysis in found)


def least_patients(data: Prepared, feature: Feature, *, is_default: bool) -> int:
    """Fewest train patients that must hold a level for it to have a term: the schema's threshold, whatever list is public."""
    least = max(data.schema.min_patients, data.schema.threshold(feature.column))
    return max(least, int(np.ceil(MIN_SHARE * data.real.n_records))) if is_default else least


def _role(data: Prepared, features: Mapping[str, Feature], role: Role) -> str | None:
    return next((column.name for column in data.schema.with_role(role) if column.name in features), None)


def _with_covariates(analysis: Analysis, outcomes: set[str], data: Prepared, features: Mapping[str, Feature]) -> Analysis:
    """Quasi-identifiers first, then columns of one term, then of several, each in the schema's order, while there is room for them."""
    real = data.real
    try:
        outcome, complete = explained(analysis, features, real, least=data.schema.min_patients).of(real)
    except UndefinedMetricError:
        return analysis
    n = int(complete.sum())
    y = outcome.y[complete] if outcome.event is None else outcome.event[complete]
    cases = _n_cases(np.asarray(y, dtype=float), is_survival=outcome.event is not None)
    room = int(min(MAX_TERMS, max(1, cases // EVENTS_PER_TERM)))
    chosen, left_out = [], []
    candidates = [(feature, _n_terms(data, feature)) for feature in features.values() if feature.name not in outcomes]
    for feature, n_terms in sorted(candidates, key=lambda pair: (Role.QUASI_IDENTIFIER not in pair[0].column.roles, pair[1] != 1)):
        has_value = real.marks[feature.name] == 0
        if isinstance(n_terms, str):
            left_out.append((feature.name, n_terms))
        elif (complete & has_value).sum() < MIN_COMPLETE * n:
            left_out.append((feature.name, "too many missing cells"))
        elif n_terms > room:
            left_out.append((feature.name, "beyond the terms that are allowed"))
        else:
            chosen.append((Factor(feature.name),))
            complete, room = complete & has_value, room - n_terms
    return replace(analysis, terms=tuple(chosen), left_out=tuple(left_out))


def _n_cases(y: npt.NDArray[np.float64], *, is_survival: bool) -> int:
    """What bounds the number of terms: rows of a number, events of Cox, the rarer outcome of a logistic model."""
    if len(np.unique(y)) > 2:
        return len(y)
    n_ones = int(np.sum(y > 0.5))
    return n_ones if is_survival else min(n_ones, len(y) - n_ones)


def _n_terms(data: Prepared, feature: Feature) -> int | str:
    """How many terms a column would take, or why it takes none."""
    if feature.column.kind.is_time or feature.column.kind is Kind.CODE_SET:
        return "a time" if feature.column.kind.is_time else "a set of codes"
    if feature.is_number:
        values = data.real.values[feature.name]
        return 1 if len(np.unique(values[np.isfinite(values)])) > 1 else "constant"
    made = coding(feature, data.real, least=least_patients(data, feature, is_default=True), most=MAX_LEVELS)
    return made.n_terms or "no two levels that enough patients hold"
