"""Transformers: on patches of images, on text in both directions, and from left to right."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Layer(nn.Module):
    """Attention and two dense layers, each on a residual stream.

    Attributes:
        heads: Of the attention.
        inner: Units between the dense layers.
        after: Whether the norms follow the sums, as in BERT; else they precede the parts, as in GPT-2.
    """

    heads: int
    inner: int
    after: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """Features `[batch, length, width]`; `mask` is true where a position may read another."""

        def attend(x: jax.Array) -> jax.Array:
            return nn.MultiHeadDotProductAttention(self.heads, name="attention")(x, mask=mask)

        def feed(x: jax.Array) -> jax.Array:
            return nn.Dense(x.shape[-1], name="down")(nn.gelu(nn.Dense(self.inner, name="up")(x)))

        for part, norm in ((attend, nn.LayerNorm(name="first")), (feed, nn.LayerNorm(name="second"))):
            x = norm(x + part(x)) if self.after else x + part(norm(x))
        return x


class ViT(nn.Module):
    """Square patches as tokens, layers with norms before, and a dense layer on the mean (arXiv:2010.11929).

    Attributes:
        patch: Side of a patch.
        width: Of the residual stream.
        depth: Layers.
        heads: Of the attention.
        classes: Outputs.
    """

    patch: int = 4
    width: int = 64
    depth: int = 4
    heads: int = 4
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]` of images whose sides the patch divides."""
        side = (self.patch, self.patch)
        x = nn.Conv(self.width, side, side, padding="VALID", name="patches")(x)
        x = x.reshape(x.shape[0], -1, self.width)
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])[None]
        for i in range(self.depth):
            x = Layer(self.heads, 2 * self.width, name=f"layer_{i}")(x)
        return nn.Dense(self.classes, name="head")(nn.LayerNorm(name="norm")(x).mean(1))


class BERT(nn.Module):
    """Layers with norms after, which read text in both directions (arXiv:1810.04805).

    Attributes:
        vocabulary: Tokens; token 0 is padding, which nothing reads.
        length: Largest number of tokens of a text.
        width: Of the residual stream.
        depth: Layers.
        heads: Of the attention.
        classes: Outputs of the head on the mean of the tokens; 0 returns the features of all tokens.
    """

    vocabulary: int = 256
    length: int = 128
    width: int = 64
    depth: int = 4
    heads: int = 4
    classes: int = 0

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Features `[batch, length, width]` or logits `[batch, classes]` of tokens `[batch, length]`."""
        given = tokens > 0
        positions = self.param("positions", nn.initializers.normal(0.02), (self.length, self.width))
        x = nn.Embed(self.vocabulary, self.width, name="words")(tokens) + positions[None, : tokens.shape[1]]
        x = nn.LayerNorm(name="norm")(x)
        for i in range(self.depth):
            x = Layer(self.heads, 4 * self.width, after=True, name=f"layer_{i}")(x, given[:, None, None])
        if not self.classes:
            return x
        counted = given[..., None].astype(x.dtype)
        mean = (x * counted).sum(1) / jnp.maximum(counted.sum(1), 1)
        return nn.Dense(self.classes, name="head")(mean)


class GPT(nn.Module):
    """Layers with norms before, which read what is left of them; the head is the table of words (GPT-2).

    Attributes:
        vocabulary: Tokens.
        length: Largest number of tokens of a text.
        width: Of the residual stream.
        depth: Layers.
        heads: Of the attention.
    """

    vocabulary: int = 256
    length: int = 128
    width: int = 64
    depth: int = 4
    heads: int = 4

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits `[batch, length, vocabulary]` of the token after each of `[batch, length]`."""
        words = nn.Embed(self.vocabulary, self.width, embedding_init=nn.initializers.normal(0.02), name="words")
        positions = self.param("positions", nn.initializers.normal(0.02), (self.length, self.width))
        x = words(tokens) + positions[None, : tokens.shape[1]]
        mask = nn.make_causal_mask(tokens)
        for i in range(self.depth):
            x = Layer(self.heads, 4 * self.width, name=f"layer_{i}")(x, mask)
        return words.attend(nn.LayerNorm(name="norm")(x))
