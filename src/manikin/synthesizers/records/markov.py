"""A chain over linked patients' events: what comes next follows from what came last and from an outline of the record. No gradients.

In the sense of the conditional sequence models that are the plain baseline elsewhere (PAR, Zhang et al. 2022, arXiv 2207.14406), made
of counts: the outline and static fields in trees, the next table by the last event's code and by what is left of the outline, gaps by the
table before and the rows of its moment and by what stays have yet to hold, each column by the one token that says most about it, numbers
near the last one of their code, codes as often new to the patient as real ones are. Records end where the rows or the time of their outline
end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, patients_of, refuse_conditions, require_fitted
from manikin.synthesizers.records.chain import Chain
from manikin.synthesizers.records.chain_counts import count_chain
from manikin.synthesizers.records.chain_draws import ChainDraws

NAME = "markov"
FEWEST_PATIENTS = 2


@dataclass(kw_only=True)
class Markov:
    """First-order chain over events, from counts.

    >>> Markov()
    Markov()
    """

    chain_: Chain = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Counts; `seed` changes nothing. Under a ledger `private_markov.buy_chain` buys the counts, for all of it.

        Raises
        ------
        BudgetError : the ledger does not allow it, or the tables are such as cannot be learned under one.
        FitError : the data are one flat table, hold fewer than two patients, or nothing stands clear of the noise.
        """
        if not data.is_linked:
            raise FitError(f"The synthesizer {NAME!r} learns linked patients, and this is one flat table. Choose one of flat tables.")
        if ledger is not None:
            return self.buy(data, ledger)
        if len(data) < FEWEST_PATIENTS:
            raise FitError(f"The synthesizer {NAME!r} needs at least {FEWEST_PATIENTS} patients; there are {len(data)}. Bring more.")
        self.chain_ = count_chain(data)
        return self

    def buy(self, data: Any, ledger: Any, *, share: float = 1.0) -> Self:
        """Buys the chain of patients who may be sealed already, for all that is left of a budget or for a share of the whole."""
        from manikin.synthesizers.records.private_markov import buy_chain

        self.chain_ = buy_chain(data, ledger, share=share)
        return self

    @property
    def codec_(self) -> RecordsCodec:
        """The codec that was learned."""
        return self.chain_.codec

    @property
    def schema_(self) -> Any:
        """The schema that was learned."""
        return self.codec_.schema_

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` new patients.

        Raises
        ------
        ParameterError : conditions are given.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 4096
    ) -> Iterator[Dataset]:
        """The patients of `sample` in batches."""
        require_fitted(self, "chain_")
        refuse_conditions(NAME, "draws", conditions)
        check_request("Markov", n, batch_size, None)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The patients of one block, from its own stream of randomness."""
            rng = generator(seed, NAME, number)
            return self.codec_.decode(self.draw(stop - start, rng), rng, first_key=start + 1)

        return in_batches(draw, n, batch_size=batch_size, block=self.block)

    @property
    def block(self) -> int:
        """Patients that are drawn at once, so that what is remembered of each fits into memory."""
        return patients_of(max(self.chain_.longest, sum(len(own) for own in self.chain_.contexts)))

    def draw(self, n: int, rng: np.random.Generator) -> Records:
        """`n` new patients, as tokens."""
        return ChainDraws(self.chain_).draw(n, rng)

    def state(self) -> State:
        """Everything fitted: the codec and counts."""
        return self.chain_.state()

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        self.chain_ = Chain.from_state(values, arrays)
        return self
