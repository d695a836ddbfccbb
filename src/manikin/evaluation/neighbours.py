"""Exact nearest neighbours in chunks: memory is linear in the number of rows, never rows times rows. Knows no metric."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.evaluation.features import Points

CHUNK_CELLS = 8_000_000  # distances held at once: 32 MB


def nearest(
    queries: Points, points: Points, k: int, *, itself: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The k nearest points of each query, nearest first.

    Parameters
    ----------
    queries, points : float32 (n_queries, n_dimensions), (n_points, n_dimensions).
    k : how many; cut to the number of points there are.
    itself : int64 (n_queries,), a point that is not counted for each query: itself, where queries are among the points.

    Returns
    -------
    distances, positions : (n_queries, k), Euclidean distances (recomputed from differences, so that copies are at exactly 0) and
        positions in `points`.
    """
    k = max(1, min(k, len(points) - (itself is not None)))
    squares = np.einsum("ij,ij->i", points, points)
    distances = np.empty((len(queries), k), dtype=np.float32)
    positions = np.empty((len(queries), k), dtype=np.int64)
    step = max(1, CHUNK_CELLS // max(len(points), k * points.shape[1], 1))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        block = queries[rows]
        # |x - y|² without |x|², which is the same for all points of a query
        gaps = squares - 2.0 * (block @ points.T)
        if itself is not None:
            gaps[np.arange(len(block)), itself[rows]] = np.inf
        near = (
            np.argpartition(gaps, k - 1, axis=1)[:, :k] if k < len(points) else np.tile(np.arange(len(points)), (len(block), 1))
        )
        exact = np.sqrt(((block[:, None, :] - points[near]) ** 2).sum(axis=2))
        order = np.lexsort((near, exact), axis=1)
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        positions[rows] = np.take_along_axis(near, order, axis=1)
    return distances, positions


def counts_within(queries: Points, points: Points, radii: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """In how many balls (points with their radii) each query lies, int64 (n_queries,)."""
    limits = radii.astype(np.float32) ** 2 - np.einsum("ij,ij->i", points, points)
    sizes = np.einsum("ij,ij->i", queries, queries)
    out = np.empty(len(queries), dtype=np.int64)
    step = max(1, CHUNK_CELLS // max(len(points), 1))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        gaps = sizes[rows, None] - 2.0 * (queries[rows] @ points.T)
        out[rows] = (gaps <= limits + 1e-5).sum(axis=1)
    return out
