"""Flat maps of train and synthetic rows together: PCA fitted on real rows, and t-SNE of both. Points are rows: internal."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import derive
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.features import embedding
from manikin.evaluation.prepared import Prepared

Floats = npt.NDArray[np.float64]
N_PCA = 1_000  # points per side
N_TSNE = 500
N_ITERATIONS = 500
N_COMPONENTS = 30  # principal components that t-SNE starts from
MIN_ROWS = 10


def projections(data: Prepared, *, seed: int) -> dict[str, Any]:
    """Two maps of the shared embedding.

    Returns
    -------
    dict :
        pca : `train`, `synthetic`, lists of (x, y) of at most 1,000 rows each, `explained`, the two shares of train's variance.
        tsne : `train`, `synthetic`, of at most 500 rows each (van der Maaten & Hinton 2008), started from the principal components.
        Empty where a side has fewer than ten rows, or all rows are alike.
    """
    if min(len(data.real), len(data.fake)) < MIN_ROWS or not data.features:
        return {"pca": {}, "tsne": {}}
    fitted = embedding(data)
    with one_thread():
        real, fake = (
            fitted.points(sample.draw(N_PCA, seed, "projection", side)).astype(float)
            for side, sample in (("train", data.real), ("synthetic", data.fake))
        )
        centre, axes, explained = principal_axes(real)
        if len(axes) < 2:
            return {"pca": {}, "tsne": {}}
        flat = [(part - centre) @ axes.T for part in (real, fake)]
        pca = {
            "train": np.round(flat[0][:, :2], 3),
            "synthetic": np.round(flat[1][:, :2], 3),
            "explained": [round(float(share), 4) for share in explained[:2]],
        }
        n = min(N_TSNE, *(len(part) for part in flat))
        # canonical order is by hash of the content, so that the first n of a draw are a draw
        near = _tsne(np.concatenate([flat[0][:n], flat[1][:n]]), derive(seed, "tsne"))
    return {"pca": pca, "tsne": {"train": np.round(near[:n], 2), "synthetic": np.round(near[n:], 2)}}


def principal_axes(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, at most 30 principal axes (n_axes, n_dimensions) with variance, and their shares of it; the largest loading is positive."""
    centre = points.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(points - centre, rowvar=False).reshape(points.shape[1], points.shape[1]))
    order = np.argsort(-variances)[:N_COMPONENTS]
    order = order[variances[order] > 1e-12]
    chosen = axes[:, order].T
    signs = np.sign(chosen[np.arange(len(chosen)), np.abs(chosen).argmax(axis=1)])
    return centre, chosen * signs[:, None], variances[order] / max(float(variances.sum()), 1e-300)


def _tsne(points: Floats, seed: int) -> Floats:
    from sklearn.manifold import TSNE

    model = TSNE(
        perplexity=min(30.0, len(points) / 4), init="pca", max_iter=N_ITERATIONS, random_state=seed & 0x7FFFFFFF, n_jobs=1
    )
    return np.asarray(model.fit_transform(points.astype(np.float32)), dtype=float)
