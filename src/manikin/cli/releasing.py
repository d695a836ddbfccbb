"""Commands of the gate: keygen, release, verify, label."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json

if TYPE_CHECKING:
    from manikin.workflow.release import Released

PASSPHRASE = "MANIKIN_KEY_PASSPHRASE"
MOST_NAMES = 40  # files that are listed
WIDEST = 110  # characters of a line that is still read with ease


def keygen(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The private key to write; the public one is KEY.pub.", show_default=False)],
    protect: Annotated[bool, typer.Option("--protect", help=f"Seal it with a passphrase, asked for or from {PASSPHRASE}.")] = False,
    as_json: opt.Json = False,
) -> None:
    """Make the key pair that releases are signed with. Nothing is ever overwritten.

    Example:

        manikin keygen publisher.key
    """
    from manikin.workflow.receive import keygen as run

    passphrase = os.environ.get(PASSPHRASE) or (_asked(confirm=True) if protect else None)
    made = run(key, passphrase=passphrase)
    if as_json:
        say_json({"private": made.private, "public": made.public, "fingerprint": made.fingerprint, "sealed": passphrase is not None})
        return
    sealed = "sealed with a passphrase" if passphrase else "not sealed: whoever can read it can sign"
    say(f"private key  {made.private} ({sealed})")
    say(f"public key   {made.public} (give it to those who receive releases)")
    say(f"fingerprint  {made.fingerprint}")


def release(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `synthesize` or `evaluate` wrote.", show_default=False)],
    policy: Annotated[
        str, typer.Option("--policy", metavar="POLICY", help="internal, partners, open, or a .toml file.", show_default=False)
    ],
    key: Annotated[Path, typer.Option("--key", metavar="KEY", help="The private key to sign with.", show_default=False)],
    out: opt.OutFolder,
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="FILE", help="What people answer, as a .toml file of NAME = 'TEXT'.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="NAME=TEXT", help="One answer, such as intended_use='teaching'; may be repeated."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="YYYY-MM-DD", help="Last day of use; what the policy allows by default.")
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="csv or parquet; of images images, npz, dicom, nifti. As they came by default."),
    ] = None,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Let a synthetic table, patients or images out, if a policy is passed: a signed folder, or the reasons why not and exit code 1.

    Example:

        manikin release evidence --policy partners --key publisher.key --answers answers.toml -o release
    """
    from manikin.workflow.receive import needs_passphrase
    from manikin.workflow.release import release as run

    passphrase = (os.environ.get(PASSPHRASE) or _asked()) if needs_passphrase(key) else None
    made = run(
        folder,
        policy=policy,
        key=key,
        out=out,
        passphrase=passphrase,
        answers=answers,
        answered=_pairs(answer or ()),
        expires=_day(expires),
        file_format=file_format,
        force=force,
    )
    if as_json:
        say_json({"decision": made.decision.to_json(), "out": made.out, "files": made.files, "notices": list(made.notices)})
    else:
        _say(made)
    if made.out is None:
        raise typer.Exit(1)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="RELEASE", help="The folder that was received.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", metavar="PUBLIC", help="The publisher's public key.", show_default=False)],
    as_json: opt.Json = False,
) -> None:
    """Check a release that arrived: signature, every file, date. Needs the folder and the publisher's public key, nothing else.

    Example:

        manikin verify release --key publisher.key.pub
    """
    from manikin.workflow.receive import verify as run

    found = run(folder, key=key)
    if as_json:
        say_json({"verified": True, "files": list(found.files), "key": found.key, **found.predicate})
        return
    signed = found.predicate
    say(f"{signed.get('title')}: {len(found.files)} files, whole and signed by key {found.key[:16]}…")
    say(f"It {signed.get('statement')}.")
    for text in signed.get("labels") or ():
        say(f"Label: {text}.")
    say(f"For: {signed.get('recipients')}. Meant for: {signed.get('intended_use') or 'not stated'}. Until: {signed.get('expires')}.")


def label(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table, an image, or a release folder.", show_default=False)],
    as_json: opt.Json = False,
) -> None:
    """Does this file say that it is synthetic? Exit code 0 if it does, 1 if not.

    Example:

        manikin label release
    """
    from manikin.workflow.receive import label as run

    found = run(file)
    if as_json:
        say_json({"synthetic": found.is_synthetic, "where": found.where})
    else:
        say(f"{'synthetic' if found.is_synthetic else 'not labelled as synthetic'}: {found.where}")
    if not found.is_synthetic:
        raise typer.Exit(1)


def _say(made: Released) -> None:
    decision = made.decision
    for verdict, title, reason, grounds in decision.lines:
        _say_wrapped(f"[{verdict}] {title}{'' if title.endswith('?') else '.'} {reason}")
        if grounds and verdict in ("fail", "insufficient evidence"):
            _say_wrapped(f"    Source of the limit: {grounds}.")
    say(f"\n{decision.statement[0].upper()}{decision.statement[1:]}.")
    if made.out is None:
        say("Nothing was written.")
        return
    for notice in made.notices:
        say(f"\n{notice}")
    say(f"\nThe release, public files only: {made.out}")
    for name in list(made.files)[:MOST_NAMES]:
        say(f"  {name}")
    if len(made.files) > MOST_NAMES:
        say(f"  and {len(made.files) - MOST_NAMES:,} more")


def _say_wrapped(text: str) -> None:
    """One line in a file or a pipe; on a terminal as wide as it is, what goes on is indented."""
    if not sys.stdout.isatty():
        say(text)
        return
    width = min(shutil.get_terminal_size().columns, WIDEST)
    for line in textwrap.wrap(text.replace(" %", "\u00a0%"), width, subsequent_indent="    ", break_on_hyphens=False):
        say(line)


def _pairs(texts: list[str] | tuple[str, ...]) -> dict[str, str]:
    from manikin.data.errors import ParameterError

    pairs = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            raise ParameterError("--answer takes NAME=TEXT, such as --answer intended_use='teaching'.")
        pairs[name.strip()] = value
    return pairs


def _day(text: str | None) -> date | None:
    from manikin.data.errors import ParameterError

    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise ParameterError("--expires takes a day as YYYY-MM-DD, such as 2027-12-31.") from None


def _asked(*, confirm: bool = False) -> str:
    from manikin.data.errors import ParameterError

    if not sys.stdin.isatty():
        what = "To seal a key takes a passphrase" if confirm else "The key is sealed"
        raise ParameterError(f"{what}, and nobody can be asked for it here. Set {PASSPHRASE}.")
    return str(typer.prompt("Passphrase of the key", hide_input=True, confirmation_prompt=confirm, err=True))
