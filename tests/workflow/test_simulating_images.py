"""Folders of simulated images: what is in them, that they are read again, that they say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.cli.app import app
from manikin.data.errors import InputError
from manikin.workflow.simulation import simulate_images
from manikin.workflow.sources import read

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("PIL")


def test_a_folder_holds_images_labels_boxes_and_masks(tmp_path: Path) -> None:
    from PIL import Image

    done = simulate_images("ct", 6, tmp_path / "ct", size=32, seed=4)
    labels = pd.read_csv(done.files["labels"])
    assert sum(done.labels.values()) == len(labels) == 6
    assert set(labels["origin"]) == {"simulated"}
    masks = np.load(done.files["masks"], allow_pickle=False)
    boxes = pd.read_csv(done.files["lesions"]).set_index("file")
    for i, row in labels.iterrows():
        with Image.open(done.out / row["file"]) as image:
            assert image.size == (32, 32)
            assert "shows no patient" in image.text["Description"]
            assert "Simulated" in image.text["Comment"]
        assert masks["files"][i] == row["file"]
        assert masks["masks"][i].any() == (row["label"] != "normal") == (row["file"] in boxes.index)
        if row["file"] in boxes.index:
            box = boxes.loc[row["file"]]
            assert masks["masks"][i][box["top"] : box["bottom"], box["left"] : box["right"]].sum() == box["n_pixels"]
    data = read(done.out)
    assert data.modality == "images"
    assert len(data) == 6
    assert json.loads(done.files["how"].read_text())["seed"] == 4


def test_the_same_seed_gives_the_same_images_whatever_their_number(tmp_path: Path) -> None:
    few = simulate_images("fundus", 1, tmp_path / "few", size=24, seed=1)
    more = simulate_images("fundus", 2, tmp_path / "more", size=24, seed=1)
    assert (few.out / "fundus/00001.png").read_bytes() == (more.out / "fundus/00001.png").read_bytes()


def test_pairs_are_two_columns_of_images(tmp_path: Path) -> None:
    done = simulate_images("mr-ct", 2, tmp_path / "pairs", size=32, labels=["tumour"])
    data = read(done.out)
    assert {column.name for column in data.schema.tables[0].images} == {"mr", "ct"}
    assert done.labels == {"tumour": 2}


def test_the_command_says_what_it_made_and_refuses_what_there_is_not(tmp_path: Path) -> None:
    run = typer_testing.CliRunner().invoke
    made = run(app, ["simulate", "images", "ultrasound", "-n", "2", "--size", "32", "-o", str(tmp_path / "us"), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["images"] == 2
    listed = run(app, ["list", "simulators"])
    assert "dermoscopy" in listed.stdout
    for wrong in ({"kind": "holography"}, {"n": 0}, {"size": 8}, {"seed": -1}, {"labels": ["fracture"]}):
        with pytest.raises(InputError):
            simulate_images(**{"kind": "mr", "n": 1, "out": tmp_path / "x", **wrong})  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="exists already"):
        simulate_images("mr", 1, tmp_path / "us", size=16)
    simulate_images("mr", 1, tmp_path / "us", size=16, force=True)
    assert not (tmp_path / "us" / "ultrasound").exists()
