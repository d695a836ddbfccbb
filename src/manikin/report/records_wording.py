"""What the figures of linked patients mean in plain words. Knows the names of the metrics and nothing of how they are taken."""

from __future__ import annotations

from collections.abc import Mapping

from manikin.evaluation.base import Results
from manikin.report.plain import Plain

RECORDS: Mapping[str, Plain] = {
    "key_integrity": Plain(
        "The share of keys that are as they should be: every reference leads to a row, no key occurs twice, none is a real patient's.",
        low_text="0: none is",
        high_text="1: all are",
    ),
    "chronology": Plain(
        "The share of rows at a time that cannot be: before birth, after death, outside the stay they belong to, ended before they began.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "record_lengths": Plain(
        "How closely the patients' numbers of rows and visits, and the days that their records span, are spread as in the real data.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "record_gaps": Plain(
        "How closely the times from one event to the next are spread as in the real data.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "code_prevalence": Plain(
        "How closely each diagnosis, test, drug or other code is as frequent among visits as in the real data. At 0 the frequencies "
        "tell no more than one average would.",
        low=0.0,
        low_text="0: as good as an average",
        high_text="1: the same",
    ),
    "code_pairs": Plain(
        "How closely two codes occur in the same visit as often as in the real data, over all pairs of the frequent codes.",
        low=0.0,
        low_text="0: as good as an average",
        high_text="1: the same",
    ),
    "code_sequences": Plain(
        "How closely one code is followed by another at the next visit as often as in the real data.",
        low=0.0,
        low_text="0: as good as an average",
        high_text="1: the same",
    ),
    "transitions": Plain(
        "How closely what follows what, from one moment of a patient's record to the next, is as in the real data.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "event_values": Plain(
        "How closely laboratory values, vital signs and other details of events are spread as in the real data, test by test.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "autocorrelation": Plain(
        "How far a patient's next values hang on the last ones less, or more, than in the real data: the difference of the correlations.",
        high=None,
        low_text="0: the same",
    ),
    "measured_together": Plain(
        "What is measured in whom, and what with what: by how much the shares differ from the real ones, on average over the tests.",
        high=None,
        low_text="0: the same",
        style="percent",
    ),
    "calendar": Plain(
        "How closely months, weekdays and hours of visits and events are as in the real data.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "plausible_values": Plain(
        "The share of measured numbers that no living person can have, or, of tests that are not known, that lie outside all real ones.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "code_conflicts": Plain(
        "The share of diagnoses that the patient's sex or age excludes: a pregnancy of a man, a newborn of sixty.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "next_visit": Plain(
        "How well a model that learned from synthetic histories says what a real patient's next visit will hold. 0.5 is guessing; the "
        "reference is the same model having learned from as many real patients.",
        low=0.4,
        low_text="0.5 is guessing",
        high_text="perfect",
    ),
    "trajectory_membership": Plain(
        "The share of training patients whom an attacker names by the sequence of their events, when he is wrong about 1 in 100 others.",
        low_text="nobody",
        high_text="everybody",
        style="percent",
    ),
    "trajectory_copies": Plain(
        "The share of synthetic patients who repeat a passage of a training patient's history event for event, longer than chance gives.",
        low_text="none",
        high_text="all",
        style="percent",
    ),
}

ATTACKS: Mapping[str, str] = {
    "trajectory_membership": "recognising who was in the training data by the sequence of her events",
    "trajectory_copies": "finding passages of real histories repeated event for event",
}
ATTACK_NAMES: Mapping[str, str] = {"trajectory_membership": "Membership by histories", "trajectory_copies": "Copied passages"}
OF_PATIENTS = (
    "These are linked patients. Figures of whole patients look at one line for each: what stays the same, and counts, times and values of "
    "what happened to her. Her events themselves are in “Histories of patients”."
)


def is_of_patients(results: Results) -> bool:
    """Whether linked patients were judged, and not the rows of one table."""
    return any(figure.name in RECORDS for figure in results.figures)
