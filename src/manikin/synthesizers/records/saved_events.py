"""The networks of a saved event transformer, checked before they are built. Knows sizes and names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch

from manikin.codecs.base import Field
from manikin.codecs.records.base import RecordsLayout
from manikin.data.errors import ModelFolderError
from manikin.synthesizers.base import Arrays
from manikin.synthesizers.records.plan import PlanFields
from manikin.synthesizers.records.plan_first import PlanFirst
from manikin.synthesizers.tables.saved_network import checked_networks, checked_shape, checked_widths
from manikin.training.networks.any_order import AnyOrderNet, TokenColumn
from manikin.training.networks.event_transformer import EventNet, EventShape, TableFields

MOST = {"width": 1024, "layers": 24, "heads": 64, "row_width": 1024, "dropout": 1}


def restored(values: dict[str, Any], parts: dict[str, Arrays], layout: RecordsLayout) -> tuple[PlanFields, AnyOrderNet, EventNet]:
    """The plan, the network of static columns and plans, and that of events.

    Raises
    ------
    ModelFolderError : the values and the arrays do not fit each other or the codec.
    """
    tables = _tables(values["tables"], layout)
    plan = PlanFields.from_state(values["plan"], parts["plan"])
    n_keys = sum(table.n_keys for table in tables)
    if plan.slots.n_static != len(layout.static.fields) or len(plan.slots.of_key) != n_keys:
        raise _refusal("the plan is not of the codec's fields")
    sizes = [(f.n_tokens, f.positions, f.values) for f in layout.static.fields]
    sizes += [(len(groups), *groups.scales()) for groups in plan.groups]
    widths = checked_widths(values["widths"], len(sizes))
    columns = [
        TokenColumn(n, positions, standard, np.zeros(n, dtype=np.float32), width)
        for (n, positions, standard), width in zip(sizes, widths, strict=True)
    ]
    shape = checked_shape(values["shape"]["patients"])
    own = {f"network0.{name}": array for name, array in parts["patients"].items()}
    in_order = [columns[j] for j in PlanFirst(plan.slots.n_static, len(columns)).order]
    patients = AnyOrderNet(in_order, shape, generator=torch.Generator())
    _load(patients, checked_networks(1, in_order, shape, own)[0])
    size = _shape(values["shape"]["events"], parts["events"])
    none = np.zeros(len(tables) + 1, dtype=np.float32)
    events = EventNet(columns, tables, plan.slots, none, size, generator=torch.Generator())
    _load(events, parts["events"])
    return plan, patients.eval(), events.eval()


def _tables(values: Any, layout: RecordsLayout) -> list[TableFields]:
    if not isinstance(values, list) or len(values) != len(layout.tables):
        raise _refusal("its tables are not those of the codec")
    out, first = [], 0
    for own, table in zip(values, layout.tables, strict=True):
        fields_ = table.layout.fields
        for name in ("key", "value"):
            if own[name] is not None and (type(own[name]) is not int or not 0 <= own[name] < len(fields_)):
                raise _refusal(f"{name!r} of a table is no field of it")
        widths = checked_widths(own["widths"], len(fields_))
        columns = tuple(_column(field, width) for field, width in zip(fields_, widths, strict=True))
        out.append(TableFields(columns, own["key"], own["value"], first))
        first += out[-1].n_keys
    return out


def _column(field: Field, width: int) -> TokenColumn:
    return TokenColumn(field.n_tokens, field.positions, field.values, np.zeros(field.n_tokens, dtype=np.float32), width)


def _shape(values: Any, arrays: Arrays) -> EventShape:
    """The size as saved; what it asks for is there."""
    if not isinstance(values, dict) or set(values) != {f.name for f in fields(EventShape)}:
        raise _refusal("'shape' does not have the parts that it must have")
    for name, most in MOST.items():
        kinds = (int, float) if name == "dropout" else (int,)
        if type(values[name]) not in kinds or not (0 if name == "dropout" else 1) <= values[name] <= most:
            raise _refusal(f"'shape.{name}' is not within its bounds")
    shape = EventShape(**values)
    if shape.width % (2 * shape.heads):
        raise _refusal("'shape.width' is no multiple of twice the heads")
    wanted = {f"blocks.{i}.qkv.weight": (3 * shape.width, shape.width) for i in range(shape.layers)}
    for name, size in wanted.items():
        if name not in arrays or arrays[name].shape != size:
            raise _refusal(f"the array {name!r} is missing or of another size")
    if arrays["row_embed"].shape[1:] != (shape.row_width,):
        raise _refusal("the array 'row_embed' is of another size")
    return shape


def _load(network: torch.nn.Module, arrays: Arrays) -> None:
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise _refusal(f"the array {name[:60]!r} has something else than finite numbers of type float32")
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})


def _refusal(why: str) -> ModelFolderError:
    return ModelFolderError(f"The weights of the model folder do not fit its config.json: {why}. Save the model again.")
