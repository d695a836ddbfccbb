"""The registry of metrics: known without importing any of them. A new metric is one function, one line here, one test."""

from __future__ import annotations

from dataclasses import replace

from manikin.data.registry import Registry
from manikin.evaluation.base import Linked, MetricEntry, Section

_HERE = "manikin.evaluation"
_OF_LABELS = frozenset(  # those that make sense of the few columns that stand beside images
    ("column_shapes", "pair_trends", "missingness", "representation", "rule_violations", "rare_values", "identifiers")
)
_BESIDE = frozenset(("copies",))  # those that are asked of them only where people may be told by them


def _line(
    path: str,
    summary: str,
    section: Section,
    *,
    is_slow: bool = False,
    pools: bool = False,
    linked: Linked = Linked.PATIENTS,
) -> MetricEntry:
    name = path.split(":")[1]
    entry = MetricEntry(f"{_HERE}.{path}", summary, section=section, is_slow=is_slow, pools=pools, linked=linked)
    return replace(entry, labels=name in _OF_LABELS, beside=name in _BESIDE)


def _of_records(path: str, summary: str, section: Section, *, is_slow: bool = False) -> MetricEntry:
    return MetricEntry(f"{_HERE}.records.{path}", summary, section=section, is_slow=is_slow, modality="records")


def _of_images(path: str, summary: str, section: Section, *, is_slow: bool = False) -> MetricEntry:
    return MetricEntry(f"{_HERE}.images.{path}", summary, section=section, is_slow=is_slow, modality="images")


METRICS: Registry[MetricEntry] = Registry(
    "metric",
    {
        "column_shapes": _line(
            "shapes:column_shapes", "each column's distribution: 1 - KS for numbers, 1 - TV for levels", Section.FIDELITY
        ),
        "pair_trends": _line(
            "dependence:pair_trends", "every pair's table of levels and quantile bins: 1 - TV", Section.FIDELITY
        ),
        "dependence": _line(
            "dependence:dependence", "how much of the 50 strongest dependences is kept: 0 none, 1 all", Section.FIDELITY
        ),
        "wasserstein": _line(
            "wasserstein:wasserstein", "how far numbers and dates must be moved, in train's interquartile ranges", Section.FIDELITY
        ),
        "three_way": _line("marginals:three_way", "tables of three columns at once: 1 - TV", Section.FIDELITY, linked=Linked.NOT),
        "correlations": _line(
            "correlations:correlations", "rank correlations of numbers, and of numbers with levels: mean difference", Section.FIDELITY
        ),
        "missingness": _line(
            "shapes:missingness", "which cells are missing, and which are missing together", Section.FIDELITY, linked=Linked.NOT
        ),
        "c2st": _line(
            "detection:c2st", "how well boosted trees tell synthetic from holdout rows (AUC)", Section.FIDELITY, is_slow=True
        ),
        "giveaway": _line(
            "giveaway:giveaway", "by which columns and pairs c2st's trees know synthetic rows", Section.FIDELITY, is_slow=True
        ),
        "propensity": _line(
            "propensity:propensity", "propensity score error of main effects over its null (pMSE ratio)", Section.FIDELITY
        ),
        "time_to_event": _line(
            "time_to_event:time_to_event", "survival curves, censoring and hazard ratios, real and synthetic", Section.FIDELITY
        ),
        "intervals_between": _line(
            "date_intervals:intervals_between",
            "days from one date to another, and dates the wrong way round",
            Section.FIDELITY,
            linked=Linked.NOT,
        ),
        "tstr": _line("utility:tstr", "a model trained on synthetic rows, tested on real ones", Section.UTILITY, is_slow=True),
        "survival_utility": _line(
            "survival_utility:survival_utility", "a Cox model trained on synthetic rows, tested on real ones", Section.UTILITY, is_slow=True
        ),
        "importance": _line(
            "importance:importance", "do models of synthetic and of real rows rely on the same columns", Section.UTILITY, is_slow=True
        ),
        "inference": _line(
            "inference.metric:inference",
            "the same regression on real and synthetic rows: overlap of intervals",
            Section.UTILITY,
            pools=True,
        ),
        "alpha_precision": _line("support:alpha_precision", "are synthetic rows typical where real rows are", Section.FIDELITY),
        "beta_recall": _line("support:beta_recall", "do synthetic rows reach all the real ones", Section.DIVERSITY),
        "coverage": _line(
            "support:coverage", "real rows with a synthetic row among their neighbours; density", Section.DIVERSITY
        ),
        "rare_levels": _line(
            "levels:rare_levels", "levels of 0.5 % of rows and more that occur at all", Section.DIVERSITY, linked=Linked.NOT
        ),
        "duplicates": _line("repeats:duplicates", "rows that repeat another row, beyond the real rate", Section.DIVERSITY),
        "mode_collapse": _line("modes:mode_collapse", "the share of the real variety that rows effectively fill", Section.DIVERSITY),
        "representation": _line(
            "group_fidelity:representation", "the share of each group of patients, real and synthetic", Section.DIVERSITY
        ),
        "subgroup_gap": _line(
            "subgroup_gap:subgroup_gap", "what learning from synthetic rows costs one group more", Section.FAIRNESS, is_slow=True
        ),
        "rule_violations": _line(
            "validity:rule_violations", "rows that break a rule of the schema", Section.VALIDITY, linked=Linked.TABLES
        ),
        "plausibility": _line(
            "plausibility:plausibility", "rows with values that no living person can have", Section.VALIDITY, linked=Linked.NOT),
        "rare_values": _line(
            "levels:rare_values", "released levels that too few train patients hold (must be 0)", Section.PRIVACY, linked=Linked.TABLES),
        "identifiers": _line(
            "identifiers:identifiers", "released cells that say who somebody is (must be 0)", Section.PRIVACY, linked=Linked.TABLES),
        "copies": _line("closeness:copies", "rows that equal a train row, beyond the holdout's rate", Section.PRIVACY),
        "authenticity": _line("closeness:authenticity", "rows that do not crowd around one train row", Section.PRIVACY),
        "dcr_share": _line("closeness:dcr_share", "rows closer to train than to holdout; a diagnostic only", Section.PRIVACY),
        "key_integrity": _of_records(
            "integrity:key_integrity", "keys that resolve, are unique and are nobody's (must be 1)", Section.VALIDITY
        ),
        "chronology": _of_records(
            "integrity:chronology", "rows before birth, after death, after their end or outside their parent", Section.VALIDITY
        ),
        "record_lengths": _of_records("lengths:record_lengths", "rows, visits and days of a patient: 1 - KS", Section.FIDELITY),
        "record_gaps": _of_records("lengths:record_gaps", "days between rows, by table and pair of tables: 1 - KS", Section.FIDELITY),
        "code_prevalence": _of_records(
            "prevalence:code_prevalence", "the share of visits (of patients) with each code: R2", Section.FIDELITY
        ),
        "code_pairs": _of_records("prevalence:code_pairs", "the share of visits with two codes at once: R2", Section.FIDELITY),
        "code_sequences": _of_records(
            "prevalence:code_sequences", "which code follows which in the next visit: R2", Section.FIDELITY
        ),
        "transitions": _of_records("transitions:transitions", "the codes of one moment and of the next: 1 - TV", Section.FIDELITY),
        "event_values": _of_records(
            "measurements:event_values", "each measured number by its code (1 - KS), and the levels of events (1 - TV)", Section.FIDELITY
        ),
        "autocorrelation": _of_records(
            "measurements:autocorrelation", "a value and the patient's next ones: mean difference of correlations", Section.FIDELITY
        ),
        "measured_together": _of_records(
            "measurements:measured_together", "how often b is measured where a is: mean difference", Section.FIDELITY
        ),
        "calendar": _of_records("calendar:calendar", "months, weekdays and hours: 1 - TV", Section.FIDELITY),
        "plausible_values": _of_records(
            "plausible:plausible_values", "measured numbers that no living person can have, or that were never seen", Section.VALIDITY
        ),
        "code_conflicts": _of_records(
            "bound_codes:code_conflicts", "diagnoses that the patient's sex or age excludes", Section.VALIDITY
        ),
        "next_visit": _of_records(
            "next_visit:next_visit", "the codes of the next visit by a model of synthetic patients, on real ones", Section.UTILITY
        ),
        "image_c2st": _of_images(
            "detection:image_c2st", "how well boosted trees tell synthetic from holdout images (AUC)", Section.FIDELITY, is_slow=True
        ),
        "image_c2st_cnn": _of_images(
            "detection:image_c2st_cnn", "how well a network tells synthetic from holdout images (AUC)", Section.FIDELITY, is_slow=True
        ),
        "frechet_cnn": _of_images(
            "distances:frechet_cnn", "Fréchet distance in the features of a network of the label", Section.FIDELITY, is_slow=True
        ),
        "frechet_radiomics": _of_images(
            "distances:frechet_radiomics", "Fréchet distance in radiomics and oriented gradients", Section.FIDELITY
        ),
        "kid_cnn": _of_images(
            "distances:kid_cnn", "unbiased kernel distance in the features of a network of the label", Section.FIDELITY, is_slow=True
        ),
        "kid_radiomics": _of_images(
            "distances:kid_radiomics", "unbiased kernel distance in radiomics and oriented gradients", Section.FIDELITY
        ),
        "image_intensity": _of_images("appearance:image_intensity", "grey values: Wasserstein distance", Section.FIDELITY),
        "image_spectrum": _of_images("appearance:image_spectrum", "power by spatial frequency: difference in decades", Section.FIDELITY),
        "image_sharpness": _of_images("appearance:image_sharpness", "second differences, as a ratio to real ones", Section.FIDELITY),
        "image_precision": _of_images("support:image_precision", "synthetic images where real ones are", Section.FIDELITY, is_slow=True),
        "image_density": _of_images("support:image_density", "how many real neighbourhoods hold each", Section.FIDELITY, is_slow=True),
        "image_recall": _of_images("support:image_recall", "real images where synthetic ones are", Section.DIVERSITY, is_slow=True),
        "image_coverage": _of_images(
            "support:image_coverage", "real neighbourhoods that hold a synthetic image", Section.DIVERSITY, is_slow=True
        ),
        "image_diversity": _of_images(
            "diversity:image_diversity", "likeness of images of one label (MS-SSIM, SSIM)", Section.DIVERSITY
        ),
        "image_tstr": _of_images(
            "utility:image_tstr", "a network trained on synthetic images, tested on real ones (AUROC)", Section.UTILITY, is_slow=True
        ),
        "image_labels": _of_images(
            "utility:image_labels", "images that a network of real ones takes for what they are called", Section.UTILITY, is_slow=True
        ),
        "image_rare_class": _of_images(
            "utility:image_rare_class", "what synthetic images add to recognising a class that was made rare", Section.UTILITY, is_slow=True
        ),
        "image_nearer_train": _of_images(
            "closeness:image_nearer_train", "images nearer to train than to unseen images; 1 % quantiles of distances", Section.PRIVACY
        ),
    },
    group="manikin.metrics",
)
