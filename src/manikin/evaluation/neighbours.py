"""Exact nearest neighbours in chunks: memory is linear in the number of rows, never rows times rows. Knows no metric."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.evaluation.features import Points

CHUNK_CELLS = 8_000_000  # distances held at once: 32 MB
TILE = 8_192  # points that are compared with a chunk of queries at once
BLOCK = 32  # points that share one minimum, so that few distances have to be sorted


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
    distances = np.empty((len(queries), k), dtype=np.float32)
    positions = np.empty((len(queries), k), dtype=np.int64)
    step = max(1, CHUNK_CELLS // max(min(len(points), TILE), k * points.shape[1], 1))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        block = queries[rows]
        near = _near(block, points, k, None if itself is None else itself[rows])
        exact = np.sqrt(((block[:, None, :] - points[near]) ** 2).sum(axis=2))
        order = np.lexsort((near, exact), axis=1)
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        positions[rows] = np.take_along_axis(near, order, axis=1)
    return distances, positions


def _near(queries: Points, points: Points, k: int, itself: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
    """Positions of the k nearest points, in any order, int64 (n_queries, k): the nearest of each tile of points, and of these again.

    A tile stays in the processor's cache, which takes half the time of one long product.
    """
    raised = np.column_stack([queries, np.ones(len(queries), dtype=np.float32)])
    room = np.empty(len(queries) * min(TILE, len(points)), dtype=np.float32)
    found, gaps_found = [], []
    for start in range(0, len(points), TILE):
        tile = points[start : start + TILE]
        # |x - y|² without |x|², which is the same for all points of a query: (x, 1) · (-2 y, |y|²)
        lifted = np.column_stack([-2.0 * tile, np.einsum("ij,ij->i", tile, tile)]).astype(np.float32)
        gaps = np.matmul(raised, lifted.T, out=room[: len(queries) * len(tile)].reshape(len(queries), len(tile)))
        if itself is not None:
            here = np.flatnonzero((itself >= start) & (itself < start + len(tile)))
            gaps[here, itself[here] - start] = np.inf
        least = _least(gaps, min(k, len(tile)))
        found.append(start + least)
        gaps_found.append(np.take_along_axis(gaps, least, axis=1))
    positions, gaps = np.hstack(found), np.hstack(gaps_found)
    return np.take_along_axis(positions, _least(gaps, k), axis=1)


def _least(gaps: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Positions of the k least of each row, in any order, int64 (n_rows, k).

    They lie in the k blocks of least minimum: every point of another block has k points before it, the minima of these.
    """
    n_rows, n_points = gaps.shape
    n_blocks = n_points // BLOCK
    if k >= n_points:
        return np.tile(np.arange(n_points), (n_rows, 1))
    if n_blocks < 4 * k:
        return np.asarray(np.argpartition(gaps, k - 1, axis=1)[:, :k], dtype=np.int64)
    body = n_blocks * BLOCK
    minima = gaps[:, :body].reshape(n_rows, BLOCK, n_blocks).min(axis=1)  # block j holds j, j + n_blocks, …
    blocks = np.argpartition(minima, k - 1, axis=1)[:, :k]
    inside = (blocks[:, :, None] + n_blocks * np.arange(BLOCK)).reshape(n_rows, -1)
    asked = np.column_stack([inside, np.tile(np.arange(body, n_points), (n_rows, 1))])
    chosen = np.argpartition(np.take_along_axis(gaps, asked, axis=1), k - 1, axis=1)[:, :k]
    return np.asarray(np.take_along_axis(asked, chosen, axis=1), dtype=np.int64)


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
