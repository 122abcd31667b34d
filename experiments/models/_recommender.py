"""Neural collaborative filtering."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp


class NeuMF(nn.Module):
    """A product of factors and a dense network on embeddings, joined by a dense layer (He et al., arXiv:1708.05031).

    Attributes:
        users: How many.
        items: How many.
        factors: Of the product, and half of what the dense network reads.
        widths: Hidden widths of the dense network.
    """

    users: int = 1000
    items: int = 1000
    factors: int = 16
    widths: Sequence[int] = (32, 16)

    @nn.compact
    def __call__(self, pairs: jax.Array) -> jax.Array:
        """Logits `[batch]` of pairs of a user and an item `[batch, 2]`."""

        def read(part: str) -> tuple[jax.Array, jax.Array]:
            tables = ((f"users_{part}", self.users), (f"items_{part}", self.items))
            user, item = (
                nn.Embed(count, self.factors, embedding_init=nn.initializers.normal(0.01), name=name)(pairs[:, i])
                for i, (name, count) in enumerate(tables)
            )
            return user, item

        user, item = read("product")
        hidden = jnp.concatenate(read("dense"), -1)
        for width in self.widths:
            hidden = nn.relu(nn.Dense(width)(hidden))
        return nn.Dense(1, name="head")(jnp.concatenate([user * item, hidden], -1))[:, 0]
