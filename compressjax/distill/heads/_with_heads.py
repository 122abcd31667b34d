"""A Flax Linen student with the heads that it learns through, which are dropped at the end."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from compressjax.distill.heads._from_flax import from_flax
from compressjax.distill.heads._project import init_project, project


class WithHeads(nn.Module):
    """A Linen student that also returns activations, through linear maps to the widths of its teacher.

    .. math:: f(x),\\; \\{r_l(h_l(x))\\}_l, \\qquad r_l(h) = h W_l + b_l

    A map exists only where the widths differ. Parameters are `params["student"]` and `params["heads"]`, so one
    optimizer trains both, and a checkpoint of the student loads into the former. When training ends,
    `variables_of_student` drops the maps: the student then is the plain module.

    Paths are those of `from_flax`: of a module in the student or of what it sows, `path/0` for the first part of a
    tuple, and `path#1` for a second call. Activations leave an `nn.scan` if its `variable_axes` has `intermediates`.

    Attributes:
        student: Any Linen module.
        features: `{path of an activation of the student: width of its teacher's}`.

    Example:
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         return nn.Dense(2)(nn.relu(nn.Dense(4, name="hidden")(x)))
        >>> model, x = WithHeads(Net(), {"hidden": 16}), jnp.ones((3, 5))
        >>> variables = model.init(jax.random.key(0), x)
        >>> logits, own = model.apply(variables, x)  # for a loss of distillation and hint_loss
        >>> logits.shape, own["hidden"].shape
        ((3, 2), (3, 16))
        >>> Net().apply(model.variables_of_student(variables), x).shape
        (3, 2)

    Source: Romero et al., arXiv:1412.6550 (romero2014).
    """

    student: nn.Module
    features: Mapping[str, int]

    @nn.compact
    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, jax.Array]]:
        """Results of the student, and `{path: activation [..., width]}`; arguments as for the student."""
        out, found = self._captured(*args, **kwargs)
        chosen = chosen_of("WithHeads", found, self.features)
        heads = self.param("heads", init_project, chosen, widths_of(self.features))
        return out, project(heads, chosen)

    def _captured(self, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, jax.Array]]:
        """Results, and the activations of all modules inside, of an unbound copy whose changes are written back."""
        if self.is_initializing():
            self.student(*args, **kwargs)
        held: Any = self.student.variables
        mutable = [name for name in held if name != "params" and self.is_mutable_collection(name)]
        scope: Any = self.scope
        rngs = {name: self.make_rng(name) for name in scope.rngs}
        out, changed = self.student.clone(parent=None).apply(
            held, *args, rngs=rngs, mutable=[*mutable, "intermediates"], capture_intermediates=True, **kwargs
        )
        for collection, variables in changed.items():
            if self.is_mutable_collection(collection) and not self.is_initializing():
                for name, x in variables.items():
                    self.student.put_variable(collection, name, x)
        return out, from_flax(changed["intermediates"])

    @staticmethod
    def variables_of_student(variables: Mapping[str, Any]) -> dict[str, Any]:
        """Variables of the student alone, for its module without this one."""
        return {name: tree["student"] for name, tree in variables.items() if "student" in tree}


def chosen_of(who: str, found: Mapping[str, Any], features: Mapping[str, int]) -> dict[str, Any]:
    """The activations that have a width in the teacher; raises `ValueError` for paths that do not exist."""
    if not features or set(features) - set(found):
        raise ValueError(f"{who}: features={dict(features)} must name activations of the student; it has "
                         f"{sorted(found)[:12]}")  # fmt: skip
    return {path: found[path] for path in features}


def widths_of(features: Mapping[str, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the teacher's activations, as `init_project` reads them."""
    return {path: jax.ShapeDtypeStruct((width,), jnp.float32) for path, width in features.items()}
