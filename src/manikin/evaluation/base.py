"""What a metric is: a function of train, holdout and synthetic data that returns a value with its interval and its reference.

Knows no synthesizer: a release made by any tool is judged alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from manikin.data.dataset import Dataset
from manikin.data.registry import Entry
from manikin.data.schema import Schema, TableSchema

MODALITIES = ("table", "records", "images")  # what is judged: rows of a flat table, linked patients, images with their labels


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"
    REFERENCE = "reference"  # the closer to the reference value, the better


class Section(StrEnum):
    """The question that a metric helps to answer."""

    FIDELITY = "fidelity"
    UTILITY = "utility"
    DIVERSITY = "diversity"
    VALIDITY = "validity"
    FAIRNESS = "fairness"
    PRIVACY = "privacy"


class Linked(StrEnum):
    """How a figure that is defined for the rows of one table is taken of linked patients."""

    NOT = ""
    PATIENTS = "patients"  # each patient's whole record is summed up in one row, and a row is a patient
    TABLES = "tables"  # each table by itself, all of them added up


@dataclass(frozen=True)
class EvaluationData:
    """What is judged.

    Attributes
    ----------
    train, holdout : real rows that the generator did and did not see.
    synthetic : one or several releases made from `train`.
    schema : the columns that all of these share (columns that the release leaves out are not in it); of linked patients a `Schema`, whose
        tables and columns are judged where all sides have them.
    target : the column that a downstream model would predict, if there is one; of linked patients a column that a patient has one
        value of, as "column" or "table.column".
    refit : retrains the generator on other rows, for attacks with shadow models; given by workflow, absent for foreign files.
    n_refits : how often it may be asked to.
    analyses : regressions that a person asks for, as formulas such as "died ~ age + sex"; one is chosen where there are none.
    partial : whether the release is partially synthetic, which is to say that it keeps some cells of real patients.
    """

    train: Dataset
    holdout: Dataset
    synthetic: tuple[Dataset, ...]
    schema: TableSchema | Schema
    target: str | None = None
    refit: Callable[[Dataset, int], Dataset] | None = None
    analyses: tuple[str, ...] = ()
    partial: bool = False
    n_refits: int = 16

    @property
    def modality(self) -> str:
        """What is judged: "records" of linked patients, "images" with their labels, or rows of a flat "table"."""
        if isinstance(self.schema, Schema):
            return "records"
        return "images" if self.schema.images else "table"

    @property
    def is_linked(self) -> bool:
        """Whether linked or longitudinal patients are judged, and not one flat table."""
        return self.modality == "records"


@dataclass(frozen=True)
class MetricResult:
    """One measured figure; never read without its reference.

    Attributes
    ----------
    value : the figure, in the range that the metric's docstring states.
    interval : its 95 % interval, None where none can be given (the reason is in `note`).
    n : rows (or columns, pairs, … as `unit` says) that it rests on.
    reference : the same metric on train against holdout at equal n: what a perfect release would score.
    details : parts of the figure (per column, per pair, per learner), JSON-able, no patient's row.
    note : a stated decision, for example why the metric could not be computed.
    """

    name: str
    title: str
    section: Section
    direction: Direction
    value: float | None
    interval: tuple[float, float] | None = None
    n: int = 0
    unit: str = "rows"
    reference: float | None = None
    reference_interval: tuple[float, float] | None = None
    subgroups: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class ThreatModel:
    """Who attacks: what he holds, what he wants, and when he has succeeded; each continues the sentence "The attacker …".

    Attributes
    ----------
    knows, wants, succeeds : "holds …", "wants …", "succeeds when …", in plain words.
    risk : which of the risks that regulators name it measures: membership, singling out, linkability, inference, reconstruction.
    """

    knows: str
    wants: str
    succeeds: str
    risk: str


@dataclass(frozen=True)
class Rate:
    """A share of attempts that succeeded, in [0, 1], with its 95 % interval; `n` is 0 where the rate is known and not counted."""

    value: float
    interval: tuple[float, float]
    hits: int
    n: int


@dataclass(frozen=True)
class AttackResult(MetricResult):
    """What an attack found: `value` is its headline figure, `reference` what the same attack finds where there is nothing to find.

    Attributes
    ----------
    threat_model : who attacks.
    attack : success on people of the train data.
    control : the same attack on people of the holdout, whom the release cannot betray: what the population alone gives away.
    baseline : success of one who has no release at all and guesses well (the majority, the share of false alarms allowed).
    n_requested : attempts that were asked for; `n` is how many could be made.
    power : the least headline figure that this number of attempts tells from its control with probability 0.8; None if unknown.
    worst_group : the group of patients that is most surely worse off, empty where none was looked at.
    groups : per group `group`, `n`, `value` (as the headline) and `interval` (Bonferroni over the groups), most surely bad first.
    """

    threat_model: ThreatModel | None = None
    attack: Rate | None = None
    control: Rate | None = None
    baseline: Rate | None = None
    n_requested: int = 0
    power: float | None = None
    worst_group: str = ""
    groups: tuple[Mapping[str, Any], ...] = ()


class Metric(Protocol):
    """A function that measures one thing; the same data and seed give the same figure, whatever the order of rows."""

    def __call__(self, data: EvaluationData, *, seed: int) -> MetricResult:
        """Measures."""
        ...


class Attack(Protocol):
    """A function that attacks one release; the same data and seed give the same figure, whatever the order of rows."""

    def __call__(self, data: EvaluationData, *, seed: int) -> AttackResult:
        """Attacks."""
        ...


@dataclass(frozen=True)
class MetricEntry(Entry):
    """A metric's line in the registry; one that `pools` sees all releases at once and is not averaged over them.

    Attributes
    ----------
    modality : "table" for rows of a flat table, "records" for linked patients, "images" for images with their labels.
    linked : how a metric of flat tables judges linked patients, if it does.
    labels : whether a metric of flat tables judges the labels and attributes of images too. beside : whether it does so where people may
        be told by them (`evaluation.images.beside`), and only there.
    """

    section: Section = Section.FIDELITY
    is_slow: bool = False
    pools: bool = False
    modality: str = "table"
    linked: Linked = Linked.NOT
    labels: bool = False
    beside: bool = False


@dataclass(frozen=True)
class AttackEntry(Entry):
    """An attack's line in the registry; one that `needs_refit` retrains the generator and is left out where it cannot be had.

    `modality`, `linked` and `beside` say, as a metric's do, which data it fits.
    """

    needs_refit: bool = False
    modality: str = "table"
    linked: Linked = Linked.NOT
    beside: bool = False


def fits(entry: Any, modality: str) -> bool:
    """Whether a registry line says that it judges such data: of its own, or in one of the ways that lead from tables to them."""
    own = getattr(entry, "modality", "table") == modality
    if modality == "records":
        return own or getattr(entry, "linked", Linked.NOT) is not Linked.NOT
    return own or (modality == "images" and bool(getattr(entry, "labels", False)))


@dataclass(frozen=True)
class Results:
    """Everything measured of one release: what results.json holds and the report shows.

    Attributes
    ----------
    metrics : the figures.
    views : what the plots are drawn from, as JSON-able numbers: overlays per column, association matrices, projections. They show
        real rows (as points), so results.json and the report are internal.
    run : how it was made: rows, columns, synthesizer, seeds, seconds, notices, files.
    attacks : what was tried against the release, and what it found.
    """

    metrics: tuple[MetricResult, ...]
    views: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    attacks: tuple[AttackResult, ...] = ()

    @property
    def figures(self) -> tuple[MetricResult, ...]:
        """Metrics and attacks together, in their order."""
        return (*self.metrics, *self.attacks)

    def __getitem__(self, name: str) -> MetricResult:
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(figure.name == name for figure in self.figures)

    def _repr_html_(self) -> str:
        from manikin.evaluation.display import results_html

        return results_html(self)

    def __repr__(self) -> str:
        from manikin.evaluation.display import results_text

        return results_text(self)
