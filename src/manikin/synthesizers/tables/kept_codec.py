"""What a private run bought before training, kept in its checkpoint, so that a killed run does not buy it again. Knows no model."""

from __future__ import annotations

import json

import numpy as np
import torch

from manikin.codecs.table import TableCodec
from manikin.synthesizers.base import Arrays
from manikin.training.checkpoint import read_checkpoint
from manikin.training.control import Control
from manikin.training.objective import Tensors


def kept_codec(control: Control) -> TableCodec | None:
    """The codec that a killed run had bought, from its checkpoint; None where there is none."""
    found = read_checkpoint(control.checkpoint) if control.checkpoint else None
    if found is None or "extra.codec" not in found[1]:
        return None
    values = json.loads(found[1]["extra.codec"].numpy().tobytes())
    prefix = "extra.codec."
    arrays: Arrays = {name.removeprefix(prefix): one.numpy() for name, one in found[1].items() if name.startswith(prefix)}
    return TableCodec.from_state(values, arrays)


def as_tensors(codec: TableCodec) -> Tensors:
    """The codec as an objective's state holds it."""
    values, arrays = codec.state()
    text = np.frombuffer(json.dumps(values).encode(), dtype=np.uint8).copy()
    return {"codec": torch.from_numpy(text), **{f"codec.{name}": torch.from_numpy(one) for name, one in arrays.items()}}
