"""What of a release may be said in public: rounded, without a count below eleven, without a value of a real row. Writes nothing.

Success rates are told by their limit only ("within half of the limit"): an exact rate with its number of targets is a count of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import floor, log10
from typing import Any

from manikin.data.schema import Column, Kind, Schema, TableSchema
from manikin.evaluation.base import AttackResult, Results, ThreatModel
from manikin.release.beside import named
from manikin.release.catalogue import attacks_of
from manikin.release.judgement import Decision, Outcome, Verdict, passed_words, words
from manikin.release.manifest import Choice
from manikin.release.measures import Evidence
from manikin.release.policy import Check
from manikin.release.questions import ASKED_BY_GUARDIANS, QUESTIONS

SMALL = 11
FORMAT = "manikin-release"
LEDGER = "ledger.json"
NOUNS = {"table": "rows", "records": "patients", "images": "images"}  # what a release holds, by the data that it is of


def label_of(noun: str) -> str:
    """The first thing to say of a release."""
    return f"Synthetic data: the {noun} were made by a generator and not recorded from people."




@dataclass(frozen=True)
class PublicCheck:
    """One check as the public may know it."""

    name: str
    title: str
    verdict: str
    limit: str
    finding: str
    targets: str
    grounds: str
    rationale: str


@dataclass(frozen=True)
class PublicColumn:
    """One released column: its name, kind and unit, all of which the data file shows; of linked tables the table that it is of."""

    name: str
    kind: Kind
    unit: str | None
    is_whole: bool
    table: str = ""

    @property
    def place(self) -> str:
        """The column as people name it: "age", of linked tables "patients.age"."""
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True, kw_only=True)
class PublicFacts:
    """Everything that the public files are written from."""

    title: str
    statement: str
    policy: Mapping[str, Any]
    checks: tuple[PublicCheck, ...]
    steps: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    adversaries: tuple[tuple[str, str, ThreatModel | None], ...]
    answers: Mapping[str, str]
    columns: tuple[PublicColumn, ...]
    n_rows: int
    generator: str
    settings: Mapping[str, Any]
    n_train: str
    n_holdout: str
    unit: str
    privacy: str
    budget: Mapping[str, float]
    not_assessed: tuple[str, ...]
    recipients: str
    issued: date
    expires: date
    key: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    noun: str = "rows"
    size: str = ""

    @property
    def label(self) -> str:
        """That it is synthetic."""
        return label_of(self.noun)

    @property
    def questions(self) -> list[tuple[str, str]]:
        """What guardians and information officers ask, with the answers that were given."""
        given = {"recipients": self.recipients, **self.answers}
        return [(QUESTIONS[name], given.get(name, "Not answered by the publisher.")) for name in ASKED_BY_GUARDIANS]

    @property
    def summary(self) -> str:
        """That it is synthetic and what it passed, in two sentences."""
        return f"{self.label} It {self.statement}."

    @property
    def licence(self) -> str:
        """The licence or terms."""
        return self.answers.get("licence") or self.answers.get("data_use_terms") or "Not stated; ask the publisher."

    def to_json(self) -> dict[str, Any]:
        """decision.json: what was decided, on which grounds, until when."""
        return {
            "format": FORMAT,
            "version": 1,
            "synthetic": True,
            "title": self.title,
            "statement": self.statement,
            "policy": dict(self.policy),
            "labels": list(self.labels),
            "adversaries": [{"name": name, "targets": n} for name, n, _ in self.adversaries],
            "checks": [vars(check) for check in self.checks],
            "steps": [{"step": title, "answer": answer} for title, answer in self.steps],
            "privacy": self.privacy,
            "privacy_budget": dict(self.budget),
            "not_assessed": list(self.not_assessed),
            "generator": self.generator,
            self.noun: self.n_rows,
            "size": self.size,
            "recipients": self.recipients,
            "intended_use": self.answers.get("intended_use", ""),
            "issued": self.issued.isoformat(),
            "expires": self.expires.isoformat(),
            "public_key_sha256": self.key,
            "evidence_sha256": dict(self.evidence),
            "made_by": f"manikin {self.version}",
        }


def about(n: int) -> str:
    """A count to two significant digits, tens at the finest, none below eleven.

    >>> about(81_412), about(549), about(57), about(14), about(4), about(0)
    ('about 81,000', 'about 550', 'about 60', 'fewer than 20', 'fewer than 11', 'fewer than 11')
    """
    if n < 2 * 10:
        return f"fewer than {SMALL if n < SMALL else 20}"
    step = 10 ** max(1, floor(log10(n)) - 1)
    return f"about {round(n / step) * step:,}"


def public_checks(decision: Decision, *, is_private: bool = False) -> tuple[PublicCheck, ...]:
    """The checks without their figures."""
    return tuple(_public_check(outcome, is_private=is_private) for outcome in decision.outcomes)


def _targets(n: int, unit: str, *, asked: int | None, is_private: bool) -> str:
    """How many were attacked, rounded; under a privacy budget only what the policy asked for, since the number of patients is bought."""
    if not is_private:
        return f"{about(n)} {unit}"
    return f"{unit}, number not told" if asked is None else f"at least {asked:,} {unit}"


def _asked(check: Check) -> int | None:
    return None if check.targets is None else int(check.targets.at_least)


def _public_check(outcome: Outcome, *, is_private: bool) -> PublicCheck:
    check, figure = outcome.check, outcome.figure
    limit = "" if check.limit is None else f"{'at most' if check.at_most is not None else 'at least'} {words(check.limit, check.style)}"
    return PublicCheck(
        name=check.name,
        title=check.title,
        verdict=str(outcome.verdict),
        limit=limit,
        finding=_finding(outcome, is_private=is_private),
        targets=_targets(figure.n, figure.unit, asked=_asked(check), is_private=is_private) if figure.is_attack and figure.n else "",
        grounds=f"{check.kind}: {check.source}",
        rationale=check.rationale,
    )


def _finding(outcome: Outcome, *, is_private: bool) -> str:
    """What may be said of a figure: within which part of its limit its unfavourable end lies, under a privacy budget only that it does."""
    check, figure = outcome.check, outcome.figure
    if outcome.verdict is Verdict.SHOWN and check.measure == "epsilon" and figure.value is not None:
        return f"{figure.value:g}, as ledger.json says"  # it is public
    if outcome.verdict is Verdict.SHOWN:
        return "shown to the publisher only"
    if outcome.verdict is not Verdict.PASS:
        return {Verdict.LABELLED: "not within the limit", Verdict.NOT_ASSESSED: "not measured"}.get(outcome.verdict, str(outcome.verdict))
    limit = check.limit
    if check.at_most is None or not limit or limit <= 0:
        return "none found" if check.exact else "within the limit"
    high = figure.interval[1] if figure.interval is not None else figure.value or 0.0
    if high > limit:
        return "above the limit, waived"
    if is_private:  # nearer than that, it would be a second fact about real rows beside the verdict
        return "within the limit"
    part = next(part for part, share in (("a quarter of", 0.25), ("half of", 0.5), ("", 1.0)) if high <= share * limit + 1e-9)
    return f"within {part} the limit".replace("  ", " ")


def adversaries(
    decision: Decision, results: Results, *, is_private: bool = False
) -> tuple[tuple[str, str, ThreatModel | None], ...]:
    """The attacks that were passed: title, rounded targets, threat model."""
    found = []
    for name, targets in _passed(decision, is_private=is_private):
        result = results[name]
        model = result.threat_model if isinstance(result, AttackResult) else None
        found.append((result.title, targets, model))
    return tuple(found)


def public_statement(decision: Decision, *, is_private: bool = False) -> str:
    """The statement with rounded targets."""
    return passed_words(decision.policy.label, _passed(decision, is_private=is_private))


def _passed(decision: Decision, *, is_private: bool) -> list[tuple[str, str]]:
    asked = {outcome.check.measure: _asked(outcome.check) for outcome in decision.outcomes if outcome.check.targets is not None}
    return [
        (name, _targets(n, unit, asked=asked.get(name), is_private=is_private)) for name, n, unit in decision.adversaries
    ]


def not_assessed(decision: Decision, evidence: Evidence, kept_back: Sequence[str] = ()) -> tuple[str, ...]:
    """What nobody has looked at, in sentences; `kept_back` are tables of nobody that were not released for that."""
    lines = [f"{outcome.check.title}: not measured." for outcome in decision.outcomes if outcome.verdict is Verdict.NOT_ASSESSED]
    checked = {outcome.check.measure.split(".")[0] for outcome in decision.outcomes}
    missing = [
        name
        for name in attacks_of(evidence.modality)
        if name not in checked and (name not in evidence.results or evidence.results[name].value is None)
    ]
    lines += [f"{name.replace('_', ' ').capitalize()}: not attacked." for name in missing]
    if evidence.beside and ("membership" not in evidence.results or evidence.results["membership"].value is None):
        lines.append(f"The columns beside the images ({named(evidence.beside)}): not attacked, neither for copies nor for membership.")
    lines += [f"{outcome.step.title}: not answered." for outcome in decision.steps if outcome.verdict is Verdict.NOT_ASSESSED]
    if kept_back:
        lines.append(f"Tables of nobody (code books), which were kept back: {', '.join(kept_back)}.")
    lines.append("Attackers who know or can do more than is said above, and releases of the same patients by others.")
    return tuple(lines)


def privacy_words(evidence: Evidence, choice: Choice | None) -> str:
    """The generator's privacy mechanism."""
    if evidence.epsilon is not None:
        delta = "" if evidence.delta is None else f", delta {evidence.delta:.2g}"
        rows = "1 row of hers counts" if evidence.rows_per_patient == 1 else f"{evidence.rows_per_patient:,} rows of hers count"
        if not evidence.has_patient_key:
            rows += "; no patient key is known, so each row counts as a patient"
        reach = ""
        if evidence.power is not None:
            found = f"{100 * evidence.power:.1f} %"
            reach = f" Whoever wrongly accuses 1 % of outsiders finds at most {found} of the patients, whatever he knows."
        return (
            f"Patient-level differential privacy, epsilon {evidence.epsilon:.3g}{delta}: the neighbours differ by one patient with all "
            f"her rows, of which at most {rows}.{reach} {LEDGER} lists every spend, and `manikin audit` recomputes it. The rows are "
            "covered; not covered are the names and roles of columns, the verdicts here, which were decided on real rows, and other "
            "releases of the same patients. It waives none of the attacks listed here."
        )
    known = "What is known beyond that is what the attacks listed here found; no bound holds against others."
    if choice is None:
        return f"None is known: the table was made outside Manikin. {known}"
    kept = "Values that too few patients hold are kept back, direct identifiers and free text are never learned."
    return f"No differential privacy. {kept} {known}"


def generator_words(choice: Choice | None, version: str, answers: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """What made the table, and its settings that are plain numbers or switches: texts may name values."""
    if choice is None:
        return answers.get("generator") or "made outside Manikin; the publisher does not say by what", {}
    settings = {key: value for key, value in choice.hyperparameters.items() if isinstance(value, bool | int | float)}
    return f"{choice.name} of Manikin {version}", settings


def public_columns(schema: Schema) -> tuple[PublicColumn, ...]:
    """The released columns, of linked tables with their tables."""
    return tuple(column for table in schema.tables for column in columns_of(table, table.name if schema.is_linked else ""))


def columns_of(table: TableSchema, name: str = "") -> tuple[PublicColumn, ...]:
    """The columns of one table; `name` is told before each where there are several tables."""
    return tuple(PublicColumn(c.name, c.kind, c.unit, _is_whole(c), name) for c in table)


def _is_whole(column: Column) -> bool:
    return column.kind.is_number and column.decimals == 0
