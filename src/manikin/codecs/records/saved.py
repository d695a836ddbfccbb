"""The saved state of a records codec: what it is made of, and what it must look like before a codec is built from it. Knows no model.

A model folder may be damaged or forged. Whatever its config says of a table must fit the schema in it and the arrays that are really
there; nothing is repaired, and messages name tables, columns and arrays, never cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from io import BytesIO
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.by_code import NumberByCode
from manikin.codecs.records.clock import MOST_DECIMALS, Clock
from manikin.codecs.records.event_codec import EventCodec
from manikin.codecs.records.plan import (
    EventPlan,
    FreshKey,
    Link,
    Moment,
    RecordsPlan,
    StaticColumn,
    Told,
    learned_columns,
    links_of,
)
from manikin.codecs.records.together import Together
from manikin.codecs.records.told import KINDS, LISTED
from manikin.codecs.saved_state import MOST_TOKENS, NATIVES
from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Table
from manikin.data.errors import InputError, ModelFolderError
from manikin.data.schema import Form, Schema, TableSchema

Arrays = Mapping[str, npt.NDArray[Any]]
LARGEST = 2**53
HOW = {"span": ("round", "floor", "dates"), "before": ("", LISTED)}  # columns are told
_TEXT, _FLAG, _WHOLE = (str,), (bool,), (int,)
_TYPES: dict[type, dict[str, tuple[type, ...]]] = {
    Clock: {"is_calendar": _FLAG, "decimals": _WHOLE, "anchor_unit": _WHOLE, "days_per_tick": (float, int)},
    Link: {
        **dict.fromkeys(("parent", "name"), _TEXT),
        **dict.fromkeys(("is_row", "has_none", "is_unique", "is_within", "ends_within"), _FLAG),
        **dict.fromkeys(("number", "via", "of"), _WHOLE),
    },
    Moment: {"name": _TEXT, "unit": _WHOLE, "shift": _WHOLE, "typical": _WHOLE, "since": _TEXT, "is_after": _FLAG},
    Told: {**dict.fromkeys(("column", "kind", "how"), _TEXT), **dict.fromkeys(("link", "first", "unit"), _WHOLE)},
    FreshKey: {"table": _TEXT, "column": _TEXT, "base": _WHOLE, "stride": _WHOLE},
    EventPlan: {
        "name": _TEXT, "start": (str, type(None)), "unit": _WHOLE,
        **dict.fromkeys(("has_before", "is_distinct", "is_single", "rounds_up", "outlives", "is_disjoint", "is_final"), _FLAG),
        "coarse": _WHOLE, "on_coarse": (float, int),
    },
    StaticColumn: {"table": _TEXT, "column": _TEXT, "name": _TEXT, "is_code": _FLAG},
    RecordsPlan: {"has_anchor": _FLAG, "bound": _TEXT},
}


def plan_to_json(plan: RecordsPlan) -> dict[str, Any]:
    """A plan as JSON values."""
    return asdict(plan)


def plan_from_json(values: Any, schema: Schema) -> RecordsPlan:
    """The plan as saved.

    Raises
    ------
    ModelFolderError : it is not of the schema.
    """
    of = _facts(RecordsPlan, values)
    clock = Clock(**_facts(Clock, of["clock"]))
    if not 0 <= clock.decimals <= MOST_DECIMALS or not clock.anchor_unit > 0 or not 0 < clock.days_per_tick < np.inf:
        _refuse("its clock is none")
    events = tuple(_event(own, schema, clock) for own in _list(of["events"]))
    plan = RecordsPlan(
        clock,
        events,
        tuple(_static(own, schema) for own in _list(of["static"])),
        _texts(of["everybodys"]),
        _texts(of["presences"]),
        tuple(_key(own, schema) for own in _list(of["keys"])),
        of["has_anchor"],
        of["bound"],
        _texts(of["bounds"]),
        _texts(of["deaths"]),
    )
    if {plan.bound, *plan.bounds, *plan.deaths} - {"", *(own.name for own in plan.static)}:
        _refuse("its bound is no static column")
    if any(own.moment is None for own in plan.static if own.name in {*plan.bounds, *plan.deaths}):
        _refuse("a date of death is none")
    if {*plan.everybodys, *plan.presences} - {table.name for table in schema.tables}:
        _refuse("it names tables that the schema does not have")
    if len({own.name for own in events}) < len(events):
        _refuse("it names a table of events twice")
    for own in events:
        for link in own.links:
            through = [other for other in own.links if other.number == link.via and other.is_row]
            theirs = [] if not through else [n for n, parent in links_of(schema[through[0].parent], schema) if parent.name == link.parent]
            if link.via >= 0 and link.of not in theirs:
                _refuse(f"links of table {own.name!r} do not lead through one another")
        for told in (told for told in own.told if told.kind == "parent"):
            parent = next((one for one in events for link in own.links if link.number == told.link and one.name == link.parent), None)
            if parent is None or told.of[0] not in {parent.start, *(moment.name for moment in parent.moments)}:
                _refuse(f"a time of table {own.name!r} is none of the rows that it refers to")
        if any(link.is_row != (plan.place(link.parent) >= 0) for link in own.links):
            _refuse(f"links of table {own.name!r} lead to no table of events")
    return plan


def _event(values: Any, schema: Schema, clock: Clock) -> EventPlan:
    of = _facts(EventPlan, values)
    table = _table(of["name"], schema)
    moments = tuple(_moment(own, clock) for own in _list(of["moments"]))
    links = tuple(Link(**_facts(Link, own)) for own in _list(of["links"]))
    by = tuple(_texts(pair) for pair in _list(of["by"]))
    rest = {name: _texts(of[name]) for name in ("codes", "moved", "counters")}
    told = tuple(_told(own, [link.number for link in links if link.is_row]) for own in _list(of["told"]))
    named = {moment.name for moment in moments} | {name for pair in by for name in pair} | {n for names in rest.values() for n in names}
    named |= {name for one in told for name in (one.column, *(one.of if one.kind != "parent" else ()))}
    parents = {link.number: link.parent for link in links}
    for one in told:
        if one.kind == "parent" and (one.link not in parents or one.of[0] not in _table(parents[one.link], schema)):
            _refuse(f"a time of table {table.name!r} is none of the rows that it refers to")
        if one.column not in table or one.unit >= LARGEST:
            _refuse(f"a column that others say is none of table {table.name!r}")
    if (named | {of["start"]}) - {*table.names, None}:
        _refuse(f"it names columns that table {table.name!r} does not have")
    if not of["unit"] > 0 or clock.anchor_unit % of["unit"]:
        _refuse(f"the unit of table {table.name!r} is none")
    if not 0 <= of["on_coarse"] <= 1 or of["coarse"] < 0:
        _refuse(f"the times of table {table.name!r} lie on no grid")
    allowed = {number: parent.name for number, parent in links_of(table, schema)}
    if [(link.number, link.parent) for link in links] != list(allowed.items()):
        _refuse(f"links of table {table.name!r} are not its foreign keys")
    if any(len(pair) != 2 for pair in by) or any(moment.since not in {"", *(m.name for m in moments)} for moment in moments):
        _refuse(f"columns of table {table.name!r} rest on none of it")
    first = _list(of["counts_from"])
    if len(first) != len(rest["counters"]) or any(number not in (0, 1) for number in first):
        _refuse(f"the counters of table {table.name!r} start nowhere")
    pairs = tuple((number, code) for number, code in by)
    plan = EventPlan(**{**of, **rest, "moments": moments, "links": links, "by": pairs, "counts_from": tuple(first), "told": told})
    _check_told(plan, table, schema, clock)
    return plan


def _check_told(plan: EventPlan, table: TableSchema, schema: Schema, clock: Clock) -> None:
    """Refuses columns that others say which rest on what is not there yet when they are worked out, or on cells of another kind."""
    times = {plan.start, *(moment.name for moment in plan.moments)}
    said = {told.column for told in plan.told if not told.has_field}
    learned = {column.name for column in learned_columns(table, schema, set(plan.codes))}
    there = (learned | times) - said - set(plan.counters)
    if said & {plan.start, *times, *plan.codes, *plan.counters, *plan.moved, *(name for pair in plan.by for name in pair)}:
        _refuse(f"a column that others say is learned in table {table.name!r}")
    for told in (told for told in plan.told if told.kind != "unlinked"):
        kind, of = table[told.column].kind, [table[name].kind for name in told.of if told.kind != "parent"]
        if told.column not in learned or (told.kind != "parent" and not there >= set(told.of)):
            _refuse(f"a column that others say rests on none of table {table.name!r}")
        if (told.column in there) != told.has_field:
            _refuse(f"a column of table {table.name!r} is said twice")
        is_of = {
            "span": kind.is_number and all(one.is_time if clock.is_calendar else one.is_number for one in of),
            "number": kind.is_number,
            "place": kind.is_discrete,
            "after": kind.is_time and all(one.is_time for one in of),
            "before": all((one.is_discrete, one.is_number) == (kind.is_discrete, kind.is_number) for one in of)
            and not kind.is_time
            and (kind.is_discrete or told.how != LISTED),
            "parent": kind.is_time,
        }
        if not is_of.get(told.kind, True):
            _refuse(f"a column that others say is of another kind in table {table.name!r}")
        there.add(told.column)


def _static(values: Any, schema: Schema) -> StaticColumn:
    of = _facts(StaticColumn, values)
    if of["column"] not in _table(of["table"], schema):
        _refuse("a static column is not in the schema")
    moment = None if of["moment"] is None else Moment(**_facts(Moment, of["moment"]))
    if moment is not None and moment.unit <= 0:
        _refuse("the unit of a static time is none")
    return StaticColumn(**{**of, "moment": moment})


def _told(values: Any, links: list[int]) -> Told:
    of = _facts(Told, values)
    told = Told(**{**of, "of": _texts(of["of"]), "says": _texts(of["says"])})
    n_says = len(told.says) if told.how == LISTED else 4 if told.kind == "place" else 0
    if len(told.says) != n_says or (told.kind == "unlinked" and told.first not in links):
        _refuse("a column that others say says nothing")
    if told.kind not in KINDS or len(told.of) != KINDS[told.kind] or told.link not in (-1, *links):
        _refuse("a column that others say rests on none of them")
    if told.unit <= 0 or (told.kind != "unlinked" and told.first not in (0, 1)) or told.how not in HOW.get(told.kind, ("",)):
        _refuse("a column that others say is of no unit")
    return told


def _moment(values: Any, clock: Clock) -> Moment:
    moment = Moment(**_facts(Moment, values))
    if moment.unit <= 0 or clock.anchor_unit % moment.unit:
        _refuse("the unit of a time is none")
    return moment


def _key(values: Any, schema: Schema) -> FreshKey:
    key = FreshKey(**_facts(FreshKey, values))
    if key.column not in _table(key.table, schema) or not 0 <= key.base < LARGEST or not 1 <= key.stride < LARGEST:
        _refuse("a key is made of nothing")
    return key


def number_state(codec: NumberByCode, prefix: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """A number by a code as JSON values and named arrays."""
    values, arrays = codec.state()
    return values, {f"{prefix}{name}": array for name, array in arrays.items()}


def number_from_state(values: Any, arrays: Arrays, n_codes: int, n_missing: int, where: str) -> NumberByCode:
    """The number by a code as saved.

    Raises
    ------
    ModelFolderError : its arrays do not fit each other, its code field or its column.
    """
    sizes = values if isinstance(values, dict) else {}
    n_ranks = sizes.get("n_ranks")
    if set(sizes) != {"n_missing", "n_ranks"} or sizes["n_missing"] != n_missing or type(n_ranks) is not int:
        _refuse(f"the numbers of {where} have no vocabulary")
    if not 1 <= n_ranks <= MOST_TOKENS:
        _refuse(f"the numbers of {where} have no vocabulary")
    names = {"scale": np.int64, "low": np.float64, "high": np.float64, "count": np.int64, "first": np.int64, "step": np.float64}
    for name, kind in (names | {"seen": np.uint8}).items():
        if name not in arrays or arrays[name].dtype != kind:
            _refuse(f"the array {name!r} of {where} is missing or of another kind")
    if set(arrays) != {*names, "seen"}:
        _refuse(f"an array of {where} is left over")
    first, n_cells = arrays["first"], len(arrays["low"])
    n_scales = len(first)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("low", "high", "count"), (n_cells,))
    shapes |= {"scale": (n_codes,), "step": (n_scales,)}
    shapes |= {"first": (n_scales, n_ranks + 1), "seen": (n_codes, n_missing + n_ranks)}
    if n_scales < 1 or any(arrays[name].shape != shape for name, shape in shapes.items()):
        _refuse(f"the arrays of {where} are not of one size")
    edges = first.ravel()
    if edges[0] != 0 or edges[-1] != n_cells or (np.diff(edges) < 0).any() or (first[1:, 0] != first[:-1, -1]).any():
        _refuse(f"the cells of {where} are out of order")
    bad = ~np.isfinite(arrays["low"]) | ~np.isfinite(arrays["high"]) | (arrays["low"] > arrays["high"]) | (arrays["count"] < 0)
    step = arrays["step"]
    if bad.any() or not ((step > 0) & np.isfinite(step)).all():
        _refuse(f"the cells of {where} are no intervals")
    if (arrays["scale"] < 0).any() or (arrays["scale"] >= n_scales).any() or arrays["seen"].max(initial=0) > 1:
        _refuse(f"the scales of {where} are none of its own")
    return NumberByCode.from_state(dict(sizes), dict(arrays))


def together_from_state(values: Any, arrays: Arrays, codec: EventCodec) -> tuple[Together, ...]:
    """What the fields of a table never show together, as saved.

    Raises
    ------
    ModelFolderError : a pair is none of its fields, or its array has not their sizes.
    """
    sizes = [len(codec.emitted(field)) for field in range(codec.n_fields)]
    pairs = [_list(pair) for pair in _list(values)]
    if set(arrays) != {str(k) for k in range(len(pairs))}:
        _refuse(f"the fields that table {codec.plan.name!r} never shows together are not told")
    out = []
    for k, pair in enumerate(pairs):
        if len(pair) != 2 or any(type(place) is not int for place in pair) or not 0 <= pair[0] < pair[1] < len(sizes):
            _refuse(f"fields that table {codec.plan.name!r} never shows together are none of its own")
        shape, packed = (sizes[pair[0]], sizes[pair[1]]), arrays[str(k)]
        if packed.dtype != np.uint8 or packed.shape != (-(-shape[0] * shape[1] // 8),):
            _refuse(f"what table {codec.plan.name!r} never shows together is not of its fields' sizes")
        out.append(Together(pair[0], pair[1], np.unpackbits(packed, count=shape[0] * shape[1]).astype(bool).reshape(shape)))
    return tuple(out)


def reference_bytes(table: Table, schema: TableSchema) -> npt.NDArray[np.uint8]:
    """A table of nobody as the bytes of a CSV file, uint8."""
    return np.frombuffer(texts_of(table, schema).to_csv(index=False).encode("utf-8", "surrogatepass"), dtype=np.uint8)


def reference_from_bytes(array: npt.NDArray[Any] | None, schema: TableSchema) -> Table:
    """The table of nobody as saved.

    Raises
    ------
    ModelFolderError : the array is missing, or no table of this schema.
    """
    if array is None or array.dtype != np.uint8 or array.ndim != 1:
        _refuse(f"the rows of table {schema.name!r} are missing")
    try:
        texts = pd.read_csv(BytesIO(array.tobytes()), dtype=str, keep_default_na=False, na_values=[])
        return parse_table(texts.astype(object), schema, where=f"Table {schema.name!r} of the model folder")
    except (ValueError, InputError) as error:
        raise ModelFolderError(f"The rows of table {schema.name!r} in the model folder cannot be read. Save the model again.") from error


def check_head(values: Mapping[str, Any]) -> None:
    """Refuses sizes and kinds that no codec has.

    Raises
    ------
    ModelFolderError : names what is wrong.
    """
    for name in ("max_tokens", "max_codes", "max_ranks"):
        if type(values.get(name)) is not int or not 1 <= values[name] <= MOST_TOKENS:
            _refuse(f"{name!r} is no size")
    if values.get("native") not in NATIVES or not isinstance(values.get("events"), list):
        _refuse("'native' or 'events' is none that a codec has")


def check_flat(made: TableSchema, wanted: TableSchema) -> None:
    """Refuses a flat codec whose columns are not those that the plan makes of its table.

    Raises
    ------
    ModelFolderError : names the table.
    """
    theirs = [(c.name, c.kind, len(c.missing)) for c in made.learned]
    if theirs != [(c.name, c.kind, len(c.missing)) for c in wanted.learned]:
        empty = [(name, kind) for name, kind, _ in theirs] == [(c.name, c.kind) for c in wanted.learned]
        at_most_one_more = empty and all(0 <= n - len(c.missing) <= 1 for (_, _, n), c in zip(theirs, wanted.learned, strict=True))
        if not at_most_one_more:  # a column without anything to release has an empty cell of its own
            _refuse(f"the fields of table {wanted.name!r} are not those of its columns")


def part(arrays: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names begin so, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def check_prefixes(arrays: Arrays, prefixes: list[str]) -> None:
    """Refuses arrays that belong to nothing.

    Raises
    ------
    ModelFolderError : names the first of them.
    """
    for name in sorted(arrays):
        if not any(name.startswith(prefix) for prefix in prefixes):
            _refuse(f"the array {name[:60]!r} is left over")


def _facts(kind: type, values: Any) -> dict[str, Any]:
    """The fields of a dataclass, each there and of its type."""
    names = {own.name for own in fields(kind)}
    if not isinstance(values, dict) or set(values) != names:
        _refuse(f"a {kind.__name__} has not its facts")
    for name, types in _TYPES[kind].items():
        if type(values[name]) not in types or (type(values[name]) is int and abs(values[name]) > 2**62):
            _refuse(f"{name!r} of a {kind.__name__} is not of its type")
    return dict(values)


def _table(name: str, schema: Schema) -> TableSchema:
    if name not in {table.name for table in schema.tables if table.form is not Form.REFERENCE}:
        _refuse("it names a table that the schema does not have")
    return schema[name]


def _list(values: Any) -> list[Any]:
    if not isinstance(values, list | tuple):
        _refuse("a list is none")
    return list(values)


def _texts(values: Any) -> tuple[str, ...]:
    if any(type(text) is not str for text in _list(values)):
        _refuse("names are no texts")
    return tuple(values)


def _refuse(why: str) -> NoReturn:
    raise ModelFolderError(f"The plan of the linked tables in the model folder contradicts itself: {why}. Save the model again.")
