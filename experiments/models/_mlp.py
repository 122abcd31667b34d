"""Dense networks."""

from collections.abc import Sequence

import flax.linen as nn
import jax


class MLP(nn.Module):
    """Dense layers with ReLU between them; `(300, 100)` is LeNet-300-100 (LeCun et al., 1998).

    Attributes:
        widths: hidden widths.
        classes: outputs.
    """

    widths: Sequence[int] = (300, 100)
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.classes)(x)
