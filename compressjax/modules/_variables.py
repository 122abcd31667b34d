"""Variables of a Linen model together with the state of a compression."""

from collections.abc import Mapping
from typing import Any

import jax
from flax.core import meta

from compressjax.core import Compression
from compressjax.modules._collection import from_collection, to_collection

COLLECTION = "compression"


def _params(variables: Mapping[str, Any]) -> Any:
    if "params" not in variables:
        raise ValueError(f"the variables have no 'params', only {sorted(variables)}; pass those of model.init")
    # Remove boxes: neither a state nor a file needs the names of mesh axes.
    return meta.unbox(variables["params"])


def state_of(variables: Mapping[str, Any], compression: Compression) -> Any:
    """Returns the state of a compression from its variable collection.

    Args:
        variables: Variables with `params` and, unless the state is empty, `compression`.
        compression: The compression of that collection.

    Returns:
        The state for `view`, `encode` and `after_step`.

    Raises:
        ValueError: If a part of the state is missing or has the wrong shape.

    Example:
        >>> from compressjax import quant
        >>> variables = {"params": {"kernel": jax.numpy.ones((2, 2))}}
        >>> compression = quant.fake_quant(8)
        >>> state = state_of(attach(variables, compression), compression)
        >>> jax.tree.structure(state) == jax.tree.structure(compression.init(variables["params"]))
        True
    """
    template = jax.eval_shape(compression.init, _params(variables))
    return from_collection(variables.get(COLLECTION, {}), template, compression.name)


def with_state(variables: Mapping[str, Any], state: Any) -> dict[str, Any]:
    """Returns variables with a state, such as that of `as_optax`, in the collection `compression`.

    Args:
        variables: Variables of a Linen model.
        state: State of a compression.

    Returns:
        The variables; other collections do not change.

    Example:
        >>> with_state({"params": {}}, {"masks": {"Dense_0/kernel": 1}})["compression"]
        {'masks': {'Dense_0': {'kernel': 1}}}
    """
    kept = {name: value for name, value in variables.items() if name != COLLECTION}
    collection = to_collection(state)
    return {**kept, COLLECTION: collection} if collection else kept


def attach(variables: Mapping[str, Any], compression: Compression) -> dict[str, Any]:
    """Adds the initial state of a compression to the variables of a dense model, for example from a checkpoint.

    Args:
        variables: Variables of a Linen model.
        compression: Any compression.

    Returns:
        Variables for `Compressed(model, compression).apply`.

    Raises:
        ValueError: If the compression selects nothing.

    Example:
        >>> from compressjax import prune
        >>> variables = {"params": {"kernel": jax.numpy.ones((1, 2))}}
        >>> attach(variables, prune.gradual(0.5, end=10))["compression"]["masks"]["kernel"].tolist()
        [[True, True]]
    """
    return with_state(variables, compression.init(_params(variables)))


def encode(variables: Mapping[str, Any], compression: Compression) -> dict[str, Any]:
    """Returns the form to store after training: variables with nodes in place of compressed parameters.

    .. math:: lift(apply)(encode(v), x) = apply_{Compressed}(v, x)

    Args:
        variables: Variables of `Compressed(model, compression)`. For a wrapper inside a larger model, the part of
            each collection under its name.
        compression: The compression of that wrapper.

    Returns:
        The variables of the *inner* model: `params` with nodes, other collections (`batch_stats`) unchanged, and no
        `compression`. `lift(model.apply)` runs them, `artifact.save` stores them.

    Raises:
        ValueError: If the state is missing or belongs to another compression.

    Example:
        >>> from compressjax import quant
        >>> variables = attach({"params": {"kernel": jax.numpy.ones((2, 2))}}, quant.fake_quant(8))
        >>> type(encode(variables, quant.fake_quant(8))["params"]["kernel"]).__name__
        'Quantized'
    """
    params = compression.encode(_params(variables), state_of(variables, compression))
    return {**{name: value for name, value in variables.items() if name != COLLECTION}, "params": params}
