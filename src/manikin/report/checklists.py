"""The appendix on reporting checklists: what of TRIPOD+AI, CONSORT-AI and STANDING Together the results fill, and what a person adds.

Item numbers are those of the published checklists; what an item asks is put in our own short words, and only items to which the results
have something to say are here. Fills in, grades nothing: a filled item is a draft for the author.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from manikin.evaluation.base import Results
from manikin.report.blocks import Block, Fold, Heading, Table, Text, Tone
from manikin.report.findings import measured, part
from manikin.report.policies import decisions, told
from manikin.report.record import Record, read_record
from manikin.report.safety import is_safe
from manikin.report.wording import listed, number, span, whole

HEAD = ("Item", "Asks for", "From these results", "A person must add")


@dataclass(frozen=True)
class Item:
    """One item: its number, what it asks for, what the results say to it (empty where nothing), what they cannot know."""

    number: str
    asks: str
    fill: Callable[[Results, Record], str]
    add: str


def checklists(results: Results) -> tuple[Block, ...]:
    """A table per checklist; nothing where no item can be filled."""
    record = read_record(results.run)
    blocks: list[Block] = []
    for title, source, items in CHECKLISTS:
        rows = tuple((item.number, item.asks, text, item.add) for item in items if (text := item.fill(results, record)))
        if rows:
            table = Table(HEAD, rows, f"{title}: items that these results help to fill ({source})")
            blocks += [Heading(title), Fold(f"{len(rows)} items of {title}", (table,))]
    if not blocks:
        return ()
    lead = Text(
        "Drafts for whoever writes a study with this table. Only items that the results can help with are listed, in our own words; read "
        "the checklist itself for what it asks, and all its other items. Nothing here says that an item is met.",
        Tone.NOTE,
    )
    return (lead, *blocks)


def _source(_: Results, record: Record) -> str:
    rows = record.rows.get("train")
    title = f"“{record.title}”: " if record.title and record.synthesizer else ""
    made = f" The synthetic rows were made from these by “{record.synthesizer}”." if record.synthesizer else ""
    return "" if rows is None else f"{title}{whole(rows)} real rows were learned from.{made}"


def _parts(_: Results, record: Record) -> str:
    named = {"train": "learned from", "holdout": "set aside before, and used for judging alone", "synthetic": "synthetic"}
    parts = [f"{whole(count)} rows {named[name]}" for name, count in record.rows.items() if name in named]
    return f"{'; '.join(parts)}." if parts else ""


def _preparation(_: Results, record: Record) -> str:
    left = [column for column, _ in record.left_out]
    told_left = f"Left out: {listed(left)}. " if left else ""
    n = len(record.notices)
    decided = f"{n} {'decision' if n == 1 else 'decisions'} on columns and cells: see “How it was made”." if n else ""
    return f"{told_left}{decided}".strip()


def _outcome(results: Results, _: Record) -> str:
    metric = measured(results, "tstr")
    target = part(metric, "target") if metric is not None else None
    time = measured(results, "time_to_event")
    survival = f" Time to event: “{part(time, 'time')}” with “{part(time, 'event')}”." if time is not None and part(time, "time") else ""
    return f"Column “{target}”.{survival}" if target else survival.strip()


def _predictors(results: Results, record: Record) -> str:
    count = record.n_columns or len(results.views.get("columns") or ())
    return f"All other columns, {whole(count - 1)} of them; each is shown in “Every column”." if count > 1 else ""


def _missing(results: Results, _: Record) -> str:
    metric = measured(results, "missingness")
    if metric is None:
        return ""
    columns = part(metric, "columns") or ()
    where = f" Worst: “{columns[0]['column']}”." if columns else ""
    return f"Missing cells were judged as they are; their pattern agrees to {number(metric.value or 0.0)} (1 is best).{where}"


def _model(results: Results, record: Record) -> str:
    metric = measured(results, "tstr")
    learners = ", ".join(part(metric, "learners") or ()) if metric is not None else ""
    generator = f"Generator “{record.synthesizer}”; its hyperparameters are in “How it was made”." if record.synthesizer else ""
    judged = f" Learners used for judging: {learners}." if learners else ""
    return f"{generator}{judged}".strip()


def _performance(results: Results, _: Record) -> str:
    metric = measured(results, "tstr")
    if metric is None:
        return ""
    interval = f" (95 % interval {span(metric.interval)})" if metric.interval else ""
    real = "" if metric.reference is None else f"; having learned from real rows, {number(metric.reference)}"
    return f"{part(metric, 'measure') or 'Score'} on unseen real rows {number(metric.value or 0.0)}{interval}{real}."


def _fairness(results: Results, _: Record) -> str:
    gap = measured(results, "subgroup_gap")
    who = measured(results, "representation")
    lines = []
    if gap is not None:
        interval = f" ({span(gap.interval)})" if gap.interval else ""
        n = part(gap, "n_groups") or "Several"
        lines.append(f"{n} groups compared; most is lost in “{part(gap, 'worst_group')}”: {number(gap.value or 0.0)}{interval}.")
    if who is not None:
        lines.append(f"Least represented: “{part(who, 'worst_group')}”, {number(who.value or 0.0)} of its share.")
    return " ".join(lines)


def _groups(results: Results, _: Record) -> str:
    who = measured(results, "representation")
    by = part(who, "by") if who is not None else None
    if who is None or not by:
        return ""
    short = part(who, "n_short") or 0
    return f"Groups by {listed([f'“{name}”' for name in by])}: see “Who is represented”. {short} surely short of their share."


def _sharing(results: Results, _: Record) -> str:
    lines = [f"{decision.get('policy')}: {told(decision)}" for decision in decisions(results)]
    return f"Release policies, by what was measured: {'; '.join(lines)}." if lines else ""


def _code(_: Results, record: Record) -> str:
    versions = [f"{name} {version}" for name, version in record.versions.items()]
    seed = next((f"; seed {value}" for title, value in record.facts if title == "Seed"), "")
    return f"{listed(versions, most=4)}{seed}. manifest.json holds what is needed to make it again." if versions else ""


def _counts(results: Results, _: Record) -> str:
    text = "Every figure says what it rests on (“Rests on”); every attack, how many tries were asked for and made."
    return text if results.metrics else ""


def _limits(results: Results, _: Record) -> str:
    open_ = is_safe(results).not_assessed if results.metrics or results.attacks else ()
    return f"Not assessed: {'; '.join(open_)}." if open_ else ""


def _errors(results: Results, _: Record) -> str:
    rules, worst = measured(results, "rule_violations"), measured(results, "column_shapes")
    lines = []
    if rules is not None:
        lines.append(f"{number(rules.value or 0.0, 'percent')} of the synthetic rows break a rule.")
    if worst is not None and part(worst, "worst_column"):
        lines.append(f"The column least like the real one is “{part(worst, 'worst_column')}”.")
    return " ".join(lines)


def _made(_: Results, record: Record) -> str:
    rows = record.rows.get("synthetic")
    return "" if rows is None else f"{whole(rows)} synthetic rows{f' of {whole(record.n_columns)} columns' if record.n_columns else ''}."


TRIPOD = (
    Item("5a", "data sources", _source, "where the real data come from, why these, and whom they represent"),
    Item("7", "data preparation", _preparation, "what was done to the data before they came here"),
    Item("8a", "the outcome", _outcome, "its definition, its horizon, how it was assessed"),
    Item("9b", "the predictors", _predictors, "how and when each was measured"),
    Item("10", "sample size", _parts, "how the size was arrived at, and that it suffices"),
    Item("11", "missing data", _missing, "why cells are missing, and how your own analysis treats them"),
    Item("12a", "how the data were used and divided", _parts, "why the division suits the purpose"),
    Item("12c", "the kind of model and how it was built", _model, "your own model, its building and its tuning"),
    Item("12e", "measures of performance", _performance, "the measures that matter for your use, calibration and benefit"),
    Item("14", "fairness", _fairness, "which groups matter, and why"),
    Item("18e", "availability of the data", _sharing, "who may have them, where, on which terms"),
    Item("18f", "availability of the code", _code, "your own code"),
    Item("20a", "flow of participants", _parts, "from eligible patients to the rows that were given"),
    Item("21", "numbers in each analysis", _counts, "numbers of your own analyses, and of events"),
    Item("23a", "performance with intervals, in groups too", _performance, "your own model's performance in real patients"),
    Item("26", "limitations", _limits, "limits of the real data, which synthetic rows inherit"),
)
CONSORT = (
    Item("1a,b (i)", "that AI was used, and which kind of model", _model, "the AI intervention of the trial itself"),
    Item("4a (ii)", "what the input data had to fulfil", _preparation, "which inputs the intervention accepts"),
    Item("5 (i)", "the version", _code, "the intervention's own version"),
    Item("5 (ii)", "how input data were acquired and selected", _source, "how patients and devices were chosen"),
    Item("5 (iii)", "poor or absent input data", _missing, "what the intervention does with them in use"),
    Item("5 (v)", "the output", _made, "what the intervention puts out, and to whom"),
    Item("19", "errors of performance", _errors, "errors of the intervention and their consequences for patients"),
)
STANDING = (
    Item("Documentation part", "who is in the data, by group", _groups, "which groups are absent from the real data, and why"),
    Item("Documentation part", "limits of the data", _limits, "how the real data came about, and known biases"),
    Item("Use part", "effects on groups of patients", _fairness, "groups at risk of harm in the intended use, and what is done about it"),
)
CHECKLISTS: Sequence[tuple[str, str, tuple[Item, ...]]] = (
    ("TRIPOD+AI", "prediction models; Collins et al., BMJ 2024, doi:10.1136/bmj-2023-078378", TRIPOD),
    ("CONSORT-AI", "trials of AI interventions; Liu et al., Nature Medicine 2020, doi:10.1038/s41591-020-1034-x", CONSORT),
    (
        "STANDING Together",
        "health data sets; Alderman et al., Lancet Digital Health, doi:10.1016/S2589-7500(24)00224-3; its items are not numbered here",
        STANDING,
    ),
)
