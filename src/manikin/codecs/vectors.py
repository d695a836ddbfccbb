"""Tokens of a table as vectors for networks that need numbers (GANs, VAEs, diffusion), and back. Knows tokens, no model.

Stands on the table codec with one token per cell, so that number format, spikes, rare values, keys and rules stay decided in one place.

levels      all tokens of a field, missing codes included: one-hot, or (more than `max_onehot` of them) fixed random codes, so that width
            and memory do not grow with the vocabulary (feature hashing, arXiv 0902.2206)
numbers     a scalar and, where there is a choice, a one-hot of options: modes of the column, then tokens that are no numbers (missing
            codes) and heavy spikes. The scalar is standardised, quantile-normalised, or within its mode (arXiv 1907.00503, section 4.2)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.table import TableCodec
from manikin.data.errors import ModelFolderError
from manikin.data.seeds import generator

Floats = npt.NDArray[np.float32]
Numbers = Literal["modes", "quantile", "standard"]
ALL_CELLS = 1 << 20  # max_tokens of a table codec that keeps one token per cell
MODES = 10
LEAST_MODE = 0.005  # share of a mode that is kept, as in the paper
HEAVY_SPIKE = 0.05  # share of rows at one value that makes it an option of its own beside modes
REACH = 4.0  # standard deviations that the scalar's [-1, 1] spans within a mode, as in the paper
FURTHEST = 4.0  # of a normal score
FIT_ROWS = 1500  # rows that modes are found on
MOST_ONEHOT = 4096  # levels of a vocabulary that is not given as codes
MOST_CELLS = 1 << 26  # of all codes that a saved folder can ask for


@dataclass(frozen=True)
class Part:
    """One encoded field.

    Attributes
    ----------
    index : that of the field among the table codec's.
    n_tokens : size of its vocabulary.
    n_options : levels (all tokens), or a number's modes and constants; 1 where there is no choice.
    is_number : whether a scalar belongs to it.
    codes : float32 (n_tokens, code_width), the vector of each level; None for one-hot.
    mean, spread : float32 (n_modes,), per mode (numbers). tokens : int32 (n_options - n_modes,), tokens that are options of their own.
    scale : float32 (n_tokens,), each token's number on the scale of `mean`; NaN for missing codes.
    ends : float64 (n_tokens - n_missing + 1,), cumulative shares, for quantile-normalised numbers; empty for others.
    """

    index: int
    n_tokens: int
    n_options: int
    is_number: bool
    codes: Floats | None = None
    mean: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    spread: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    tokens: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    scale: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    ends: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def n_choices(self) -> int:
        """Logits that a network gives for it: none where there is one option."""
        return self.n_options if self.n_options > 1 or not self.is_number else 0

    @property
    def width(self) -> int:
        """Length of its vector."""
        return int(self.is_number) + (self.n_choices if self.codes is None else self.codes.shape[1])

    @cached_property
    def option_of(self) -> npt.NDArray[np.int64]:
        """The option of each token that is one by itself, -1 for those that have a mode, int64 (n_tokens,)."""
        out = np.full(self.n_tokens, -1, dtype=np.int64)
        out[self.tokens] = np.arange(len(self.mean), self.n_options)
        return out

    @cached_property
    def mode_ends(self) -> Floats:
        """Cumulative shares of the modes that each token's number may come from, float32 (n_tokens, n_modes - 1)."""
        distance = (np.nan_to_num(self.scale)[:, None] - self.mean) / self.spread
        likely = np.exp(-0.5 * distance**2 + 0.5 * (distance**2).min(axis=1, keepdims=True)) / self.spread
        ends = np.cumsum(likely, axis=1)
        return (ends[:, :-1] / ends[:, -1:]).astype(np.float32)


@dataclass(kw_only=True)
class VectorCodec:
    """Tokens int32 (n, n_fields) <-> vectors float32 (n, width).

    Parameters
    ----------
    numbers : how number columns are given: within Gaussian modes, quantile-normalised, or standardised.
    levels_below : number columns with fewer tokens than this (missing codes apart) are given as levels.
    max_onehot : vocabularies above this are given as random codes.
    code_width : length of these.
    """

    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    code_width: int = 32
    parts_: tuple[Part, ...] = field(init=False, repr=False, default=())

    def fit(self, table: TableCodec, *, seed: int) -> VectorCodec:
        """Learns modes and scales from a fitted table codec's counts alone; where those are bought, this costs nothing more."""
        self.parts_ = tuple(self._fit_part(j, codec, table.counts_[j], seed) for j, codec in enumerate(table.fields_))
        return self

    def _fit_part(self, j: int, codec: Any, counts: npt.NDArray[np.int64], seed: int) -> Part:
        n = codec.n_tokens
        if not isinstance(codec, NumberCodec) or n - codec.n_missing < max(self.levels_below, 2):
            return Part(j, n, n, is_number=False, codes=_codes(n, self.code_width) if n > self.max_onehot else None)
        missing = np.flatnonzero(counts[: codec.n_missing]).astype(np.int32)
        return _number_part(j, codec, counts, missing, self.numbers, generator(seed, "modes", j))

    @property
    def width(self) -> int:
        """Length of a row's vector."""
        return sum(part.width for part in self.parts_)

    @property
    def spans(self) -> list[slice]:
        """Where each part lies in a row's vector."""
        ends = np.cumsum([part.width for part in self.parts_]).tolist()
        return [slice(end - part.width, end) for part, end in zip(self.parts_, ends, strict=True)]

    def encode(self, tokens: Tokens, rng: np.random.Generator) -> Floats:
        """Vectors float32 (n, width); a row's mode, and a number's place within its token's quantiles, are drawn from `rng`."""
        out = np.zeros((len(tokens), self.width), dtype=np.float32)
        ones = []
        for part, span in zip(self.parts_, self.spans, strict=True):
            mine = tokens[:, part.index]
            if part.is_number:
                out[:, span.start], option = _encode_number(part, mine, rng)
                if part.n_choices:
                    ones.append(option + (span.start + 1))
            elif part.codes is not None:
                out[:, span] = part.codes[mine]
            else:
                ones.append(mine.astype(np.int64) + span.start)
        if ones:
            np.put_along_axis(out, np.stack(ones, axis=1), 1.0, axis=1)
        return out

    def choices(self, tokens: Tokens, rng: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
        """What `encode` writes as vectors, for networks that take choices as indices.

        Returns
        -------
        Scalars float32 (n, n_numbers), one per number part; options int64 (n, n_parts), 0 for parts without a choice.
        """
        scalars, options = [], np.zeros((len(tokens), len(self.parts_)), dtype=np.int64)
        for p, part in enumerate(self.parts_):
            if part.is_number:
                scalar, options[:, p] = _encode_number(part, tokens[:, part.index], rng)
                scalars.append(scalar)
            else:
                options[:, p] = tokens[:, part.index]
        return np.stack(scalars, axis=1) if scalars else np.zeros((len(tokens), 0), dtype=np.float32), options

    def draw(
        self,
        scalars: Floats,
        logits: Floats,
        uniform: Floats,
        *,
        emitted: Callable[[int], Allowed],
        parts: Sequence[int] | None = None,
        allowed: Callable[[int, Tokens, npt.NDArray[np.bool_]], Allowed | None] | None = None,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
        options: npt.NDArray[np.int64] | None = None,
    ) -> Tokens:
        """Tokens int32 (n, n_fields) drawn from what a network gives.

        Parameters
        ----------
        scalars : (n, n_numbers), one per number part of `parts`. logits : (n, sum of n_choices of `parts`).
        uniform : (n, n_fields) in [0, 1), what choices are drawn by.
        emitted : field -> which of its tokens may be generated at all.
        parts : indices of the parts that the network gives, in order; all when None. The others must be given.
        allowed : what confirmed rules leave, given the fields drawn so far; None where there are no rules.
        tokens, given : fields that are fixed beforehand, and which these are, bool (n_fields,).
        options : (n, len(parts)) options that were drawn already under `option_masks`, where no rule binds; `logits` are not looked at.
        """
        n = len(uniform)
        out = np.zeros((n, len(self.parts_)), dtype=np.int32) if tokens is None else tokens.copy()
        done = np.zeros(len(self.parts_), dtype=bool) if given is None else given.copy()
        at_scalar = at_logit = 0
        for place, p in enumerate(range(len(self.parts_)) if parts is None else parts):
            part = self.parts_[p]
            mine = logits[:, at_logit : at_logit + part.n_choices]
            scalar = scalars[:, at_scalar] if part.is_number else None
            at_logit, at_scalar = at_logit + part.n_choices, at_scalar + int(part.is_number)
            if done[part.index]:
                continue
            static = emitted(part.index)
            may: Allowed | None = allowed(part.index, out, done) if allowed is not None else None
            may = None if may is None else _not_nothing(may & static, static)
            if options is None:
                option = _draw_option(part, mine, uniform[:, part.index], static, may)
            else:
                option = options[:, place]
            out[:, part.index] = option if scalar is None else _number_tokens(part, scalar, option, static, may)
            done[part.index] = True
        return out

    def option_masks(
        self, emitted: Callable[[int], Allowed], parts: Sequence[int] | None = None
    ) -> list[npt.NDArray[np.bool_]]:
        """For each part with a choice, which of its options may be drawn at all, bool (n_choices,)."""
        chosen = [self.parts_[p] for p in (range(len(self.parts_)) if parts is None else parts)]
        return [_possible_options(part, emitted(part.index)) for part in chosen if part.n_choices]

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted, as JSON-able values and arrays; codes are made anew from the sizes."""
        values: dict[str, Any] = {name: getattr(self, name) for name in ("numbers", "levels_below", "max_onehot", "code_width")}
        values["parts"] = [
            {"n_tokens": part.n_tokens, "n_options": part.n_options, "is_number": part.is_number} for part in self.parts_
        ]
        arrays = {
            f"part{p}.{name}": getattr(part, name) for p, part in enumerate(self.parts_) if part.is_number for name in _ARRAYS
        }
        return values, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], table: TableCodec) -> VectorCodec:
        """The codec as saved, checked against the table codec it stands on.

        Raises
        ------
        ModelFolderError : sizes do not fit each other.
        """
        made = cls(**{name: values[name] for name in ("numbers", "levels_below", "max_onehot", "code_width")})
        if not (0 < made.max_onehot <= MOST_ONEHOT and 0 < made.code_width <= 1024) or len(values["parts"]) != len(table.fields_):
            raise _refusal("its number or width of parts is out of bounds")
        parts, left = [], MOST_CELLS
        for p, (own, codec) in enumerate(zip(values["parts"], table.fields_, strict=True)):
            n, is_number = codec.n_tokens, bool(own["is_number"])
            left -= 0 if is_number or n <= made.max_onehot else n * made.code_width
            if left < 0:
                raise _refusal("its codes are larger than any table's")
            if own["n_tokens"] != n or (is_number and not isinstance(codec, NumberCodec)):
                raise _refusal(f"part {p} is not that of its column")
            if not is_number:
                parts.append(Part(p, n, n, is_number=False, codes=_codes(n, made.code_width) if n > made.max_onehot else None))
                continue
            mine = {name: np.asarray(arrays.get(f"part{p}.{name}", np.empty(0))) for name in _ARRAYS}
            n_options = len(mine["mean"]) + len(mine["tokens"])
            is_sound = mine["scale"].shape == (n,) and mine["mean"].shape == mine["spread"].shape and len(mine["mean"]) > 0
            is_sound &= mine["tokens"].min(initial=0) >= 0 and mine["tokens"].max(initial=0) < n
            is_sound &= len(mine["mean"]) <= MODES and len(mine["tokens"]) <= n  # encoding looks at every token in every mode
            if not is_sound or len(mine["ends"]) not in (0, n - codec.n_missing + 1) or own["n_options"] != n_options:
                raise _refusal(f"the arrays of part {p} do not fit each other")
            if not _are_numbers(mine, codec.n_missing):
                raise _refusal(f"the arrays of part {p} are not the finite numbers that they stand for")
            parts.append(Part(p, n, n_options, is_number=True, **mine))
        made.parts_ = tuple(parts)
        return made


_ARRAYS = ("mean", "spread", "tokens", "scale", "ends")


def _are_numbers(arrays: dict[str, npt.NDArray[Any]], n_missing: int) -> bool:
    """Whether saved arrays of a number have their types, are finite but for missing codes' places, and rise where they must."""
    mean, spread, tokens, scale, ends = (arrays[name] for name in _ARRAYS)
    is_typed = all(one.dtype == np.float32 for one in (mean, spread, scale)) and tokens.dtype == np.int32
    is_list = all(one.ndim == 1 for one in (mean, tokens, ends)) and (not len(ends) or ends.dtype == np.float64)
    return bool(
        is_typed
        and is_list
        and all(np.isfinite(one).all() for one in (mean, spread, scale[n_missing:], ends))
        and (spread > 0).all()
        and len(scale) > n_missing
        and (np.diff(ends) >= 0).all()
    )


def _refusal(why: str) -> ModelFolderError:
    return ModelFolderError(f"The vectors of the model folder do not fit its columns: {why}. Save the model again.")


def _codes(n: int, width: int) -> Floats:
    """Fixed random unit vectors, the same for the same sizes, float32 (n, width)."""
    drawn = np.random.default_rng([n, width]).standard_normal((n, width))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def _number_part(
    j: int,
    codec: NumberCodec,
    counts: npt.NDArray[np.int64],
    missing: npt.NDArray[np.int32],
    numbers: Numbers,
    rng: np.random.Generator,
) -> Part:
    m, n = codec.n_missing, codec.n_tokens
    seen = counts[m:].astype(float)
    scale = np.full(n, np.nan, dtype=np.float32)
    ends = np.empty(0)
    constants = missing
    middles = codec.middles()
    if numbers == "quantile":
        ends = np.concatenate([[0.0], np.cumsum(seen)]) / max(seen.sum(), 1.0)
        scale[m:] = _normal_score((ends[:-1] + ends[1:]) / 2)
        mean, spread = np.zeros(1), np.full(1, FURTHEST / REACH)
    else:
        weights = seen if seen.sum() else np.ones_like(seen)
        centre = np.average(middles, weights=weights)
        deviation = np.sqrt(np.average((middles - centre) ** 2, weights=weights)) or 1.0
        scale[m:] = (middles - centre) / deviation
        mean, spread = np.zeros(1), np.full(1, np.abs(scale[m:]).max() / REACH + 1e-6)
        if numbers == "modes":
            heavy = np.flatnonzero((seen >= HEAVY_SPIKE * counts.sum()) & codec.is_spike())
            constants = np.concatenate([missing, (heavy + m).astype(np.int32)])
            light = seen.copy()
            light[heavy] = 0
            mean, spread = _modes(scale[m:], light if light.sum() else weights, rng)
    n_options = len(mean) + len(constants)
    return Part(
        j,
        n,
        n_options,
        is_number=True,
        mean=mean.astype(np.float32),
        spread=spread.astype(np.float32),
        tokens=constants,
        scale=scale,
        ends=ends,
    )


def _modes(
    scale: Floats, weights: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Means and deviations of a variational Gaussian mixture with at most ten modes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    n = int(min(FIT_ROWS, weights.sum()))
    values = rng.choice(scale, size=max(n, MODES), p=weights / weights.sum())[:, None]
    mixture = BayesianGaussianMixture(
        n_components=min(MODES, len(np.unique(values))),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=0.001,
        max_iter=60,
        n_init=1,
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(values)
    kept = mixture.weights_ > LEAST_MODE
    return mixture.means_[kept, 0], np.maximum(np.sqrt(mixture.covariances_[kept, 0, 0]), 1e-3)


def _normal_score(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy.special import ndtri

    return np.clip(ndtri(share), -FURTHEST, FURTHEST)


def _encode_number(part: Part, tokens: npt.NDArray[np.int32], rng: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The scalar in [-1, 1] and the option of each row; a constant's scalar is 0."""
    n_modes = len(part.mean)
    option = part.option_of[tokens]
    if len(part.ends):
        m = part.n_tokens - len(part.ends) + 1
        place = np.maximum(tokens - m, 0)
        low, high = part.ends[place], part.ends[place + 1]
        value = _normal_score(low + rng.random(len(tokens)) * (high - low))
    else:
        value = part.scale[tokens].astype(np.float64)
    free = option < 0
    if n_modes == 1:
        option[free] = 0
    else:
        drawn = (rng.random((len(tokens), 1), dtype=np.float32) >= part.mode_ends[tokens]).sum(axis=1)
        option = np.where(free, drawn, option)
    mode = np.minimum(option, n_modes - 1)
    free &= np.isfinite(value)  # a missing code that is no option: it is given, where missing cells were imputed
    scalar = np.where(free, (value - part.mean[mode]) / (REACH * part.spread[mode]), 0.0)
    return np.clip(scalar, -1, 1).astype(np.float32), option


def _draw_levels(logits: Floats, uniform: Floats, static: Allowed, may: Allowed | None) -> npt.NDArray[np.int64]:
    """One option a row by its logits among those that may be."""
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    weight *= static if may is None else may
    ends = np.cumsum(weight, axis=1)
    chosen = np.minimum((uniform[:, None] * ends[:, -1:] >= ends).sum(axis=1), ends.shape[1] - 1)
    lost = np.flatnonzero(
        weight[np.arange(len(chosen)), chosen] <= 0
    )  # all weight was on what may not be, or rounding went past it
    if len(lost):
        may_be = np.broadcast_to(static, ends.shape)[lost] if may is None else may[lost]
        chosen[lost] = np.where(may_be, logits[lost], -np.inf).argmax(axis=1)
    return chosen


def _draw_option(part: Part, logits: Floats, uniform: Floats, static: Allowed, may: Allowed | None) -> npt.NDArray[np.int64]:
    """One option a row: a level, or a number's mode or constant."""
    if not part.is_number:
        return _draw_levels(logits, uniform, static, may)
    if not part.n_choices:
        return np.zeros(len(uniform), dtype=np.int64)
    options = _possible_options(part, static)
    if may is None:
        return _draw_levels(logits, uniform, options, None)
    in_modes = np.any(may & _is_plain(part), axis=1).reshape(-1, 1)
    ok = np.concatenate([np.repeat(in_modes, len(part.mean), 1), may[:, part.tokens]], axis=1)
    return _draw_levels(logits, uniform, options, _not_nothing(ok, options))


def _possible_options(part: Part, static: Allowed) -> npt.NDArray[np.bool_]:
    if not part.is_number:
        return static
    return np.concatenate([np.full(len(part.mean), (static & _is_plain(part)).any()), static[part.tokens]])


def _is_plain(part: Part) -> npt.NDArray[np.bool_]:
    """Which tokens of a number part are numbers that modes give."""
    plain = ~np.isnan(part.scale)
    plain[part.tokens] = False
    return plain


def _number_tokens(
    part: Part, scalar: Floats, option: npt.NDArray[np.int64], static: Allowed, may: Allowed | None
) -> npt.NDArray[np.int64]:
    """Tokens of a number part: the option's own, or the one nearest to the value within its mode, among those that may be."""
    n_modes, is_plain = len(part.mean), _is_plain(part)
    mode = np.minimum(option, n_modes - 1)
    value = np.clip(scalar, -1, 1) * REACH * part.spread[mode] + part.mean[mode]
    tokens = _nearest_token(part, value, static & is_plain if (static & is_plain).any() else is_plain)
    constant = option >= n_modes
    if constant.any():
        tokens[constant] = part.tokens[option[constant] - n_modes]
    if may is not None:
        wrong = np.flatnonzero(~may[np.arange(len(tokens)), tokens])
        if len(wrong):
            gap = np.abs(np.arange(part.n_tokens) - tokens[wrong, None]) + np.where(may[wrong], 0, part.n_tokens + 1)
            tokens[wrong] = gap.argmin(axis=1)
    return tokens


def _nearest_token(part: Part, value: npt.NDArray[Any], possible: Allowed) -> npt.NDArray[np.int64]:
    """The possible token whose number is nearest, or in whose quantiles the value falls."""
    if len(part.ends):
        from scipy.special import ndtr

        m = part.n_tokens - len(part.ends) + 1
        share = ndtr(value.astype(np.float64))
        tokens = np.clip(np.searchsorted(part.ends[1:], share, side="right"), 0, part.n_tokens - m - 1) + m
        if possible[m:].all():
            return tokens
        value = part.scale[tokens]
    candidates = np.flatnonzero(possible)
    candidates = candidates[np.argsort(part.scale[candidates], kind="stable")]
    numbers = part.scale[candidates].astype(np.float64)
    return candidates[np.searchsorted((numbers[1:] + numbers[:-1]) / 2, value)]


def _not_nothing(may: Allowed, otherwise: Allowed) -> Allowed:
    """Rows in which nothing may be fall back to what may be at all; decoding settles the rules there."""
    empty = ~may.any(axis=1)
    if empty.any():
        may = may.copy()
        may[empty] = otherwise
    return may
