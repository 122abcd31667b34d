"""Activation norm: weights of small inputs are unimportant."""

from compressjax.saliency._contract import Saliency, on_inputs
from compressjax.saliency._wanda import input_norms


def activation() -> Saliency:
    """Scores a weight by the norm of its input.

    .. math:: S_{ij} = \\|X_i\\|_2

    All weights of an input have the same score, so use it with patterns that remove inputs. Takes one pass of `observe`
    (`gram=False` is enough).

    Returns:
        Saliency of the values that have statistics; it needs `squares`.

    Raises:
        ValueError: From `score`, if there are no statistics, or they do not match a leaf.

    Example:
        >>> import jax.numpy as jnp
        >>> from types import SimpleNamespace
        >>> stats = {"kernel": SimpleNamespace(squares=jnp.array([9.0, 1.0]))}
        >>> activation().score({"kernel": jnp.array([[1.0], [-2.0]])}, stats)["kernel"].tolist()
        [[3.0], [1.0]]

    Source: Hu et al., arXiv:1607.03250 (hu2016), which counts how often a unit is zero instead.
    """
    return on_inputs("activation", ("squares",), input_norms)
