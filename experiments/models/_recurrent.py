"""Recurrent networks that read images row by row, or tokens."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Recurrent(nn.Module):
    """One recurrent layer, and a dense layer on its last output.

    Attributes:
        cell: `"lstm"` or `"gru"`.
        units: Of the cell.
        vocabulary: Tokens, which an embedding of `units` numbers reads; 0 reads images.
        classes: Outputs.
    """

    cell: str = "lstm"
    units: int = 128
    vocabulary: int = 0
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]` of images `[batch, rows, columns, channels]` or tokens `[batch, length]`."""
        cells = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}
        if self.cell not in cells:
            raise ValueError(f"cell={self.cell!r} is not a cell here; choose one of {', '.join(cells)}")
        rows = nn.Embed(self.vocabulary, self.units)(x) if self.vocabulary else x.reshape(*x.shape[:2], -1)
        outputs = nn.RNN(cells[self.cell](self.units))(jnp.asarray(rows))
        return nn.Dense(self.classes)(outputs[:, -1])
