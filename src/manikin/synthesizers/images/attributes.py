"""What networks of images are told of the fields of a codec's layout. Knows no network's size."""

from __future__ import annotations

from manikin.codecs.base import Layout
from manikin.training.networks.image_conditioning import Attribute


def told_attributes(layout: Layout) -> list[Attribute]:
    """The vocabulary of every encoded field; places only where tokens have an order."""
    return [Attribute(field.n_tokens, field.positions if field.is_ordered else None) for field in layout.fields]
