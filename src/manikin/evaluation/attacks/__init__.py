"""The registry of attacks: known without importing any of them. A new attack is one function, one line here, one test."""

from __future__ import annotations

from manikin.data.registry import Registry
from manikin.evaluation.base import AttackEntry, Linked

_HERE = "manikin.evaluation.attacks"
_RECORDS = "manikin.evaluation.records"
_IMAGES = "manikin.evaluation.images"


_BESIDE = frozenset(  # those that are made on the columns beside images too, where people may be told by them
    ("membership", "reconstruction", "identity_disclosure", "attribute_inference", "singling_out", "linkability")
)


def _line(path: str, summary: str, *, needs_refit: bool = False) -> AttackEntry:
    beside = path.split(":")[1] in _BESIDE
    return AttackEntry(f"{_HERE}.{path}", summary, needs_refit=needs_refit, linked=Linked.PATIENTS, beside=beside)


ATTACKS: Registry[AttackEntry] = Registry(
    "attack",
    {
        "membership": _line("membership:membership", "was this person in the train data? Hit rate at 1 % false alarms"),
        "shadow_membership": _line(
            "shadow:shadow_membership", "the same of the most exposed, by one who trains the generator again", needs_refit=True
        ),
        "reconstruction": _line("reconstruction:reconstruction", "do records of outlying train patients stand in the release?"),
        "identity_disclosure": _line(
            "identity_disclosure:identity_disclosure", "can a patient be matched and something new be learned? Held against 0.09"
        ),
        "attribute_inference": _line(
            "attribute_inference:attribute_inference", "does the release tell a secret of a person otherwise known? Residual risk"
        ),
        "singling_out": _line("singling_out:singling_out", "does a description from the release fit one person alone? Residual risk"),
        "linkability": _line("linkability:linkability", "do two parties link their records of one person? Residual risk"),
        "property_inference": _line(
            "property_inference:property_inference", "does the release tell of groups what holds for the people in train alone?"
        ),
        "trajectory_membership": AttackEntry(
            f"{_RECORDS}.membership:trajectory_membership",
            "was this patient in the train data? By her sequence of events; hit rate at 1 % false alarms",
            modality="records",
        ),
        "trajectory_copies": AttackEntry(
            f"{_RECORDS}.copies:trajectory_copies",
            "does the release repeat passages of histories event for event? Residual risk",
            modality="records",
        ),
        "image_membership": AttackEntry(
            f"{_IMAGES}.membership:image_membership",
            "was this image in the train data? Nine scores in three spaces; hit rate at 1 % false alarms",
            modality="images",
        ),
        "image_copies": AttackEntry(
            f"{_IMAGES}.copies:image_copies",
            "does the release show train images again, mirrored, moved or brightened? Residual risk",
            modality="images",
        ),
    },
    group="manikin.attacks",
)
