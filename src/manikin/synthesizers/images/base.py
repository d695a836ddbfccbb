"""What generators of images share: labels first, drawn by a generator of tables, then the image that goes with them. Knows no network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.images import EncodedImages, ImageCodec, attributes_of
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ModelFolderError
from manikin.data.seeds import derive, generator
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import (
    check_request,
    in_batches,
    parted,
    refuse_conditions,
    refuse_ledger,
    require_fitted,
    rows_of,
)
from manikin.training.control import Control

BLOCK = 256  # images that share one stream of randomness
FEWEST = 2  # images that anything can be learned from
ONE, SEVERAL = "independent", "forest"  # what draws one attribute, and several together


@dataclass(kw_only=True)
class ImageModel(ABC):
    """Base of the generators of images; a subclass is a keyword-only dataclass whose fields are its hyperparameters.

    Every attribute (label, age, view, …) is drawn by a generator of tables that conditions exactly, so any of them can be a condition.

    Parameters
    ----------
    size : pixels along each axis at which images are learned and made; None takes their own.

    Attributes
    ----------
    codec_ : pixels and attributes to arrays and back. attributes_ : the fitted generator of attributes, None where there are none.
    """

    name: ClassVar[str] = ""
    multiple: ClassVar[int] = 1  # what the network asks of every axis
    n_columns: ClassVar[int] = 1  # columns of images that it learns

    size: int | None = None
    codec_: ImageCodec = field(init=False, repr=False, compare=False)
    attributes_: Any = field(init=False, repr=False, compare=False, default=None)
    training_: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    # what a model brings

    @abstractmethod
    def _check(self) -> None:
        """Refuses hyperparameters outside their domain."""

    @abstractmethod
    def _learn(self, images: EncodedImages, *, seed: int, control: Control) -> None:
        """Learns images given their attributes; sets `training_` where it learns in steps."""

    @abstractmethod
    def _draw(self, tokens: Tokens, seed: int) -> npt.NDArray[np.float32]:
        """Images float32 (n, channels, *padded) in [-1, 1] for attributes int32 (n, n_fields); `seed` alone decides the rest."""

    @abstractmethod
    def _fitted(self) -> State:
        """What `_learn` learned, as JSON-able values and arrays."""

    @abstractmethod
    def _take_back(self, values: dict[str, Any], arrays: Arrays) -> None:
        """Takes that back; `codec_` stands already.

        Raises
        ------
        ModelFolderError : the arrays are not those of this model.
        """

    # what they share

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns images and their attributes.

        Raises
        ------
        BudgetError : a ledger is given. FitError : too few images, other columns of images than the model learns, or sizes that differ.
        """
        refuse_ledger(self.name, ledger)
        self._check()
        columns = data.columns.images if not data.is_linked else ()
        if len(columns) != self.n_columns:
            raise FitError(
                f"The synthesizer {self.name!r} learns {self.n_columns} column{'s' * (self.n_columns > 1)} of images; these data have "
                f"{len(columns)}. Choose another, or leave columns out of the schema."
            )
        data = self._usable(data)
        if len(data.table) < FEWEST:
            raise FitError(f"The synthesizer {self.name!r} needs {FEWEST} images at least; there are {len(data.table)}. Bring more.")
        self._refuse_volumes(data)
        self.codec_ = ImageCodec(size=self.size, multiple=self.multiple).fit(data)
        n_attributes = len(data.columns.learned)
        self.attributes_ = None
        if n_attributes:
            made = synthesizer(ONE if n_attributes == 1 else SEVERAL)
            self.attributes_ = made.fit(attributes_of(data), seed=derive(seed, "attributes"))
        control = (control or Control()).at_most(getattr(self, "max_steps", None))
        self._learn(self.codec_.encode(data), seed=seed, control=control)
        return self

    def _refuse_volumes(self, data: Dataset) -> None:
        """Refuses volumes for a generator whose line in the registry does not say that it learns them."""
        if self.name not in SYNTHESIZERS or SYNTHESIZERS[self.name].volumes:
            return
        for column in data.columns.images:
            images = data.table.images[column.name]
            if images.image(int(np.flatnonzero(images.present)[0])).ndim > 3:
                able = ", ".join(name for name, entry in SYNTHESIZERS.items() if entry.modality == "images" and entry.volumes)
                what = f"learns no volumes, and column {column.name!r} holds them"
                raise FitError(f"The synthesizer {self.name!r} {what}. Those that do: {able}.")

    def _usable(self, data: Dataset) -> Dataset:
        """The rows that can be learned from: those with an image."""
        has_image = data.table.images[data.columns.images[0].name].present if data.table.images else np.zeros(len(data.table), dtype=bool)
        return data if has_image.all() else data.take(np.flatnonzero(has_image))

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` images with their attributes; given attributes are kept exactly.

        Raises
        ------
        ParameterError : a condition names no attribute, or a value that was not learned.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 1024
    ) -> Iterator[Dataset]:
        """The images of `sample` in pieces, in memory that does not grow with n."""
        require_fitted(self, "codec_")
        check_request(self.name, n, batch_size, conditions)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The images of one block, from its own stream of randomness."""
            asked = rows_of(conditions, start, stop)
            return self._block(stop - start, derive(seed, "images", number), asked, first=start + 1)

        return in_batches(draw, int(n), batch_size=int(batch_size), block=BLOCK)

    def _block(self, n: int, seed: int, conditions: Conditions | None, *, first: int) -> Dataset:
        attributes, tokens = self._attributes(n, seed, conditions)
        column = next(iter(self.codec_.fields_))
        own = self.codec_.fields_[column]
        pixels = self._draw(tokens, derive(seed, "pixels")) if n else np.zeros((0, *own.shape), dtype=np.float32)
        return self.codec_.decode({column: pixels}, attributes, first=first)

    def _attributes(self, n: int, seed: int, conditions: Conditions | None) -> tuple[Dataset | None, Tokens]:
        """The attributes of `n` rows, as a table and as tokens."""
        if self.attributes_ is None or self.codec_.attributes_ is None:
            refuse_conditions(self.name, "learned images without attributes; it makes", conditions)
            return None, np.zeros((n, 0), dtype=np.int32)
        if isinstance(conditions, Dataset):
            kept = [column.name for column in conditions.columns if column.name in [own.name for own in self.codec_.schema_.learned]]
            conditions = conditions.only(kept)
        made: Dataset = self.attributes_.sample(n, seed=derive(seed, "attributes"), conditions=conditions)
        return made, self.codec_.attributes_.encode(made)

    def state(self) -> State:
        """Everything fitted."""
        require_fitted(self, "codec_")
        values, arrays = self.codec_.state()
        saved: Arrays = {f"codec.{name}": array for name, array in arrays.items()}
        drawn: dict[str, Any] | None = None
        if self.attributes_ is not None:
            own, own_arrays = self.attributes_.state()
            drawn = {"name": ONE if len(self.codec_.schema_.learned) == 1 else SEVERAL, "values": own}
            saved |= {f"attributes.{name}": array for name, array in own_arrays.items()}
        learned, learned_arrays = self._fitted()
        saved |= {f"model.{name}": array for name, array in learned_arrays.items()}
        return {"codec": values, "attributes": drawn, "model": learned, "training": self.training_}, saved

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back.

        Raises
        ------
        ModelFolderError : the values and the arrays do not fit each other.
        """
        parts = parted(arrays, "codec", "attributes", "model")
        self._check()
        self.codec_ = ImageCodec.from_state(values["codec"], parts["codec"])
        n_attributes = len(self.codec_.schema_.learned)
        drawn = values["attributes"]
        if len(self.codec_.fields_) != self.n_columns or (drawn is None) != (n_attributes == 0):
            raise ModelFolderError("The columns of the model folder are not those of this synthesizer. Save the model again.")
        self.attributes_ = None
        if drawn is not None:
            if drawn["name"] != (ONE if n_attributes == 1 else SEVERAL):
                raise ModelFolderError("The model folder draws attributes by something unknown. Save the model again.")
            self.attributes_ = SYNTHESIZERS.load(drawn["name"])().restore(drawn["values"], parts["attributes"])
        self._take_back(values["model"], parts["model"])
        self.training_ = values["training"]
        return self


def rng_of(seed: int) -> np.random.Generator:
    """Numpy's randomness of a block's pixels."""
    return generator(seed, "noise")
