"""Randomness by name: every consumer derives its own stream from the user's one seed. There is no global seed."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on the seed and on the purpose, and on nothing else.

    >>> generator(0, "split").integers(10) == generator(0, "split").integers(10)
    True
    """
    return np.random.default_rng(np.random.SeedSequence([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, *map(_key, names)]))


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit integer seed for a purpose, for libraries that take integers."""
    return int(generator(seed, *names).integers(2**63 - 1))


def _key(name: str | int) -> int:
    return name if isinstance(name, int) else zlib.crc32(name.encode())
