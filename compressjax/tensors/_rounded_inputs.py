"""A tensor whose products round their other operand first: quantized activations, as trained."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import (
    Convolution,
    Dense,
    Node,
    Product,
    Ragged,
    Window,
    buffer,
    dense,
    entry_bits,
    meta,
    node,
    ops,
    value,
)
from compressjax.tensors.quantized._grid import Grid
from compressjax.tensors.quantized._inputs import RULES, Codes, codes_of, errors_of, rounded
from compressjax.tensors.quantized._rounding import straight_through_product

_LAYERS = Dense("it has a step per layer; index the stacked layers or scan over them")


@node
class RoundedInputs(Node):
    """A tensor whose products round their inputs to a few bits.

    .. math:: x \\mapsto \\hat x W, \\quad \\hat x = s\\,round(clip(x / s, low, high))

    Codes are `0..2^b - 1` unsigned, and `-(2^(b-1) - 1)..2^(b-1) - 1` signed; with the rule `"lsq"` from `-2^(b-1)`, or
    -127 at 8 bits. Where the tensor is an integer grid and the codes fit int8, products are those of integers; else
    products of rounded floats. Rows that are read, and operations other than products, round nothing.

    Attributes:
        inner: `[*shape]`, array or node.
        step: Scalar `s`, or None for one per row of the inputs (per image of a convolution) from its largest magnitude.
            A step of 0 is not known yet, and rounds nothing; integer products need a positive one.
        bits: 2 to 8.
        signed: False for inputs that are not negative.
        rule: Gradient of the step: `"lsq"`, or `"pact"` for that of a clipped range.

    Example:
        >>> node = RoundedInputs(jnp.eye(2), jnp.float32(0.5), bits=2, signed=False)
        >>> node.dot(jnp.array([[0.6, 9.0]]), Product((1,), (), (0,), ())).tolist()
        [[0.5, 1.5]]

    Source: Esser et al., arXiv:1902.08153 (esser2020); Choi et al., arXiv:1805.06085 (choi2018).
    """

    inner: Any = value(aligned=True)
    step: Any = buffer(default=None)
    bits: int = meta(default=8)
    signed: bool = meta(default=True)
    rule: str = meta(default="pact")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.inner.shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.inner.dtype)

    @property
    def _codes(self) -> Codes:
        return Codes(self.bits, self.signed, self.rule)

    def misfit(self) -> str:
        """Bits and rule are known; the step is a scalar, or one per stacked layer."""
        if not 2 <= self.bits <= 8 or self.rule not in RULES:
            return f"bits={self.bits} must be from 2 to 8, and rule={self.rule!r} one of {RULES}"
        step = () if self.step is None else tuple(self.step.shape)
        return "" if step in ((), self.shape[:1]) else f"the step has the shape {step}, the tensor {self.shape}"

    def materialize(self) -> jax.Array:
        """The dense inner tensor."""
        return dense(self.inner)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the inner tensor and of the step."""
        return entry_bits(self.inner, kept) + (0 if self.step is None else entry_bits(self.step))

    def describe(self) -> str:
        """Bit width of the inputs, and where their step comes from."""
        kind = "a step per row" if self.step is None else "one step"
        return f"inputs of {self.bits} bits, {'signed' if self.signed else 'unsigned'}, {kind}"

    def _around(self, inner: Any, step: Any) -> Any:
        return ops.rebuild(lambda inner, step: self.replace(inner=inner, step=step), inner, step)

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes the tensor."""
        return self._around(ops.transpose(self.inner, permutation), self.step)

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes the tensor, unless that changes the axis of stacked layers."""
        if self._by_layer and sizes[:1] != self.shape[:1]:
            return Dense("the reshape changes the axis of the steps per layer")
        return self._around(ops.reshape(self.inner, sizes), self.step)

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices the tensor."""
        step = ops.cut(self.step, window[:1]) if self._by_layer else self.step
        return self._around(ops.cut(self.inner, window), step)

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins tensors of one kind of rounding: layers, or parts without steps."""
        parts = (self, *others)
        kinds = {(p._codes, p.step is None) for p in parts}
        if len(kinds) > 1 or (axis and self.step is not None):
            return Dense("inputs of several kinds or steps cannot be rounded at once")
        steps = [] if self.step is None else [jnp.broadcast_to(p.step, p.shape[:1]) for p in parts]
        return self._around(ops.concatenate([p.inner for p in parts], axis), jnp.concatenate(steps) if steps else None)

    def convert(self, dtype: Any) -> Any:
        """Converts the tensor."""
        return self._around(ops.convert(self.inner, dtype), self.step)

    def rows(self, indices: jax.Array) -> Any:
        """Rows of the tensor."""
        return ops.rows(self.inner, indices)

    @property
    def _by_layer(self) -> bool:
        return self.step is not None and len(self.step.shape) == 1

    def _grid(self) -> Any:
        """The tensor as an integer grid whose products take codes as they are; `Dense` if it is none."""
        if not self._codes.narrow:
            return Dense("int8 products do not have all codes of the inputs")
        return ops.as_grid(_taking_codes(self.inner))

    def _multiply(
        self, x: jax.Array, how: ops.How, axes: tuple[int, ...], features: int, place: Callable[[jax.Array], jax.Array]
    ) -> Any:
        """The product of rounded inputs; `place` gives a step per row its axes in the result."""
        if self._by_layer and self.step.size != 1:
            return _LAYERS
        wide: Any = dataclasses.replace(how, dtype=jnp.dtype(jnp.float32))
        sizes = (how.sizes,) if isinstance(how, Ragged) else ()

        def on(how: Any, sizes: tuple[jax.Array, ...]) -> Any:
            return dataclasses.replace(how, sizes=sizes[0]) if sizes else how

        def floating(x: jax.Array, node: RoundedInputs, *sizes: jax.Array) -> jax.Array:
            return ops.product(rounded(x, node.step, axes, node._codes, features), node.inner, on(how, sizes))

        def integer(x: jax.Array, node: RoundedInputs, *sizes: jax.Array) -> jax.Array:
            codes, step = codes_of(x, node.step, axes, node._codes)
            found = ops.multiply(codes, node._grid(), on(wide, sizes))
            if isinstance(found, Dense):
                return floating(x, node, *sizes)
            out = found * (step if node.step is not None else place(step))
            return out.astype(how.dtype or jnp.result_type(x.dtype, node.dtype))

        if isinstance(self._grid(), Dense):
            return floating(x, self, *sizes)
        return straight_through_product(integer, floating)(x, self, *sizes)

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Rounds every row of `x` along the summed axes."""
        free, own = product.x_free(x.ndim), product.free(self.ndim)

        def place(step: jax.Array) -> jax.Array:
            moved = jnp.transpose(step, (*product.x_batch, *free, *product.x_sum))
            return moved.reshape(*moved.shape[: len(product.x_batch) + len(free)], *(1 for _ in own))

        features = math.prod(x.shape[a] for a in (*product.x_batch, *product.x_sum))
        return self._multiply(x, product, product.x_sum, features, place)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """Rounds every image of `x`."""
        first, last = convolution.dimension_numbers.lhs_spec[0], convolution.dimension_numbers.out_spec[0]
        axes = tuple(a for a in range(x.ndim) if a != first)

        def place(step: jax.Array) -> jax.Array:
            return jnp.moveaxis(step, first, last)

        return self._multiply(x, convolution, axes, math.prod(x.shape[a] for a in axes), place)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """Rounds every row of `x`."""
        return self._multiply(x, ragged, (1,), x.shape[1], lambda step: step)

    def input_errors(self, x: jax.Array, largest: jax.Array) -> Any:
        """Half a step, and what lies outside of the range."""
        return errors_of(x, self.step, largest, self._codes)

    def prepare(self) -> Any:
        """Prepares the tensor: integer codes where their products are faster."""
        grid = self._grid()
        return self.replace(inner=ops.prepare(self.inner if isinstance(grid, Dense) else grid))

    def pack(self) -> Any:
        """Packs the tensor."""
        return self.replace(inner=ops.pack(self.inner))

    def masked(self, mask: jax.Array) -> "RoundedInputs | None":
        """The tensor with zeros outside a mask."""
        array = not isinstance(self.inner, Node)
        inner = jnp.where(mask, self.inner, jnp.zeros((), self.dtype)) if array else self.inner.masked(mask)
        return None if inner is None else self.replace(inner=inner)

    def multiply_adds(self) -> int:
        """Multiply-adds of the tensor."""
        return ops.multiply_adds(self.inner)

    def stacked(self) -> "RoundedInputs | None":
        """Repeats a shared step for every layer."""
        inner = ops.stacked(self.inner)
        step = None if self.step is None else jnp.broadcast_to(self.step, self.shape[:1])
        return None if inner is None else self.replace(inner=inner, step=step)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards the tensor; a step per layer like the layers."""
        step = None if self.step is None else ops.Spec(*axes[: len(self.step.shape)])
        return self._around(ops.specs(self.inner, axes, sizes), step)

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the tensor."""
        return ops.mesh_axes(self.inner)


def _taking_codes(item: Any) -> Any:
    """The tensor, with every grid in it taking codes: static activations of step 1 leave integers as they are."""
    if isinstance(item, Grid):
        return item.replace(activation="static", activation_scale=jnp.ones((), jnp.float32))
    if not isinstance(item, Node):
        return item
    fields = {name: getattr(item, name) for name, role in item.roles.items() if role == "value"}
    return item.replace(**{name: _taking_codes(x) for name, x in fields.items()})
