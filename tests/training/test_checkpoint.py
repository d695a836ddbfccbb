"""Whatever a crash or a hand did to a checkpoint, it is refused in one sentence; a whole one comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from manikin.data.errors import ModelFolderError
from manikin.training.checkpoint import read_checkpoint, write_checkpoint

DAMAGE = {
    "state.json": [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000],
    "state.safetensors": [b"", b"\x00" * 64, (1 << 40).to_bytes(8, "little"), b"\x80\x04pickle?" * 9],
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "checkpoint", {"step": 7}, {"weight": torch.arange(6.0)})
    return tmp_path / "checkpoint"


def test_a_whole_checkpoint_comes_back_and_none_is_none(checkpoint: Path, tmp_path: Path) -> None:
    found = read_checkpoint(checkpoint)
    assert found is not None
    values, tensors = found
    assert values == {"step": 7}
    assert torch.equal(tensors["weight"], torch.arange(6.0))
    assert read_checkpoint(tmp_path / "nothing") is None


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, contents in DAMAGE.items() for content in contents])
def test_damage_of_any_kind_is_refused(checkpoint: Path, name: str, content: bytes) -> None:
    (checkpoint / name).write_bytes(content)
    with pytest.raises(ModelFolderError, match=r"is damaged\. Remove that folder"):
        read_checkpoint(checkpoint)
