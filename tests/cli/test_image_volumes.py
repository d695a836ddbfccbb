"""Volumes on the command line: NIfTI goes in, a generator that takes volumes learns them, NIfTI comes out with their spacing and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from manikin.cli.app import app

nibabel = pytest.importorskip("nibabel")
TINY: dict[str, list[str]] = {
    "ddpm": ["channels=[8]", "sampling_steps=2"],
    "latent_ddpm": ["width=8", "channels=[8]", "sampling_steps=2", "halvings=1", "coder_share=0.5"],
}


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut from a volume that nibabel ships, in a scanner's values; half of them with a bright spot."""
    folder = tmp_path_factory.mktemp("volumes") / "heads"
    folder.mkdir()
    whole = nibabel.load(Path(nibabel.__file__).parent / "tests" / "data" / "anatomical.nii")
    values = np.asarray(whole.dataobj)
    rng = np.random.default_rng(0)
    lines = ["file,spot"]
    for i in range(24):
        at = [int(rng.integers(0, length - side + 1)) for length, side in zip(values.shape, (8, 6, 7), strict=True)]
        part = values[at[0] : at[0] + 8, at[1] : at[1] + 6, at[2] : at[2] + 7].astype(np.int16)
        if i % 2:
            part[3:5, 2:4, 2:4] = 30_000
        nibabel.save(nibabel.Nifti1Image(part, whole.affine), folder / f"head{i:02d}.nii.gz")
        lines.append(f"head{i:02d}.nii.gz,{'yes' if i % 2 else 'no'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("name", TINY)
def test_nifti_goes_in_and_comes_out(name: str, heads: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        told = CliRunner().invoke(app, list(arguments))
        assert told.exit_code == 0, told.output or told.exception
        return told

    settings = [part for text in TINY[name] for part in ("--set", text)]
    run("fit", str(heads), "--synthesizer", name, "--max-steps", "2", *settings, "-o", str(tmp_path / "model"))
    run("sample", str(tmp_path / "model"), "-n", "3", "--where", "spot=yes", "-o", str(tmp_path / "made"))
    files = sorted((tmp_path / "made").glob("*.nii*"))
    assert len(files) == 3
    real = nibabel.load(heads / "head00.nii.gz")
    for file in files:
        made = nibabel.load(file)
        assert made.shape == real.shape
        assert made.header.get_zooms() == pytest.approx(real.header.get_zooms())
        assert made.get_data_dtype().kind in "iu"
        assert b"SYNTHETIC" in made.header["descrip"].tobytes()
    assert (tmp_path / "made" / "labels.csv").read_text().count("yes") == 3
