"""The command line: `manikin`. Caps threads before anything heavy is imported, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from manikin.cli.failures import guarded


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 the job failed, 2 the input or the command line is wrong, 130 interrupted."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # a library's warning may quote what it warns of; ours are notices
    sys.exit(guarded(list(sys.argv[1:] if arguments is None else arguments)))
