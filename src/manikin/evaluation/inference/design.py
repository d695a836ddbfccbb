"""A regression's outcome and terms as arrays, the same for every table: levels and scales are settled on train. Knows no estimator.

No level that too few train patients hold gets a term or a name: such levels are pooled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.inference.formula import Analysis, Crossed, Factor
from manikin.evaluation.inference.models import Outcome
from manikin.evaluation.prepared import Feature, Sample
from manikin.evaluation.survival_curves import seen_levels

Floats = npt.NDArray[np.float64]
OTHER = "(other)"
LARGEST = 1e50  # a number beyond it is no measurement, and its square is none of ours
MOST_LEVELS = 40  # of one column in a person's analysis; the rarer ones are pooled


@dataclass(frozen=True)
class Coding:
    """Which levels of a column get a term: `group` maps level numbers to 0 (the reference), 1 … as in `names`; -1 stays -1."""

    names: tuple[str, ...]
    group: npt.NDArray[np.int64]
    reference: str

    @property
    def n_terms(self) -> int:
        """Levels but the reference."""
        return len(self.names) - 1


@dataclass(frozen=True)
class Term:
    """One column of the design: a product of numbers and of indicators of levels."""

    name: str
    factors: Crossed
    groups: tuple[int, ...]  # per factor the group of levels, 0 for a number
    is_number: bool


@dataclass(frozen=True)
class Design:
    """Terms with the centre and scale that train gives them; `per` is what a coefficient on the standardised column is multiplied by."""

    terms: tuple[Term, ...]
    codings: Mapping[str, Coding]
    centre: Floats
    scale: Floats
    per: Floats

    def matrix(self, sample: Sample) -> Floats:
        """Standardised terms, (n_rows, n_terms), NaN where a cell has no value."""
        columns = [_column(term, sample, self.codings) for term in self.terms]
        return (np.column_stack(columns) - self.centre) / self.scale

    def only(self, kept: Sequence[int]) -> Design:
        """The design of some of its terms."""
        at = list(kept)
        return replace(
            self, terms=tuple(self.terms[j] for j in at), centre=self.centre[at], scale=self.scale[at], per=self.per[at]
        )


@dataclass(frozen=True)
class Explained:
    """The outcome of an analysis: `kind` of model, and what counts as 1 or as an event.

    Attributes
    ----------
    words : what is explained, such as "died = yes".
    levels : level numbers that count as 1 or as events; None for numbers, which count where they are `above`.
    """

    kind: str
    words: str
    column: Factor | str
    time: str = ""
    levels: npt.NDArray[np.int64] | None = None
    above: float | None = None

    def of(self, sample: Sample) -> tuple[Outcome, npt.NDArray[np.bool_]]:
        """The outcome of each row, and whether it has one (a time has to be above 0)."""
        name = self.column.column if isinstance(self.column, Factor) else self.column
        values = sample.values[name]
        known = sample.marks[name] == 0
        if self.kind == "linear":
            y = transformed(values, self.column if isinstance(self.column, Factor) else Factor(name))
            return Outcome(y), known & np.isfinite(y)
        is_one = np.isin(values, self.levels) if self.levels is not None else values > (self.above or 0.0)
        if self.kind == "logistic":
            return Outcome(is_one.astype(float)), known
        time = np.asarray(sample.values[self.time], dtype=float)
        with np.errstate(invalid="ignore"):
            return Outcome(time, np.asarray(is_one, dtype=bool)), known & (time > 0)


def transformed(values: npt.NDArray[np.float64], factor: Factor) -> Floats:
    """A number column as the factor has it; NaN where the function has no value."""
    shifted = np.asarray(values, dtype=float) + factor.shift
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        out = {"log": np.log, "sqrt": np.sqrt}[factor.function](shifted) if factor.function else shifted
    return np.where(np.abs(out) < LARGEST, out, np.nan)


def explained(analysis: Analysis, features: Mapping[str, Feature], train: Sample, *, least: int) -> Explained:
    """What an analysis explains and by which model, as train has it.

    Of two levels the later one counts, as R has it (the schema's order before the alphabet's); of more, the commonest against the rest.
    An event is any level but the one for censored (see `survival_curves`), or the larger of two numbers. Levels that fewer than `least`
    train patients hold are not named.
    """
    if analysis.time and analysis.event:
        feature = features[analysis.event]
        if feature.is_number:
            above, words = _upper_of_two(train.values[feature.name], feature.name)
            return Explained("cox", words, feature.name, analysis.time, above=above)
        ordered, seen = in_order(feature, train), seen_levels(feature)
        events = [level for level in ordered if level in seen]
        if not 0 < len(events) < len(ordered):
            raise UndefinedMetricError(f"the event {feature.name!r} has a single value in the train data")
        words = f"{feature.name} = {_named(feature, events, train, least)}"
        return Explained("cox", words, feature.name, analysis.time, levels=np.array(events))
    factor = analysis.outcome or Factor("")
    feature = features[factor.column]
    if feature.is_number:
        found = np.unique(train.values[feature.name][train.marks[feature.name] == 0])
        if not factor.function and np.array_equal(found, [0.0, 1.0]):
            return Explained("logistic", f"{feature.name} = 1", factor, above=0.5)
        return Explained("linear", factor.name, factor)
    ordered = in_order(feature, train)
    if len(ordered) < 2:
        raise UndefinedMetricError(f"the outcome {feature.name!r} has a single value in the train data")
    counts = level_counts(feature, train)
    one = ordered[1] if len(ordered) == 2 else int(np.argmax(counts))
    against = "" if len(ordered) == 2 else " against all others"
    return Explained("logistic", f"{feature.name} = {_named(feature, [one], train, least)}{against}", factor, levels=np.array([one]))


def _named(feature: Feature, codes: Sequence[int], train: Sample, least: int) -> str:
    """Levels by name where enough patients hold each of them."""
    counts, levels = level_counts(feature, train), feature.levels or ()
    return " or ".join(dict.fromkeys(levels[i] if counts[i] >= least else OTHER for i in codes))


def _upper_of_two(values: npt.NDArray[np.float64], name: str) -> tuple[float, str]:
    found = np.unique(values[np.isfinite(values)])
    if len(found) != 2:
        raise UndefinedMetricError(f"the event {name!r} has {len(found)} values in the train data, and two are needed")
    return float(found.mean()), f"{name} = {found[1]:g}"


def in_order(feature: Feature, train: Sample) -> list[int]:
    """The numbers of the levels that train holds, in the schema's order, others by the alphabet after them."""
    counts, levels = level_counts(feature, train), feature.levels or ()
    declared = {level: i for i, level in enumerate(feature.column.levels or ())}
    found = [i for i in range(len(levels)) if counts[i]]
    return sorted(found, key=lambda i: (declared.get(levels[i], len(declared)), levels[i]))


def level_counts(feature: Feature, sample: Sample) -> npt.NDArray[np.int64]:
    """Patients that hold each level, int64 (n_levels,)."""
    codes, n = sample.values[feature.name].astype(np.int64), len(feature.levels or ())
    held = codes >= 0
    if sample.has_patients:
        pairs = np.unique(sample.records[held] * n + codes[held])
        return np.bincount(pairs % n, minlength=n)
    return np.bincount(codes[held], minlength=n)


def coding(feature: Feature, train: Sample, *, least: int, most: int = MOST_LEVELS) -> Coding:
    """Terms for levels that at least `least` train patients hold, the `most` frequent of them; the others are pooled as "(other)".

    The reference is the first of two levels, the most frequent of more; pooled levels that too few hold together join it.
    """
    counts, levels = level_counts(feature, train), feature.levels or ()
    ordered = in_order(feature, train)
    kept = [i for i in ordered if counts[i] >= least]
    chosen = sorted(kept, key=lambda i: -counts[i])[:most]
    kept = [i for i in kept if i in set(chosen)]
    if not kept:
        return Coding(("",), np.concatenate([np.zeros(len(levels), dtype=np.int64), [-1]]), "")
    reference = kept[0] if len(ordered) == 2 else chosen[0]
    rest = int(sum(counts[i] for i in ordered if i not in set(kept)))
    shown = [i for i in kept if i != reference]
    names = [levels[reference], *(levels[i] for i in shown), *([OTHER] if rest >= least else [])]
    group = np.full(len(levels) + 1, len(names) - 1 if rest >= least else 0, dtype=np.int64)
    group[[reference, *shown]] = np.arange(1 + len(shown))
    group[-1] = -1
    return Coding(tuple(names), group, levels[reference])


def codings(
    analysis: Analysis, features: Mapping[str, Feature], train: Sample, *, least: Mapping[str, int], most: int
) -> dict[str, Coding]:
    """The codings of all columns of levels among the terms."""
    names = dict.fromkeys(factor.column for term in analysis.terms for factor in term)
    return {
        name: coding(features[name], train, least=least[name], most=most) for name in names if not features[name].is_number
    }


def design(analysis: Analysis, codes: Mapping[str, Coding], train: Sample, rows: npt.NDArray[np.bool_]) -> Design:
    """The terms of an analysis, centred and scaled by the train rows that have an outcome and every cell.

    Coefficients are per standard deviation of a number in an analysis that we chose, per unit in a person's.
    """
    terms = tuple(made for crossed in analysis.terms for made in _expanded(crossed, codes))
    if not terms:
        raise UndefinedMetricError("no covariate has two levels that enough patients hold")
    X = np.column_stack([_column(term, train, codes) for term in terms])
    X = X[rows & np.isfinite(X).all(axis=1)]
    if len(X) < 2:
        raise UndefinedMetricError("fewer than two train rows hold a value in every column of the analysis")
    scale = X.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    keeps = np.array([analysis.is_default and term.is_number for term in terms])
    return Design(terms, codes, X.mean(axis=0), scale, np.where(keeps, 1.0, 1 / scale))


def _expanded(crossed: Crossed, codes: Mapping[str, Coding]) -> list[Term]:
    """All combinations of the levels (but the references) of crossed columns."""
    made = [Term("", (), (), is_number=True)]
    for factor in crossed:
        known = codes.get(factor.column)
        choices = [(0, factor.name)]
        if known is not None:
            choices = [(g, f"{factor.column}[{known.names[g]}]") for g in range(1, len(known.names))]
        made = [
            Term(
                f"{term.name}:{name}" if term.name else name,
                (*term.factors, factor),
                (*term.groups, group),
                is_number=term.is_number and known is None,
            )
            for term in made
            for group, name in choices
        ]
    return made


def _column(term: Term, sample: Sample, codes: Mapping[str, Coding]) -> Floats:
    out = np.ones(len(sample))
    for factor, wanted in zip(term.factors, term.groups, strict=True):
        values = sample.values[factor.column]
        if factor.column in codes:
            group = codes[factor.column].group[values]
            out *= np.where(group < 0, np.nan, group == wanted)
        else:
            out *= transformed(values, factor)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(out) < LARGEST, out, np.nan)
