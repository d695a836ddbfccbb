"""Writes LEADERBOARD.md from results.json: a table per data table, medians over seeds. Knows how to print, not to score.

    python benchmarks/leaderboard.py results.json [more.json ...] --out benchmarks/LEADERBOARD.md

Rows are sorted by C2ST. Of the same table, synthesizer and seed in several files the last file's counts. Where a table was run
on splits, the difference of each synthesizer to the best is given with its paired t interval over splits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import t as student

Row = Mapping[str, dict]

HEAD = (
    "synthesizer", "runs", "C2ST", "excess TSTR booster", "excess TSTR logistic", "dependence", "shapes (worst)",
    "missing", "levels", "alpha-p", "beta-r", "coverage", "MIA AUC", "TPR@1%", "copies",
    "fit CPU s", "rows/CPU s", "peak MB (+)",
)  # fmt: skip

LEGEND = """\
* **C2ST**: AUC of boosted trees, synthetic against holdout rows; 0.5 is the best. Range over runs (seeds, or splits) in brackets.
* **excess TSTR**: (AUROC - 0.5) learned from synthetic rows over that learned from train, on real rows that neither saw; 1 is
  as good as train. The 95 % interval (of the middle seed) is over holdout rows; differences inside it are nothing.
* **dependence**: 1 is fresh real rows, 0 independent columns, over the 50 most dependent pairs; below 0 is possible.
* **shapes**: 1 - KS or TV against train, mean (worst column). **missing**: mean difference of missing rates.
  **levels**: share of all of train's levels that occur (share that as many fresh rows would show).
* **alpha-p, beta-r, coverage**: geometry against the holdout; read them beside the row *real rows*.
* **MIA AUC, TPR@1%**: nearest-neighbour membership attack; 0.5 and 0.01 are the best. **copies**: share of rows that are train
  rows (the holdout's share in the row *real rows*).
* **fit CPU s**: user + system of one thread, children included. **peak MB (+)**: resident, and what of it came after imports.
* *real rows*: train half against train half for C2ST and TSTR, the holdout or train rows for the rest, at equal n.
"""


def middle(rows: Iterable[Row], *path: str) -> float | None:
    """Median over rows of a nested figure; None where no row has it."""
    values = []
    for row in rows:
        value: object = row
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            values.append(value)
    return median(values) if values else None


def shown(value: float | None, digits: int = 3) -> str:
    """A number with its decimals, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def with_range(rows: list[Row]) -> str:
    """Median C2ST and its range over seeds."""
    aucs = [row["scores"]["c2st"]["auc"] for row in rows]
    return f"**{median(aucs):.3f}**" + (f" [{min(aucs):.3f}, {max(aucs):.3f}]" if len(aucs) > 1 else "")


def with_interval(rows: list[Row], learner: str) -> str:
    """Median excess TSTR and the interval of the row in the middle."""
    results = sorted((row["scores"]["excess_tstr"][learner] for row in rows), key=lambda result: result["value"])
    low, high = results[(len(results) - 1) // 2]["interval"]
    return f"{median(result['value'] for result in results):.2f} [{low:.2f}, {high:.2f}]"


def line(name: str, rows: list[Row]) -> list[str]:
    """One synthesizer's cells."""
    score = lambda *path, digits=3: shown(middle(rows, "scores", *path), digits)  # noqa: E731  (a column list stays readable)
    cost = lambda key, digits=0: shown(middle(rows, "cost", key), digits)  # noqa: E731
    above = [row["cost"]["peak_mb"] - row["cost"]["after_imports_mb"] for row in rows]
    return [
        name,
        str(len(rows)),
        with_range(rows),
        with_interval(rows, "booster"),
        with_interval(rows, "logistic"),
        score("dependence", "value"),
        f"{score('shapes', 'mean')} ({score('shapes', 'worst', digits=2)})",
        score("missingness", "mean"),
        f"{score('levels', 'all_levels', digits=2)} ({score('levels', 'all_levels_expected', digits=2)})",
        score("geometry", "alpha_precision", digits=2),
        score("geometry", "beta_recall", digits=2),
        score("geometry", "coverage", digits=2),
        score("membership", "auc"),
        score("membership", "tpr_at_1_percent_fpr"),
        score("copies", "share", digits=4),
        cost("fit_cpu_s", 1),
        cost("rows_per_cpu_s"),
        f"{cost('peak_mb')} ({median(above):.0f})",
    ]


def reference_line(rows: list[Row]) -> list[str]:
    """What real rows score; a table run on splits has one reference a split."""
    real = lambda *path, digits=3: shown(middle(rows, "scores", "reference", *path), digits)  # noqa: E731
    cells = ["*real rows*", "", real("c2st", "auc")]
    cells += [real("excess_tstr_of_a_half", learner, "value", digits=2) for learner in ("booster", "logistic")]
    cells += ["1", f"{real('shapes', 'mean')} ({real('shapes', 'worst', digits=2)})", real("missingness", "mean"), ""]
    cells += [real("geometry", key, digits=2) for key in ("alpha_precision", "beta_recall", "coverage")]
    return [*cells, "0.5", "0.01", real("copies", "share", digits=4), "", "", ""]


def markdown(cells: Iterable[str]) -> str:
    """One table line."""
    return "| " + " | ".join(cells) + " |"


def paired(groups: Mapping[str, list[Row]], best: str) -> list[str]:
    """C2ST of each synthesizer minus that of `best` on the same split and seed, mean with 95 % t interval over splits."""

    def by_split(rows: list[Row]) -> dict[str, float]:
        tables = sorted({row["table"] for row in rows})
        return {table: median(row["scores"]["c2st"]["auc"] for row in rows if row["table"] == table) for table in tables}

    base, lines = by_split(groups[best]), []
    for name, rows in groups.items():
        other = by_split(rows)
        common = sorted(base.keys() & other.keys())
        if name == best or len(common) < 2:
            continue
        differences = np.array([other[table] - base[table] for table in common])
        half = student.ppf(0.975, len(common) - 1) * differences.std(ddof=1) / np.sqrt(len(common))
        mean = differences.mean()
        lines.append(f"* {name} - {best}: {mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}] over {len(common)} splits")
    return lines


def section(table: str, rows: list[Row]) -> list[str]:
    """One data table: heading, leaderboard, paired differences, failures."""
    good = [row for row in rows if row.get("scores")]
    failed = [row for row in rows if "failed" in row]
    if not good and not failed:
        return []
    n_splits = len({row["table"] for row in good})
    names = sorted({row["synthesizer"] for row in good})
    groups = {name: [row for row in good if row["synthesizer"] == name] for name in names}
    ranked = sorted(names, key=lambda name: middle(groups[name], "scores", "c2st", "auc"))
    out = [f"## {table}", ""]
    if good:
        sizes, kinds = good[0]["scores"]["rows"], good[0]["scores"]["columns"]
        out[0] += f" ({sizes['train']:,} train rows, {sizes['test']:,} holdout rows; {kinds['numbers']} numbers, "
        out[0] += f"{kinds['categories']} categories{f'; {n_splits} splits' if n_splits > 1 else ''})"
        out += [markdown(HEAD), markdown(["---"] * len(HEAD))]
        out += [markdown(line(name, groups[name])) for name in ranked] + [markdown(reference_line(good)), ""]
        if n_splits > 1:
            out += ["C2ST, paired:", "", *paired(groups, ranked[0]), ""]
    out += [f"* failed: {row['synthesizer']} on {row['table']}, seed {row['seed']}: {row['failed']}" for row in failed]
    return [*out, ""] if failed else out


def notes(rows: list[Row]) -> list[str]:
    """Versions and adapter's notes of each synthesizer, once."""
    out = ["## Versions and notes", ""]
    for name in sorted({row["synthesizer"] for row in rows}):
        costs = [row["cost"] for row in rows if row["synthesizer"] == name and "cost" in row]
        if costs:
            versions = ", ".join(f"{package} {version}" for package, version in costs[-1]["versions"].items())
            said = {note.split(":")[0] if note.startswith("rounded") else note for cost in costs for note in cost["notes"]}
            said = {"some cells hold the text _RARE_" if "_RARE_" in note else note for note in said}
            out.append(f"* **{name}**: {versions}." + "".join(f" {note[0].upper()}{note[1:]}." for note in sorted(said)))
    return [*out, ""]


def page(records: list[dict]) -> str:
    """The whole page."""
    rows = {(row["table"], row["synthesizer"], row["seed"]): row for record in records for row in record["rows"]}
    commands = dict.fromkeys(command for record in records for command in record["commands"])
    tables = dict.fromkeys(row["table"].split("/")[0] for row in rows.values())
    machine = ", ".join(f"{name}: {value}" for name, value in records[-1]["machine"].items())
    out = ["<!-- generated by benchmarks/leaderboard.py; do not edit -->", "# Leaderboard", ""]
    newest = max(record["date"] for record in records)
    out += [f"{newest}. Machine: {machine}; shared with other work. The tables are those of tables.py.", ""]
    out += ["```sh", *commands, "```", "", LEGEND]
    for table in tables:
        out += section(table, [row for row in rows.values() if row["table"].split("/")[0] == table])
    return "\n".join(out + notes(list(rows.values())))


def main() -> None:
    """Reads the results files and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "LEADERBOARD.md")
    options = parser.parse_args()
    records = [json.loads(path.read_text()) for path in options.results]
    options.out.write_text(page([record for record in records if "commands" in record and "rows" in record]))  # no studies


if __name__ == "__main__":
    main()
