"""Every error that Manikin raises on purpose; none of them ever holds a patient's value, only names, counts and positions.

ManikinError
├── InputError                what was given cannot be used as it is            (exit code 2)
│   ├── DataError             a data file or frame
│   ├── SchemaError           a schema file, or a schema that does not fit the data
│   ├── ModelFolderError      a saved model that is foreign, damaged or tampered with
│   └── ParameterError        an argument of a function or command (also a ValueError)
├── MissingExtraError         an optional package is not installed (also an ImportError)
└── JobError                  the input was fine and the job failed              (exit code 1)
    ├── FitError              a generator could not learn
    ├── BudgetError           a privacy or time budget does not allow what was asked
    └── GateError             a check refused
"""

from __future__ import annotations


class ManikinError(Exception):
    """Base of all errors raised on purpose. The message is one or two sentences: what is wrong, and the way out."""


class InputError(ManikinError):
    """What was given cannot be used as it is; the command line exits with 2."""


class DataError(InputError):
    """A data file or a frame cannot be used; the message names file, column and row number."""


class SchemaError(InputError):
    """A schema file is wrong, or does not fit the data."""


class ModelFolderError(InputError):
    """A saved model is foreign, damaged or was tampered with."""


class ParameterError(InputError, ValueError):
    """An argument is outside its domain."""


class MissingExtraError(ManikinError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""


class JobError(ManikinError):
    """The input was fine and the job failed; the command line exits with 1."""


class FitError(JobError):
    """A generator could not learn from these data."""


class BudgetError(JobError):
    """A privacy or time budget does not allow what was asked."""


class GateError(JobError):
    """A check refused, with its reasons."""


def parameter_error(name: str, owner: str, must: str, got: object, way_out: str = "") -> ParameterError:
    """The one phrase for a wrong argument: "The 'n' parameter of CTGAN.sample must be an int in [1, inf). Got 0 instead."

    Parameters
    ----------
    name, owner : the parameter and the function, class or command it belongs to.
    must : the domain, in words that continue "must be".
    got : what was given; never pass a cell of a patient's table here.
    way_out : an optional second sentence.
    """
    text = f"The {name!r} parameter of {owner} must be {must}. Got {got!r} instead."
    return ParameterError(f"{text} {way_out}".strip())
