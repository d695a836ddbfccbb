"""Images to arrays and back: what is learned at its own size comes back value for value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from manikin.codecs.images import ImageCodec, attributes_of, resized
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError, FitError, ModelFolderError
from manikin.data.images import Images, joined
from manikin.data.schema import Column, ImageForm, Kind, TableSchema


def pictures(pixels: Any, form: ImageForm, labels: list[str] | None = None) -> Dataset:
    n = len(pixels)
    frame = {"file": pd.Series([f"{i}.png" for i in range(n)], dtype=object)}
    columns = [Column("file", Kind.IMAGE, image=form)]
    if labels is not None:
        frame["label"] = pd.Series(pd.Categorical(labels))
        columns.append(Column("label", Kind.CATEGORICAL, levels=tuple(sorted(set(labels)))))
    return flat(Table(pd.DataFrame(frame), images={"file": Images.of_array(np.asarray(pixels))}), TableSchema("t", tuple(columns)))


def there_and_back(data: Dataset, **asked: Any) -> Any:
    codec = ImageCodec(**asked).fit(data)
    values, arrays = codec.state()
    codec = ImageCodec.from_state(values, arrays)
    encoded = codec.encode(data)
    pixels = encoded.pixels("file", np.arange(len(encoded)))
    assert pixels.dtype == np.float32
    assert pixels.min() >= -1
    assert pixels.max() <= 1
    made = codec.decode({"file": pixels}, None if codec.attributes_ is None else attributes_of(data))
    return made, codec


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whole_numbered_images_come_back_value_for_value(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.int16]))
    channels, axes = data.draw(st.sampled_from([1, 3])), data.draw(st.sampled_from([2, 3]))
    size = tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes)))
    pixels = data.draw(hnp.arrays(dtype, (2, channels, *size)))
    info = np.iinfo(dtype)
    form = ImageForm(channels, size, float(info.min), float(info.max))
    made, codec = there_and_back(pictures(pixels, form), multiple=data.draw(st.integers(1, 4)))
    assert np.array_equal(made.table.images["file"].array(), pixels)
    assert made.table.images["file"].image(0).dtype == dtype
    assert all(length % codec.multiple == 0 for length in codec.fields_["file"].padded)


def test_labels_stand_beside_their_images_and_the_schema_is_that_of_the_release() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 6), dtype=np.uint8)
    form = ImageForm(1, (8, 6), spacing=(2.0, 1.0), modality="CR")
    data = pictures(pixels, form, ["a", "b"] * 20)
    made, _ = there_and_back(data, size=(4, 3))
    assert made.table.frame["label"].tolist() == ["a", "b"] * 20
    assert made.columns.names == ["file", "label"]
    assert made.columns["file"].image == ImageForm(1, (4, 3), spacing=(4.0, 2.0), modality="CR")
    want = pixels.reshape(40, 1, 4, 2, 3, 2).mean(axis=(3, 5))
    assert np.abs(made.table.images["file"].array() - want).max() <= 0.6


def test_reals_come_back_within_a_step_and_nan_is_the_lowest() -> None:
    pixels = np.random.default_rng(0).normal(0, 300, (3, 1, 4, 4)).clip(-1000, 1000).astype(np.float32)
    pixels[1, 0, 2, 2] = np.nan
    made, _ = there_and_back(pictures(pixels, ImageForm(1, (4, 4), -1000, 1000, is_whole=False)))
    back = made.table.images["file"].array()
    assert back[1, 0, 2, 2] == -1000
    assert np.nanmax(np.abs(back - pixels)[~np.isnan(pixels)]) <= 2000 / 65535


def test_sizes_that_differ_ask_for_a_size_and_colour_becomes_grey() -> None:
    data = pictures(np.zeros((2, 1, 4, 4), dtype=np.uint8), ImageForm(1, None))
    with pytest.raises(FitError, match=r"differ in size.*--set size=64"):
        ImageCodec().fit(data)
    mixed = joined([Images.of_array(np.full((1, 3, 6, 6), 100, np.uint8)), Images.of_array(np.zeros((1, 1, 4, 5), np.uint8))])
    data = data.with_table(Table(data.table.frame, images={"file": mixed}))
    codec = ImageCodec(size=4).fit(data)
    encoded = codec.encode(data)
    assert encoded.stored["file"].shape == (2, 1, 4, 4)
    assert (encoded.stored["file"][0] == 100).all()
    strange = Images.of_array(np.zeros((2, 2, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"row 1 of column 'file' has 2 channels"):
        codec.encode(data.with_table(Table(data.table.frame, images={"file": strange})))


def test_rows_without_an_image_are_told() -> None:
    images = Images(Images.of_array(np.full((1, 1, 2, 2), 255, np.uint8)).source, np.array([0, -1]))
    data = pictures(np.zeros((2, 1, 2, 2), np.uint8), ImageForm(1, (2, 2)))
    data = data.with_table(Table(data.table.frame, images={"file": images}))
    codec = ImageCodec().fit(data)
    assert codec.encode(data).present["file"].tolist() == [True, False]
    assert codec.encode_images("file", images)[:, 0, 0, 0].tolist() == [1.0, 0.0]
    none = data.with_table(Table(data.table.frame, images={"file": images.take(np.array([1, 1]))}))
    with pytest.raises(FitError, match="'file' has no image"):
        ImageCodec().fit(none)


def test_a_volume_is_resized_along_every_axis() -> None:
    volume = np.linspace(0, 1, 8)[None, :, None, None] * np.ones((1, 8, 4, 4))
    small = resized(volume, (4, 2, 2))
    assert small.shape == (1, 4, 2, 2)
    assert (np.diff(small[0, :, 0, 0]) > 0).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [("fields", []), ("attributes", None), ("multiple", 3)],
)
def test_a_forged_state_is_refused(key: str, value: Any) -> None:
    data = pictures(np.zeros((12, 1, 4, 4), np.uint8), ImageForm(1, (4, 4)), ["a"] * 12)
    values, arrays = ImageCodec(multiple=8).fit(data).state()
    with pytest.raises((ModelFolderError, TypeError)):
        ImageCodec.from_state(values | {key: value}, arrays)
