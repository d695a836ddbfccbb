"""The page of a study: study.json becomes sections, study.html is drawn by the report's own template. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manikin.evaluation.studies.summary import PRIMARY, decided
from manikin.report import figures
from manikin.report.blocks import Block, Bullets, Chapter, Facts, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.nouns import named_throughout, throughout
from manikin.report.render import page

TITLES = {
    "augmentation": "Does it help to add generated rows?",
    "learning-curve": "How many real patients does it take?",
    "tradeoff": "What does privacy cost?",
}
FOREST = ("auroc", "auprc", "recall", "brier_recalibrated")  # the figures that are drawn
OF_GROUP = ("auroc", "recall", "precision", "calibration_error")  # those shown group by group


def render_study(document: Mapping[str, Any], path: Path) -> None:
    """Writes the page of a study."""
    path.write_text(page(chapters(document), title=title_of(document)), encoding="utf-8")


def title_of(document: Mapping[str, Any]) -> str:
    """The page's title, with the data's name."""
    return f"{throughout(TITLES[document['study']], _noun(document))} {document['data']['name']}"


def chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    """The page's sections; of linked tables a row of theirs is a patient."""
    return (*(named_throughout(chapter, _noun(document)) for chapter in _chapters(document)), how_made(document))


def _noun(document: Mapping[str, Any]) -> str:
    return str(document["data"].get("unit", "rows"))


def _chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    if document["study"] == "learning-curve":
        from manikin.report.study_curve import curve_chapters

        return curve_chapters(document)
    if document["study"] == "tradeoff":
        from manikin.report.study_tradeoff import tradeoff_chapters

        return tradeoff_chapters(document)
    made = [
        Chapter("short", "In short", _short(document)),
        Chapter("differences", "Differences from real rows alone", _forest(document)),
        Chapter("figures", "All figures", _all_figures(document)),
    ]
    if document["groups"]:
        made.append(Chapter("groups", "Group by group", _groups(document)))
    return (*made, Chapter("design", "How it was measured", _design(document)))


def _short(document: Mapping[str, Any]) -> tuple[Block, ...]:
    question, design = document["question"], document["design"]
    lead = (
        f"Models learn to find {question['target']} = {question['positive']} from different training sets and are tested on the same "
        f"real patients, whom no generator, resampler or model saw; {design['splits']} splits."
    )
    note = (
        "Brackets hold 95 % intervals of the paired difference from real rows alone, wide enough for splits that share patients. "
        "Whether something helped or hurt is corrected for the number of comparisons (Holm)."
    )
    told, apart = document["sentences"], decided(document["sentences"])
    blocks: list[Block] = [Text(document.get("headline", ""), Tone.LEAD), Text(lead)]
    blocks += [Bullets(apart)] if apart else []
    blocks += [_at_a_glance(document, learner, name) for learner, name in document["learners"].items()]
    blocks += [Text(note, Tone.NOTE), Fold("Every comparison in a sentence", (Bullets(tuple(one["text"] for one in told)),))]
    return tuple(blocks)


def _at_a_glance(document: Mapping[str, Any], learner: str, name: str) -> Table:
    """How patients are ranked after learning from each training set, and what is said of it."""
    own = {(line["arm"], line["measure"]): line for line in document["results"] if line["learner"] == learner}
    verdicts = {one["arm"]: one["verdict"] for one in document["sentences"] if one["learner"] == learner}
    known = [measure for measure in PRIMARY if measure in document["measures"]]
    rows = []
    for arm in document["arms"]:
        cells = [arm["title"]]
        for measure in known:
            line = own.get((arm["key"], measure))
            cells += ["–", ""] if line is None else [number(line["mean"]), "" if arm["key"] == "real" else difference(line)]
        rows.append((*cells, verdicts.get(arm["key"], "")))
    titles = [title for measure in known for title in (document["measures"][measure]["title"], "Difference")]
    numeric = tuple(range(1, 2 * len(known), 2))
    return Table(("Learned from", *titles, "In a word"), tuple(rows), name[0].upper() + name[1:], numeric)


def _forest(document: Mapping[str, Any]) -> tuple[Block, ...]:
    titles = {arm["key"]: arm["title"] for arm in document["arms"]}
    blocks: list[Block] = []
    for learner, name in document["learners"].items():
        drawn = []
        for measure in FOREST:
            lines = [line for line in _lines(document, learner, measure) if line.get("difference") is not None]
            if not lines:
                continue
            known = document["measures"][measure]
            rows = [
                figures.Interval(titles[line["arm"]], line["difference"], *_ends(line), "-" in line["arm"]) for line in lines
            ]
            better = "right is better" if known["better"] == "higher" else "left is better"
            said = "; ".join(f"{titles[line['arm']]} {difference(line)}" for line in lines)
            drawn.append(
                Figure(
                    figures.intervals(rows, axis=f"difference; {better}", mark=0.0),
                    f"{known['title']}: each training set less real rows alone, with 95 % intervals; the dashed line is no difference.",
                    f"Paired differences in {known['title']}: {said}.",
                    known["title"],
                )
            )
        blocks += [Heading(name[0].upper() + name[1:]), Grid(tuple(drawn), has_legend=False)]
    return tuple(blocks)


def _all_figures(document: Mapping[str, Any]) -> tuple[Block, ...]:
    titles = {arm["key"]: arm["title"] for arm in document["arms"]}
    blocks: list[Block] = []
    for learner, name in document["learners"].items():
        blocks.append(Heading(name[0].upper() + name[1:]))
        for measure, known in document["measures"].items():
            lines = [line for line in document["results"] if line["learner"] == learner and line["measure"] == measure]
            rows = tuple(
                (titles[line["arm"]], number(line["mean"]), "" if line["arm"] == "real" else difference(line), _holm(line))
                for line in lines
            )
            better = {"higher": "higher is better", "lower": "lower is better"}.get(known["better"], "0 is best")
            table = Table(("Learned from", "Mean", "Difference", "Holm's p"), rows, f"{known['title']}, {better}", (1,))
            blocks.append(Fold(f"{known['title']}, {better}", (table,)))
    return tuple(blocks)


def _groups(document: Mapping[str, Any]) -> tuple[Block, ...]:
    titles = {arm["key"]: arm["title"] for arm in document["arms"]}
    blocks: list[Block] = [
        Text(
            "Groups with fewer than 30 test rows, 5 positives or 5 negatives in most splits are too few to measure. Differences within "
            "groups are not corrected for the number of groups: read them as hints.",
            Tone.NOTE,
        )
    ]
    for learner, name in document["learners"].items():
        for column in document["question"]["groups"]:
            lines = [line for line in document["groups"] if line["learner"] == learner and line["column"] == column]
            blocks.append(Heading(f"{column}, {name}"))
            few = [line for line in lines if line["too_few"] and line["arm"] == "real"]
            if few:
                said = ", ".join(
                    f"{line['group']} ({line['n_test']:.0f} test rows, {line['n_positive']:.0f} positive)" for line in few
                )
                blocks.append(Text(f"Too few: {said}.", Tone.NOTE))
            for measure in OF_GROUP:
                shown = [line for line in lines if line["figures"] is not None]
                if not shown:
                    continue
                rows = tuple(
                    (
                        line["group"],
                        titles[line["arm"]],
                        f"{line['n_test']:.0f}",
                        number(line["figures"][measure]["mean"]),
                        "" if line["arm"] == "real" else difference(line["figures"][measure]),
                    )
                    for line in shown
                )
                known = document["measures"][measure]["title"]
                table = Table(("Group", "Learned from", "Test rows", known, "Difference"), rows, f"{known} by {column}", (2, 3))
                blocks.append(Fold(f"{known} by {column}", (table,)))
    return tuple(blocks)


def _design(document: Mapping[str, Any]) -> tuple[Block, ...]:
    arms = tuple(
        (arm["title"], f"{arm['n_train']:,.0f}", f"{arm['n_added']:,.0f}", f"{arm['n_positive']:,.0f}")
        for arm in document["arms"]
    )
    test = document["arms"][0]
    return (
        Table(("Learned from", "Rows", "Of these added", "Positive"), arms, "Training sets, mean over splits", (1, 2, 3)),
        Text(f"Test rows per split: {test['n_test']:,.0f}, of which {test['n_test_positive']:,.0f} are positive."),
        Bullets(METHOD),
    )


METHOD = (
    (
        "Each split gives 60 % of the patients to learn from, 15 % to choose thresholds on and 25 % to test on; no patient is on two "
        "sides, and patients with a positive row are spread evenly. Generators, resampling and models see the 60 % only."
    ),
    (
        "Added rows raise the rarer class to as many rows as the other has, within each group named by --balance. Every arm adds the same "
        "number; weights give the same mass without any row."
    ),
    "A row is flagged from the score with the largest Youden index on the tuning rows, which are real and of which no arm learns.",
    (
        "Calibration error is the mean distance of score and share in ten bins of equally many rows. Training sets with more positives "
        "than there are overpredict by design; the recalibrated Brier score is after Platt's map, learned on the tuning rows: what stays."
    ),
    (
        "Intervals are corrected resampled t intervals (Nadeau & Bengio 2003, doi:10.1023/A:1024068626366) of the paired difference on "
        "each split; plain ones would be far too narrow, since splits share patients."
    ),
    (
        "The equalised-odds gap is the larger of the largest differences between groups in recall and in false-alarm rate; it is noisy and "
        "biased upwards where groups are small, so only its difference between arms is read."
    ),
)


def how_made(document: Mapping[str, Any]) -> Chapter:
    """Data, options, versions and cost."""
    data, cost = document["data"], document["cost"]
    facts = [
        ("Data", data["name"]),
        ("Rows", f"{data['rows']:,}"),
        ("Patients", f"{data['patients']:,}"),
        ("SHA-256", data["sha256"]),
        ("CPU seconds", f"{cost['cpu_seconds']:,.0f}"),
        ("Made by", document["made_by"]),
    ]
    blocks: list[Block] = [Facts(tuple(facts))]
    if document["notices"]:
        blocks.append(Bullets(tuple(document["notices"])))
    options = tuple((name, _plain(value)) for name, value in document["options"].items())
    blocks.append(Fold("Options", (Table(("Option", "Value"), options, "Options of this study"),)))
    return Chapter("made", "How it was made", tuple(blocks))


def _lines(document: Mapping[str, Any], learner: str, measure: str) -> list[Mapping[str, Any]]:
    lines = [line for line in document["results"] if line["learner"] == learner and line["measure"] == measure]
    return [line for line in lines if line["arm"] != "real"]


def number(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def difference(line: Mapping[str, Any]) -> str:
    """A signed difference with its interval."""
    if line.get("difference") is None:
        return "–"
    text = f"{line['difference']:+.3f}"
    interval = line.get("interval")
    return text if interval is None else f"{text} [{interval[0]:+.3f}, {interval[1]:+.3f}]"


def _ends(line: Mapping[str, Any]) -> tuple[float | None, float | None]:
    low, high = line["interval"] or (None, None)
    return low, high


def _holm(line: Mapping[str, Any]) -> str:
    p = line.get("p_holm")
    return "" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _plain(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value)
