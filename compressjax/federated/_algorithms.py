"""What differs between the algorithms: optimizers of clients and server, a proximal term, control variates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._checks import described
from compressjax.core._settings import as_number, numbers


class Algorithm(NamedTuple):
    """How clients train, and how the server steps along the mean of their changes.

    Attributes:
        name: For messages.
        local: Optimizer of a client, which starts anew in every round.
        server: Optimizer of the server; its gradient is the negative mean change.
        proximal: Weight of the distance to the model at the start of the round.
        control: Rate of the local steps where control variates correct them; None without.
    """

    name: str
    local: Any
    server: Any
    proximal: float = 0.0
    control: float | None = None


def fed_avg(local: Any, server: Any = None) -> Algorithm:
    """Returns federated averaging: the mean of models that clients trained alone for some steps.

    .. math:: x \\leftarrow x + \\sum_i \\frac{n_i}{n} (y_i - x)

    Args:
        local: Optimizer of a client, or the rate of SGD.
        server: Optimizer of the server, such as `optax.sgd(1.0, 0.9)`; None sets the model to the mean.

    Returns:
        The algorithm, for `federation`.

    Raises:
        ValueError: If an optimizer is neither a rate nor an optax transformation.

    Example:
        >>> fed_avg(0.1).name
        'fed_avg'

    Source: McMahan et al., arXiv:1602.05629 (mcmahan2017).
    """
    return Algorithm("fed_avg", _optimizer("fed_avg", local), _optimizer("fed_avg", 1.0 if server is None else server))


def fed_prox(local: Any, proximal: float = 0.01, server: Any = None) -> Algorithm:
    """Returns FedProx: federated averaging whose clients stay close to the model that they were sent.

    .. math:: \\min_y f_i(y) + \\frac\\mu2 \\|y - x\\|^2

    Args:
        local: As for `fed_avg`.
        proximal: The weight `mu`, at least 0.
        server: As for `fed_avg`.

    Returns:
        The algorithm, for `federation`.

    Raises:
        ValueError: If an argument is of another kind or out of range.

    Example:
        >>> fed_prox(0.1, 0.5).proximal
        0.5

    Source: Li et al., arXiv:1812.06127 (li2020fedprox).
    """
    mu = as_number("fed_prox", "proximal", proximal)
    if not mu >= 0:
        raise ValueError(f"fed_prox: proximal={mu} must be at least 0, such as 0.01")
    return fed_avg(local, server)._replace(name="fed_prox", proximal=mu)


def fed_adam(local: Any, rate: float = 0.01, b1: float = 0.9, b2: float = 0.99, tau: float = 1e-3) -> Algorithm:
    """Returns FedAdam: the server takes steps of Adam, without correction of its first moments.

    .. math:: m \\leftarrow \\beta_1 m + (1 - \\beta_1) \\Delta, \\quad
        v \\leftarrow \\beta_2 v + (1 - \\beta_2) \\Delta^2, \\quad x \\leftarrow x + \\eta \\frac{m}{\\sqrt v + \\tau}

    Moments start at 0 and `tau` squared.

    Args:
        local: As for `fed_avg`.
        rate: Rate `eta` of the server, above 0.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        tau: Degree of adaptivity, above 0.

    Returns:
        The algorithm, for `federation`.

    Raises:
        ValueError: If an argument is of another kind or out of range.

    Example:
        >>> fed_adam(0.1).name
        'fed_adam'

    Source: Reddi et al., arXiv:2003.00295 (reddi2021).
    """
    rate, b1, b2, tau = numbers("fed_adam", rate=rate, b1=b1, b2=b2, tau=tau)
    if not (rate > 0 and tau > 0 and 0 <= b1 < 1 and 0 <= b2 < 1):
        raise ValueError(f"fed_adam: rate={rate} and tau={tau} must be above 0, b1={b1} and b2={b2} in [0, 1)")

    def init(params: Any) -> tuple[Any, Any]:
        return jax.tree.map(jnp.zeros_like, params), jax.tree.map(lambda x: jnp.full_like(x, tau**2), params)

    def update(grads: Any, state: tuple[Any, Any], params: Any = None) -> tuple[Any, tuple[Any, Any]]:
        del params
        first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state[0], grads)
        second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state[1], grads)
        return jax.tree.map(lambda m, v: -rate * m / (jnp.sqrt(v) + tau), first, second), (first, second)

    return fed_avg(local, optax.GradientTransformation(init, update))._replace(name="fed_adam")


def scaffold(rate: float, server: Any = None) -> Algorithm:
    """Returns SCAFFOLD: control variates take the drift of every client's own data out of its steps.

    .. math:: y \\leftarrow y - \\eta (\\nabla f_i(y) - c_i + c), \\quad
        c_i \\leftarrow c_i - c + \\frac{x - y}{K \\eta}, \\quad c \\leftarrow c + \\frac1N \\sum_{i \\in S} \\Delta c_i

    after `K` local steps; the second of the two options of the paper. Changes of `c_i` follow from the change of the
    model, so clients send no more than in federated averaging; the server sends `c` too.

    Args:
        rate: Rate `eta` of the local SGD, above 0.
        server: As for `fed_avg`.

    Returns:
        The algorithm, for `federation`; all clients weigh the same.

    Raises:
        ValueError: If the rate is out of range.

    Example:
        >>> scaffold(0.1).control
        0.1

    Source: Karimireddy et al., arXiv:1910.06378 (karimireddy2020).
    """
    rate = as_number("scaffold", "rate", rate)
    if not rate > 0:
        raise ValueError(f"scaffold: rate={rate} must be above 0, such as 0.1")
    return fed_avg(rate, server)._replace(name="scaffold", control=rate)


def _optimizer(who: str, given: Any) -> Any:
    if hasattr(given, "init") and hasattr(given, "update"):
        return given
    if isinstance(given, bool | str) or not hasattr(given, "__float__"):
        raise ValueError(f"{who}: {described(given)} is not an optimizer; pass one of optax, or a rate such as 0.1")
    return optax.sgd(as_number(who, "rate", given))
