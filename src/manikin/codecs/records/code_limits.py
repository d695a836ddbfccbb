"""Which codes a patient's sex and age leave, over the tokens of a fitted codec. Pure numpy, knows no model.

Sex is a static column that says so by its name and levels; age is counted from a static date of birth, or from a static number of years
at the first event. Only columns of codes whose system the schema names are bound (`manikin.clinical.bound_codes`). A token of many ages or
times counts as its middle, so that near a limit a decoded age may lie on its other side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.clinical.bound_codes import DAYS_IN_YEAR, OLDEST, UNKNOWN, Limits, is_age, limits, sexes_of, system_of
from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.number_cells import Floats
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.records.event_codec import EventCodec
from manikin.codecs.records.plan import RecordsPlan
from manikin.codecs.table import TableCodec
from manikin.data.schema import Kind, Role, Schema

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CodeLimits:
    """What is bound.

    Attributes
    ----------
    fields : of (table, field in drawing order) who may have each token.
    sex_field, sex : the static field of the sex, -1 for none, and what each of its tokens says, int8 (n_tokens,).
    birth_field, birth : the static field of birth or age, -1 for none, and by token the days from birth to the anchor, NaN where unknown.
    """

    fields: dict[tuple[int, int], Limits]
    sex_field: int
    sex: npt.NDArray[np.int8]
    birth_field: int
    birth: Floats

    @property
    def are_any(self) -> bool:
        """Whether anything can be bound: there are such codes, and the sex or the age is known."""
        return bool(self.fields) and (self.sex_field >= 0 or self.birth_field >= 0)

    def of(self, static: Tokens) -> tuple[npt.NDArray[np.int8], Floats]:
        """Sex, int8 (n,), and days from birth to the anchor, float64 (n,), of patients by their static fields."""
        n = len(static)
        sex = self.sex[static[:, self.sex_field]] if self.sex_field >= 0 else np.full(n, UNKNOWN, dtype=np.int8)
        return sex, self.birth[static[:, self.birth_field]] if self.birth_field >= 0 else np.full(n, np.nan)

    def allowed(self, table: int, field: int, sex: npt.NDArray[np.int8], days: Floats) -> Allowed | None:
        """Which tokens of a field patients may have, bool (n, n_tokens); None where nothing is bound.

        Parameters
        ----------
        days : float64 (n,), since birth, NaN where unknown.
        """
        own = self.fields.get((table, field))
        return None if own is None else own.open_to(sex, days / DAYS_IN_YEAR)


NONE = CodeLimits({}, -1, np.zeros(0, dtype=np.int8), -1, np.zeros(0))


def code_limits(plan: RecordsPlan, schema: Schema, static: TableCodec | None, events: tuple[EventCodec, ...]) -> CodeLimits:
    """What sex and age bind in these tables."""
    fields: dict[tuple[int, int], Limits] = {}
    for t, codec in enumerate(events):
        columns = {column.name: column for column in schema[codec.plan.name]}
        for j, name in enumerate(codec.names):
            column = columns.get(name)
            own = codec.flat.fields_[int(codec.fields[j])] if codec.fields[j] >= 0 else None
            system = system_of(column.code_system) if column is not None and column.kind is Kind.CODE else None
            if system is not None and isinstance(own, LevelCodec):
                found = limits(system, _texts(own))
                if found.are_any:
                    fields[t, j] = found
    if static is None or not fields:
        return NONE
    sex_field, sex = _sex(static)
    birth_field, birth = _birth(plan, schema, static)
    return CodeLimits(fields, sex_field, sex, birth_field, birth)


def _texts(codec: LevelCodec) -> list[list[str]]:
    """What each token may be released as."""
    out: list[list[str]] = [[] for _ in range(codec.n_missing)]
    for i, level in enumerate(codec.levels):
        if i < codec.n_frequent or i in codec.released:
            out.append([level])
        else:
            out.append([codec.levels[k] for k in codec.siblings.get(i, ())])
    return out


def _sex(static: TableCodec) -> tuple[int, npt.NDArray[np.int8]]:
    for place, (field, own) in enumerate(zip(static.layout.fields, static.fields_, strict=True)):
        if isinstance(own, LevelCodec) and (found := sexes_of(field.column, own.levels)):
            return place, np.array([UNKNOWN] * own.n_missing + [found.get(level, UNKNOWN) for level in own.levels], dtype=np.int8)
    return -1, np.zeros(0, dtype=np.int8)


def _birth(plan: RecordsPlan, schema: Schema, static: TableCodec) -> tuple[int, Floats]:
    """Birth by its date, else the age at the first event."""
    names = static.layout.names
    for own in plan.static:
        codec = static.fields_[names.index(own.name)] if own.name in names else None
        if not isinstance(codec, NumberCodec) or not len(codec.low):
            continue
        column = schema[own.table][own.column]
        if own.moment is not None and column.has_role(Role.BIRTH) and not own.moment.since:
            days = -codec.middles() * own.moment.unit * plan.clock.days_per_tick
            gone = np.full(codec.n_missing, np.nan)
            if own.moment.shift:
                gone[min(max(len(column.missing), 1), codec.n_missing - 1)] = 90 * DAYS_IN_YEAR  # over 89, moved back by centuries
            return names.index(own.name), np.concatenate([gone, np.minimum(days, OLDEST * DAYS_IN_YEAR)])
    for own in plan.static:
        codec = static.fields_[names.index(own.name)] if own.name in names else None
        column = schema[own.table][own.column]
        if isinstance(codec, NumberCodec) and len(codec.low) and own.moment is None and is_age(column.name, column.unit):
            return names.index(own.name), np.concatenate([np.full(codec.n_missing, np.nan), codec.middles() * DAYS_IN_YEAR])
    return -1, np.zeros(0)
