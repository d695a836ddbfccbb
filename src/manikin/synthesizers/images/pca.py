"""A Gaussian of principal components whose mean follows the labels: the floor that any generator of images must beat. Blurred by nature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.images import EncodedImages
from manikin.data.errors import ModelFolderError, parameter_error
from manikin.synthesizers.base import Arrays, State
from manikin.synthesizers.images.base import ImageModel, rng_of
from manikin.training.control import Control

MOST_ROWS = 20_000  # that components are learned from
RIDGE = 1.0
MOST_COMPONENTS = 4096


@dataclass(kw_only=True)
class ImagePCA(ImageModel):
    """Images as principal components (Turk & Pentland 1991, doi:10.1162/jocn.1991.3.1.71), Gaussian about a mean linear in attributes.

    Parameters
    ----------
    components : principal components of pixels; fewer where there are fewer images.

    Examples
    --------
    >>> ImagePCA(components=50)
    ImagePCA(size=None, components=50)
    """

    name: ClassVar[str] = "image_pca"
    components: int = 100
    mean_: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)
    axes_: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)
    slopes_: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)
    spread_: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def _check(self) -> None:
        if not isinstance(self.components, int) or not 1 <= self.components <= MOST_COMPONENTS:
            raise parameter_error("components", self.name, f"an int in [1, {MOST_COMPONENTS}]", self.components)

    def _learn(self, images: EncodedImages, *, seed: int, control: Control) -> None:  # noqa: ARG002 (nothing is learned in steps)
        from sklearn.decomposition import PCA

        column = next(iter(images.fields))
        rows = np.arange(len(images))
        if len(rows) > MOST_ROWS:
            rows = np.sort(rng_of(seed).choice(len(rows), MOST_ROWS, replace=False))
        flat = images.pixels(column, rows).reshape(len(rows), -1)
        n = min(self.components, len(rows) - 1, flat.shape[1])
        pca = PCA(n, svd_solver="randomized", random_state=seed % 2**32).fit(flat)
        scores = pca.transform(flat)
        design = self._design(images.tokens[rows])
        gram = design.T @ design + RIDGE * np.eye(design.shape[1])
        self.slopes_ = np.linalg.solve(gram, design.T @ scores).astype(np.float32)
        rest = scores - design @ self.slopes_
        covariance = rest.T @ rest / max(len(rows) - 1, 1) + 1e-9 * np.eye(n)
        self.spread_ = np.linalg.cholesky(covariance).astype(np.float32)
        self.mean_, self.axes_ = pca.mean_.astype(np.float32), pca.components_.astype(np.float32)

    def _design(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        """A constant and one column for each token of each attribute, float32 (n, 1 + tokens)."""
        blocks = [np.ones((len(tokens), 1), dtype=np.float32)]
        for j, size in enumerate(self.codec_.layout.sizes):
            blocks.append((tokens[:, j : j + 1] == np.arange(size)).astype(np.float32))
        return np.concatenate(blocks, axis=1)

    def _draw(self, tokens: Tokens, seed: int) -> npt.NDArray[np.float32]:
        noise = rng_of(seed).standard_normal((len(tokens), len(self.axes_)), dtype=np.float32)
        scores = self._design(tokens) @ self.slopes_ + noise @ self.spread_.T
        shape = next(iter(self.codec_.fields_.values())).shape
        return (scores @ self.axes_ + self.mean_).reshape(len(tokens), *shape)

    def _fitted(self) -> State:
        return {}, {"mean": self.mean_, "axes": self.axes_, "slopes": self.slopes_, "spread": self.spread_}

    def _take_back(self, values: dict[str, Any], arrays: Arrays) -> None:  # noqa: ARG002 (there are none)
        if set(arrays) != {"mean", "axes", "slopes", "spread"} or any(a.dtype != np.float32 for a in arrays.values()):
            raise ModelFolderError("The model folder has other arrays than components need. Save the model again.")
        width = int(np.prod(next(iter(self.codec_.fields_.values())).shape))
        n, m = len(arrays["axes"]), 1 + sum(self.codec_.layout.sizes)
        wanted = {"mean": (width,), "axes": (n, width), "slopes": (m, n), "spread": (n, n)}
        if any(arrays[name].shape != shape for name, shape in wanted.items()):
            raise ModelFolderError("The components of the model folder do not fit its images. Save the model again.")
        self.mean_, self.axes_, self.slopes_, self.spread_ = (arrays[key] for key in ("mean", "axes", "slopes", "spread"))
