"""Activation norm: weights whose inputs are never there do not matter."""

from compressjax.saliency._contract import Saliency, on_inputs
from compressjax.saliency._wanda import input_norms


def activation() -> Saliency:
    """Scores a weight by the norm of its input alone.

    .. math:: S_{ij} = \\|X_i\\|_2

    All weights that read one input have the same score, so it serves patterns that cut inputs: channels and neurons of
    the layer before.

    Costs one pass of `observe` over the data (`gram=False` suffices) and a few numbers an input; the scores take the
    memory of the leaf once more. Bytes and speed are those of the zeros that it chooses: see `one_shot`.

    Returns:
        Saliency of the values that have statistics; it needs `squares`.

    Raises:
        ValueError: From `score`, if there are no statistics, or they do not fit a leaf.

    Example:
        >>> import jax.numpy as jnp
        >>> from types import SimpleNamespace
        >>> stats = {"kernel": SimpleNamespace(squares=jnp.array([9.0, 1.0]))}
        >>> activation().score({"kernel": jnp.array([[1.0], [-2.0]])}, stats)["kernel"].tolist()
        [[3.0], [1.0]]

    Source: Hu et al., arXiv:1607.03250 (hu2016), who count how often a unit is zero; norms tell more of small ones.
    """
    return on_inputs("activation", ("squares",), input_norms)
