"""manifest.json: hashes, versions, costs; read back and refused when it is none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from manikin.data.errors import ParameterError
from manikin.release.energy import estimate_energy
from manikin.release.manifest import (
    Choice,
    Cost,
    Manifest,
    hash_file,
    hash_folder,
    platform_words,
    read_manifest,
    version_changes,
    versions,
    write_manifest,
)


def manifest(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "made_by": "manikin 0.1.0",
        "command": "synthesize",
        "options": {"seed": 3},
        "seed": 3,
        "schema_sha256": "a" * 64,
        "data_sha256": "b" * 64,
        "cost": Cost(cpu_seconds=1.0, wall_seconds=2.0),
        "synthesizer": Choice(name="forest", reasons=("it is the only candidate.",)),
    }
    return Manifest.model_validate(values | changes)


def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = manifest(rows={"train": 10}, versions=versions(), platform=platform_words())
    write_manifest(written, tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json") == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "not json at all", "\x00\x01"])
def test_what_is_no_manifest_is_refused_without_its_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ParameterError, match="is not a manifest of this version") as caught:
        read_manifest(path)
    assert "not json at all" not in str(caught.value)


def test_an_unknown_field_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest().model_dump(mode="json") | {"surprise": 1}))
    with pytest.raises(ParameterError, match="surprise"):
        read_manifest(path)


def test_a_missing_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="There is no manifest"):
        read_manifest(tmp_path / "none.json")


def test_hashes_are_those_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_bytes(b"{}")
    (tmp_path / "a.csv").write_bytes(b"x" * 3_000_000)
    (tmp_path / "manifest.json").write_bytes(b"")
    found = hash_folder(tmp_path, leave_out=("manifest.json",))
    assert [file.name for file in found] == ["a.csv", "model/config.json"]
    assert found[0].sha256 == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert found[0].n_bytes == 3_000_000
    assert hash_file(tmp_path / "a.csv", name="data").name == "data"


def test_versions_are_compared_with_those_installed_now() -> None:
    then = versions()
    assert {"python", "numpy", "manikin", "torch"} <= set(then)
    assert version_changes(then) == []
    assert version_changes(then | {"numpy": "0.0.1"}) == [f"numpy 0.0.1 then, {then['numpy']} now"]


def test_the_platform_is_told_in_general_words() -> None:
    import socket

    assert set(platform_words()) == {"system", "machine", "python"}
    assert socket.gethostname() not in platform_words().values()


def test_energy_follows_its_stated_formula() -> None:
    # one hour on one core: 12 W x 1.67; one hour of 10 GB: 3.725 W x 1.67
    assert estimate_energy(cpu_seconds=3600, wall_seconds=0).watt_hours == pytest.approx(20.04)
    assert estimate_energy(cpu_seconds=0, wall_seconds=3600, memory_gb=10).watt_hours == pytest.approx(6.2208, abs=1e-4)
    assert "12 W per busy core" in estimate_energy(cpu_seconds=1, wall_seconds=1).assumption
