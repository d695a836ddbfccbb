"""What the private GANs share: rows in which every column is a choice, so that they start at shares the codec bought. Knows no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.table import TableCodec
from manikin.codecs.vectors import ALL_CELLS, VectorCodec
from manikin.data.errors import parameter_error
from manikin.data.schema import Role
from manikin.data.seeds import derive, generator
from manikin.privacy import dpsgd
from manikin.synthesizers.tables.one_shot import SealedRows
from manikin.training.networks.pairs import LEAST_RANK, PairFeatures, PlainGenerator, calibrate
from manikin.training.objectives.private_game import PairCritic, PrivateGame, Recipe

CENTRE_ROWS = 8192  # made-up rows of independent columns


def levels_only(max_onehot: int) -> VectorCodec:
    """Numbers by their bins: what a vector is follows from its token alone, and nothing is drawn for it."""
    return VectorCodec(levels_below=ALL_CELLS, max_onehot=max_onehot)


def no_draws() -> np.random.Generator:
    """For functions that ask for a generator and, where every column is a choice, do not draw: each draw would be another row's too."""
    return np.random.default_rng()


def known_shares(codec: TableCodec) -> list[npt.NDArray[np.float64]]:
    """The chance of each token of each field by the codec's counts, (n_tokens,), none where it may not be generated."""
    shares = []
    for j, counts in enumerate(codec.counts_):
        weight = np.where(codec.emitted(j), np.maximum(counts, 0), 0).astype(float)
        weight = weight if weight.sum() > 0 else codec.emitted(j).astype(float)
        shares.append(weight / weight.sum())
    return shares


def scales_of(codec: TableCodec, vectors: VectorCodec) -> npt.NDArray[np.float32]:
    """Where each cell of a row's vector lies on its column's scale by rank, in [-1, 1]; NaN for cells that have no order, (width,)."""
    scales = np.full(vectors.width, np.nan, dtype=np.float32)
    for part, span, own in zip(vectors.parts_, vectors.spans, codec.layout.fields, strict=True):
        if own.is_ordered and part.codes is None and own.n_tokens - own.n_missing >= LEAST_RANK:
            scales[span] = own.positions
    return scales


def pair_features(model: Any, n_features: int, seed: int) -> PairFeatures:
    """Random features of pairs of columns, from the public seed; 0 on average where columns are independent and have the known shares."""
    codec, rng = model.codec_, generator(seed, "features")
    targets = {column.name for column in codec.schema_.with_role(Role.TARGET)}
    favoured = [j for j, own in enumerate(codec.layout.fields) if own.column in targets]
    features = PairFeatures(
        model.vectors_.spans, scales_of(codec, model.vectors_), n_features, rng, favoured=favoured
    )
    drawn = [rng.choice(len(own), size=CENTRE_ROWS, p=own) for own in known_shares(codec)]
    centre = features_of(model, features, np.stack(drawn, axis=1).astype(np.int32)).mean(axis=0)
    features.centre.copy_(torch.from_numpy(centre))
    return features


def features_of(model: Any, features: PairFeatures, tokens: Tokens, rows: int = 8192) -> npt.NDArray[np.float32]:
    """The features of each row by itself, float32 (n, n_features)."""
    made = [np.empty((0, features.n_features), dtype=np.float32)]
    with torch.no_grad():
        for at in range(0, len(tokens), rows):
            vectors = model.vectors_.encode(tokens[at : at + rows], no_draws())
            made.append(features(torch.from_numpy(vectors)).numpy())
    return np.concatenate(made)


def check_share(owner: Any, name: str, key: str) -> None:
    """Refuses a share above 1.

    Raises
    ------
    ParameterError : names it.
    """
    if getattr(owner, key) > 1:
        raise parameter_error(key, name, "a number in (0, 1]", getattr(owner, key))


def draw_rows(
    model: Any,
    network: nn.Module,
    n_noise: int,
    n: int,
    rng: np.random.Generator,
    tokens: Tokens | None,
    given: npt.NDArray[np.bool_] | None,
) -> Tokens:
    """Tokens of `n` rows that a generator makes of noise."""
    noise = torch.from_numpy(rng.standard_normal((n, n_noise), dtype=np.float32))
    drawn: Tokens = model._tokens(
        network, network(noise.to(next(network.parameters()).device)), rng, tokens=tokens, given=given
    )
    return drawn


def sampler_of(model: Any, rows: SealedRows, features: PairFeatures, *, rounds: int) -> dpsgd.Sampler:
    """Where the critic's noisy gradients come from: the plan of as many steps as will be taken, and the sealed features."""
    rounds = rounds if rows.most_steps is None else min(rounds, rows.most_steps)
    assert rows.ledger.n_patients is not None
    plan = dpsgd.plan(
        rows.ledger,
        expected_batch=model.sampling_rate * rows.ledger.n_patients,
        steps=rounds * model.critic_steps,
        clip_norm=model.clip_norm,
        by=model.name,
    )
    sealed = rows.tokens.map(lambda tokens: features_of(model, features, tokens))
    names = [column.name for column in model.codec_.schema_.learned]
    return dpsgd.Sampler(
        plan, sealed, rows.private.patients, rows.ledger, columns=names, by=model.name, is_recorded=True, device=rows.device
    )


def game_of(
    model: Any,
    network: nn.Module,
    features: PairFeatures,
    rows: npt.NDArray[np.float32] | None,
    device: torch.device,
    recipe: Recipe,
) -> PrivateGame:
    """The game of a generator against a critic of pairs of columns; `rows` are features of real rows where there is no ledger."""
    assert isinstance(network, PlainGenerator)
    critic, shares = PairCritic(model.features, model.critic), known_shares(model.codec_)
    return PrivateGame(network, critic, features, shares=shares, recipe=recipe, rows=rows, device=device)


def recipe_of(model: Any, **own: Any) -> Recipe:
    """The recipe in a model's hyperparameters of the same names, and what is its own."""
    names = ("critic_steps", "generator_steps", "batch_size", "critic_rate", "critic_decay", "learning_rate", "generator_decay")
    return Recipe(steps=model.rounds, **{name: getattr(model, name) for name in (*names, "score", "anchor")}, **own)


def at_known_shares(model: Any, network: nn.Module, seed: int) -> nn.Module:
    """The generator, moved to the shares that the codec knows."""
    assert isinstance(network, PlainGenerator)
    calibrate(network, known_shares(model.codec_), derive(seed, "calibration"))
    return network
