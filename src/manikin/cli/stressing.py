"""The command that puts classifiers of images to the test: stress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table, watching

if TYPE_CHECKING:
    from manikin.workflow.stress import StressTest

PREPARE = "prepare"


def stress(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="model.onnx; or predictions.csv of prepared images; or the word `prepare`.",
            show_default=False,
        ),
    ],
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A folder of images with labels.csv; with predictions.csv the prepared folder.",
            show_default=False,
        ),
    ],
    out: opt.OutFolder,
    shifts: Annotated[
        list[str] | None,
        typer.Option(
            "--shifts", metavar="NAME[=S,S…]", help="A shift, with strengths of your own or its usual ones; may be repeated."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="COL", help="The label column.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="LABEL", help="A label, in the order of the model's answers; once for each."),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="COL", help="A column that makes groups; may be repeated. All that can without."),
    ] = None,
    measure: Annotated[
        str | None, typer.Option("--measure", metavar="M", help="auc or accuracy: what must not be lost. auc without it.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", metavar="T", help="How much may be lost. 0.05 without it.")
    ] = None,
    draws: Annotated[int | None, typer.Option("--draws", metavar="N", help="Bootstrap draws. 500 without it.")] = None,
    values: Annotated[
        str, typer.Option("--values", metavar="RANGE", help="Black and white to the model: 0..1, -1..1 or 0..255.")
    ] = "0..1",
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """How far a classifier of images falls under shifts of light, pose, quality, noise and scanner, and where it fails.

    Example:

        manikin stress model.onnx chests --tolerance 0.03 -o stress

        manikin stress prepare chests --shifts blur --shifts rotation=5,15 -o shifted

        manikin stress predictions.csv shifted -o stress
    """
    from manikin.workflow.stress import stress_files
    from manikin.workflow.stress_files import judge_predictions, prepare

    judged = {
        key: value for key, value in {"measure": measure, "tolerance": tolerance, "draws": draws}.items() if value is not None
    }
    wishes = {"labels": target, "shifts": shifts or (), "classes": classes or (), "groups": groups}
    with watching(as_json=as_json) as watcher:
        if model == PREPARE:
            n, files = prepare(images, out, seed=seed, force=force, watcher=watcher, **wishes, **judged)  # type: ignore[arg-type]
            if as_json:
                say_json({"out": out, "files": files, "images": n})
            else:
                say(f"{n:,} images; predict those of {files['list']}, then: manikin stress predictions.csv {out} -o DIR")
            return
        if Path(model).suffix.lower() == ".csv":
            found, files = judge_predictions(model, images, out, force=force, watcher=watcher, **judged)
        else:
            found, files = stress_files(
                model, images, out, force=force, watcher=watcher, values=values, seed=seed, **wishes, **judged
            )
    _tell(found, files, out, as_json=as_json)


def _tell(found: StressTest, files: dict[str, Path], out: object, *, as_json: bool) -> None:
    """What a stress test found: a row for each shift, and the files."""
    if as_json:
        say_json({"out": out, "files": files, "fails_at": {curve.shift: curve.fails_at for curve in found.curves}})
        return
    told = found.document["shifts"]
    name = found.document["measure"]
    rows = []
    for curve in found.curves:
        last, unit = curve.points[-1], told[curve.shift]["unit"]
        at = "holds" if curve.fails_at is None else f"fails at {curve.fails_at:g} {unit}"
        rows.append(
            (
                curve.shift,
                f"{getattr(curve.points[0], name).value:.3f}",
                f"{getattr(last, name).value:.3f}",
                f"{last.strength:g} {unit}",
                at,
            )
        )
    say_table(("shift", name, "shifted", "strongest", ""), rows)
    for purpose, path in files.items():
        say(f"  {purpose:<8} {path}")
