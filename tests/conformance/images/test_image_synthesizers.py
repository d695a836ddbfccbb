"""What every registered generator of images must do, whoever wrote it: bytes, schema, conditions, no real image, saved models."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from image_models import STEPS, fitted, hasty, home, learns, new, sampled
from image_sets import RARE, SECRET, SETS, bare, built, image_bytes, pixels_of
from test_synthesizers import row_shaped

from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import BudgetError, DataError, FitError, InputError, ParameterError
from manikin.data.images import Images, joined
from manikin.data.schema import EMPTY, Column, Kind, Role, Schema
from manikin.synthesizers import SynthesizerEntry
from manikin.synthesizers.base import Translates
from manikin.synthesizers.storage import load, save
from manikin.training.control import Control, Progress


def test_same_seed_same_bytes(name: str, images: str) -> None:
    fitted(name, images)
    again = new(name).fit(SETS[images](), seed=0)
    assert image_bytes(again.sample(40, seed=1)) == image_bytes(sampled(name, images))
    assert image_bytes(again.sample(40, seed=2)) != image_bytes(sampled(name, images))


def test_fit_twice_is_fit_once(name: str) -> None:
    model = copy.deepcopy(fitted(name, home(name))).fit(SETS[home(name)](), seed=0)
    assert image_bytes(model.sample(40, seed=1)) == image_bytes(sampled(name, home(name)))


def test_saved_model_draws_the_same(name: str, images: str, tmp_path: Path) -> None:
    again = load(save(fitted(name, images), tmp_path / "model"))
    assert image_bytes(again.sample(40, seed=1)) == image_bytes(sampled(name, images))
    assert again == fitted(name, images), "hyperparameters are kept"


def test_batches_do_not_matter(name: str) -> None:
    model = fitted(name, home(name))
    for size in (7, 64):
        parts = list(model.sample_batches(40, seed=1, batch_size=size))
        assert [len(part) for part in parts] == [size] * (40 // size) + [40 % size] * (40 % size > 0)
        assert b"".join(
            pixels_of(part, column.name).tobytes() for column in parts[0].columns.images for part in parts
        ) == b"".join(pixels_of(sampled(name, home(name)), column.name).tobytes() for column in parts[0].columns.images)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_as_many_as_asked(name: str, n: int) -> None:
    made = fitted(name, home(name)).sample(n, seed=3)
    assert len(made) == len(made.table) == n
    for column in made.columns.images:
        assert len(made.table.images[column.name]) == n
        assert made.table.frame[column.name].is_unique


@pytest.mark.parametrize("n", [-1, 2.5, "3"])
def test_numbers_that_are_none_are_refused_by_name(name: str, n: Any) -> None:
    with pytest.raises(ParameterError, match=name):
        fitted(name, home(name)).sample(n, seed=0)


def test_schema_is_kept(name: str, images: str) -> None:
    real, made = SETS[images](), sampled(name, images)
    assert made.columns.names == [column.name for column in real.columns]
    for column in real.columns:
        ours = made.columns[column.name]
        assert (ours.kind, ours.storage, ours.decimals) == (column.kind, column.storage, column.decimals), column.name
        if column.kind is not Kind.IMAGE:
            continue
        assert ours.image == column.image
        assert column.image is not None
        pixels = pixels_of(made, column.name)
        assert pixels.dtype == pixels_of(real, column.name).dtype
        assert pixels.shape[1:] == pixels_of(real, column.name).shape[1:]
        assert np.isfinite(pixels).all()
        assert column.image.lowest <= pixels.min() <= pixels.max() <= column.image.highest
    texts, theirs = texts_of(made.table, made.columns), texts_of(real.table, real.columns)
    for column in real.columns:
        if column.kind.is_discrete:
            assert set(texts[column.name]) <= set(theirs[column.name]), column.name


def test_translators_make_what_a_given_row_lacks(name: str, images: str, entry: SynthesizerEntry) -> None:
    if not entry.pairs or not learns(name, images):
        pytest.skip("it does not translate, or asked of other sets")
    model, real = fitted(name, images), SETS[images]().take(np.arange(6))
    assert isinstance(model, Translates)
    source, target = model.forms
    assert [source, target] == [column.name for column in real.columns.images]
    made = model.sample(6, seed=1, conditions=real.only([source]))
    assert np.array_equal(pixels_of(made, source), pixels_of(real, source))
    assert made.table.images[target].present.all()
    if not model.is_two_way:
        with pytest.raises(ParameterError, match=name):
            model.sample(6, seed=1, conditions=real.only([target]))


def test_patients_are_new(name: str) -> None:
    if home(name) != "grey":
        pytest.skip("its home has no patients")
    real, made = SETS["grey"](), fitted(name, "grey").sample(100, seed=4)
    keys = made.table.frame["patient"]
    assert keys.is_unique
    assert not set(keys) & set(real.table.frame["patient"])


def test_a_given_label_is_kept_or_refused_by_name(name: str, entry: SynthesizerEntry) -> None:
    if not learns(name, "grey"):
        pytest.skip("it learns no labels")
    model = fitted(name, "grey")
    if not (entry.conditions or entry.some_conditions):
        with pytest.raises(ParameterError, match=name):
            model.sample(5, seed=1, conditions={"label": "pneumonia"})
        return
    made = model.sample(30, seed=1, conditions={"label": "pneumonia"})
    assert set(made.table.frame["label"]) == {"pneumonia"}
    both = model.sample(6, seed=1, conditions={"label": "normal", "age": 61})
    assert set(texts_of(both.table, both.columns)["age"]) == {"61"}


def test_given_rows_are_kept_in_their_order(name: str, entry: SynthesizerEntry) -> None:
    if not learns(name, "grey") or not entry.conditions:
        pytest.skip("it takes no rows of conditions")
    given = SETS["grey"]().take(np.arange(20)).only(["label", "age"])
    made = fitted(name, "grey").sample(20, seed=5, conditions=given)
    assert texts_of(made.only(["label", "age"]).table, given.columns).equals(texts_of(given.table, given.columns))
    with pytest.raises(ParameterError, match=name):
        fitted(name, "grey").sample(21, seed=5, conditions=given)


@pytest.mark.parametrize("conditions", [{"no such column": "x"}, {"label": "no such label"}])
def test_what_cannot_be_given_is_refused(name: str, conditions: dict[str, str]) -> None:
    with pytest.raises(InputError, match=f"{name}|no such column|label"):
        fitted(name, home(name)).sample(3, seed=1, conditions=conditions)


def test_no_condition_is_no_condition(name: str, images: str) -> None:
    if not learns(name, images) or images == "volumes":
        pytest.skip("asked of other sets")
    assert image_bytes(fitted(name, images).sample(40, seed=1, conditions={})) == image_bytes(sampled(name, images))


def test_no_real_image_comes_out(name: str, images: str, entry: SynthesizerEntry) -> None:
    made, real = sampled(name, images), SETS[images]()
    for column in real.columns.images:
        theirs = {image.tobytes() for image in pixels_of(real, column.name)}
        if entry.pairs and column is real.columns.images[0]:
            continue  # what is translated from is given, or stands for itself
        n = sum(image.tobytes() in theirs for image in pixels_of(made, column.name))
        assert (n > 0) == (entry.keeps_rows), f"{n} real images"


def test_no_real_image_is_kept(name: str, images: str, entry: SynthesizerEntry, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    real, model = SETS[images](), fitted(name, images)
    folder = save(model, tmp_path / "model")
    stored = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    found = []
    for column in real.columns.images:
        encoded = model.codec_.encode(real)
        forms = [pixels_of(real, column.name), encoded.stored[column.name], encoded.pixels(column.name, np.arange(len(real)))]
        found += [i for form in forms for i, image in enumerate(form) if np.ascontiguousarray(image).tobytes() in stored]
    assert bool(found) == entry.keeps_rows
    n = len(real)
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "weights.safetensors")
    things = ((model, "self"), (config, "config.json"), (weights, "weights.safetensors"))
    kept = [where for thing, called in things for where in row_shaped(thing, n, called)]
    assert bool(kept) == entry.keeps_rows, kept


def test_saved_folder_names_no_real_image_and_no_rare_label(
    name: str, images: str, entry: SynthesizerEntry, tmp_path: Path
) -> None:
    secrets = [SECRET.encode(), b"p-17"] + ([] if entry.keeps_rows else [RARE.encode()])
    for path in save(fitted(name, images), tmp_path / "model").iterdir():
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path.name
    assert SECRET not in texts_of(sampled(name, images).table, sampled(name, images).columns).to_csv()


def test_a_rare_label_never_appears(name: str, entry: SynthesizerEntry) -> None:
    if not learns(name, "colour") or not entry.releasable:
        pytest.skip("it learns no labels, or gives back what it was given")
    made = fitted(name, "colour").sample(100, seed=6)
    assert set(made.table.frame["label"].dropna()) <= {"left", "right"}
    with pytest.raises(InputError) as refused:
        fitted(name, "colour").sample(3, seed=1, conditions={"label": RARE})
    assert "label" in str(refused.value) or name in str(refused.value)


def test_privacy_ledger_is_refused_by_name(name: str, entry: SynthesizerEntry) -> None:
    if entry.private:
        pytest.skip("it learns under a ledger; tests/privacy checks what it spends")
    with pytest.raises(BudgetError, match=name):
        new(name).fit(SETS[home(name)](), seed=0, ledger=object())


def test_tables_are_refused_by_name(name: str) -> None:
    with pytest.raises((FitError, DataError, ParameterError), match=f"{name}|image"):
        new(name).fit(SETS["grey"]().only(["label", "age"]), seed=0)


def test_learning_leaves_the_data_alone(name: str) -> None:
    data = SETS[home(name)]()
    before = image_bytes(data)
    hasty(name).fit(data, seed=3)
    assert image_bytes(data) == before


def changed(data: Dataset, change: Any) -> Dataset:
    """The set with its pixels, by column, as `change` makes them."""
    images = {name: Images.of_array(change(pixels_of(data, name))) for name in data.table.images}
    return flat(Table(data.table.frame, data.table.marks, images), data.columns)


ODD = {
    "all images equal": lambda data: changed(data, lambda pixels: np.repeat(pixels[:1], len(pixels), axis=0)),
    "constant images": lambda data: changed(data, lambda pixels: np.full_like(pixels, 7)),
    "black and white": lambda data: changed(data, lambda pixels: (pixels > 100).astype(pixels.dtype) * 255),
    "one image": lambda data: data.take(np.arange(1)),
    "no image": lambda data: data.take(np.arange(0)),
    "two images": lambda data: data.take(np.arange(2)),
    "eleven images": lambda data: data.take(np.arange(11)),
    "one label": lambda data: data.take(np.arange(len(data))) if "label" not in data.columns else _of_one_label(data),
    "a row without an image": lambda data: _with_gap(data),
    "no row with an image": lambda data: _with_gap(data, rows=slice(None)),
}


def _of_one_label(data: Dataset) -> Dataset:
    return data.take(np.flatnonzero(data.table.frame["label"].astype(str) == "normal"))


def _with_gap(data: Dataset, rows: Any = 3) -> Dataset:
    images = {}
    for name, one in data.table.images.items():
        places = one.places.copy()
        places[rows] = -1
        images[name] = Images(one.source, places)
    return flat(Table(data.table.frame, data.table.marks, images), data.columns)


@pytest.mark.parametrize("case", ODD)
def test_odd_sets_are_handled_or_refused_in_a_sentence(name: str, case: str) -> None:
    data = ODD[case](SETS[home(name)]())
    try:
        made = hasty(name).fit(data, seed=0).sample(5, seed=1)
    except (FitError, InputError) as error:
        assert any(word in str(error) for word in (name, *data.table.images))  # noqa: PT017 (either way out is right)
        assert len(str(error)) < 400  # noqa: PT017
        return
    assert case not in ("one image", "no image", "no row with an image")
    assert len(made) == 5
    assert all(np.isfinite(pixels_of(made, column.name)).all() for column in made.columns.images)


@pytest.mark.parametrize("side", [1, 2, 5])
def test_tiny_images_are_handled_or_refused(name: str, side: int) -> None:
    rng = np.random.default_rng(side)
    columns = {"file": rng.integers(0, 255, (30, 1, side, side), dtype=np.uint8)}
    if home(name) == "pairs":
        columns = {"mr": columns["file"], "ct": columns["file"]}
    data = built(columns, {}, [])
    try:
        made = hasty(name).fit(data, seed=0).sample(4, seed=1)
    except (FitError, InputError) as error:
        assert any(word in str(error) for word in (name, *columns))  # noqa: PT017
        return
    assert pixels_of(made, next(iter(columns))).shape == (4, 1, side, side)


def test_pixels_that_are_no_numbers_do_not_spoil_the_rest(name: str) -> None:
    if not learns(name, "bare"):
        pytest.skip("asked of other sets")

    def holes(pixels: Any) -> Any:
        pixels[0] = np.nan
        pixels[5, :, 2:4] = np.inf
        return pixels

    made = hasty(name).fit(changed(bare(), holes), seed=0).sample(6, seed=1)
    assert np.isfinite(pixels_of(made, "file")).all()


def test_sizes_that_differ_are_refused_until_one_is_asked_for(name: str) -> None:
    if not learns(name, "bare"):
        pytest.skip("asked of other sets")
    first, rng = bare(), np.random.default_rng(0)
    others = Images.of_array(rng.random((20, 1, 12, 10)).astype(np.float32))
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(len(first) + 20)]}, dtype=object)
    column = first.columns["file"]
    assert column.image is not None
    schema = replace(first.columns, columns=(replace(column, image=replace(column.image, size=None)),))
    mixed = flat(Table(frame, images={"file": joined([first.table.images["file"], others])}), schema)
    with pytest.raises(FitError, match="size"):
        hasty(name).fit(mixed, seed=0)
    made = hasty(name, size=8).fit(mixed, seed=0).sample(3, seed=1)
    assert pixels_of(made, "file").shape == (3, 1, 8, 8)


def test_a_label_that_is_missing_in_a_row_stays_possible(name: str) -> None:
    if not learns(name, "grey"):
        pytest.skip("it learns no labels")
    data = SETS["grey"]()
    cells = texts_of(data.table, data.columns)
    cells.loc[::4, "label"] = ""
    table = data.columns.replace_column(replace(data.columns["label"], missing=(EMPTY,)))
    rest = table.only(["patient", "label", "age"])
    parsed = parse_table(cells[rest.names], rest, where="scans")
    frame = pd.concat([data.table.frame[["file"]], parsed.frame], axis=1)
    gaps = Dataset({table.name: Table(frame, parsed.marks, data.table.images)}, Schema((table,)))
    made = hasty(name).fit(gaps, seed=0).sample(200, seed=1)
    assert 0 < (texts_of(made.table, made.columns)["label"] == "").mean() < 0.6


def test_an_interrupted_run_goes_on_to_the_same_bytes(name: str, entry: SynthesizerEntry, tmp_path: Path) -> None:
    if not entry.is_neural:
        pytest.skip("it does not learn in steps")
    whole = new(name, max_steps=STEPS).fit(SETS[home(name)](), seed=0)

    class Stop:
        n = 0

        def __call__(self, progress: Progress) -> None:
            if progress.step < progress.total_steps:
                raise KeyboardInterrupt

    control = Control(checkpoint=tmp_path / "checkpoint", on_progress=Stop())
    with pytest.raises(KeyboardInterrupt):
        new(name, max_steps=STEPS).fit(SETS[home(name)](), seed=0, control=control)
    resumed = new(name, max_steps=STEPS).fit(SETS[home(name)](), seed=0, control=Control(checkpoint=tmp_path / "checkpoint"))
    assert resumed.training_["resumed"]
    assert image_bytes(resumed.sample(40, seed=1)) == image_bytes(whole.sample(40, seed=1))


def test_a_neural_generator_keeps_a_film_of_pictures(name: str, entry: SynthesizerEntry) -> None:
    if not entry.is_neural:
        pytest.skip("it does not learn in steps")
    film = fitted(name, home(name)).training_["film"]
    assert film
    assert all(moment["pictures"] for moment in film)


def test_labels_keep_their_role(name: str) -> None:
    if not learns(name, "grey"):
        pytest.skip("it learns no labels")
    assert [column.name for column in sampled(name, "grey").columns.with_role(Role.TARGET)] == ["label"]
    assert isinstance(sampled(name, "grey").columns["label"], Column)
