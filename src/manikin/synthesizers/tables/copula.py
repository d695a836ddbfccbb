"""A Gaussian copula over mixed columns (Patki, Wedge & Veeramachaneni 2016, doi:10.1109/DSAA.2016.49). Knows tokens, not values.

Every field of the codec is the trace of latent normal numbers (`nested_cuts`), and all that columns have to do with each other is the
correlation of these. It is learned as Hoff (2007, doi:10.1214/07-AOAS107) does for mixed data: of a cell only the interval is known in
which its latent number lies, so that ties, spikes and levels do not blunt the correlation.

What differs from both papers: margins are the codec's tokens instead of parametric distributions or raw ranks, so formats, spikes,
missing codes and rules survive; missing codes and unordered levels are nested cuts of several latent numbers instead of one number each;
the correlation is the maximum of a penalised likelihood by stochastic EM (Delyon, Lavielle & Moulines 1999, doi:10.1214/aos/1018031103)
instead of a posterior sample, with a weaker prior than Hoff's; conditions are drawn, not rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy.typing as npt

from manikin.codecs.base import Field, Tokens
from manikin.codecs.table import RuleMask, TableCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ModelFolderError, parameter_error
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, or_none, refuse_ledger, require_fitted, rows_of
from manikin.synthesizers.tables import latent_normal, nested_cuts
from manikin.synthesizers.tables.nested_cuts import FieldCuts, field_cuts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CALIBRATION_ROWS = 20_000
FIRST_ROWS, FIRST_SWEEPS = 3_000, 16  # a part of the rows finds the neighbourhood of the correlation, all of them refine it
BURN_IN = 3
GIBBS_SWEEPS = 20
MOST_REDRAWS = 20
ONE_HOT_LEVELS = 12


@dataclass(kw_only=True)
class Copula:
    """Gaussian copula.

    Parameters
    ----------
    max_latents : most latent numbers of one column of unordered levels; 1 puts its levels on one line.
    prior_rows : rows of independence that the correlation is drawn towards.
    n_sweeps : rounds of stochastic EM over all rows.
    max_rows : most rows that the correlation is learned from; tokens and their frequencies are learned from all.
    max_tokens : most groups of a number column.

    >>> Copula(max_latents=1).max_latents
    1
    """

    max_latents: int = 8
    prior_rows: float = 1.0
    n_sweeps: int = 10
    max_rows: int = 8_000
    max_tokens: int = 1_000
    codec_: TableCodec = field(init=False, repr=False)
    fields_: tuple[FieldCuts, ...] = field(init=False, repr=False)
    correlation_: Floats = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        """Learns the margins and the correlation.

        Raises
        ------
        BudgetError : a ledger is given. FitError : there is nothing to learn. ParameterError : a hyperparameter is out of its range.
        """
        refuse_ledger("copula", ledger)
        self._check()
        self.codec_ = TableCodec(max_tokens=self.max_tokens).fit(data)
        tokens, fields = self.codec_.encode(data), self.codec_.layout.fields
        counts = [np.bincount(tokens[:, j], minlength=f.n_tokens) * self.codec_.emitted(j) for j, f in enumerate(fields)]
        profiles = _profiles(tokens, fields)
        self.fields_ = tuple(
            field_cuts(f, n, profile, max_latents=self.max_latents)
            for f, n, profile in zip(fields, counts, profiles, strict=True)
        )
        self._check_size()
        self._learn(tokens, seed)
        return self

    def _check_size(self) -> None:
        """Refuses to learn what `restore` would refuse to load."""
        latents, sizes = [len(one.cuts) for one in self.fields_], self.codec_.layout.sizes
        if nested_cuts.n_bounds(latents, sizes) > nested_cuts.MOST_BOUNDS:
            largest = int(np.argmax(np.multiply(latents, sizes)))
            raise FitError(
                f"The synthesizer 'copula' would need {sum(latents):,} latent numbers for {sum(sizes):,} values, most of them for "
                f"column {self.codec_.layout.fields[largest].column!r}. Ask for fewer max_latents, or leave the column out."
            )

    def _check(self) -> None:
        for name, low in {"max_latents": 1, "n_sweeps": 1, "max_rows": 2, "max_tokens": 2}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise parameter_error(name, "Copula", f"an int in [{low}, inf)", value)
        if not self.prior_rows > 0:
            raise parameter_error("prior_rows", "Copula", "a number in (0, inf)", self.prior_rows)

    def _learn(self, tokens: Tokens, seed: int) -> None:
        """Stochastic EM: latent numbers drawn within their cells, the correlation of what was drawn, cuts that fit it, and again."""
        rng = generator(seed, "copula", "fit")
        self.correlation_ = np.eye(sum(len(one.cuts) for one in self.fields_))
        if len(self.correlation_) < 2:
            return
        order = rng.permutation(len(tokens))[: self.max_rows]
        if len(order) > FIRST_ROWS:
            self._climb(tokens[order[:FIRST_ROWS]], FIRST_SWEEPS, FIRST_SWEEPS, rng, seed)
            self._climb(tokens[order], self.n_sweeps, BURN_IN, rng, seed)
        else:
            self._climb(tokens[order], FIRST_SWEEPS + self.n_sweeps, FIRST_SWEEPS + BURN_IN, rng, seed)

    def _climb(self, tokens: Tokens, n_sweeps: int, burn_in: int, rng: np.random.Generator, seed: int) -> None:
        n, d = len(tokens), len(self.correlation_)
        tables = [one.bounds() for one in self.fields_]
        z = latent_normal.draw_within(_bounds(tables, tokens), self.correlation_, rng, n_sweeps=0)
        moments = np.zeros((d, d))
        for turn in range(n_sweeps):
            latent_normal.sweep(z, lambda rows, tables=tables: _bounds(tables, tokens[rows]), self.correlation_, rng)  # type: ignore[misc]
            moments += (z @ z.T / n - moments) / max(1, turn - burn_in + 1)
            self.correlation_ = latent_normal.as_correlation(moments, n, self.prior_rows)
            if turn % 3 == 2 or turn == n_sweeps - 1:
                self._calibrate(seed)
                tables = [one.bounds() for one in self.fields_]

    def _calibrate(self, seed: int) -> None:
        """Cuts on a branch depend on who comes there: they are set on a sample, the same noise each time."""
        if all(len(one.cuts) < 2 for one in self.fields_):
            return
        noise = generator(seed, "copula", "calibration").standard_normal(
            (len(self.correlation_), CALIBRATION_ROWS), dtype=np.float32
        )
        z = latent_normal.factor_of(self.correlation_).astype(np.float32) @ noise
        self.fields_ = tuple(one.calibrated(z[span]) for one, span in zip(self.fields_, self._spans, strict=True))

    @property
    def _spans(self) -> list[slice]:
        ends = np.cumsum([len(one.cuts) for one in self.fields_]).tolist()
        return [slice(end - len(one.cuts), end) for one, end in zip(self.fields_, ends, strict=True)]

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows; given cells are kept to the digit, the others drawn from the normal distribution given these (no rejection).

        Raises
        ------
        FitError : nothing was learned. ParameterError : n or the conditions do not fit the model.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "correlation_")
        check_request("Copula", n, batch_size, conditions)
        conditions = or_none(conditions)
        tables = [one.bounds() for one in self.fields_]

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The rows of one block, from its own stream of randomness."""
            rng, own = generator(seed, "copula", "sample", number), rows_of(conditions, start, stop)
            tokens, known = self.codec_.encode_conditions(own, stop - start)
            self._draw(tokens, known, tables, rng, self.codec_.allowed_given(own, stop - start))
            return self.codec_.decode(tokens, rng, first_key=start + 1, conditions=own)

        return in_batches(draw, n, batch_size=batch_size)

    def _draw(
        self, tokens: Tokens, known: npt.NDArray[np.bool_], tables: list[Any], rng: np.random.Generator, rules: RuleMask
    ) -> None:
        """Fills the fields that are not known, in place: known ones as latent numbers first, then field by field given all before."""
        is_known = np.repeat(known, [len(one.cuts) for one in self.fields_])
        regression, factor = latent_normal.given(self.correlation_, is_known)
        low, high = _bounds(tables, tokens)
        inside = latent_normal.draw_within(
            (low[is_known], high[is_known]), self.correlation_[np.ix_(is_known, is_known)], rng, n_sweeps=GIBBS_SWEEPS
        )
        mean, noise = regression @ inside, rng.standard_normal((len(regression), len(tokens)))
        known, first = known.copy(), 0
        for j, one in enumerate(self.fields_):
            if known[j]:
                continue
            block = slice(first, first + len(one.cuts))
            before = mean[block] + factor[block, :first] @ noise[:first]
            tokens[:, j] = one.tokens(before + factor[block, block] @ noise[block])
            allowed = rules(j, tokens, known)
            if allowed is not None:
                self._redraw(j, tokens, allowed, before, factor[block, block], noise[block], tables[j], rng)
            known[j], first = True, block.stop

    def _redraw(
        self,
        j: int,
        tokens: Tokens,
        allowed: npt.NDArray[np.bool_],
        mean: Floats,
        factor: Floats,
        noise: Floats,
        table: tuple[Floats, Floats],
        rng: np.random.Generator,
    ) -> None:
        """Cells that a confirmed rule forbids are drawn again; after many turns, by the frequencies of what is allowed. In place."""
        bad = np.flatnonzero(~allowed[np.arange(len(tokens)), tokens[:, j]])
        for _ in range(MOST_REDRAWS):
            if not len(bad):
                return
            noise[:, bad] = rng.standard_normal((len(noise), len(bad)))
            tokens[bad, j] = self.fields_[j].tokens(mean[:, bad] + factor @ noise[:, bad])
            bad = bad[~allowed[bad, tokens[bad, j]]]
        if not len(bad):
            return
        counts = self.codec_.counts_[j] * self.codec_.emitted(j)
        weight = allowed[bad] * (counts + 1e-9)
        weight = np.where(weight.any(axis=1, keepdims=True), weight, counts + 1e-9)
        ends = np.cumsum(weight, axis=1)
        tokens[bad, j] = (ends < rng.random(len(bad))[:, None] * ends[:, -1:]).sum(axis=1)
        low, high = (ends[:, tokens[bad, j]] for ends in table)
        for k in range(len(noise)):  # latent numbers that lead there, for the fields to come
            centre = mean[k, bad] + factor[k, :k] @ noise[:k, bad]
            drawn = latent_normal.truncated(centre, factor[k, k], low[k], high[k], rng.random(len(bad)))
            noise[k, bad] = (drawn - centre) / factor[k, k]

    def state(self) -> State:
        """Everything fitted: the codec, the cuts of the latent numbers and their correlation; no row."""
        values, arrays = self.codec_.state()
        named = {f"codec.{name}": array for name, array in arrays.items()}
        named |= {f"fields.{name}": array for name, array in nested_cuts.state_of(self.fields_).items()}
        return {"codec": values}, named | {"correlation": self.correlation_}

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back.

        Raises
        ------
        ModelFolderError : the arrays do not fit the columns.
        """
        parts: dict[str, Arrays] = {"codec": {}, "fields": {}}
        for name, array in arrays.items():
            part, _, key = name.partition(".")
            if key:
                parts[part][key] = array
        self.codec_ = TableCodec.from_state(values["codec"], parts["codec"])
        self.fields_ = nested_cuts.from_state(parts["fields"], self.codec_.layout.sizes)
        self.correlation_ = arrays["correlation"]
        d = sum(len(one.cuts) for one in self.fields_)
        is_fit = self.correlation_.shape == (d, d) and self.correlation_.dtype == np.float64
        if (
            not is_fit
            or not np.allclose(np.diag(self.correlation_), 1)
            or not np.allclose(self.correlation_, self.correlation_.T)
        ):
            raise ModelFolderError("The array 'correlation' does not fit the model's columns. Save the model again.")
        return self


def _bounds(tables: list[tuple[Floats, Floats]], tokens: Tokens) -> tuple[Floats, Floats]:
    """The intervals of all latent numbers of rows, float64 (n_latents, n_rows) each."""
    low = np.concatenate([low[:, tokens[:, j]] for j, (low, _) in enumerate(tables)])
    high = np.concatenate([high[:, tokens[:, j]] for j, (_, high) in enumerate(tables)])
    return low, high


def _profiles(tokens: Tokens, fields: tuple[Field, ...]) -> list[Floats]:
    """Per field what the other columns of each token's rows are like, float64 (n_tokens, n_features); drawn to the middle when few."""
    from scipy.sparse import csr_array

    n = len(tokens)
    features, owner = [], []
    for j, f in enumerate(fields):
        counts = np.bincount(tokens[:, j], minlength=f.n_tokens)
        if f.is_ordered:
            rank = (np.cumsum(counts) - counts / 2) / n
            own = rank[tokens[:, j]][:, None]
        else:
            own = (tokens[:, j][:, None] == np.argsort(-counts, kind="stable")[:ONE_HOT_LEVELS]).astype(float)
        own = own - own.mean(axis=0)
        features.append(own / np.sqrt(max(float((own**2).sum()) / n, 1e-12)))
        owner += [j] * own.shape[1]
    every, of = np.concatenate(features, axis=1), np.array(owner)
    made = []
    for j, f in enumerate(fields):
        if f.is_ordered or f.n_tokens <= 2 or len(fields) == 1:
            made.append(np.zeros((f.n_tokens, 1)))
            continue
        holders = csr_array((np.ones(n), (tokens[:, j], np.arange(n))), shape=(f.n_tokens, n))
        made.append((holders @ every[:, of != j]) / (holders.sum(axis=1) + 5.0)[:, None])
    return made
