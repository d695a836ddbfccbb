"""The command line on images: what it says of them, and the way out it gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from manikin.cli.app import app
from manikin.workflow.models import fit_model
from manikin.workflow.options import Options

picture = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "scans"
    rng = np.random.default_rng(0)
    for label in ("ill", "well"):
        (folder / label).mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(100 if label == "ill" else 0, 255 if label == "ill" else 155, (6, 6), dtype=np.uint8)
            picture.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


def test_images_are_looked_at_learned_and_drawn(scans: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["inspect", str(scans)])
    assert told.exit_code == 0
    assert "60 images of 6 x 6 pixels, 1 attribute" in told.stdout
    assert "--epsilon" not in told.stdout
    fit_model(scans, out=tmp_path / "model", options=Options(synthesizer="image_pca"))
    arguments = ["sample", str(tmp_path / "model"), "-n", "5", "--where", "label=ill", "-o", str(tmp_path / "made"), "--json"]
    drawn = CliRunner().invoke(app, arguments)
    assert drawn.exit_code == 0
    assert json.loads(drawn.stdout)["images"] == 5
    wrong = CliRunner().invoke(app, ["sample", str(tmp_path / "model"), "-n", "5", "-o", str(tmp_path / "made.csv")])
    assert wrong.exit_code != 0


def test_translation_says_the_way_and_what_it_is_worth(scans: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shade = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "pairs.npz", mr=shade, ct=255 - shade)
    options = Options(synthesizer="pix2pix", hyperparameters={"width": 8, "critic_width": 8}, max_steps=2)
    fit_model(tmp_path / "pairs.npz", out=tmp_path / "model", options=options)
    told = CliRunner().invoke(app, ["translate", str(tmp_path / "model"), str(tmp_path / "pairs.npz"), "-o", str(tmp_path / "ct.npz")])
    assert told.exit_code == 0
    assert "40 images translated from mr to ct" in told.stdout
    assert "do not see lesions" in told.stdout
    arguments = ["translate", str(tmp_path / "model"), str(tmp_path / "pairs.npz"), "-o", str(tmp_path / "b.npz"), "--json"]
    document = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert (document["images"], document["way"], document["compared"]["n"]) == (40, "mr to ct", 40)
    wrong = CliRunner().invoke(app, ["translate", str(tmp_path / "model"), str(scans), "-o", str(tmp_path / "c")])
    assert wrong.exit_code != 0
    assert "is not of 8 x 8 pixels" in str(wrong.exception)


def test_the_list_says_which_generators_learn_images() -> None:
    told = CliRunner().invoke(app, ["list", "synthesizers"])
    assert "image_pca" in told.stdout
    line = next(line for line in told.stdout.splitlines() if "image_pca" in line)
    assert "images, and volumes" in line


def test_two_folders_are_put_side_by_side(tmp_path: Path) -> None:
    for kind, n in (("mr", 3), ("ct", 2)):
        (tmp_path / kind).mkdir()
        for i in range(n):
            picture.fromarray(np.full((6, 6), i, dtype=np.uint8)).save(tmp_path / kind / f"{i}.png")
    places = [str(tmp_path / "mr"), str(tmp_path / "ct")]
    wrong = CliRunner().invoke(app, ["pair", *places])
    assert wrong.exit_code != 0
    assert "1 lacks a partner: mr/2.png. Add partners" in str(wrong.exception)
    told = CliRunner().invoke(app, ["pair", *places, "--keep-unpaired"])
    assert told.stdout.startswith("2 pairs of mr and ct, and 1 image without a partner, found by file name: ")
    assert "--synthesizer cyclegan" in told.stdout
    assert (tmp_path / "labels.csv").read_text().splitlines() == ["mr,ct", "mr/0.png,ct/0.png", "mr/1.png,ct/1.png", "mr/2.png,"]
    again = CliRunner().invoke(app, ["pair", *places, "--keep-unpaired"])
    assert "exists already. Read it: --force puts these pairs in its place" in str(again.exception)
    arguments = ["pair", *places, "--keep-unpaired", "--force", "--json"]
    assert json.loads(CliRunner().invoke(app, arguments).stdout)["pairs"] == 2
