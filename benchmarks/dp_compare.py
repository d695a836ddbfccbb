"""Private generators at one epsilon, ours beside dpmm's: runs what is missing, writes JSON and a page. Fits and scores nothing itself.

    nice python benchmarks/dp_compare.py --tables TABLES --peers-env PEERS --out RESULTS [--report-only]
    python benchmarks/dp_compare.py --tables TABLES --out RESULTS --where diabetes30 manikin:aim+epsilon=1 dpmm:mst

TABLES holds what `tables.py DATA TABLES cardio70k diabetes30 diabetes48` wrote. Every job is one of run.py, in RESULTS as run.py leaves
them, so a broken run is resumed by the same command and a job that failed or met its limit of CPU seconds is named in the page. --where
compares two synthesizers column by column and pair by pair (medians over seeds), the largest lead of the second first: what to work on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import run
from judging import fidelity, tables

HERE = Path(__file__).parent
OURS = ("independent", "aim", "aim+target", "aim+public-levels", "autoregressive", "dpgan", "dpwgan", "pategan+target")
PEERS = ("dpmm:mst", "dpmm:aim", "dpmm:aim+max_model_size=1+n_iters=100", "dpmm:mst+bounds")
COMPARED = ("cardio70k", "diabetes30")
OURS_ALONE = ("diabetes48",)  # more columns than dpmm says it is made for, and three of 500 levels
PEER_MINUTES, OUR_MINUTES = 60.0, 30.0

Row = dict
Figure = Callable[[Row], float]
FIGURES: dict[str, tuple[Figure, int]] = {
    "dependence": (lambda row: row["scores"]["dependence"]["value"], 3),
    "excess TSTR booster": (lambda row: row["scores"]["excess_tstr"]["booster"]["value"], 2),
    "excess TSTR logistic": (lambda row: row["scores"]["excess_tstr"]["logistic"]["value"], 2),
    "shapes": (lambda row: row["scores"]["shapes"]["mean"], 3),
    "pairs": (lambda row: row["scores"]["pairs"]["mean"], 3),
    "C2ST": (lambda row: row["scores"]["c2st"]["auc"], 3),
    "missing": (lambda row: row["scores"]["missingness"]["mean"], 3),
    "CPU s": (lambda row: row["cost"]["fit_cpu_s"] + row["cost"]["sample_cpu_s"], 1),
    "peak MB": (lambda row: row["cost"]["peak_mb"], 0),
}
CLAIMED = ("dependence", "excess TSTR booster", "excess TSTR logistic")  # what ours is to lead in, at a fifth of the CPU seconds
LEGEND = """\
Medians over seeds, ranges in brackets. **dependence**: 1 is fresh real rows, 0 independent columns (50 most dependent pairs). **excess
TSTR**: the lead over guessing of a model learned from synthetic rows, over that of one learned from train, on real rows that neither saw.
**shapes, pairs**: 1 - KS or TV of columns, 1 - TV of all pair tables, against train. **C2ST**: booster, 0.5 is the best. **missing**: mean
difference of missing rates. **CPU s**: fit and sampling, user + system of one thread with children. The row *real rows* is the holdout, or
halves of train, against train.

What each epsilon covers is not the same. Ours pays for the number of patients, types, levels, missing codes, ranges, bins and the model out
of one epsilon; known are the columns' names and the hyperparameters. dpmm has the same epsilon for its model and a tenth of it beside that
for bins, and is given column types, category lists, the number of rows, the decimals, and where numbers are missing and their median from
the data; with +bounds the range of each number, too. dpmm's AIM bounds its model by nothing; +max_model_size=1 bounds it to 1 MB, which its
authors advise for trying it out, and +n_iters=100 takes a tenth of its steps of inference. With +public-levels ours is given the lists of
levels likewise. +target names the target, which tells aim what the rows are for; dpmm cannot be told. Delta is 1/n, n the number of train
rows; ours 0.9/n where the notes say so, since a larger one may be refused."""


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder that tables.py wrote")
    parser.add_argument("--peers-env", type=Path, default=Path("peers"), help="folder that peers/setup.sh filled")
    parser.add_argument("--out", type=Path, required=True, help="the jobs' folder")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--synthesizers", type=lambda text: text.split(","), default=[*OURS, *PEERS], help="ours by name, dpmm:…")
    parser.add_argument("--tables-named", type=lambda text: text.split(","), default=[*COMPARED, *OURS_ALONE])
    parser.add_argument("--retry", action="store_true", help="try failed jobs again")
    parser.add_argument("--report-only", action="store_true", help="start no job; judge what is there and write the page")
    parser.add_argument("--results", type=Path, default=None, help="JSON to write; results/dp-epsilon<E>.json when left out")
    parser.add_argument("--page", type=Path, default=None, help="page to write; PRIVATE.md when left out")
    parser.add_argument("--where", nargs=3, metavar=("TABLE", "A", "B"), help="compare two by column and pair; writes nothing")
    return parser.parse_args()


def job_name(synthesizer: str, epsilon: float) -> str:
    """The name by which run.py's adapters know a synthesizer at this epsilon."""
    if synthesizer.startswith("dpmm:"):
        return synthesizer if epsilon == 1 else f"{synthesizer}+epsilon={epsilon:g}"
    name, *variants = synthesizer.split("+")
    return "+".join([f"manikin:{name}+epsilon={epsilon:g}", *variants])


def jobs(options: argparse.Namespace) -> list[run.Job]:
    """Every job, seed by seed, the peers on the tables that both can take."""
    return [
        run.Job(table, job_name(synthesizer, options.epsilon), seed)
        for seed in options.seeds
        for table in options.tables_named
        for synthesizer in options.synthesizers
        if not (synthesizer.startswith("dpmm:") and table in OURS_ALONE)
    ]


def row_of(job: run.Job, options: argparse.Namespace) -> Row:
    """The job's row of run.py, or that it is missing."""
    minutes = PEER_MINUTES if job.synthesizer.startswith("dpmm:") else OUR_MINUTES
    how = SimpleNamespace(
        out=options.out, peers_env=options.peers_env, retry=options.retry, no_judge=False, cpu_limit_minutes=minutes
    )
    here = job.folder(options.out)
    done = (here / "synthetic.csv").exists() and (here / "cost.json").exists()
    if options.report_only and not done and not (here / "failed.txt").exists():
        return vars(job) | {"missing": "not run"}
    return run.row(job, options.tables / job.table, how)


def outcome(row: Row) -> str:
    """What became of a job, in words."""
    return str(row.get("failed") or row.get("missing") or ("done" if row.get("scores") else "not judged"))


def cell(rows: list[Row], figure: Figure, digits: int) -> str:
    """Median and range."""
    values = [value for row in rows if (value := figure(row)) is not None]
    if not values:
        return "-"
    spread = f" [{min(values):.{digits}f}, {max(values):.{digits}f}]" if len(values) > 1 else ""
    return f"{median(values):.{digits}f}{spread}"


def reference_cells(row: Row) -> list[str]:
    """What real rows score."""
    real = row["scores"]["reference"]
    half = real["excess_tstr_of_a_half"]
    cells = ["1", f"{half['booster']['value']:.2f}", f"{half['logistic']['value']:.2f}", f"{real['shapes']['mean']:.3f}"]
    cells += [f"{real['pairs']['mean']:.3f}", f"{real['c2st']['auc']:.3f}", f"{real['missingness']['mean']:.3f}", "", ""]
    return ["*real rows*", "", *cells]


def grouped(rows: list[Row], table: str) -> dict[str, list[Row]]:
    """The judged rows of a table by synthesizer, in the order in which they were run."""
    good = [row for row in rows if row["table"] == table and row.get("scores")]
    return {name: [row for row in good if row["synthesizer"] == name] for name in dict.fromkeys(row["synthesizer"] for row in good)}


def section(table: str, rows: list[Row]) -> list[str]:
    """A table's figures, who leads, and what is missing."""
    groups = grouped(rows, table)
    out = [f"## {table}", ""]
    if groups:
        first = next(iter(groups.values()))[0]
        sizes, kinds = first["scores"]["rows"], first["scores"]["columns"]
        out += [f"{sizes['train']:,} train rows; {kinds['numbers']} numbers, {kinds['categories']} categories.", ""]
        ranked = sorted(groups, key=lambda name: -(median(FIGURES["pairs"][0](row) for row in groups[name])))
        lines = [["synthesizer", "seeds", *FIGURES], ["---"] * (2 + len(FIGURES))]
        lines += [
            [name, str(len(groups[name])), *(cell(groups[name], *how) for how in FIGURES.values())] for name in ranked
        ]
        out += ["| " + " | ".join(line) + " |" for line in [*lines, reference_cells(first)]] + [""]
        out += leads(groups)
    lost: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["table"] == table and not row.get("scores"):
            lost.setdefault((row["synthesizer"], outcome(row)), []).append(str(row["seed"]))
    out += [f"* no figure: {name}, seed {', '.join(seeds)}: {why}" for (name, why), seeds in lost.items()]
    return [*out, ""]


def same_on_holdout(ours: list[Row], theirs: list[Row], learner: str) -> bool:
    """Whether the middle seed of each lies in the other's interval over holdout rows."""
    middle = [
        sorted((row["scores"]["excess_tstr"][learner] for row in rows), key=lambda one: one["value"])[(len(rows) - 1) // 2]
        for rows in (ours, theirs)
    ]
    return all(
        one["interval"][0] <= other["value"] <= one["interval"][1] for one, other in (middle, middle[::-1])
    )


def lead(ours: list[Row], theirs: list[Row], name: str) -> str:
    """Whether every seed of ours is above every one of theirs, or the median alone, or neither."""
    figure = FIGURES[name][0]
    own, other = [figure(row) for row in ours], [figure(row) for row in theirs]
    if None in own or None in other:
        return "-"
    if name.startswith("excess TSTR") and same_on_holdout(ours, theirs, name.split()[-1]):
        return f"{median(own):.3f}, {median(other):.3f}: the holdout shows no difference"
    if min(own) > max(other):
        return "above"
    if max(own) < min(other):
        return "**below**"
    return f"ranges overlap, median {'above' if median(own) > median(other) else '**below**'}"


def leads(groups: dict[str, list[Row]]) -> list[str]:
    """Our `aim`, with and without a named target, beside each peer and our `independent`: the figures that were to be reached."""
    own = [name for name in groups if name.startswith("manikin:aim+epsilon") and "public" not in name]
    others = [name for name in groups if name.startswith(("dpmm:", "manikin:independent+"))]
    lines = []
    for mine in own:
        for other in others:
            seconds = [median(FIGURES["CPU s"][0](row) for row in groups[name]) for name in (mine, other)]
            told = [lead(groups[mine], groups[other], name) for name in CLAIMED]
            n = f" ({len(groups[other])} seed)" if len(groups[other]) == 1 else ""
            lines.append([mine, other + n, *told, f"{seconds[0] / seconds[1]:.2f}"])
    if not lines:
        return []
    head = [["ours", "against", *CLAIMED, "its CPU s over theirs"], ["---"] * (3 + len(CLAIMED))]
    return ["| " + " | ".join(line) + " |" for line in [*head, *lines]] + [""]


def page(record: dict) -> str:
    """The whole page."""
    rows = record["rows"]
    out = ["<!-- generated by benchmarks/dp_compare.py; do not edit -->", f"# Private generators at epsilon {record['epsilon']:g}", ""]
    machine = ", ".join(f"{name}: {value}" for name, value in record["machine"].items())
    out += [f"{record['date']}. Machine: {machine}; shared with other work.", "", "```sh", record["command"], "```", "", LEGEND, ""]
    for table in dict.fromkeys(row["table"] for row in rows):
        out += section(table, rows)
    out += ["## Versions and notes", ""]
    for name in dict.fromkeys(row["synthesizer"] for row in rows):
        costs = [row["cost"] for row in rows if row["synthesizer"] == name and "cost" in row]
        if costs:
            versions = ", ".join(f"{package} {version}" for package, version in costs[-1]["versions"].items())
            said = dict.fromkeys(note.split(":")[0] if note.startswith("rounded") else note for cost in costs for note in cost["notes"])
            out.append(f"* **{name}**: {versions}." + "".join(f" {note[0].upper()}{note[1:]}." for note in said))
    return "\n".join([*out, ""])


def distances(table: str, synthesizer: str, options: argparse.Namespace) -> dict[str, float]:
    """Distance to train of each column and of each pair, medians over the seeds that are there."""
    found: dict[str, list[float]] = {}
    folder = options.tables / table
    for seed in options.seeds:
        path = run.Job(table, synthesizer, seed).folder(options.out) / "synthetic.csv"
        if not path.exists():
            continue
        given = tables.load(folder / "train.csv", folder / "test.csv", path, (folder / "target.txt").read_text().strip())
        for column, shape in fidelity.column_shapes(given, given.synthetic).items():
            found.setdefault(column, []).append(1 - shape)
        for pair, distance in fidelity.pair_distances(given, given.synthetic).items():
            found.setdefault(" x ".join(pair), []).append(distance)
    return {name: median(values) for name, values in found.items()}


def where(options: argparse.Namespace, most: int = 25) -> None:
    """Prints the columns, then the pairs, in which the second synthesizer is nearer to train than the first."""
    table, first, second = options.where
    one, two = (distances(table, name, options) for name in (first, second))
    if not one or not two:
        raise SystemExit(f"There are no synthetic files of {first if not one else second} on {table} below {options.out}.")
    for kind, names in (("columns", [n for n in one if " x " not in n]), ("pairs", [n for n in one if " x " in n])):
        print(f"\n{kind}, distance to train: {first} {_mean(one, names):.4f}, {second} {_mean(two, names):.4f} in the mean;")
        print(f"the largest leads of {second}:")
        for name in sorted(names, key=lambda name: two[name] - one[name])[:most]:
            print(f"  {name:55s} {one[name]:.4f}  {two[name]:.4f}  {two[name] - one[name]:+.4f}")


def _mean(values: dict[str, float], names: list[str]) -> float:
    return sum(values[name] for name in names) / len(names)


def main() -> None:
    """Runs the jobs, writes the JSON after each, and the page."""
    options = parse()
    if options.where:
        where(options)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.results or HERE / "results" / f"dp-epsilon{options.epsilon:g}.json"
    record = {
        "date": str(date.today()),
        "command": "python benchmarks/dp_compare.py --tables TABLES --peers-env PEERS --out RESULTS",
        "epsilon": options.epsilon,
        "machine": run.machine(),
        "rows": [],
    }
    for job in jobs(options):
        record["rows"].append(row_of(job, options))
        print(job.table, job.synthesizer, job.seed, outcome(record["rows"][-1]), flush=True)
        results.write_text(json.dumps(record, indent=1) + "\n")
    (options.page or HERE / "PRIVATE.md").write_text(page(record))


if __name__ == "__main__":
    main()
