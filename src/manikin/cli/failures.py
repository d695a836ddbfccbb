"""The process edge: every error becomes one or two sentences on stderr and an exit code, never a traceback, never a cell of a table."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from types import FrameType

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
STOP = "Interrupted: nothing was written; run the same command again to resume."
PRIVATE_STOP = (
    "Interrupted: nothing was released, and what was spent of the privacy budget stays spent. Run the same command again: it goes on "
    "with what is left, or says that it cannot."
)
DEBUG = "MANIKIN_DEBUG"


def guarded(arguments: list[str]) -> int:
    """Runs the command line and returns the exit code; see the codes of `manikin.cli.main`."""
    from manikin.data.errors import InputError, ManikinError
    from manikin.workflow.threads import cap_threads

    as_json = "--json" in arguments
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        cap_threads()
        return _run(arguments)
    except KeyboardInterrupt:
        return _fail(PRIVATE_STOP if "--epsilon" in " ".join(arguments).replace("=", " ").split() else STOP, INTERRUPTED, as_json)
    except ManikinError as error:
        _debug()
        return _fail(str(error), WRONG_INPUT if isinstance(error, InputError) else FAILED, as_json)
    except MemoryError:
        _debug()
        return _fail("There was not enough memory. Use fewer rows or columns, or a machine with more memory.", FAILED, as_json)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        _debug()
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"The system refused: {error.strerror or type(error).__name__}{where}. Nothing was written.", FAILED, as_json)
    except Exception as error:  # the edge: a message may hold a cell of a table, so only the type is said
        _debug()
        kind = type(error).__name__
        message = f"The job failed unexpectedly ({kind}); nothing was written. Set {DEBUG}=1 to see where, and report it."
        return _fail(message, FAILED, as_json)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: list[str]) -> int:
    import typer

    from manikin.cli.app import app

    usage_error: type[Exception] = typer.BadParameter.__mro__[1]  # UsageError, which typer does not export
    try:
        code = app(args=arguments or ["--help"], prog_name="manikin", standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except usage_error as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "manikin"
        message = str(getattr(error, "format_message", lambda: "The command line is wrong")()).rstrip(".")
        return _fail(f"{message}. See {command} --help.", WRONG_INPUT, "--json" in arguments)
    if code == INTERRUPTED:  # typer catches Ctrl-C itself
        raise KeyboardInterrupt
    return code if isinstance(code, int) else DONE


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _debug() -> None:
    if os.environ.get(DEBUG) == "1":
        traceback.print_exc()


def _fail(message: str, code: int, as_json: bool) -> int:
    sys.stderr.write(f"manikin: {message}\n")
    if as_json:
        sys.stdout.write(json.dumps({"error": message, "exit_code": code}) + "\n")
    return code
