"""The contract of gates."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from compressjax.data.selection._selected import Selected


class Gates(NamedTuple):
    """Factors on the features of a model, which learn with it by gradients and close.

    .. math:: \\min_{\\theta, \\phi} E_z L(f_\\theta(z_\\phi \\odot x), y) + \\lambda\\, E \\|z_\\phi\\|_0

    Attributes:
        init: `key -> params`, to be trained with those of the model.
        apply: `(params, x, key=None) -> x'`: random gates with a key, those of use without.
        penalty: `params -> scalar`, the expected number of open gates.
        select: `(params, k=None) -> Selected`: the open ones, or the `k` most open. Not under `jit` without `k`.
        name: For messages.
    """

    init: Callable[[jax.Array], Any]
    apply: Callable[..., jax.Array]
    penalty: Callable[[Any], jax.Array]
    select: Callable[..., Selected]
    name: str
