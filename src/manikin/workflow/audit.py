"""Auditing a privacy budget from its events alone: nothing that a ledger says it adds up to is believed. Knows no model and no data.

What is read: a run folder, a model folder, a release folder, a ledger.json or a budget file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, isclose
from pathlib import Path
from typing import Any

from manikin.data.errors import BudgetError, ManikinError, ParameterError
from manikin.privacy.accountant import Cost, cost, most_power, power_within
from manikin.privacy.events import Event, Exponential
from manikin.privacy.ledger import BOOK, FORMAT, RELATION, ROUNDING, VERSION, Ledger, read_book, read_ledger
from manikin.release.facts import LEDGER
from manikin.release.manifest import Manifest, hash_file, read_manifest
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow.books import events_of
from manikin.workflow.budget import MODEL_FILES
from manikin.workflow.claim import FALSE_ALARMS, Purpose, has_patient_key, purposes

RDP_MOST = 2.0  # the cross-check may be twice the figure of record: Rényi bounds are loose where epsilon is small
RDP_EXPONENTIAL = 0.2  # and this share below it where all was spent on exponential mechanisms, which it prices by zCDP
RDP_SLACK = 0.01
SUM_TOLERANCE = 1e-3  # of a sum that is written in the ledger, against the same made again: versions of the accountant differ by less
MAX_BYTES = 64 << 20
NOT_COVERED = (
    "the report, the results and the evaluation of the run folder: they were made from real rows and are internal",
    "verdicts of a release policy, which are decided on real rows",
    "names, order and roles of columns, which of them are left out, and facts that a person declared public",
    "tables completed by the model from real rows: the given cells are in them",
    "other releases of the same patients, unless they share one budget file",
    "how long the run took, and the low-order bits of floating-point noise",
)


@dataclass(frozen=True)
class Finding:
    """One check of an audit: what was looked at, whether it holds, and what was found, in a sentence."""

    check: str
    words: str
    passed: bool = field(kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes
    ----------
    source : the file that was audited. kind : "ledger" or "budget file".
    epsilon, delta : the budget, which is the claim. spent : what the events cost, made again by both accountants.
    public : what was taken as public, as the ledger tells it. purposes : what it was spent on.
    at : for shares of false alarms the most true positives that any attacker reaches.
    """

    source: Path
    kind: str
    epsilon: float
    delta: float | None
    n_patients: int | None
    rows_per_patient: int | None
    spent: Cost | None
    purposes: tuple[Purpose, ...]
    at: tuple[tuple[float, float], ...]
    findings: tuple[Finding, ...]
    public: Mapping[str, Any] = field(default_factory=dict)
    neighbours: str = RELATION
    not_covered: tuple[str, ...] = field(default=NOT_COVERED)

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(finding.passed for finding in self.findings)

    @property
    def posterior(self) -> float:
        """How sure an attacker can be at most, but for delta, who held it for a toss-up that a patient is in the data."""
        return 1 / (1 + exp(-self.epsilon))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "passed": self.passed,
            "source": self.source.name,
            "kind": self.kind,
            "budget": {"epsilon": self.epsilon, "delta": self.delta},
            "spent": None if self.spent is None else vars(self.spent),
            "neighbours": self.neighbours,
            "n_patients_bought": self.n_patients,
            "rows_per_patient": self.rows_per_patient,
            "purposes": [vars(one) for one in self.purposes],
            "most_true_positives": [{"false_alarms": rate, "true_positives": power} for rate, power in self.at],
            "posterior_from_one_half": self.posterior,
            "taken_as_public": dict(self.public),
            "findings": [vars(finding) for finding in self.findings],
            "not_covered": list(self.not_covered),
        }


def audit(path: str | Path) -> Audit:
    """Recomputes a privacy budget from the events of its ledger by two accountants, and compares it with everything that claims it.

    Parameters
    ----------
    path : a run, model or release folder, a ledger.json, or a budget file.

    Raises
    ------
    ParameterError : there is nothing to audit there, or the ledger or budget file cannot be read. A check that fails is no error: it is a
        finding, and `passed` is False.
    """
    place = Path(path)
    if place.is_dir():
        return _folder(place)
    document = _document(place)
    if document.get("format") == BOOK:
        return _book(place)
    return _ledger_audit(place, _readable(place), [])


def _folder(folder: Path) -> Audit:
    file = folder / LEDGER
    manifest = read_manifest(folder / "manifest.json") if (folder / "manifest.json").is_file() else None
    if not file.is_file():
        claims = _claims(folder, manifest)
        if not claims:
            raise ParameterError(f"{folder} has no {LEDGER} and claims no privacy budget, so there is nothing to audit.")
        finding = Finding("a ledger is there", f"{claims}, and there is no {LEDGER}: nothing proves it.", passed=False)
        wanted = 0.0 if manifest is None else float(manifest.options.get("epsilon") or 0.0)
        return Audit(
            source=folder,
            kind="ledger",
            epsilon=wanted,
            delta=None,
            n_patients=None,
            rows_per_patient=None,
            spent=None,
            purposes=(),
            at=(),
            findings=(finding,),
        )
    ledger = _readable(file)
    findings = _model_findings(folder, ledger)
    if manifest is not None:
        findings += _manifest_findings(folder, manifest, ledger)
    if (folder / "decision.json").is_file():
        findings += _release_findings(_document(folder / "decision.json"), ledger)
    return _ledger_audit(file, ledger, findings)


def _claims(folder: Path, manifest: Manifest | None) -> str:
    """Why a folder without a ledger should have one, in words; empty where it need not."""
    if manifest is not None and manifest.options.get("epsilon") is not None:
        return f"The manifest says that --epsilon {manifest.options['epsilon']:g} was given"
    if manifest is not None and any(file.name == LEDGER for file in manifest.outputs):
        return f"The manifest lists a {LEDGER}"
    if (folder / "decision.json").is_file() and _document(folder / "decision.json").get("privacy_budget"):
        return "The release states a privacy budget"
    return ""


def _ledger_audit(file: Path, ledger: Ledger, findings: list[Finding]) -> Audit:
    own = [*_document_findings(_document(file), ledger), *findings]
    spent: Cost | None = None
    at: tuple[tuple[float, float], ...] = ()
    lines: tuple[Purpose, ...] = ()
    if ledger.delta is not None and ledger.spends:
        try:
            spent = cost(ledger.events, ledger.delta)
            at = tuple(zip(FALSE_ALARMS, _most(ledger.events, ledger.epsilon, ledger.delta), strict=True))
            lines = tuple(purposes(ledger.spends, ledger.delta))
        except BudgetError as error:
            own.append(Finding("delta suffices", str(error), passed=False))
    if spent is not None:
        own = [*_cost_findings(spent, ledger.events, ledger.epsilon), *own]
    return Audit(
        source=file,
        kind="ledger",
        epsilon=ledger.epsilon,
        delta=ledger.delta,
        n_patients=ledger.n_patients,
        rows_per_patient=ledger.rows_per_patient,
        spent=spent,
        purposes=lines,
        at=at,
        findings=tuple(own),
        public=_mapping(ledger.public.get("taken_as_public")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _book(path: Path) -> Audit:
    book = read_book(path)
    events = book.events()
    spent = cost(events, book.delta) if events else None
    findings = [] if spent is None else _cost_findings(spent, events, book.epsilon)
    lines = []
    for name, entry in book.releases.items():
        own = events_of(entry)
        lines.append((name, entry, len(own), cost(own, book.delta).epsilon if own else 0.0))
    whole = sum(line[3] for line in lines) or 1.0
    return Audit(
        source=path,
        kind="budget file",
        epsilon=book.epsilon,
        delta=book.delta,
        n_patients=None,
        rows_per_patient=None,
        spent=spent,
        purposes=tuple(
            Purpose(f"release {name}{_made_in(entry)}, begun {entry.get('begun', '?')}, epsilon {own:.3g} by itself", "", n, 0, own / whole)
            for name, entry, n, own in lines
        ),
        at=tuple(zip(FALSE_ALARMS, _most(events, book.epsilon, book.delta), strict=True)),
        findings=tuple(findings or [Finding("within the budget", "Nothing is spent yet.", passed=True)]),
    )


def _made_in(entry: dict[str, Any]) -> str:
    return f" ({entry['out']})" if entry.get("out") else ""


def _most(events: Sequence[Event], epsilon: float, delta: float) -> list[float]:
    """The most true positives at some shares of false alarms: what the spends allow, and never more than the budget does."""
    spent = most_power(events, FALSE_ALARMS)
    return [min(power, power_within(epsilon, delta, rate)) for rate, power in zip(FALSE_ALARMS, spent, strict=True)]


def _cost_findings(spent: Cost, events: Sequence[Event], budget: float) -> list[Finding]:
    within = spent.epsilon <= budget * (1 + ROUNDING)
    ratio = spent.epsilon_rdp / spent.epsilon if spent.epsilon > 0 else 1.0
    exponential = sum(isinstance(event, Exponential) for event in events) > 0
    least = 1 - RDP_SLACK - (RDP_EXPONENTIAL if exponential else 0.0)
    agree = least <= ratio <= RDP_MOST
    return [
        Finding(
            "within the budget",
            f"The events cost epsilon {spent.epsilon:.4g} at delta {spent.delta:.3g}, of a budget of {budget:g}.",
            passed=within,
        ),
        Finding(
            "two accountants agree",
            f"Privacy loss distributions say {spent.epsilon:.4g}, Rényi orders {spent.epsilon_rdp:.4g}: "
            f"{ratio:.2f} times as much, where {least:.2f} to {RDP_MOST:g} is expected.",
            passed=agree,
        ),
    ]


def _document_findings(document: dict[str, Any], ledger: Ledger) -> list[Finding]:
    """What the ledger says of itself."""
    found = [
        Finding(
            "the unit is the patient",
            f"Neighbours: {RELATION}; at most {ledger.rows_per_patient} of her rows count."
            + ("" if has_patient_key(ledger) else " No patient key is known: each row counts as a patient."),
            passed=document.get("unit") == "patient" and document.get("neighbours") == RELATION,
        ),
        Finding("something was spent", f"The ledger has {len(ledger.spends)} spends.", passed=bool(ledger.spends)),
        _sums(document.get("spent"), ledger),
    ]
    if ledger.n_patients is not None and ledger.delta is not None:
        product = ledger.delta * ledger.fewest_patients
        words = (
            f"Delta {ledger.delta:.3g} times at least {ledger.fewest_patients:,} patients (about {ledger.n_patients:,}, as bought) "
            f"is {product:.2g}."
        )
        found.append(Finding("delta is below one patient", words, passed=product < 1))
    else:
        found.append(Finding("delta is below one patient", "The number of patients or delta was never settled.", passed=False))
    return found


def _sums(written: Any, ledger: Ledger) -> Finding:
    """Whether the sums that were written when the ledger was closed are those of its events; a later spend makes them differ."""
    check = "its sums are those of its events"
    if not isinstance(written, dict) or not written or ledger.delta is None:
        return Finding(check, "The ledger was never closed: the run that wrote it did not end well.", passed=False)
    try:
        made = cost(ledger.events, ledger.delta)
        same = all(
            isclose(float(written[name]), float(getattr(made, name)), rel_tol=SUM_TOLERANCE, abs_tol=1e-9)
            for name in ("epsilon", "epsilon_rdp")
        ) and written["n_spends"] == len(ledger.spends)
    except (KeyError, TypeError, ValueError, BudgetError):
        return Finding(check, "The ledger's sums cannot be read.", passed=False)
    words = "They agree." if same else "They differ: the ledger was changed, or spent from, after it was closed."
    return Finding(check, words, passed=same)


def _manifest_findings(folder: Path, manifest: Manifest, ledger: Ledger) -> list[Finding]:
    options = manifest.options
    told = (options.get("epsilon"), options.get("delta"), options.get("rows_per_patient", 1))
    same = told[0] == ledger.epsilon and told[1] in (None, ledger.delta) and told[2] == ledger.rows_per_patient
    changed = [file.name for file in manifest.outputs if not _is_unchanged(folder, file.name, file.sha256)]
    name = "" if manifest.synthesizer is None else manifest.synthesizer.name
    private = name in SYNTHESIZERS and SYNTHESIZERS[name].private
    return [
        Finding(
            "files are those of the manifest",
            f"Changed or missing since: {', '.join(changed)}." if changed else f"{len(manifest.outputs)} files are unchanged.",
            passed=not changed and any(file.name == LEDGER for file in manifest.outputs),
        ),
        Finding(
            "options are those of the ledger",
            "The manifest's epsilon, delta and rows per patient are the ledger's."
            if same
            else "The manifest's epsilon, delta or rows per patient are not the ledger's.",
            passed=same,
        ),
        Finding(
            "the generator is private",
            f"{name or 'No generator'} {'learns' if private else 'cannot learn'} under a ledger.",
            passed=private,
        ),
    ]


def _is_unchanged(folder: Path, name: str, sha256: str) -> bool:
    path = folder / name
    return path.is_file() and path.resolve().is_relative_to(folder.resolve()) and hash_file(path).sha256 == sha256


def _model_findings(folder: Path, ledger: Ledger) -> list[Finding]:
    """Whether the model beside the ledger is the one that it paid for; nothing where there is no model."""
    model = next((place for place in (folder, folder / "model") if (place / MODEL_FILES[0]).is_file()), None)
    if model is None:
        return []
    paid = ledger.public.get("model")
    same = isinstance(paid, dict) and all(
        (model / name).is_file() and hash_file(model / name).sha256 == paid.get(name) for name in MODEL_FILES
    )
    words = "Its files have the sums that the ledger names." if same else "It is not the model that this ledger paid for."
    return [Finding("the model is the one that was paid for", words, passed=same)]


def _release_findings(decision: dict[str, Any], ledger: Ledger) -> list[Finding]:
    stated = decision.get("privacy_budget") or {}
    same = stated.get("epsilon") == ledger.epsilon and stated.get("delta") == ledger.delta
    words = "The card states the ledger's epsilon and delta." if same else "The card states another epsilon or delta."
    return [Finding("the card states the budget", words, passed=same)]


def _readable(file: Path) -> Ledger:
    document = _document(file)
    if document.get("format") == FORMAT and document.get("version") != VERSION:
        raise ParameterError(f"{file} is a ledger of version {document.get('version')!r}; this Manikin audits version {VERSION}.")
    return read_ledger(file)


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParameterError(f"{path} is larger than any ledger.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except ManikinError:
        raise
    except (OSError, ValueError, RecursionError):
        raise ParameterError(f"{path} cannot be read as a ledger or budget file. Check the path.") from None
    if not isinstance(document, dict):
        raise ParameterError(f"{path} is no ledger and no budget file.")
    return document
