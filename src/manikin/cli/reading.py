"""Commands in which people look at images: turing with its report and plan, annotate with its review and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table

if TYPE_CHECKING:
    from manikin.workflow.reading.room import Room

Host = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="The address to serve on; others than 127.0.0.1 open the page to the network.")
]
Port = Annotated[int, typer.Option("--port", metavar="N", help="The port; 0 takes any free one.")]
Prepare = Annotated[bool, typer.Option("--prepare", help="Only write the folder; do not serve the page yet.")]


class DefaultGroup(TyperGroup):
    """A group whose first command is meant where none is named: `manikin turing --real A …` is `manikin turing read --real A …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the name in where it is left out."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


turing = typer.Typer(cls=DefaultGroup, no_args_is_help=True, help="A blinded visual Turing test, on a page of this computer.")


@turing.command("read")
def read(
    images: Annotated[
        Path | None,
        typer.Argument(metavar="[IMAGES]", help="A run folder of synthesize, or a test to go on with.", show_default=False),
    ] = None,
    real: Annotated[Path | None, typer.Option("--real", metavar="A", help="The folder of real images.")] = None,
    synthetic: Annotated[Path | None, typer.Option("--synthetic", metavar="B", help="The folder of synthetic ones.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="The folder of the test.")] = None,
    n_images: Annotated[
        int | None, typer.Option("--images", metavar="N", help="How many are shown, half of them synthetic; 60 where there are as many.")
    ] = None,
    repeats: Annotated[float, typer.Option("--repeats", metavar="SHARE", help="The share that each reader sees twice.")] = 0.2,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COL", help="The column of labels.csv to balance by; found without it.")
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", metavar="M", help="Around 50 %: accuracies in it count as not telling.")
    ] = 0.1,
    reason: Annotated[
        list[str] | None, typer.Option("--reason", metavar="TEXT", help="What readers may tick instead of the usual list; repeated.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8484,
    prepare: Prepare = False,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Can readers tell synthetic images from real ones? Prepares a blinded, balanced test and serves its page until Ctrl-C.

    The same command goes on with a test that was begun. Readers need no account: a pseudonym lets them go on where they were.

    Example:

        manikin turing --real real --synthetic synthetic -o test

        manikin turing run --real real -o test

        manikin turing test
    """
    from manikin.workflow.turing import begin, sides

    run = images if synthetic is None and real is not None else None
    real, synthetic, out = sides(images, real=real, synthetic=synthetic, out=out)
    begun = begin(
        out,
        real=real,
        synthetic=synthetic,
        run=run,
        images=n_images,
        repeats=repeats,
        label=label,
        margin=margin,
        reasons=reason or (),
        seed=seed,
        force=force,
    )
    shown = len(begun.document["images"])
    if as_json:
        say_json({"out": out, "images": shown, "resumed": begun.is_resumed, "notices": list(begun.document["notices"])})
    else:
        for notice in begun.notices:
            say(notice)
        say(f"{out}: {shown} images, half of them synthetic. {begun.document['internal']}")
    if prepare:
        begun.room.close()
        return
    host_page(begun.room, host, port, as_json=as_json, after=f"manikin turing report {out}")


@turing.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a test.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="The folder to write; DIR/report without it.")] = None,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """What the answers so far prove: report.html, results.json and answers.csv. Can be made while readers still read.

    Example:

        manikin turing report test
    """
    from manikin.report.turing import headline
    from manikin.workflow.turing import report as run

    document, files = run(folder, out=out, force=force)
    if as_json:
        say_json({"files": files, **document})
        return
    for text in headline(document):
        say(text)
    for purpose, path in files.items():
        say(f"  {purpose:<8} {path}")


@turing.command()
def plan(
    margin: Annotated[float, typer.Option("--margin", metavar="M", help="Around 50 %.")] = 0.1,
    power: Annotated[float, typer.Option("--power", metavar="P", help="How likely it shall be that guessing readers pass.")] = 0.8,
    reader_sd: Annotated[
        float, typer.Option("--reader-sd", metavar="SD", help="How much readers' true accuracies differ (an assumption).")
    ] = 0.03,
    as_json: opt.Json = False,
) -> None:
    """How many images must be read to show that readers cannot tell, by the number of readers.

    Example:

        manikin turing plan --margin 0.1
    """
    from manikin.workflow.turing import planned

    found = planned(margin=margin, power=power, reader_sd=reader_sd)
    if as_json:
        say_json({"margin": margin, "power": power, "reader_sd": reader_sd, "plan": found})
        return
    say_table(
        ("readers", "images for each"),
        [(str(one["readers"]), "too few readers" if one["images"] is None else str(one["images"])) for one in found],
    )
    say("\nOne reader: for her alone. Several: for readers like them, and images like these.")


annotate = typer.Typer(cls=DefaultGroup, no_args_is_help=True, help="Labels for images: by a classifier, by people where it is unsure.")


@annotate.command("auto")
def auto(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="The images to label.", show_default=False)],
    labelled: Annotated[
        Path, typer.Option("--with", metavar="REAL", help="Real images with labels, to learn from.", show_default=False)
    ],
    out: opt.OutFolder,
    label: Annotated[str | None, typer.Option("--label", metavar="COL", help="The column of labels; found without it.")] = None,
    threshold: Annotated[float, typer.Option("--threshold", metavar="P", help="Confidence from which a label is certain.")] = 0.9,
    audit: Annotated[int, typer.Option("--audit", metavar="N", help="Certain ones that people are shown as well, at random.")] = 50,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Labels synthetic (or any) images by a classifier that learns from real ones; what it is unsure of waits for people.

    Example:

        manikin annotate synthetic --with real -o labels

        manikin annotate review labels

        manikin annotate report labels
    """
    from manikin.workflow.annotate import annotate as run

    document = run(images, labelled=labelled, out=out, label=label, threshold=threshold, audit=audit, seed=seed, force=force)
    queued = [row["queue"] for row in document["images"]]
    held = document["held_out"]
    low, high = held["interval"]
    if as_json:
        counts = {name: queued.count(name) for name in ("uncertain", "audit")}
        say_json({"out": out, "images": len(queued), "queued": counts, "held_out": held, "notices": document["notices"]})
        return
    for notice in document["notices"]:
        say(notice)
    certain = len(queued) - queued.count("uncertain")
    say(f"{len(queued)} images: {certain} labelled with certainty, {queued.count('uncertain')} wait for people,")
    say(f"with {queued.count('audit')} certain ones drawn at random.")
    say(f"On {held['n']} held-out real images: {100 * held['accuracy']:.1f} % right (95 % interval {100 * low:.1f} to {100 * high:.1f} %).")
    say(f"  labels   {out / 'labels.csv'}\n  next     manikin annotate review {out}")


@annotate.command()
def review(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What annotate wrote.", show_default=False)],
    host: Host = "127.0.0.1",
    port: Port = 8484,
    as_json: opt.Json = False,
) -> None:
    """Serves the page on which people label what is queued, until Ctrl-C; the uncertain and the sampled ones look alike.

    Example:

        manikin annotate review labels
    """
    from manikin.workflow.annotate import review as run

    host_page(run(folder), host, port, as_json=as_json, after=f"manikin annotate report {folder}")


@annotate.command("report")
def report_labels(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What annotate wrote.", show_default=False)],
    as_json: opt.Json = False,
) -> None:
    """Takes people's answers into labels.csv, and says how often they agree with the classifier; can be made at any time.

    Example:

        manikin annotate report labels
    """
    from manikin.report.annotation import headline
    from manikin.workflow.annotate import report as run

    document, files = run(folder)
    if as_json:
        say_json({"files": files, **document})
        return
    for text in headline(document):
        say(text)
    for purpose, path in files.items():
        say(f"  {purpose:<8} {path}")


def host_page(room: Room, host: str, port: int, *, as_json: bool, after: str) -> None:
    """Serves a room until Ctrl-C; says where, and how far readers are at the end."""
    from manikin.web.serving import is_local, serve

    def ready(url: str) -> None:
        """Tells the address."""
        if as_json:
            say_json({"url": url})
        else:
            say(f"\nOpen in a browser: {url}")
            say("The address is the key: give it to readers only. Ctrl-C ends; answers are stored as they are made.")
            if not is_local(host):
                say("Whoever can reach this computer sees images of real patients by that address, unencrypted.")
        import sys

        sys.stdout.flush()

    serve(room, host=host, port=port, ready=ready)
    if as_json:
        return
    for name, (done, total) in room.progress().items():
        say(f"  {name}: {done} of {total} read")
    say(f"Stopped. The same command goes on; what was found: {after}")
