"""What the figures mean in plain words, and how numbers are written. Knows the names of the metrics and nothing of how they are taken.

A metric that is not listed here is still shown, with its own title and a scale made from its figures.
"""

from __future__ import annotations

from collections.abc import Mapping

from manikin.evaluation.base import Direction, MetricResult
from manikin.report import images_wording, records_wording
from manikin.report.images_wording import IMAGES
from manikin.report.plain import Plain, Style
from manikin.report.records_wording import RECORDS

METRICS: Mapping[str, Plain] = {
    "column_shapes": Plain(
        "How closely the values of single columns are spread as in the real table, on average over the columns.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "pair_trends": Plain(
        "How closely pairs of columns move together as in the real table, on average over the pairs. Independent columns can score "
        "high here; read it beside dependence.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "dependence": Plain(
        "How much of the relation between the most related columns is kept. 0 is what shuffling every column by itself would score.",
        low_text="0: no relation kept",
        high_text="1: all kept",
    ),
    "wasserstein": Plain(
        "How far the values of numbers and dates would have to be moved, on average, to lie as in the real table. 1 is the width of the "
        "middle half of the real values.",
        high=None,
        low_text="0: nothing to move",
    ),
    "three_way": Plain(
        "How closely three columns at once fall together as in the real table, on average over the triples with the target and the most "
        "related ones.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "correlations": Plain(
        "How far the correlations of numbers, and of numbers with categories, differ from the real ones on average.",
        high=None,
        low_text="0: the same",
    ),
    "missingness": Plain(
        "How closely cells are missing where they are missing in the real table, alone and together.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "c2st": Plain(
        "Shown one real and one synthetic row, how often a trained classifier points at the synthetic one. 0.5 is guessing.",
        low=0.4,
        low_text="0.5 is guessing",
        high_text="1: always told apart",
    ),
    "giveaway": Plain(
        "Into a real row one cell of the column that tells most is put, from a synthetic row or from another real row; how often the "
        "same classifier finds the synthetic one more suspicious. 0.5 is guessing.",
        low=0.4,
        low_text="0.5 is guessing",
        high_text="1: always found",
    ),
    "propensity": Plain(
        "How much better than by chance a simple model, which looks at each column by itself, tells synthetic from training rows. 1 is "
        "what fresh patients score. Relations between columns do not count here.",
        high=None,
        low_text="1 is chance",
    ),
    "time_to_event": Plain(
        "How far the survival curves of the synthetic and the real patients lie apart, on average over the follow-up.",
        high=None,
        low_text="0: the same curve",
        style="percent",
    ),
    "intervals_between": Plain(
        "How closely the times from one date to another, such as admission to discharge, are spread as in the real table.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "duplicates": Plain(
        "The share of synthetic rows that equal another synthetic row in every column. Real rows do so as often as the reference says; "
        "more than that is a generator that repeats itself.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "mode_collapse": Plain(
        "How much of the variety of real patients the synthetic rows fill: 0.8 is as if a fifth of the real patients had no like among "
        "them. Low figures mean that the generator makes few kinds of patient.",
        low_text="one kind of patient",
        high_text="all kinds",
    ),
    "representation": Plain(
        "The share of the worst represented group of patients among the synthetic rows, over its share among the real ones. 1 is its "
        "full share, 0.5 half of it, 0 that it is not there.",
        low_text="0: absent",
        high_text="1: full share",
    ),
    "tstr": Plain(
        "How well a model that learned from synthetic rows predicts the target of real rows it never saw. The reference is the same "
        "model having learned from as many real rows.",
        low_text="no signal",
        high_text="perfect",
    ),
    "inference": Plain(
        "Somebody runs a regression on the synthetic table and on the real one: how far the two intervals of each coefficient overlap, on "
        "average. Samples of the same patients score about 0.7; below 0 the intervals lie apart.",
        low=-1.0,
        low_text="other conclusions",
        high_text="the same",
    ),
    "survival_utility": Plain(
        "Of two real patients, how often a Cox model that learned from synthetic rows ranks first the one who has the event earlier. 0.5 "
        "is guessing; the reference is the same model having learned from as many real rows.",
        low_text="no signal",
        high_text="perfect",
    ),
    "importance": Plain(
        "Whether a model of synthetic rows relies on the same columns as one of real rows, most of all the first ones. 1 is the same "
        "order, 0 none in common; the reference is what two halves of the real rows agree to.",
        low_text="no order in common",
        high_text="the same order",
    ),
    "subgroup_gap": Plain(
        "How much farther behind all other patients one group falls when a model learns from synthetic instead of real rows, for the "
        "group where that is most certain. 0 adds nothing; what a model does worse for a group with real rows too is not counted.",
        low=None,
        high=None,
        low_text="gaps closed",
        high_text="gaps opened",
    ),
    "alpha_precision": Plain(
        "Whether synthetic rows lie where real rows lie, rather than where no patient is.",
        low_text="unlike patients",
        high_text="as real rows do",
    ),
    "beta_recall": Plain(
        "Whether synthetic rows reach everywhere that real rows lie, the rare corners too. Far above the reference they sit on the "
        "training rows.",
        low_text="few kinds of patient",
        high_text="every kind",
    ),
    "coverage": Plain(
        "The share of training rows that have a synthetic row in their neighbourhood. Far above the reference they are too near.",
        low_text="none",
        high_text="every one",
        style="percent",
    ),
    "authenticity": Plain(
        "The share of synthetic rows that are no closer to a training row than training rows are to one another. Below the reference "
        "they crowd around training rows, above it they keep away from where patients are.",
        low_text="all copies",
        high_text="none near",
        style="percent",
    ),
    "identifiers": Plain(
        "How many released cells say who somebody is: names, addresses, numbers of persons, or identifiers and notes of real patients "
        "that came back.",
        high=None,
        low_text="0: none",
        high_text="must be 0",
        style="count",
    ),
    "copies": Plain(
        "The share of synthetic rows that equal a training row in every column. Unseen real rows do so by chance as often as the "
        "reference says; more than that would be memory.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "rare_levels": Plain(
        "The share of levels held by at least 0.5 % of the training rows that occur in as many synthetic rows as were set aside.",
        low_text="none",
        high_text="all",
        style="percent",
    ),
    "rare_values": Plain(
        "How many levels (categories, codes) that too few patients hold, and that must not leave, occur in the synthetic table. Anything "
        "above 0 must be looked into before any release. Numbers are drawn inside groups of patients and are not counted.",
        high=None,
        low_text="none",
        style="count",
    ),
    "rule_violations": Plain(
        "The share of synthetic rows that break a rule of the table, such as a discharge before the admission.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "plausibility": Plain(
        "The share of synthetic rows with a value that no living person can have, such as a heart rate of 7. Real tables hold such errors "
        "too, as the reference says.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "membership": Plain(
        "Somebody holds whole records of real patients and the synthetic table, and names those that she takes for training patients. "
        "The figure is how many training patients she names, the reference how many people who were not in the data. Her threshold is "
        "set to be wrong about 1 in 100.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "attribute_inference": Plain(
        "Somebody knows other columns of a real patient and asks the synthetic table for a secret one. The figure is how much more "
        "often that succeeds for training patients than for people who were not in the data: what anybody can guess from how columns go "
        "together in the population is taken off.",
        high=None,
        low_text="no more often",
        style="percent",
    ),
    "singling_out": Plain(
        "Somebody reads descriptions off the synthetic table, such as a rare value or a rare combination. The figure is how much more "
        "often a description fits one training patient and nobody else than one of as many people who were not in the data.",
        high=None,
        low_text="no more often",
        style="percent",
    ),
    "linkability": Plain(
        "Two parties each know other columns of the same people, and use the synthetic table to find out which of their records belong "
        "together. The figure is how much more often that succeeds for training patients than for people who were not in the data.",
        high=None,
        low_text="no more often",
        style="percent",
    ),
    "reconstruction": Plain(
        "Somebody searches the synthetic table for the records of unusual patients. The figure is how much more often a training patient's "
        "record is found there, in nearly every column, than the record of a person who was not in the data.",
        high=None,
        low_text="no more often",
        style="percent",
    ),
    "identity_disclosure": Plain(
        "Somebody looks for synthetic rows that share a person's age, sex and the like. The figure is the risk that she finds the right "
        "training patient and learns something that is not true of most people; 0.09 is what regulators of trial data accept. The "
        "reference is the same for a person who was not in the data.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "property_inference": Plain(
        "Facts about groups of patients differ a little between those in the training data and everybody else. The figure is how much of "
        "that difference the synthetic table carries: 0 where it tells of groups only what holds for the population, 1 where it tells "
        "exactly what holds for the training patients. Real facts about the population are told by any good synthetic table.",
        low_text="the population's facts",
        high_text="the training patients' own",
    ),
    "shadow_membership": Plain(
        "The same of the patients who are least like others, by somebody who has the generator too and trains it again and again, with "
        "and without the person. The figure is how many of them she names, the reference how many people who were not in the data.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "dcr_share": Plain(
        "The share of synthetic rows that lie closer to a training row than to an unseen real row. Half is what chance gives. It is a "
        "warning light only: it stays dark over many leaks.",
        low_text="0 %",
        high_text="100 %",
        style="percent",
    ),
    **RECORDS,
    **IMAGES,
}

ATTACKS: Mapping[str, str] = {
    "membership": "recognising who was in the training data (membership)",
    "shadow_membership": "recognising vulnerable patients by retraining the generator (shadow models)",
    "attribute_inference": "inferring an unknown value of a known person",
    "singling_out": "singling a person out by a rare combination",
    "linkability": "linking two parts of a person's record",
    "reconstruction": "rebuilding training rows from the release",
    "identity_disclosure": "finding a known person and learning something meaningful about her",
    "property_inference": "learning a property of a whole group of patients",
    "copies": "exact copies of training rows",
    "identifiers": "direct identifiers left in cells",
}

NO_GUARANTEE = "a mathematical guarantee (differential privacy; none was asked for)"


def absent(*, has_budget: bool) -> tuple[str, ...]:
    """What no attack of this report tries."""
    return ("attackers who see the model or several releases", *(() if has_budget else (NO_GUARANTEE,)))


ATTACK_NAMES: Mapping[str, str] = {
    "membership": "Membership",
    "shadow_membership": "Membership by shadow models",
    "attribute_inference": "Attribute inference",
    "singling_out": "Singling out",
    "linkability": "Linkability",
    "reconstruction": "Reconstruction",
    "identity_disclosure": "Identity disclosure",
    "property_inference": "Property inference",
    **records_wording.ATTACK_NAMES,
    **images_wording.ATTACK_NAMES,
}

OF_LABELS = ", labels and attributes"


def attack_name(attack: MetricResult) -> str:
    """What an attack is called; of the columns beside images it says so."""
    known = ATTACK_NAMES.get(attack.name, attack.title if attack.title != attack.name else attack.name.replace("_", " ").capitalize())
    is_beside = attack.title.endswith(OF_LABELS) and not known.endswith(OF_LABELS)
    return f"{known}{OF_LABELS}" if is_beside else known


DIRECTIONS: Mapping[Direction, tuple[str, str]] = {
    Direction.HIGHER: ("↑", "higher is better"),
    Direction.LOWER: ("↓", "lower is better"),
    Direction.REFERENCE: ("→|", "near the reference"),
}

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "Synthetic row",
        "A made-up patient, drawn from what a generator learned. No row stands for a person, yet a row may resemble one.",
    ),
    ("Training rows", "The real rows that the generator learned from."),
    ("Holdout", "Real rows that were set aside before anything was learned. They show what unseen real patients look like."),
    (
        "Reference",
        "The same measurement with unseen real rows in place of the synthetic ones: what a perfect release would score.",
    ),
    (
        "95 % interval",
        "The range in which the figure would fall in 95 of 100 repetitions with other rows. Few rows make it wide.",
    ),
    (
        "C2ST AUC",
        "Classifier two-sample test: how well boosted trees tell synthetic from unseen real rows. 0.5 is guessing, 1 is always.",
    ),
    (
        "Shape score",
        "1 minus the largest gap between two curves (numbers) or minus half the summed gaps (levels). 1 is the same shape.",
    ),
    (
        "Dependence",
        "Share of the relation between the most related column pairs that is kept; 0 is independent columns, 1 is real rows.",
    ),
    ("TSTR and TRTR", "Train on synthetic, test on real; and train on real, test on real, which is the reference."),
    ("AUROC", "Of one patient with the outcome and one without, how often a model ranks the first higher. 0.5 is guessing."),
    (
        "Alpha-precision, beta-recall",
        "Do synthetic rows lie where real ones lie; do they reach all places where real ones lie.",
    ),
    ("Authenticity", "Share of synthetic rows that are not suspiciously close to one training row."),
    (
        "Membership attack",
        "We play the attacker: whose record was in the training data, judging from the synthetic table alone?",
    ),
    ("Distance to closest record", "A once common privacy score. It misses most leaks and is shown as a warning light only."),
    (
        "Rare value",
        "A value held by fewer patients than the schema's threshold (11 unless set). It is merged or left out on the way.",
    ),
    ("PCA, t-SNE", "Two ways to lay rows with many columns out on a flat map. Near points are alike; axes carry no unit."),
)


def number(value: float, style: Style = "score") -> str:
    """A figure as it is read: 0.873, 4.2 %, 17. A percentage near 0 or 100 gets more digits, so that 0.04 % never reads as 0 %.

    >>> number(0.8734), number(17.0, "count"), [number(x, "percent") for x in (0.0424, 0.0004, 0)]
    ('0.873', '17', ['4.2 %', '0.04 %', '0 %'])
    """
    text = _written(value, style)
    return text.lstrip("-") if not any(digit in text for digit in "123456789") else text.replace("-", "−")


def _written(value: float, style: Style) -> str:
    if style == "count":
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    if style == "percent":
        percent = 100 * value
        if 0 < abs(percent) < 0.005:
            return "< 0.01 %" if percent > 0 else "0 %"
        edge = min(abs(percent), abs(100 - percent))
        digits = 1 if edge >= 0.1 or edge == 0 else 2
        return f"{percent:.0f} %" if edge == 0 else f"{percent:.{digits}f} %"
    return f"{value:.3f}"


def span(interval: tuple[float, float], style: Style = "score") -> str:
    """An interval as it is read.

    >>> span((0.91, 0.934))
    '0.910 to 0.934'
    """
    low, high = (number(end, style) for end in interval)
    return f"{low.removesuffix(' %') if style == 'percent' else low} to {high}"


def whole(count: float) -> str:
    """A count with thousands set apart.

    >>> whole(101766)
    '101,766'
    """
    return f"{count:,.0f}"


def listed(names: list[str], most: int = 5) -> str:
    """Names in a sentence, the rest counted.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + (names[-1] if names else "")
