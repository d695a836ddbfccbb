"""The chapter on histories of linked patients: timelines, lengths, codes, what follows what, values that go on, what is measured.

Knows the metrics' details and the view `records` by their keys; measures nothing. Empty for a flat table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manikin.evaluation.base import Results, Section
from manikin.report import figures
from manikin.report.blocks import Beside, Block, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.dials import dials, found
from manikin.report.forest import Line, Mark, forest
from manikin.report.records_figures import gap_ticks, prevalence
from manikin.report.records_wording import RECORDS
from manikin.report.timeline_figures import Lane, time_unit, timeline
from manikin.report.wording import number, whole

N_OPEN = 6
N_PARTS = 12
N_BARS = 6  # counts that are few enough to have a bar each
N_TOLD = 4  # tables whose codes a timeline's caption tells
LEAST_GAP = 0.005  # shares that differ less are not listed
N_LISTED = 12
FEWER = 0.9  # of the real rows a patient, below which it is told
Rows = Sequence[Mapping[str, Any]]


def histories(results: Results) -> tuple[Block, ...]:
    """What was judged, the figures, patients side by side, and the pictures of each figure."""
    view = results.views.get("records") or {}
    strange = [figure.name for figure in results.figures if figure.name not in RECORDS]
    shown = dials(results, Section.FIDELITY, leave_out=strange)
    if not view and not shown:
        return ()
    return (
        *_what(view),
        *_timelines(view),
        *_lost(view),
        *shown,
        *_lengths(view),
        *_codes(results),
        *_steps(results, view),
        *_values(results),
        *_measured(results),
        *_calendar(results),
    )


def _what(view: Mapping[str, Any]) -> tuple[Block, ...]:
    tables: Rows = view.get("tables") or ()
    if not tables:
        return ()
    sizes = {what: view.get(what) or {} for what in ("patients", "visits", "events")}
    text = (
        f"{whole(sizes['patients'].get('train', 0))} real patients with {whole(sizes['events'].get('train', 0))} events in "
        f"{whole(sizes['visits'].get('train', 0))} visits were learned from; {whole(sizes['patients'].get('synthetic', 0))} synthetic "
        f"patients have {whole(sizes['events'].get('synthetic', 0))} events in {whole(sizes['visits'].get('synthetic', 0))} visits. A "
        "visit is a stay that other tables refer to, or, where there is none, all that happens to a patient at one time."
    )
    rows = tuple(
        (str(t["table"]), str(t["form"]), str(t.get("code") or "–"), *(whole(t[side]) for side in ("train", "holdout", "synthetic")))
        for t in tables
    )
    head = ("Table", "Form", "Code", "Real rows", "Unseen real rows", "Synthetic rows")
    table = Table(head, rows, "The tables of these patients", numeric=(3, 4, 5))
    return Text(text), *_fewer(tables, sizes["patients"]), Fold("The tables", (table,))


def _fewer(tables: Rows, patients: Mapping[str, Any]) -> tuple[Block, ...]:
    """Tables of codes with far fewer rows a patient than in real data, and why that may be."""
    n = [float(patients.get(side, 0)) for side in ("train", "synthetic")]
    if not all(n):
        return ()
    rates = {str(t["table"]): (float(t["train"]) / n[0], float(t["synthetic"]) / n[1]) for t in tables if t.get("code")}
    parts = {name: made / real for name, (real, made) in rates.items() if real and made / real < FEWER}
    if not parts:
        return ()
    worst = sorted(parts.items(), key=lambda one: one[1])
    told = ", ".join(f"{name} ({100 * part:.0f} %)" for name, part in worst[:N_OPEN])
    told += f" and {len(worst) - N_OPEN} more" if len(worst) > N_OPEN else ""
    return (
        Text(
            f"Fewer rows a patient than in the real tables: {told}. A row about a code that too few patients have is left out of a "
            "release, and no other code takes its place; a generator may also draw too few. Mind it where rows are counted."
        ),
    )


def _lost(view: Mapping[str, Any]) -> tuple[Block, ...]:
    """Columns that are empty, hold one value, or are filled much less often (or more) than in real rows."""
    columns: Rows = view.get("columns") or ()
    if not columns:
        return ()
    parts = []
    for what, words in _LOST:
        names = [f"{one['table']}.{one['column']}" for one in columns if one["what"] == what]
        if names:
            parts.append(f"{len(names)} {'column' if len(names) == 1 else 'columns'} {words[0] if len(names) == 1 else words[1]}")
    rows = tuple(
        (f"{one['table']}.{one['column']}", {what: words[0] for what, words in _LOST}[one["what"]],
         *(f"{100 * float(one[side]):.0f} %" for side in ("train", "synthetic")))
        for one in columns
    )
    text = (
        f"Beside the real rows, {'; '.join(parts)}. A value that too few patients hold is never shown: where no value is left the column "
        "is empty, where one is left it stands everywhere. Do not study these columns in the synthetic data; where their list of values is "
        "public knowledge (a code book), declare it (`--public TABLE.COLUMN`), and every value may come."
    )
    head = ("Column", "In the synthetic rows", "Filled, real", "Filled, synthetic")
    table = Table(head, rows, "Columns that lost something", numeric=(2, 3))
    return Heading("Columns that lost something"), Text(text), Fold(f"{len(rows)} columns", (table,))


_LOST = (
    ("empty", ("is empty", "are empty")),
    ("one value", ("holds one value", "hold one value")),
    ("emptier", ("is filled far less often", "are filled far less often")),
    ("fuller", ("is filled far more often", "are filled far more often")),
)


def _timelines(view: Mapping[str, Any]) -> tuple[Block, ...]:
    pairs = [pair for pair in view.get("timelines") or () if pair.get("real") and pair.get("synthetic")]
    if not pairs:
        return ()
    blocks: list[Block] = [
        Heading("Patients side by side"),
        Text(
            "A real patient of middling length (blue) beside the synthetic one whose length is nearest (orange); they have nothing else "
            "in common. Bars are stays, lines are measured numbers between the 5 % and the 95 % quantile of all real values, dots are "
            "other events. Would you believe the orange one?"
        ),
    ]
    for i, pair in enumerate(pairs):
        days = max(float(pair["real"]["days"]), float(pair["synthetic"]["days"]))
        drawn = tuple(_one(pair[side], f"{words} patient {'ABC'[i % 3]}", days, side) for side, words in _SIDES)
        blocks.append(Grid(drawn, has_legend=False))
    return tuple(blocks)


_SIDES = (("real", "Real"), ("synthetic", "Synthetic"))


def _one(patient: Mapping[str, Any], title: str, days: float, side: str) -> Figure:
    lanes = [Lane(str(bar["table"]), spans=[(float(a), float(b)) for a, b in bar["spans"]]) for bar in patient["bars"]]
    lanes += [
        Lane(str(line["part"]), times=line["times"], values=line["values"], bounds=(float(line["range"][0]), float(line["range"][1])))
        for line in patient["lines"]
    ]
    dots = [dot for dot in patient["dots"] if dot["n"] or not dot.get("is_other")]
    lanes += [Lane(f"other {dot['table']}" if dot.get("is_other") else str(dot["table"]), times=dot["times"]) for dot in dots]
    facts = ", ".join(f"{name} {value}" for name, value in patient.get("facts") or ())
    step, unit = time_unit(float(patient["days"]))
    told = [f"{dot['table']}: {_counted(dot['codes'])}" for dot in dots if dot.get("codes")][:N_TOLD]
    caption = f"{facts}. {whole(patient['events'])} events in {float(patient['days']) / step:.0f} {unit}."
    if told:
        caption += f" Most often, {'; '.join(told)}."
    return Figure(
        timeline(lanes, days=days, is_synthetic=side == "synthetic"),
        caption,
        f"The history of one {side} patient: {whole(patient['events'])} events in {float(patient['days']) / step:.0f} {unit}.",
        title,
    )


def _counted(codes: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{code} ({n}×)" if n > 1 else str(code) for code, n in codes)


def _lengths(view: Mapping[str, Any]) -> tuple[Block, ...]:
    lengths, gaps = ([part for part in view.get(key) or () if part.get("train")] for key in ("lengths", "gaps"))
    if not lengths and not gaps:
        return ()
    drawn = [_overlay(part, "patients") for part in lengths]
    late = [_overlay(part, "gaps", ticks=gap_ticks(part["edges"])) for part in gaps]
    blocks: list[Block] = [
        Heading("How long, and how far apart"),
        Text("Rows and visits of a patient, and the time from one event to the next (on a logarithmic scale)."),
        Grid((*drawn[:N_OPEN], *late[:N_OPEN])),
    ]
    rest = (*drawn[N_OPEN:], *late[N_OPEN:])
    if rest:
        blocks.append(Fold(f"{len(rest)} more", (Grid(rest),)))
    return tuple(blocks)


def _overlay(part: Mapping[str, Any], what: str, *, ticks: Sequence[str] = ()) -> Figure:
    name, edges = str(part["part"]), part["edges"]
    title = name if what == "patients" else f"time: {name}" if " to " in name else f"time between {name}"
    if not ticks and len(edges) <= N_BARS + 1 and edges[1] - edges[0] == 1:
        labels = [f"{edge + 0.5:g}" for edge in edges[:-1]]
        drawing, how = figures.bars(labels, part["train"], part["synthetic"]), "Blue bars real, orange frames synthetic."
    else:
        drawing, how = figures.histogram(edges, part["train"], part["synthetic"], ticks=ticks), "Blue area real, orange line synthetic."
    return Figure(
        drawing,
        f"Shares of {what}. {how}",
        f"{title}: shares of real and synthetic {what}.",
        title,
    )


def _codes(results: Results) -> tuple[Block, ...]:
    metric = found(results, "code_prevalence")
    codes: Rows = (metric.details.get("codes") or ()) if metric is not None else ()
    if not codes:
        return ()
    real, made = ([float(row[f"records_{side}"]) for row in codes] for side in ("train", "synthetic"))
    names = [str(row["code"]) for row in codes]
    worst = max(codes, key=lambda row: abs(row["records_train"] - row["records_synthetic"]))
    picture = Figure(
        prevalence(real, made, names),
        f"Each ring is a code; {whole(len(codes))} of the most frequent. On the dashed line as many synthetic as real patients have it; "
        "above it too many, below it too few.",
        f"Shares of patients who have each of {len(codes)} codes. The largest difference: {worst['code']}, "
        f"{number(worst['records_train'], 'percent')} of real and {number(worst['records_synthetic'], 'percent')} of synthetic patients.",
        "How frequent codes are",
    )
    order = sorted(codes, key=lambda row: (-abs(row["records_train"] - row["records_synthetic"]), str(row["code"])))[:N_LISTED]
    table = Table(
        ("Code", "Real", "Unseen real", "Synthetic"),
        tuple((str(row["code"]), *(number(row[f"records_{s}"], "percent") for s in ("train", "holdout", "synthetic"))) for row in order),
        "Patients who have the code, largest difference first",
        numeric=(1, 2, 3),
    )
    blocks: list[Block] = [Heading("Codes"), Beside((Grid((picture,), has_legend=False), table))]
    pairs: Rows = _details(results, "code_pairs", "pairs")[:N_LISTED]
    if pairs:
        rows = tuple(
            (" + ".join(str(code) for code in row["codes"]), *(number(row[s], "percent") for s in ("train", "holdout", "synthetic")))
            for row in pairs
        )
        caption = "Patients who have both codes, largest difference first"
        listed = Table(("Pair", "Real", "Unseen real", "Synthetic"), rows, caption, numeric=(1, 2, 3))
        blocks.append(Fold("Pairs of codes that differ most", (listed,)))
    return tuple(blocks)


def _steps(results: Results, view: Mapping[str, Any]) -> tuple[Block, ...]:
    steps = view.get("steps") or {}
    names = [str(name) for name in steps.get("codes") or ()]
    if len(names) < 2:
        return ()
    real, made = (np.array(steps[side], dtype=float) for side in ("train", "synthetic"))
    gap = made - real
    i, j = divmod(int(np.abs(gap).argmax()), len(names))
    largest = (
        f"The largest difference: after {names[i]}, {names[j]} follows in {number(float(real[i, j]), 'percent')} of the real and "
        f"{number(float(made[i, j]), 'percent')} of the synthetic steps."
    )
    drawn = (
        Figure(figures.heatmap(real, names), "Dark: it nearly always follows.", f"Steps between {len(names)} codes, real.", "Real"),
        Figure(figures.heatmap(made, names), "It should look like the real one.", f"The same, synthetic. {largest}", "Synthetic"),
        Figure(
            figures.heatmap(gap, names, is_difference=True),
            "Blue: it follows too seldom. Orange: too often. Pale: alike.",
            f"Difference of the steps. {largest}",
            "Synthetic minus real",
        ),
    )
    text = Text(
        f"How often a code (column) is at the patient's next moment after one that holds another (row), for the {len(names)} commonest "
        f"codes. {largest}"
    )
    blocks: list[Block] = [Heading("What follows what"), text, Grid(drawn, has_legend=False)]
    rows: Rows = _details(results, "transitions", "transitions")[:N_LISTED]
    if rows:
        where = {"within": "within a visit", "across": "to the next visit"}
        cells = tuple(
            (f"{row['from']} → {row['to']}", where.get(str(row["part"]), ""), *(_share(row[s]) for s in ("train", "holdout", "synthetic")))
            for row in rows
        )
        caption = "Steps that differ most, as shares of all steps"
        blocks.append(
            Fold("Steps that differ most", (Table(("Step", "", "Real", "Unseen real", "Synthetic"), cells, caption, numeric=(2, 3, 4)),))
        )
    return tuple(blocks)


def _values(results: Results) -> tuple[Block, ...]:
    parts = [row for row in _details(results, "autocorrelation", "parts") if row.get("lag_1_train") is not None]
    values: Rows = _details(results, "event_values", "parts")
    if not parts and not values:
        return ()
    blocks: list[Block] = [Heading("Measured numbers")]
    shown: list[Block] = []
    if parts:
        lines = tuple(
            Line(str(row["part"]), (Mark(row["lag_1_train"], kind="real"), Mark(row["lag_1_synthetic"]))) for row in parts[:N_PARTS]
        )
        worst = parts[0]
        shown.append(
            Grid(
                (
                    Figure(
                        forest(lines, axis="correlation of a value and the next", mark=0.0),
                        "Blue dots: real, orange rings: synthetic; the largest differences first. At 1 the next value is the last one "
                        "again, at the dashed line it is drawn anew, as if it were another patient's.",
                        f"Correlation of a value and the patient's next. The largest difference: {worst['part']}, "
                        f"{number(worst['lag_1_train'])} real and {number(worst['lag_1_synthetic'])} synthetic.",
                        "How values go on",
                    ),
                ),
                has_legend=False,
            )
        )
    if values:
        rows = tuple(
            (
                str(row["part"]),
                f"{number(row['score'])} ({number(row['reference'])})",
                _plain(row.get("median_train")),
                _plain(row.get("median_synthetic")),
            )
            for row in values[:N_LISTED]
        )
        caption = "Spread of each measured number, the worst first. Score 1 is the same; in brackets unseen real patients"
        shown.append(Table(("Number", "Score", "Median, real", "Synthetic"), rows, caption, numeric=(1, 2, 3)))
    blocks.append(Beside(tuple(shown)) if len(shown) > 1 else shown[0])
    return tuple(blocks)


def _measured(results: Results) -> tuple[Block, ...]:
    measures: Rows = _details(results, "measured_together", "measures")
    if not measures:
        return ()
    shown = measures[:20]
    names = [str(row["part"]) for row in shown]
    worst = shown[0]
    picture = Figure(
        figures.pairs_of_shares(names, *([float(row[f"patients_{side}"]) for row in shown] for side in ("train", "synthetic"))),
        "Filled dots are real patients, rings are synthetic; the longer the line between them, the further apart.",
        f"Patients in whom each number is measured. The largest difference: {worst['part']}, "
        f"{number(worst['patients_train'], 'percent')} of real and {number(worst['patients_synthetic'], 'percent')} of synthetic patients.",
        "In whom it is measured at all",
    )
    pairs = [p for p in _details(results, "measured_together", "pairs") if abs(p["train"] - p["synthetic"]) >= LEAST_GAP][:N_LISTED]
    rows = tuple(
        (f"{row['part']}, given {row['given']}", *(number(row[side], "percent") for side in ("train", "holdout", "synthetic")))
        for row in pairs
    )
    table = Table(
        ("Measured in the same visit", "Real", "Unseen real", "Synthetic"), rows, "Largest difference first", numeric=(1, 2, 3)
    )
    text = Text("A test that is not there tells something too: it was not ordered. So who is measured, and what with what, is learned.")
    drawn = Grid((picture,), has_legend=False)
    return Heading("What is measured"), text, Beside((drawn, table)) if rows else drawn


def _calendar(results: Results) -> tuple[Block, ...]:
    parts = [row for row in _details(results, "calendar", "parts") if row.get("unit") == "visits"]
    if not parts:
        return ()
    named = {"month": _MONTHS, "weekday": _WEEKDAYS}
    drawn = []
    for row in parts:
        n = len(row["train"])
        edges = [i - 0.5 for i in range(n + 1)]
        ticks = [*(named.get(str(row["cycle"])) or [str(i) for i in range(n)]), ""]
        drawn.append(
            Figure(
                figures.histogram(edges, row["train"], row["synthetic"], ticks=ticks),
                "Shares of visits. Blue area real, orange line synthetic.",
                f"Shares of visits by {row['cycle']}.",
                f"visits by {row['cycle']}",
            )
        )
    text = Text(
        "When visits begin. Calendars that were shifted before (patient by patient) have no months to keep.",
        Tone.NOTE,
    )
    return Heading("Calendar"), text, Grid(tuple(drawn))


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _details(results: Results, metric: str, key: str) -> Rows:
    one = found(results, metric)
    rows: Rows = (one.details.get(key) or ()) if one is not None and one.value is not None else ()
    return rows


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "–"


def _share(value: Any) -> str:
    return number(value, "percent") if isinstance(value, int | float) else "–"
