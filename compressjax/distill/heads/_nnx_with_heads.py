"""A Flax NNX student with the heads that it learns through, which are dropped at the end."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from compressjax.distill.heads._from_flax import from_flax
from compressjax.distill.heads._project import init_project, project
from compressjax.distill.heads._with_heads import chosen_of, widths_of


class NNXWithHeads(nnx.Module):
    """An NNX student that also returns what it sows, through linear maps to the widths of its teacher.

    .. math:: f(x),\\; \\{r_l(h_l(x))\\}_l, \\qquad r_l(h) = h W_l + b_l

    The student stores activations by `self.sow(nnx.Intermediate, name, x)`; paths are those of `from_flax`. A map
    exists only where the widths differ. Maps and student are `nnx.Param`, so one optimizer trains both. When training
    ends, go on with `.student`: it is the module that was given, without the maps.

    Args:
        student: Any NNX module that sows.
        features: `{path of an activation of the student: width of its teacher's}`.
        *args: Example arguments of the student, arrays or shapes; nothing is computed.
        rngs: Random streams; `rngs.params()` draws the maps.

    Raises:
        ValueError: If a path does not exist.

    Example:
        >>> import jax.numpy as jnp
        >>> class Net(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.first, self.last = nnx.Linear(5, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)
        ...
        ...     def __call__(self, x):
        ...         hidden = self.first(x)
        ...         self.sow(nnx.Intermediate, "hidden", hidden)
        ...         return self.last(nnx.relu(hidden))
        >>> x, rngs = jnp.ones((3, 5)), nnx.Rngs(0)
        >>> model = NNXWithHeads(Net(rngs), {"hidden": 16}, x, rngs=rngs)
        >>> logits, own = model(x)  # for a loss of distillation and hint_loss
        >>> logits.shape, own["hidden"].shape
        ((3, 2), (3, 16))
        >>> type(model.student).__name__
        'Net'

    Source: Romero et al., arXiv:1412.6550 (romero2014).
    """

    def __init__(self, student: nnx.Module, features: Mapping[str, int], *args: Any, rngs: nnx.Rngs) -> None:
        self.student = student
        self.features = tuple(features.items())
        graph, state = nnx.split(student)

        def sown(state: Any, *args: Any) -> dict[str, jax.Array]:
            return from_flax(nnx.capture(nnx.merge(graph, state), nnx.Intermediate)(*args)[1])

        chosen = chosen_of("NNXWithHeads", jax.eval_shape(sown, state, *args), features)
        self.heads = nnx.Param(init_project(rngs.params(), chosen, widths_of(features)))

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, jax.Array]]:
        """Results of the student, and `{path: activation [..., width]}`; arguments as for the student."""
        out, state = nnx.capture(self.student, nnx.Intermediate)(*args, **kwargs)
        chosen = chosen_of("NNXWithHeads", from_flax(state), dict(self.features))
        return out, project(self.heads.get_value(), chosen)
