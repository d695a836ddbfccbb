"""Everything that a policy may name, in one place: metrics, attacks and the figures made for policies, each with the data that it is of.

Read from the registries, so that a new metric or attack can be named at once. Measures nothing and knows no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from manikin.data.registry import Entry
from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import MODALITIES, fits

EVERY = frozenset(MODALITIES)
OF_ROWS = frozenset({"table", "records"})


@dataclass(frozen=True)
class MeasureEntry(Entry):
    """What a policy may set a limit on.

    Attributes
    ----------
    kind : "metric", "attack", or "derived" for a figure that is made of others for policies.
    modalities : the data that it is of: "table", "records" of linked patients, "images".
    is_sampled : whether it says what an adversary finds of a sample of people, so that it is never exact and no label makes it good.
    needs_refit : whether it trains the generator anew. beside : whether it is of tables, and of the columns beside images where people may
        be told by those.
    """

    kind: str = "metric"
    modalities: frozenset[str] = EVERY
    is_sampled: bool = False
    needs_refit: bool = False
    beside: bool = False


_HERE = "manikin.release.measures"
DERIVED: Mapping[str, MeasureEntry] = {
    "tstr_loss": MeasureEntry(
        f"{_HERE}:tstr_loss", "what a model loses by learning from synthetic rows: TRTR - TSTR", kind="derived", modalities=OF_ROWS
    ),
    "image_tstr_loss": MeasureEntry(
        f"{_HERE}:image_tstr_loss",
        "what a network loses by learning from synthetic images: TRTR - TSTR (AUROC)",
        kind="derived",
        modalities=frozenset({"images"}),
    ),
    "near_copies": MeasureEntry(
        f"{_HERE}:near_copies",
        "the share of rows that would have to be near-copies to explain what membership found",
        kind="derived",
        modalities=OF_ROWS,
        beside=True,
    ),
    "epsilon": MeasureEntry(f"{_HERE}:epsilon", "the patient-level privacy budget that was kept", kind="derived"),
    "delta_patients": MeasureEntry(f"{_HERE}:delta_patients", "delta times the number of patients", kind="derived"),
    "audit_excess": MeasureEntry(f"{_HERE}:audit_excess", "the audited budget beyond the claimed one", kind="derived"),
    "dp_audit": MeasureEntry(
        "manikin.workflow.dp_audit:dp_audit", "the audit of the budget by canaries, where one was made", kind="attack", is_sampled=True
    ),
}


def measures() -> dict[str, MeasureEntry]:
    """Every name that a policy may use, in the order of the registries."""
    found = dict(DERIVED)
    for kind, registry in (("metric", METRICS), ("attack", ATTACKS)):
        for name, entry in registry.items():
            of = frozenset(modality for modality in MODALITIES if fits(entry, modality))
            says = {key: bool(getattr(entry, key, False)) for key in ("needs_refit", "beside")}
            found.setdefault(name, MeasureEntry(entry.path, entry.summary, entry.extra, kind, of, is_sampled=kind == "attack", **says))
    return found


def entry_of(measure: str) -> MeasureEntry | None:
    """The line of a measure or of a detail of one ("copies.excess"); None where nothing is called so."""
    known = measures()
    return known.get(measure) or known.get(measure.partition(".")[0])


def suggestion(measure: str) -> str:
    """What an unknown name may have meant, as the rest of a sentence.

    >>> suggestion("membershp")
    'the nearest names are membership, image_membership, shadow_membership'
    """
    close = get_close_matches(measure.partition(".")[0], measures(), n=3)
    return f"the nearest names are {', '.join(close)}" if close else "`manikin list measures` names what is"


def applies(measure: str, modality: str) -> bool:
    """Whether a measure is of such data at all, measured or not."""
    entry = entry_of(measure)
    return entry is not None and modality in entry.modalities


def looks_beside(measure: str) -> bool:
    """Whether a measure of tables is taken of the columns beside images, where people may be told by those."""
    entry = entry_of(measure)
    return entry is not None and entry.beside


def attacks_of(modality: str) -> dict[str, MeasureEntry]:
    """The attacks on data of one kind, without those that train the generator anew and the audit of a budget."""
    return {
        name: entry
        for name, entry in measures().items()
        if entry.kind == "attack" and modality in entry.modalities and name in ATTACKS
    }
