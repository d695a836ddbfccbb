"""A rehearsal with canaries: a generator learns with some made-up patients in and others out, and an attacker who sees all guesses which.

White box, after the one-run audit in `auditing`. The attacker knows every real patient, every canary, the code, the seed, and everything
that leaves a seal: each noisy count, each noisy gradient. He knows neither the coins nor the noise. What he sees is a linear function of
the coins with noise, so he takes their least-squares estimate. Knows no generator: one is given as a function.

Canaries that are out go through every change of rows like the others and are dropped where a seal is opened, so that he can tell in which
cells and on which gradients they would have counted. Changes see each row by itself, so the mechanism is the same.

For measuring inside the house only: what is learned here is thrown away, and nothing here is private.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError
from manikin.privacy import mechanisms, sealed
from manikin.privacy.sealed import PrivateDataset, Sealed

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ROUNDING = 1 / 12  # variance that rounding to whole numbers adds


@dataclass
class Rehearsal:
    """What the attacker gathers while a generator learns; `scores` are his.

    Attributes
    ----------
    is_in : bool (n_canaries,), the coins. noise : share of the noise that is drawn: 1 as it is, 0 the twin without any.
    sees_gradients : whether he takes down gradients, too. He does not know who of the others was sampled: where all gradients are alike
        that drowns what they say of a canary, and his guesses are better without them.
    n_counts, n_gradients : answers that he used.
    """

    is_in: Flags
    noise: float = 1.0
    sees_gradients: bool = True
    n_counts: int = 0
    n_gradients: int = 0
    _normal: Floats = field(init=False, repr=False)
    _right: Floats = field(init=False, repr=False)
    _rows: dict[int, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.is_in)
        self._normal, self._right = np.zeros((n, n)), np.zeros(n)

    @property
    def scores(self) -> Floats:
        """Posterior mean of each coin less one half, float64 (n_canaries,); high says that she was in."""
        return np.asarray(np.linalg.solve(self._normal + 4 * np.eye(len(self.is_in)), self._right), dtype=float)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Lets a generator learn with the canaries that are in, and watches it; the canaries are the last patients, of one row each."""
        patches = [
            (mechanisms, "opened", self._opened),
            (mechanisms, "opened_data", self._opened_data),
            (mechanisms, "assigned", self._assigned),
            (mechanisms, "private_generator", self._generator(mechanisms.private_generator)),
            (mechanisms, "noisy_counts", self._counting(mechanisms.noisy_counts)),
            *self._of_other_modules(),
        ]
        before = [(place, name, getattr(place, name)) for place, name, _ in patches]
        for place, name, made in patches:
            setattr(place, name, made)
        try:
            yield
        finally:
            for place, name, made in before:
                setattr(place, name, made)

    def _of_other_modules(self) -> list[tuple[Any, str, Any]]:
        from manikin.privacy import dpsgd

        out: list[tuple[Any, str, Any]] = [
            (dpsgd, "opened", self._opened),
            (dpsgd, "noisy_gradient", self._descending(dpsgd.noisy_gradient)),
            (dpsgd.Sampler, "__init__", self._sampling(dpsgd.Sampler.__init__)),
        ]
        for name, module in sys.modules.items():  # whoever else of this package opens seals
            if name.startswith("manikin.privacy.") and module not in (mechanisms, dpsgd, sealed, sys.modules[__name__]):
                out += [(module, "opened", self._opened)] if hasattr(module, "opened") else []
        if hasattr(Sealed, "summary"):
            honest = Sealed.summary
            out.append((Sealed, "summary", lambda rows, of: honest(Sealed(self._kept(rows._rows)), of)))
        return out

    def _kept(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The rows without those of canaries that are out."""
        if len(rows) < len(self.is_in):
            raise BudgetError("A rehearsal was given rows without its canaries.")
        return rows[np.append(np.ones(len(rows) - len(self.is_in), dtype=bool), self.is_in)]

    def _opened(self, rows: Sealed) -> npt.NDArray[Any]:
        return self._kept(sealed.opened(rows))

    def _opened_data(self, data: PrivateDataset) -> Dataset:
        own = sealed.opened_data(data)
        kept = self._kept(np.arange(len(own)))
        return own.subset(kept) if own.is_linked else own.take(kept)

    def _assigned(self, data: PrivateDataset, n_groups: int) -> Sealed:
        """Groups of everybody, canaries that are out too: what is opened later drops them."""
        own = sealed.opened_data(data)
        return Sealed(mechanisms.private_generator().integers(n_groups, size=own.n_records)[own.records])

    def _generator(self, honest: Callable[[], np.random.Generator]) -> Callable[[], Any]:
        return honest if self.noise == 1 else lambda: _Scaled(honest(), self.noise)

    def _counting(self, honest: Callable[..., list[Floats]]) -> Callable[..., list[Floats]]:
        def noisy_counts(cells: Sealed, sizes: Sequence[int], ledger: Any, *, precision: float, **words: Any) -> list[Floats]:
            """The honest answers, which the attacker takes down."""
            answers = honest(cells, sizes, ledger, precision=precision, **words)
            variance = (self.noise * mechanisms.noise_of(ledger, precision, n_tables=len(sizes))) ** 2 + ROUNDING
            rows = sealed.opened(cells)
            rows = rows[:, None] if rows.ndim == 1 else rows
            for own, answer, size in zip(rows.T, answers, sizes, strict=True):
                self._see_counts(own.astype(np.int64), answer, size, variance)
            return answers

        return noisy_counts

    def _see_counts(self, cells: npt.NDArray[np.int64], answer: Floats, size: int, variance: float) -> None:
        """y = counts - those of the others - half of the canaries' = sum over canaries of (coin - 1/2) in their cells, with noise."""
        n = len(self.is_in)
        others, canaries = cells[:-n], cells[-n:]
        is_valid = (canaries >= 0) & (canaries < size)
        at = np.where(is_valid, canaries, 0)
        known = np.bincount(others[(others >= 0) & (others < size)], minlength=size).astype(float)
        known += 0.5 * np.bincount(canaries[is_valid], minlength=size)
        together = (at[:, None] == at[None, :]) & is_valid[:, None] & is_valid[None, :]
        self._normal += together / variance
        self._right += np.where(is_valid, (answer - known)[at], 0.0) / variance
        self.n_counts += size

    def _sampling(self, honest: Callable[..., None]) -> Callable[..., None]:
        def init(sampler: Any, plan: Any, rows: Sealed, *args: Any, **kwargs: Any) -> None:
            self._rows[id(sampler)] = sealed.opened(rows)
            honest(sampler, plan, rows, *args, **kwargs)

        return init

    def _descending(self, honest: Callable[..., Any]) -> Callable[..., Any]:
        def noisy_gradient(sampler: Any, module: Any, loss: Any) -> Any:
            """The honest gradient, which the attacker takes down."""
            if not self.sees_gradients:
                return honest(sampler, module, loss)
            gradients, others = self._gradients(sampler, module, loss)
            answers = honest(sampler, module, loss)
            plan = sampler.plan
            seen = np.concatenate([one.detach().cpu().numpy().ravel() for one in answers]).astype(float) * plan.denominator
            self._see_gradient(seen, gradients, others, plan)
            return answers

        return noisy_gradient

    def _see_gradient(self, seen: Floats, gradients: Floats, others: Floats, plan: Any) -> None:
        """The sum of the sampled patients' gradients with noise; who was sampled he does not know, so he expects the sampling rate."""
        rate, n = plan.sampling_rate, len(self.is_in)
        design = rate * gradients
        spread = rate * (1 - rate) * float((gradients**2).sum()) / 2 / seen.size
        variance = (self.noise * plan.noise_multiplier * plan.clip_norm) ** 2 + spread + 1e-6
        self._normal += design @ design.T / variance
        self._right += design @ (seen - rate * others - 0.5 * design.sum(axis=0)) / variance
        self.n_gradients += 1
        assert design.shape[0] == n

    def _gradients(self, sampler: Any, module: Any, loss: Any) -> tuple[Floats, Floats]:
        """Clipped gradients of every canary (n_canaries, n_parameters), and the sum of the others'."""
        import torch

        from manikin.privacy.per_patient import clipped_sum

        rows, n = torch.from_numpy(np.ascontiguousarray(self._rows[id(sampler)])), len(self.is_in)
        rows = rows if rows.is_floating_point() else rows.long()
        ask = {"clip_norm": sampler.plan.clip_norm, "is_recorded": sampler.is_recorded}

        def flat(own: Any) -> Floats:
            made = clipped_sum(module, loss, own, torch.ones(len(own), 1), **ask)
            return torch.cat([one.reshape(-1) for one in made]).detach().cpu().numpy().astype(float)

        state = torch.get_rng_state()
        canaries = np.stack([flat(rows[-n + i :][:1]) for i in range(n)])
        others = flat(rows[:-n])
        torch.set_rng_state(state)
        return canaries, others


class _Scaled:
    """A generator whose noise is scaled and whose other draws are not."""

    def __init__(self, honest: np.random.Generator, share: float) -> None:
        self._honest, self._share = honest, share

    def __getattr__(self, name: str) -> Any:
        drawn = getattr(self._honest, name)
        return (lambda *args, **kwargs: self._share * drawn(*args, **kwargs)) if name in ("normal", "laplace", "gumbel") else drawn
