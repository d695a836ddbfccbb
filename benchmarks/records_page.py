"""Writes RECORDS.md from results.json files of records_run.py: a table per folder, medians over seeds. Knows how to print, not to score.

    python benchmarks/records_page.py benchmarks/results/records-*.json --out benchmarks/RECORDS.md

Rows are sorted by C2ST. Of the same folder, synthesizer and seed in several files the last file's counts.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ABOUT = {
    "physionet2012": "3,200 intensive care stays to learn from, 800 held out; 48 hours, 37 codes, 1,390,568 events; 13.9 % died there",
    "physionet600": "600 of these stays and the same 800 held out; first 24 hours, 142,942 events",
    "physionet600_grid": "the same as a regular grid: a row an hour, 37 measurements, 79 % of the cells empty",
    "pbcseq": "250 patients with cirrhosis to learn from, 62 held out; 1,563 visits of 12 measurements",
    "icu_hourly": "105 stays to learn from, 27 held out; 7,716 hours of 48 measurements, 80 % of the cells empty",
    "mimic_iii": "80 patients of the MIMIC-III demo to learn from, 20 held out; 20 linked tables",
    "meds": "80 patients of the MIMIC-IV demo to learn from, 20 held out; 707,463 events of 7,035 codes",
    "mimic_visits": "80 patients of the MIMIC-III demo to learn from, 20 held out; their admissions with ICD-9 diagnoses and procedures",
    "meds_visits": "80 patients of the MIMIC-IV demo to learn from, 20 held out; diagnoses, procedures, admissions as one stream",
    "diabetes_visits": "3,200 patients with diabetes and two encounters or more to learn from, 800 held out; diagnoses and drugs of each",
}
LEGEND = """\
* **C2ST**: AUC of boosted trees (below 100 patients a side a random forest) that tell made patients from held-out ones by statics, lengths
  and each code's count, first, last, mean, least and greatest value; 0.5 is the best. Copies score above
  0.5, because they stand on both sides of the folds.
* **TSTR**: lead over guessing of a prediction of death learned from made patients over that of one learned from train, on held-out
  patients (boosted trees, logistic regression); 1 is as good as train. The 95 % interval is over held-out patients. What is known only
  after the stay (survival, length of stay, SAPS-I, SOFA) is left out.
* **codes, pairs, moments, next**: R2 about the identity of rows a patient of each code, of pairs of codes in a patient, of pairs at one
  moment (visit), of pairs of which one is at a moment and the other at the patient's next.
* **length, gaps**: 1 - KS of a patient's rows and of the time between moments. **values**: 1 - KS of each code's values, mean (worst code).
* **lag 1**: mean error of the autocorrelation of each code's values; 0 is the best. **statics**: 1 - KS or TV, mean.
* **halves**: where patients are few, how many of eleven figures lie within the range that halves of the real patients span.
* **member**: AUC of the nearest-patient attack, 0.5 is the best (hits at 1 % false alarms). **keys**: share of references that name a row;
  where they are fewer, of those that name a row of the same patient (own).
* **CPU s**: fit + sample, user and system of one thread with children. **MB**: greatest resident memory (+ what came after the imports).
* Where there are several seeds, figures are medians, some with the least and the greatest behind them.
* *real patients*: held-out patients against train; parts of train against one another for C2ST, half of train for TSTR.
"""
HEAD = ("synthesizer", "seeds", "C2ST", "TSTR booster", "TSTR logistic", "codes", "pairs", "moments", "next", "length", "gaps", "values")
HEAD += ("lag 1", "statics", "halves", "member", "keys", "CPU s", "MB (+)")
Row = Mapping[str, object]


def found(row: object, *path: str) -> float | None:
    """A nested figure, None where there is none or it is no number."""
    for key in path:
        row = row.get(key) if isinstance(row, Mapping) else None
    return float(row) if isinstance(row, int | float) and not math.isnan(row) else None


def middle(rows: Iterable[Row], *path: str) -> float | None:
    """Median over seeds."""
    values = [value for value in (found(row, *path) for row in rows) if value is not None]
    return median(values) if values else None


def shown(value: float | None, digits: int = 3) -> str:
    """A number with its decimals, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def spread(rows: Iterable[Row], *path: str, digits: int = 3) -> str:
    """The median over seeds, and where there are several the least and the greatest."""
    values = [value for value in (found(row, *path) for row in rows) if value is not None]
    if len(values) < 2:
        return shown(middle(rows, *path), digits)
    return f"{shown(median(values), digits)} ({shown(min(values), digits)} to {shown(max(values), digits)})"


def interval(rows: list[Row], learner: str) -> str:
    """Excess TSTR with the interval of the middle seed."""
    kept = [row for row in rows if found(row, "excess_tstr", learner, "value") is not None]
    if not kept:
        return "-"
    row = sorted(kept, key=lambda row: found(row, "excess_tstr", learner, "value") or 0.0)[len(kept) // 2]
    told = row["excess_tstr"][learner]
    return f"{told['value']:.2f} [{told['interval'][0]:.2f}, {told['interval'][1]:.2f}]"


def scores(rows: list[Row]) -> list[str]:
    """The cells of the scores, without cost."""
    get: Callable[..., str] = lambda *path, digits=3: shown(middle(rows, *path), digits)  # noqa: E731
    member = get("membership", "auc")
    if member != "-":
        member += f" ({100 * (middle(rows, 'membership', 'tpr_at_1_percent_fpr') or 0):.0f} %)"
    keys, own = (middle(rows, "integrity", name) for name in ("references_held", "references_of_own_patient"))
    return [
        spread(rows, "c2st", "auc"),
        interval(rows, "booster"),
        interval(rows, "logistic"),
        spread(rows, "codes", "rate_r2"),
        spread(rows, "codes", "pairs_r2"),
        get("codes", "moment_pairs_r2"),
        get("codes", "next_pairs_r2"),
        spread(rows, "timing", "n_rows"),
        get("timing", "gaps"),
        f"{get('values', 'mean')} ({get('values', 'worst', digits=2)})",
        spread(rows, "in_time", "mean_error"),
        get("statics", "mean"),
        inside(rows),
        member,
        "-" if keys is None else f"{100 * keys:.4g} %" + ("" if own is None or own > 0.9999 else f" ({100 * own:.3g} % own)"),
    ]


def inside(rows: list[Row]) -> str:
    """How many figures lie within the range of real halves, of the middle seed; a dash where patients are not few."""
    kept = [row["halves"] for row in rows if isinstance(row.get("halves"), Mapping)]
    if not kept:
        return "-"
    told = sorted(kept, key=lambda figures: sum(figure["inside"] for figure in figures.values()))[len(kept) // 2]
    return f"{sum(figure['inside'] for figure in told.values())} of {len(told)}"


def line(name: str, rows: list[Row]) -> list[str]:
    """One synthesizer's line."""
    judged = [row["scores"] for row in rows if row.get("scores")]
    costs = [row["cost"] for row in rows]
    fit, sample = (middle(costs, f"{part}_cpu_s") for part in ("fit", "sample"))
    peak, before = middle(costs, "peak_mb"), middle(costs, "after_imports_mb")
    memory = "-" if peak is None else f"{peak:,.0f} (+{max(peak - (before or 0), 0):,.0f})"
    return [name, str(len(rows)), *scores(judged), f"{shown(fit, 0)} + {shown(sample, 0)}", memory]


def section(table: str, rows: list[Row]) -> list[str]:
    """The heading, the table and the notes of one folder."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(str(row["synthesizer"]), []).append(row)
    lines, failures, notes = [], [], []
    for name, its in by_name.items():
        done = [row for row in its if "failed" not in row]
        failures += [f"* {name}, seed {row['seed']}: {row['failed']}" for row in its if "failed" in row]
        if done:
            lines.append(line(name, done))
            told = sorted({note for row in done for note in row["cost"]["notes"] if not note.startswith("rounded by")})
            notes += [f"* {name}: {'; '.join(told)}"] * bool(told)
    lines.sort(key=lambda cells: cells[2])
    told = [row["scores"]["reference"] for row in rows if row.get("scores")]
    reference = max(told, key=lambda own: len(own.get("codes", {})), default=None)  # of the judge that knows most
    if reference:
        lines.insert(0, ["*real patients*", "", *scores([reference]), "", ""])
    out = [f"## {table}", "", ABOUT.get(table, ""), "", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    out += ["| " + " | ".join(cells) + " |" for cells in lines]
    return [*out, "", *notes, *failures, ""]


def page(files: list[Path]) -> str:
    """The whole page."""
    known: dict[tuple, Row] = {}
    commands, machines, dates = [], [], []
    for path in files:
        told = json.loads(path.read_text())
        known |= {(row["table"], row["synthesizer"], row["seed"]): row for row in told["rows"]}
        commands += [command for command in told["commands"] if command not in commands]
        machines.append(", ".join(f"{name}: {value}" for name, value in told["machine"].items()))
        dates.append(told["date"])
    tables = sorted({key[0] for key in known}, key=lambda name: list(ABOUT).index(name) if name in ABOUT else len(ABOUT))
    lines = ["<!-- generated by benchmarks/records_page.py; do not edit -->", "# Generators of linked and longitudinal patients", ""]
    shared = "; ".join(dict.fromkeys(machines))
    lines += [f"{max(dates)}. Machine: {shared}; shared with other work. The folders are those of records_tables.py and records_visits.py."]
    lines += ["", "```sh", *commands, "```", "", LEGEND]
    for table in tables:
        lines += section(table, [row for key, row in known.items() if key[0] == table])
    extra = HERE / "records_notes.md"
    lines += [extra.read_text()] if extra.exists() else []
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=HERE / "RECORDS.md")
    options = parser.parse_args()
    options.out.write_text(page(options.results))


if __name__ == "__main__":
    main()
