"""The options of the main job as one value, checked before anything is read. Knows no typer and no table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from manikin.data.errors import ParameterError, parameter_error
from manikin.workflow.learn import AUTO, Limits, check_hyperparameters, check_name, check_privacy, settings_of

FORMATS = ("csv", "parquet")  # of tables; images have those of the registry
MAX_SETS = 100
FEWEST_SHADOWS, MOST_SHADOWS = 4, 256
FEWEST_CANARIES, MOST_CANARIES = 50, 2_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What decides a synthetic table, besides the data and their schema; see `manikin synthesize --help`.

    Attributes
    ----------
    target, time, event : the columns that a model would predict, of the follow-up time and of the event; the schema's when None.
    public : columns whose list of values is declared public knowledge, so that rare values are released too.
    epsilon, delta : the privacy budget of each patient; without delta it follows from the number of patients that is bought.
    rows_per_patient : rows of one patient that count at most under a budget; the others are left out at random.
    budget : the budget file that the run spends from as well, shared with other releases of the same patients.
    analyses : regressions to run on real and synthetic rows, as formulas.
    rows : synthetic rows, of linked tables patients; as many as were learned from when None.
    format : of the synthetic tables, csv or parquet; when None csv for a flat table, and each file's own for linked tables. Of images a
        format of `manikin list formats` that writes them (images, npz, …); when None the one that they came in.
    holdout : "COLUMN=VALUE", the rows that are held out for judging, such as an official split; a fifth of the patients when None.
    sets : synthetic tables, drawn independently of each other from the one model.
    shadow_models : how often the generator is learned anew for the attack with shadow models; 0 leaves that attack out.
    audit_canaries : made-up patients with whom the privacy budget is audited, by learning twice more; 0 leaves the audit out.
    hyperparameters : of the synthesizer that is named; a text stands for a list where one is asked for, its items apart by commas.
    """

    synthesizer: str = AUTO
    rows: int | None = None
    target: str | None = None
    time: str | None = None
    event: str | None = None
    epsilon: float | None = None
    delta: float | None = None
    rows_per_patient: int = 1
    budget: str | Path | None = None
    time_budget_seconds: float | None = None
    max_steps: int | None = None
    seed: int = 0
    format: str | None = None
    public: tuple[str, ...] = ()
    analyses: tuple[str, ...] = ()
    sets: int = 1
    holdout: str | None = None
    shadow_models: int = 0
    audit_canaries: int = 0
    hyperparameters: Mapping[str, Any] | None = None

    def check(self, command: str = "synthesize") -> None:
        """Refuses what is outside its domain; messages name the command.

        Raises
        ------
        ParameterError : names the option and its domain.
        """
        check_name(self.synthesizer)
        needs = {
            "--rows-per-patient": self.rows_per_patient != 1,
            "--budget": self.budget is not None,
            "--audit-canaries": self.audit_canaries != 0,
        }
        check_privacy(self.synthesizer, self.epsilon, self.delta, command=command, needs=needs)
        if self.epsilon is not None and self.public:
            raise ParameterError(
                "--public takes the list of values from the data, which must be paid for under --epsilon. Write the public list into "
                'schema.toml instead: levels = [...] with source = "declared".'
            )
        if type(self.rows_per_patient) is not int or self.rows_per_patient < 1:
            raise parameter_error("rows_per_patient", command, "a whole number above 0", self.rows_per_patient)
        known = (*FORMATS, *image_formats())
        if self.format is not None and self.format not in known:
            raise parameter_error("format", command, f"one of {', '.join(known)}", self.format)
        if self.holdout is not None and self.epsilon is not None:
            raise ParameterError("--holdout does not go with --epsilon, where a keyed hash decides who is held out. Leave one of them out.")
        if self.rows is not None and self.rows < 1:
            raise parameter_error("rows", command, "a whole number above 0", self.rows)
        if self.max_steps is not None and self.max_steps < 1:
            raise parameter_error("max_steps", command, "a whole number above 0", self.max_steps)
        if self.time_budget_seconds is not None and not self.time_budget_seconds > 0:
            raise parameter_error("time_budget_seconds", command, "a number of seconds above 0", self.time_budget_seconds)
        if not 1 <= self.sets <= MAX_SETS:
            raise parameter_error("sets", command, f"a whole number from 1 to {MAX_SETS}", self.sets)
        self._check_audits(command)
        if self.seed < 0:
            raise parameter_error("seed", command, "a whole number, 0 or above", self.seed)
        for option, what, wished in (("public", "column names", self.public), ("analyses", "formulas", self.analyses)):
            texts: Any = wished  # a text is a sequence of texts too
            if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
                raise ParameterError(f"The {option!r} option of {command} must be a tuple of {what}.")
        check_hyperparameters(self.synthesizer, self.hyperparameters)

    def _check_audits(self, command: str) -> None:
        of_audits = ("shadow_models", FEWEST_SHADOWS, MOST_SHADOWS), ("audit_canaries", FEWEST_CANARIES, MOST_CANARIES)
        for option, fewest, most in of_audits:
            n = getattr(self, option)
            if n and not fewest <= n <= most:
                raise parameter_error(option, command, f"0, or a whole number from {fewest} to {most}", n)

    @property
    def of_columns(self) -> dict[str, Any]:
        """What is said of columns, as `as_wished` takes it."""
        return {"target": self.target, "time": self.time, "event": self.event, "public": self.public}

    @property
    def limits(self) -> Limits:
        """What bounds learning."""
        return Limits(self.time_budget_seconds, self.max_steps)

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values, for the manifest."""
        lists = {"public": list(self.public), "analyses": list(self.analyses)}
        book = None if self.budget is None else Path(self.budget).name  # a manifest names files, never folders of the machine
        return {**asdict(self), **lists, "budget": book, "hyperparameters": self.settings or None}

    @property
    def settings(self) -> dict[str, Any]:
        """The hyperparameters as the synthesizer takes them; empty for none."""
        return settings_of(self.synthesizer, self.hyperparameters)

    def changed(self) -> list[str]:
        """Names of the options that differ from their defaults."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


def image_formats() -> tuple[str, ...]:
    """The names of the formats that images are written in."""
    from manikin.io.formats import FORMATS as REGISTRY

    return tuple(name for name, entry in REGISTRY.items() if entry.modality == "images")


def check_format(name: str | None, modality: str) -> None:
    """Refuses a format of tables for images, and the other way round.

    Raises
    ------
    ParameterError : names those that fit.
    """
    fit = image_formats() if modality == "images" else FORMATS
    if name is not None and name not in fit:
        what = "images" if modality == "images" else "tables"
        raise ParameterError(f"--format {name} is no format of {what}. Choose one of {', '.join(fit)}.")


def options_from_json(values: dict[str, Any], where: Path) -> Options:
    """Options from a manifest.

    Raises
    ------
    ParameterError : the manifest holds an option that this version does not know.
    """
    known = {field.name for field in fields(Options)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ParameterError(f"{where} holds options that this version of Manikin does not know: {', '.join(unknown)}.")
    lists = {name: tuple(values.get(name, ())) for name in ("public", "analyses")}
    return Options(**{**values, **lists})
