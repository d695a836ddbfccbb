"""Puts the fragments of changes/ into CHANGELOG.md under a version, and removes them.

    python tools/changelog.py                  # shows what the next version's entry would be
    python tools/changelog.py 0.2.0 2026-01-31 # writes it

A fragment is a file changes/<topic>.<kind>.md with one line; the kinds are those of Keep a Changelog.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
UNRELEASED = "## Unreleased\n\nSee the fragments in [changes/](changes/).\n"


def fragments(folder: Path) -> dict[str, list[str]]:
    """The lines of all fragments by kind, sorted by topic.

    Raises
    ------
    ValueError : a file's name has no known kind, or it is empty.
    """
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        parts = path.name.split(".")
        if len(parts) != 3 or parts[1] not in KINDS:
            raise ValueError(f"{path.name} is not named <topic>.<kind>.md with a kind of {', '.join(KINDS)}.")
        text = " ".join(path.read_text(encoding="utf-8").split())
        if not text:
            raise ValueError(f"{path.name} is empty.")
        found[parts[1]].append(text)
    return found


def entry(found: dict[str, list[str]]) -> str:
    """The Markdown of one version, without its heading."""
    parts = [f"### {kind.capitalize()}\n\n" + "".join(f"- {line}\n" for line in lines) for kind, lines in found.items() if lines]
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Shows or writes the next entry; returns the exit code."""
    text = entry(fragments(ROOT / "changes"))
    if not arguments:
        print(text or "There are no fragments in changes/.")
        return 0
    if len(arguments) != 2 or not text:
        print("Usage: python tools/changelog.py VERSION DATE, with fragments in changes/.", file=sys.stderr)
        return 2
    path = ROOT / "CHANGELOG.md"
    before, mark, after = path.read_text(encoding="utf-8").partition(UNRELEASED)
    if not mark:
        print("CHANGELOG.md has lost its Unreleased section.", file=sys.stderr)
        return 1
    version, date = arguments
    path.write_text(f"{before}{UNRELEASED}\n## {version} ({date})\n\n{text}{after}", encoding="utf-8")
    for fragment in (ROOT / "changes").glob("*.md"):
        if fragment.name != "README.md":
            fragment.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
