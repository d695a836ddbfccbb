"""Policies: what must hold before a release may leave, as data in TOML. Knows no table and no figure.

A check names a measure (`manikin.release.measures`), a limit and where the limit comes from; a step is what only a person can answer.
Every threshold says whether a regulator, the literature or a convention stands behind it.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from manikin.data.errors import ParameterError
from manikin.release.catalogue import entry_of, suggestion
from manikin.release.questions import QUESTIONS, STEPS

BUILT_IN = ("internal", "partners", "open")
MAX_BYTES = 1 << 20
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Style = Literal["percent", "number", "count"]
Limit = Annotated[float, Field(strict=True, allow_inf_nan=False)]  # "0.05", true, inf and nan are no limits
Count = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Grounds(_Part):
    """Where a threshold comes from."""

    rationale: Text
    source: Text
    kind: Literal["regulator", "literature", "convention"]


class Targets(_Grounds):
    """How many targets must have been attacked before a figure counts as evidence."""

    at_least: Annotated[Count, Field(ge=1)]


class Waiver(_Grounds):
    """A second, wider limit that holds when a person has answered for it; `step` is the name of that answer."""

    at_most: Limit
    step: Name


class Check(_Grounds):
    """One limit on one measure.

    Attributes
    ----------
    measure : the name of a metric or attack, one of its details ("copies.excess"), or a measure made for policies ("epsilon"), as
        `manikin list measures` names them. A check counts for the data that its measure is of and is passed over for others.
    at_most, at_least : the limit; neither where the figure is only shown.
    exact : the figure is a count of everything, so that no interval is needed.
    needed : whether a figure that was not measured is missing evidence; else it is listed as not assessed.
    control : the attack must have found the near-copies that were planted to test it (its positive control).
    flag : of a figure that is only shown: on which side of its reference, surely, it is a red flag.
    or_label : a label that the release bears instead when the check does not pass.
    """

    name: Name
    measure: str
    title: Text
    at_most: Limit | None = None
    at_least: Limit | None = None
    style: Style = "percent"
    exact: Switch = False
    needed: Switch = True
    targets: Targets | None = None
    control: Switch = False
    waiver: Waiver | None = None
    flag: Literal["above", "below"] | None = None
    or_label: str = ""
    change: str = ""

    @property
    def limit(self) -> float | None:
        """The limit, None where the figure is only shown."""
        return self.at_most if self.at_most is not None else self.at_least

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.at_most is not None and self.at_least is not None:
            raise ValueError("a check has at_most or at_least, not both")
        named = entry_of(self.measure)
        if named is None:
            raise ValueError(f"'measure' names {self.measure!r}, which nothing measures; {suggestion(self.measure)}")
        if self.waiver is not None and (self.at_most is None or self.waiver.at_most <= self.at_most):
            raise ValueError("a waiver needs at_most, and is wider than it")
        if self.limit is None and (self.targets is not None or self.or_label or self.exact or self.control):
            raise ValueError("targets, control, or_label and exact belong to a limit: give at_most or at_least")
        if self.limit is not None and self.flag is not None:
            raise ValueError("flag belongs to a figure that is only shown, and this one has a limit")
        if self.exact and named.is_sampled and "." not in self.measure:
            raise ValueError(f"{self.measure!r} is measured on a sample of people and has an interval: it cannot be exact")
        if self.or_label and named.is_sampled and "." not in self.measure:
            raise ValueError(f"no label makes good what an attacker found: {self.measure!r} passes or it does not")
        return self


class Step(_Grounds):
    """What only a person can answer: an approval, a purpose, a legal basis."""

    name: Name
    title: Text
    needed: Switch = True


class Policy(_Part):
    """What must hold before a release may leave, to whom it may go, and for how long."""

    name: Name
    version: Annotated[Count, Field(ge=1)]
    title: Text
    recipients: Text
    expires_after_days: Annotated[Count, Field(ge=1, le=36_525)]
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]
    steps: tuple[Step, ...] = ()
    answers: dict[str, str] = {}

    @property
    def label(self) -> str:
        """Its name with its version, as "partners v1"."""
        return f"{self.name} v{self.version}"

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [*(check.name for check in self.checks), *(step.name for step in self.steps)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is the name of two checks or steps")
        for check in self.checks:
            if check.waiver is not None and check.waiver.step not in names:
                raise ValueError(f"the waiver of {check.name!r} names the step {check.waiver.step!r}, which is not in the policy")
        known = {*QUESTIONS, *STEPS, *(step.name for step in self.steps)}
        strange = sorted(set(self.answers) - known)
        if strange:
            raise ValueError(f"'answers' holds {strange[0]!r}, which is neither a step of the policy nor a question of the card")
        return self


def load_policy(policy: str | Path) -> Policy:
    """A built-in policy by its name, or one from a .toml file.

    Raises
    ------
    ParameterError : no such policy or file, or one that breaks a rule; the message names the key.

    Examples
    --------
    >>> load_policy("partners").label
    'partners v1'
    """
    if str(policy) in BUILT_IN:
        text = resources.files("manikin.release").joinpath("policies", f"{policy}.toml").read_text(encoding="utf-8")
        return parse_policy(text, f"The policy {policy}")
    path = Path(policy)
    if path.suffix != ".toml":
        raise ParameterError(f"There is no policy {str(policy)!r}. Use {', '.join(BUILT_IN)}, or the path of a .toml file.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParameterError(f"{path} is larger than a policy can be. Give the .toml file of a policy.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ParameterError(f"{path} cannot be read. Give the path of a policy, or one of {', '.join(BUILT_IN)}.") from None
    found = parse_policy(text, str(path))
    if found.name in BUILT_IN:
        raise ParameterError(
            f"{path} calls itself {found.name!r}, which is the name of a policy of Manikin: a release would claim that one. Rename it."
        )
    return found


def parse_policy(text: str, where: str) -> Policy:
    """A policy from its text.

    Raises
    ------
    ParameterError : the text is not TOML or breaks a rule; the message names the key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{where} is not valid TOML: {error}.") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of thousands of lists
        raise ParameterError(f"{where} cannot be read as TOML. Give the .toml file of a policy.") from None
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = re.sub(r"^Value error, ", "", first["msg"])
        raise ParameterError(f"{where} cannot be used as a policy: {_place(first['loc'], document)}{message}. Correct it.") from None


def _place(location: tuple[int | str, ...], document: dict[str, Any]) -> str:
    """Which key of which check, in words: "check 'membership', key 'at_most': "."""
    if not location:
        return ""
    parts = list(map(str, location))
    if parts[0] in ("checks", "steps") and len(location) > 1 and isinstance(location[1], int):
        entry = document[parts[0]][location[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        what = f"{parts[0][:-1]} {name!r}" if isinstance(name, str) else f"{parts[0][:-1]} {location[1] + 1}"
        return f"{what}, key {'.'.join(parts[2:])!r}: " if len(parts) > 2 else f"{what}: "
    return f"key {'.'.join(parts)!r}: "
