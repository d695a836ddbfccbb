"""What the latent dimensions of a fitted `tvae` do: rows decoded along one while the others rest, and how separate they are.

Everything is asked of the model: rows come from its prior, so that no patient's row is needed and none is shown. Knows no page.

traversal        a dimension goes from -2.5 to 2.5 standard deviations of the latent vectors, the others stay at their mean
information      of a dimension about rows, 0.5 * E[log(Var z / Var(z | x))] in nats: the divergence it costs, told for a normal variable
separateness     Mutual Information Gap (Chen, Li, Grosse & Duvenaud 2018, arXiv 1802.04942, section 4.1), with the table's columns for
                 factors: per column, how much more the best dimension tells of it than the second best, over the column's entropy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from manikin.codecs.base import Tokens
from manikin.data.dataset import Dataset
from manikin.data.errors import parameter_error
from manikin.data.seeds import generator
from manikin.synthesizers.blocks import require_fitted
from manikin.synthesizers.tables.tvae import TVAE
from manikin.training.networks.variational import VariationalNetwork

STOPS = tuple(np.linspace(-2.5, 2.5, 11).round(2).tolist())  # standard deviations
ROWS = 4000  # drawn from the prior, to measure on
LATENT_BINS = 20  # as in the paper
MOST_BINS = 10  # of a column
REPEATS = 40  # of the bootstrap, of the permutations and of the rotations
MOST_LEVELS = 4  # told by name per column
MANY_DIMENSIONS = 16  # that the score looks at: those with most information
LEAST_ENTROPY = 0.05  # nats; columns below hold hardly anything to be told

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Latent:
    """Rows of the model with the latent vectors that they were made from.

    Attributes
    ----------
    vectors : (n, n_latent). tokens : (n, n_fields). information : (n_latent,), nats.
    """

    vectors: Floats
    tokens: Tokens
    information: Floats


def traverse(
    model: TVAE, *, seed: int, n_dimensions: int = 5, n_columns: int = 4, rows: int = 400, by: str = "dimensions"
) -> Mapping[str, Any]:
    """The traversals and the separateness of a fitted model as plain values, ready for JSON.

    Parameters
    ----------
    n_dimensions : how many, those with most information first. n_columns : told of each, those that move most first.
    rows : drawn at every stop, at least 50. by : "dimensions" of the latent vector, or "principal" axes of the vectors.

    Raises
    ------
    ParameterError : one of these is out of its domain. NotFittedError : the model is not fitted.
    """
    require_fitted(model, "network_")
    for name, value, least in (("n_dimensions", n_dimensions, 1), ("n_columns", n_columns, 1), ("rows", rows, 50)):
        if type(value) is not int or value < least:
            raise parameter_error(name, "traverse", f"a whole number of {least} or more", value)
    if by not in ("dimensions", "principal"):
        raise parameter_error("by", "traverse", "'dimensions' or 'principal'", by)
    latent = draw_latent(model, ROWS, seed)
    centre, axes, information = _axes(latent, by)
    order = np.argsort(-information, kind="stable")
    chosen = order[: min(n_dimensions, len(order))]
    strips = [_strip(model, latent, centre, axes[d], int(d), float(information[d]), n_columns, rows, seed) for d in chosen]
    return {
        "by": by,
        "stops": list(STOPS),
        "rows": rows,
        "n_latent": len(information),
        "n_informative": int((information > 0.1).sum()),
        "dimensions": strips,
        "separateness": separateness(model, latent, seed),
    }


@torch.no_grad()
def draw_latent(model: TVAE, n: int, seed: int) -> Latent:
    """`n` rows of the model, the latent vectors behind them, and what its encoder finds in each dimension."""
    network = _network(model)
    rng = generator(seed, "latent")
    noise = torch.from_numpy(rng.standard_normal((n, model.latent), dtype=np.float32))
    vectors = network.prior.from_normal(noise)
    tokens = model.decode_latent(vectors, rng)
    rows = torch.from_numpy(model.vectors_.encode(tokens, rng))
    _, log_variance = network.encode(rows)
    spread = vectors.var(dim=0).clamp_min(1e-12).log()
    information = 0.5 * (spread - log_variance).mean(dim=0).clamp_min(0.0)
    return Latent(vectors.numpy().astype(np.float64), tokens, information.numpy().astype(np.float64))


def _network(model: TVAE) -> VariationalNetwork:
    assert isinstance(model.network_, VariationalNetwork)
    return model.network_


def _axes(latent: Latent, by: str) -> tuple[Floats, Floats, Floats]:
    """The mean vector, steps of one standard deviation (n_axes, n_latent), and what each axis is ranked by."""
    centre = latent.vectors.mean(axis=0)
    if by == "dimensions":
        return centre, np.diag(latent.vectors.std(axis=0)), latent.information
    _, singular, axes = np.linalg.svd(latent.vectors - centre, full_matrices=False)
    spread = singular / np.sqrt(len(latent.vectors))
    axes = axes * np.where(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    return centre, axes * spread[:, None], spread


@torch.no_grad()
def _strip(
    model: TVAE,
    latent: Latent,
    centre: Floats,
    step: Floats,
    place: int,
    information: float,
    n_columns: int,
    rows: int,
    seed: int,
) -> dict[str, Any]:
    """One dimension: what each of the columns that move most shows at every stop."""
    stops = np.repeat(np.asarray(STOPS), rows)
    vectors = torch.from_numpy((centre + stops[:, None] * step).astype(np.float32))
    tokens = model.decode_latent(vectors, generator(seed, "traversal", place))
    data = model.codec_.decode(tokens, generator(seed, "traversal values", place))
    binned, sizes = _bins(model, latent.tokens, tokens)
    best: dict[str, float] = {}
    for j, layout in enumerate(model.codec_.layout.fields):
        shares = np.stack([np.bincount(part, minlength=sizes[j]) / rows for part in np.split(binned[:, j], len(STOPS))])
        size = float(np.abs(shares - shares[len(STOPS) // 2]).sum(axis=1).max() / 2)
        best[layout.column] = max(best.get(layout.column, 0.0), size)
    names = sorted(best, key=lambda name: (-best[name], name))[:n_columns]
    return {
        "dimension": place + 1,
        "information": round(information, 4),
        "columns": [{"column": name, "moved": round(best[name], 4)} | _shown(data, name, rows) for name in names],
    }


def _shown(data: Dataset, name: str, rows: int) -> dict[str, Any]:
    """A column at every stop: median, tenth and ninetieth percent of numbers; shares of the commonest levels of others."""
    series = data.to_pandas()[name]
    pieces = [series.iloc[k * rows : (k + 1) * rows] for k in range(len(STOPS))]
    missing = [round(float(piece.isna().mean()), 4) for piece in pieces]
    if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
        numbers = [pd.to_numeric(piece.dropna()).astype(float) for piece in pieces]
        told = {
            key: [None if not len(piece) else float(f"{piece.quantile(share):.4g}") for piece in numbers]
            for key, share in (("low", 0.1), ("middle", 0.5), ("high", 0.9))
        }
        return {"kind": "number", "missing": missing} | told
    if pd.api.types.is_datetime64_any_dtype(series):
        days = [piece.dropna().astype("int64").quantile([0.1, 0.5, 0.9]) if piece.notna().any() else None for piece in pieces]
        texts = [
            [None] * 3 if one is None else [str(pd.Timestamp(int(v), unit=series.dt.unit))[:10] for v in one] for one in days
        ]
        return {"kind": "time", "missing": missing} | {
            key: [one[k] for one in texts] for k, key in enumerate(("low", "middle", "high"))
        }
    words = [
        piece.astype(object).where(piece.notna(), None).map(lambda v: "(missing)" if v is None else str(v)) for piece in pieces
    ]
    counts = pd.DataFrame([word.value_counts(normalize=True) for word in words]).fillna(0.0)
    spread = (counts.max() - counts.min()).sort_values(ascending=False, kind="stable")
    levels = sorted(spread.index[:MOST_LEVELS])
    return {
        "kind": "level",
        "missing": missing,
        "levels": levels,
        "shares": [[round(float(share), 4) for share in counts[level]] for level in levels],
    }


def separateness(model: TVAE, latent: Latent, seed: int) -> dict[str, Any]:
    """The Mutual Information Gap with columns for factors, its interval, and what it is to be read against.

    Returns
    -------
    value : in [0, 1], higher is more separate; 0 when two dimensions tell the same of every column, or none tells anything.
    interval : 95 %, rows drawn again. chance : 95th percentile when latent vectors are dealt to rows at random.
    mixed : mean over random rotations of the same latent space: what it scores when no dimension is special.
    columns : per column its entropy, its two best dimensions and its gap.
    """
    names = [one.name for one in model.codec_.layout.fields]
    tokens, sizes = _bins(model, latent.tokens, latent.tokens)
    columns = [j for j in range(len(names)) if _entropy(np.bincount(tokens[:, j], minlength=sizes[j])) > LEAST_ENTROPY]
    dimensions = np.argsort(-latent.information, kind="stable")[:MANY_DIMENSIONS]
    nothing: dict[str, Any] = {
        "value": None,
        "interval": None,
        "chance": None,
        "mixed": None,
        "n_rows": len(tokens),
        "columns": [],
    }
    if not columns or len(dimensions) < 2:
        return nothing | {"note": "It takes two latent dimensions and one column that varies."}
    rng = generator(seed, "separateness")
    facts, sizes = tokens[:, columns], sizes[columns]
    vectors = latent.vectors[:, dimensions]
    told = _information(_latent_bins(vectors), facts, sizes)
    gaps, entropy = _gaps(told, facts, sizes)
    bootstrap, chance, mixed = [], [], []
    standard = (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-12)
    for _ in range(REPEATS):
        rows = rng.integers(len(facts), size=len(facts))
        bootstrap.append(_score(vectors[rows], facts[rows], sizes))
        chance.append(_score(vectors[rng.permutation(len(facts))], facts, sizes))
        rotation, _ = np.linalg.qr(rng.standard_normal((len(dimensions), len(dimensions))))
        mixed.append(_score(standard @ rotation, facts, sizes))
    value = float(gaps.mean())
    shift = value - float(np.median(bootstrap))  # rows drawn again repeat, which raises every information a little
    low, high = np.quantile(bootstrap, [0.025, 0.975]) + shift
    return {
        "value": round(value, 4),
        "interval": [round(max(0.0, float(low)), 4), round(min(1.0, float(high)), 4)],
        "chance": round(float(np.quantile(chance, 0.95)), 4),
        "mixed": round(float(np.mean(mixed)), 4),
        "n_rows": len(facts),
        "columns": _told_of([names[j] for j in columns], told, gaps, entropy, dimensions),
        "note": "",
    }


def _told_of(
    names: Sequence[str], told: Floats, gaps: Floats, entropy: Floats, dimensions: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    out = []
    for c in np.argsort(-gaps, kind="stable"):
        first, second = np.argsort(-told[:, c], kind="stable")[:2]
        out.append(
            {
                "column": names[c],
                "gap": round(float(gaps[c]), 4),
                "dimensions": [int(dimensions[first]) + 1, int(dimensions[second]) + 1],
                "shares": [round(float(told[d, c] / entropy[c]), 4) for d in (first, second)],
            }
        )
    return out


def _score(vectors: Floats, facts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> float:
    return float(_gaps(_information(_latent_bins(vectors), facts, sizes), facts, sizes)[0].mean())


def _gaps(told: Floats, facts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Per column the gap between its two best dimensions over its entropy, and that entropy."""
    entropy = np.array([_entropy(np.bincount(facts[:, c], minlength=n)) for c, n in enumerate(sizes)])
    best = np.sort(told, axis=0)
    return (best[-1] - best[-2]) / np.maximum(entropy, 1e-12), entropy


def _information(binned: npt.NDArray[np.int64], facts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Floats:
    """Mutual information of every dimension and column in nats, (n_dimensions, n_columns)."""
    n = len(facts)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    flat = (facts + ends[:-1]).ravel()
    out = np.empty((binned.shape[1], facts.shape[1]))
    shares = np.bincount(flat, minlength=ends[-1]) / n
    for d in range(binned.shape[1]):
        joint = np.bincount(np.repeat(binned[:, d], facts.shape[1]) * ends[-1] + flat, minlength=LATENT_BINS * ends[-1])
        table = joint.reshape(LATENT_BINS, ends[-1]) / n
        mine = np.bincount(binned[:, d], minlength=LATENT_BINS) / n
        apart = mine[:, None] * shares[None, :]
        ratio = np.divide(table, apart, out=np.ones_like(table), where=table > 0)
        out[d] = np.add.reduceat((table * np.log(ratio)).sum(axis=0), ends[:-1])
    return out


def _latent_bins(vectors: Floats) -> npt.NDArray[np.int64]:
    """Bins of equal counts of every dimension, (n, n_dimensions)."""
    ranks = vectors.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return ranks * LATENT_BINS // len(vectors)


def _bins(model: TVAE, reference: Tokens, tokens: Tokens) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Coarse bins of every field, (n, n_fields), and how many: missing codes, then groups of about equal share in `reference`."""
    out = np.empty(tokens.shape, dtype=np.int64)
    sizes = []
    for j, layout in enumerate(model.codec_.layout.fields):
        counts = np.bincount(reference[:, j], minlength=layout.n_tokens).astype(float)
        place = np.arange(layout.n_tokens)
        m = layout.n_missing
        if layout.n_tokens - m > MOST_BINS:
            rest = counts[m:] + 1e-9
            if layout.is_ordered:
                middle = (np.cumsum(rest) - rest / 2) / rest.sum()
                place[m:] = m + np.minimum(middle * MOST_BINS, MOST_BINS - 1).astype(np.int64)
            else:
                rank = np.argsort(np.argsort(-rest, kind="stable"), kind="stable")
                place[m:] = m + np.minimum(rank, MOST_BINS - 1)
        out[:, j] = place[tokens[:, j]]
        sizes.append(int(place.max()) + 1)
    return out, np.array(sizes)


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
