"""The papers of a trade-off study: tidy points over seeds, study.csv, and what must be said with them. Knows no generator and runs none."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from manikin.data.dataset import Dataset
from manikin.report.nouns import throughout
from manikin.workflow.places import Place
from manikin.workflow.stages import Stages
from manikin.workflow.study.advice import advise, limits_of, percent
from manikin.workflow.study.record import head_of

UNPROTECTED = (
    "Every point has a ledger of its own, but no ledger covers the study: its figures come from the patients without protection, and an "
    "epsilon chosen by them is chosen by looking at the patients. Do not publish the curve. Whoever releases with an epsilon or a "
    "generator chosen here must count it as tuning on private data, which the release's ledger does not hold. The clean way is to run the "
    "study on public data, or on older data of the same kind, and to take from it what to use on the patients of today."
)
COLUMNS = ("synthesizer", "epsilon", "delta", "seed", "figure", "value", "low", "high", "reference", "ceiling")


def papers(
    partial: Path,
    source: Place,
    patients: Dataset,
    options: Mapping[str, Any],
    trials: Sequence[Mapping[str, Any]],
    stages: Stages,
    *,
    target: str | None,
    holdout: float,
) -> dict[str, Any]:
    """Writes study.csv into the folder and gives the document of study.json."""
    from manikin.evaluation.studies.tradeoff import FIGURES

    write_csv(trials, partial / "study.csv")
    broken = broken_ceilings(trials)
    points = points_of(trials)
    measure = next((trial["measure"] for trial in trials if trial.get("measure")), None)
    for text in broken.values():
        stages.warn(text)
    head = head_of("tradeoff", source, patients, options, stages)
    noun, power = head["data"]["unit"], power_sentence(points)
    advised = advise(points, measure, broken=[name for name, _ in broken])
    return head | {
        "unprotected": UNPROTECTED,
        "question": {"target": target, "measure": measure},
        "design": {"seeds": options["seeds"], "holdout": holdout, "rows_per_patient": options["rows_per_patient"]},
        "figures": {name: {"title": one.title, "side": one.side, "better": one.better} for name, one in FIGURES.items()},
        "limits": limits_of(),
        "advice": [_of_patients(use) for use in advised] if noun == "patients" else advised,
        "power": throughout(power, noun),
        "points": points,
        "trials": list(trials),
    }


def _of_patients(use: Mapping[str, Any]) -> dict[str, Any]:
    """What is advised for one use, in words of linked patients: a row of the summary that figures look at is a patient."""
    lines = [{**line, "text": throughout(line["text"], "patients")} for line in use["lines"]]
    return {**use, "rule": throughout(use["rule"], "patients"), "lines": lines}


def points_of(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per generator, epsilon and figure: its summary over seeds; membership has the budget's `ceiling` beside it."""
    from manikin.evaluation.studies.tradeoff import FIGURES, summary

    lines = []
    for key in dict.fromkeys((trial["synthesizer"], trial["epsilon"]) for trial in trials):
        own = [trial for trial in trials if (trial["synthesizer"], trial["epsilon"]) == key]
        good = [trial for trial in own if "failed" not in trial]
        for figure in FIGURES:
            found = [trial["figures"][figure] for trial in good]
            references = [one["reference"] for one in found if one["reference"] is not None]
            line = {"synthesizer": key[0], "epsilon": key[1], "figure": figure, **summary(figure, found)}
            line |= {"reference": round(median(references), 6) if references else None, "n_failed": len(own) - len(good)}
            if figure == "membership" and good:
                line["ceiling"] = round(max(ceiling_of(trial) for trial in good), 6)
            lines.append(line)
    return lines


def ceiling_of(trial: Mapping[str, Any]) -> float:
    """The most that an attack can reach under the budget of a fit; 1 without one."""
    from manikin.evaluation.studies.tradeoff import ceiling

    ledger = trial.get("ledger")
    return 1.0 if ledger is None else ceiling(float(trial["epsilon"]), ledger["delta"])


def broken_ceilings(trials: Sequence[Mapping[str, Any]]) -> dict[tuple[str, float], str]:
    """A sentence for each generator and budget that an attack went beyond: a guarantee that does not hold."""
    from manikin.evaluation.studies.tradeoff import breaks_ceiling

    said = {}
    good = [trial for trial in trials if trial.get("ledger") is not None]
    for name, epsilon in dict.fromkeys((trial["synthesizer"], trial["epsilon"]) for trial in good):
        own = [trial for trial in good if (trial["synthesizer"], trial["epsilon"]) == (name, epsilon)]
        ceilings = [ceiling_of(trial) for trial in own]
        if breaks_ceiling([trial["figures"]["membership"] for trial in own], ceilings):
            chance = " One seed misses so by chance once in 40 times: run more." if len(own) == 1 else " Do not use it; please report it."
            said[name, epsilon] = (
                f"{name} at epsilon {epsilon:g}: the membership attack went beyond {percent(max(ceilings))}, which the budget does not "
                f"allow, on {'its seed' if len(own) == 1 else f'all {len(own)} seeds'}.{chance}"
            )
    return said


def power_sentence(points: Sequence[Mapping[str, Any]]) -> str:
    """What the attack finds where it must find: in the train rows themselves."""
    real = next((one for one in points if one["synthesizer"] == "real" and one["figure"] == "membership"), None)
    if real is None or real["median"] is None:
        return "The membership attack could not be tried on the train rows themselves, so that what it does not find says nothing."
    low, high = real["interval"]
    said = f"Of train rows released as they are the membership attack names {percent(real['median'])} [{percent(low)}, {percent(high)}]"
    if low <= 0.1:
        return f"{said}: it has little power on this table, and that it finds nothing in a release says little."
    return f"{said}: it finds people where they are."


def write_csv(trials: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One line per generator, epsilon, seed and figure; a fit that failed has no line."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for trial in trials:
            delta = (trial.get("ledger") or {}).get("delta", "")
            for name, figure in trial.get("figures", {}).items():
                if figure["value"] is None:
                    continue
                low, high = figure["interval"] or ("", "")
                reference = "" if figure["reference"] is None else figure["reference"]
                most = round(ceiling_of(trial), 6) if name == "membership" else ""
                head = (trial["synthesizer"], trial["epsilon"], delta, trial["seed"])
                writer.writerow((*head, name, figure["value"], low, high, reference, most))
