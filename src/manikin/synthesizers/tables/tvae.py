"""TVAE: a variational autoencoder for mixed columns (Xu, Skoularidou, Cuesta-Infante & Veeramachaneni 2019, arXiv 1907.00503, 4.5).

From the paper: mode-specific normalisation, encoder and decoder of two layers of 128, 128 latent dimensions, one learned deviation per
scalar, cross entropy for choices, a factor of 2 on the reconstruction, Adam.

Departures, each for a reason measured on inner splits of train parts (docs/synthesizers/tvae.md): levels are drawn, not taken at their
best; a flow learned with the rest is the prior (arXiv 1605.08803, 1611.02731); 32 latent dimensions; numbers as normal scores; a higher
learning rate that sinks at the end; averaged weights, chosen by the bound of held-out patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import Numbers, VectorCodec
from manikin.data.errors import parameter_error
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, check_encoding, check_layers, check_numbers
from manikin.training.networks.variational import VariationalNetwork
from manikin.training.objective import Objective
from manikin.training.objectives.variational import Encoded, Variational, VariationalRecipe

PRIORS = ("flow", "normal")
STOPS = ("likeness", "bound")
MANY_ROWS = 10_000  # from which a batch of 1,000 learns as much in an epoch as two of 500, for three fifths of the time


@dataclass(kw_only=True)
class TVAE(OneShot):
    """Variational autoencoder for tables.

    Parameters
    ----------
    epochs, batch_size, learning_rate : of Adam; batch_size None is 500, from 10,000 rows on 1,000. latent : width of the latent vector.
    encoder, decoder : hidden units per layer. weight : of the reconstruction against the divergence (the paper's loss factor).
    prior : "flow", learned with the rest, or "normal" (the paper). couplings : of the flow.
    stop_by : what the best weights are chosen by on held-out rows: "likeness" of samples, or the "bound".
    numbers : "modes" (the paper), "quantile" or "standard". levels_below : number columns with fewer values are levels.
    max_onehot : larger vocabularies are given as random codes. patience : looks at held-out rows without a better one before the run
    stops, out of 30 over the plan; None goes through with it. max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "tvae"
    epochs: int = 300
    batch_size: int | None = None
    learning_rate: float = 3e-3
    latent: int = 32
    encoder: tuple[int, ...] = (128, 128)
    decoder: tuple[int, ...] = (128, 128)
    weight: float = 2.0
    prior: Literal["flow", "normal"] = "flow"
    couplings: int = 4
    stop_by: Literal["likeness", "bound"] = "bound"
    numbers: Numbers = "quantile"
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 10
    max_steps: int | None = None

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "latent", "couplings", "levels_below", "max_onehot", "patience", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "weight"))
        check_layers(self, self.name, ("encoder", "decoder"))
        check_encoding(self, self.name)
        if self.latent > 4096:
            raise parameter_error("latent", self.name, "an int in [1, 4096]", self.latent)
        if self.couplings > 64:
            raise parameter_error("couplings", self.name, "an int in [1, 64]", self.couplings)
        if self.prior not in PRIORS:
            raise parameter_error("prior", self.name, f"one of {', '.join(PRIORS)}", self.prior)
        if self.stop_by not in STOPS:
            raise parameter_error("stop_by", self.name, f"one of {', '.join(STOPS)}", self.stop_by)

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def _build(self) -> nn.Module:
        couplings = self.couplings if self.prior == "flow" else 0
        return VariationalNetwork(self.latent, self.encoder, self.decoder, self._groups(), couplings)

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        assert isinstance(network, VariationalNetwork)
        objective = Variational(
            network,
            prepared.tokens[prepared.inside],
            prepared.tokens[prepared.outside],
            encode=self._encode,
            draw=self._draw,
            likeness=self._likeness(prepared),
            recipe=self._recipe(len(prepared.inside)),
            seed=prepared.seed,
            device=prepared.device,
        )
        return objective, objective.average

    def _recipe(self, rows: int) -> VariationalRecipe:
        return VariationalRecipe(
            batch_size=self.batch_size or (1000 if rows >= MANY_ROWS else 500),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight=self.weight,
            stop_by=self.stop_by,
            patience=self.patience,
        )

    def _encode(self, tokens: Tokens, rng: np.random.Generator) -> Encoded:
        """Rows, and beside them what the decoder is asked for: scalars, whether each counts, and one option per part."""
        rows = self.vectors_.encode(tokens, rng)
        options = np.zeros((len(tokens), len(self.vectors_.parts_)), dtype=np.int64)
        scalars, counts = [], []
        for p, (part, span) in enumerate(zip(self.vectors_.parts_, self.vectors_.spans, strict=True)):
            if not part.is_number:
                options[:, p] = tokens[:, part.index]
                continue
            if part.n_choices:
                options[:, p] = rows[:, span.start + 1 : span.stop].argmax(axis=1)
            scalars.append(rows[:, span.start])
            counts.append(options[:, p] < len(part.mean))
        empty = np.empty((len(tokens), 0), dtype=np.float32)
        given = np.stack(scalars, axis=1) if scalars else empty
        return Encoded(rows, given, np.stack(counts, axis=1).astype(np.float32) if counts else empty, options)

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        assert isinstance(network, VariationalNetwork)
        noise = torch.randn(n, self.latent)
        latent = network.prior.from_normal(noise.to(next(network.parameters()).device))
        return self._decoded(network, latent, rng, tokens, given)

    def traverse(self, *, seed: int, rows: int = 400) -> Mapping[str, Any]:
        """What the latent dimensions do, as plain values: see `manikin.synthesizers.tables.traversal`, which has more to choose from."""
        from manikin.synthesizers.tables.traversal import traverse

        return traverse(self, seed=seed, rows=rows)

    def decode_latent(self, latent: torch.Tensor, rng: np.random.Generator) -> Tokens:
        """Tokens int32 (n, n_fields) drawn around latent vectors, float32 (n, latent)."""
        assert isinstance(self.network_, VariationalNetwork)
        with torch.no_grad():
            return self._decoded(self.network_, latent, rng, None, None)

    def _decoded(
        self,
        network: VariationalNetwork,
        latent: torch.Tensor,
        rng: np.random.Generator,
        tokens: Tokens | None,
        given: npt.NDArray[np.bool_] | None,
    ) -> Tokens:
        """What the decoder says of latent vectors, with the deviation that it learned around scalars."""
        made = network(latent)
        around = torch.from_numpy(rng.standard_normal(made.scalars.shape, dtype=np.float32)).to(latent.device)
        made.scalars = made.scalars + around * network.sigma()
        return self._tokens(network, made, rng, tokens=tokens, given=given)
