"""What the laws of methods judge: a method with its promises, on small trees of several shapes, dtypes and values."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core

Tree = Any
Tolerance = float | Callable[[str], float]
# Few sets of shapes, so that compiled programs are shared between examples; all axes of kernels are even.
SHAPES = (
    {"first/kernel": (8, 6), "first/bias": (6,), "last/kernel": (6, 4)},
    {"conv/kernel": (3, 3, 2, 4), "conv/bias": (4,), "norm/scale": (4,), "last/kernel": (4, 10)},
)
KINDS = ("normal", "ties", "zeros", "wide", "sparse")


class Example(NamedTuple):
    """A small tree of parameters, by what it is drawn from.

    Attributes:
        shapes: 0 for two dense layers, 1 for a convolution, a norm and a dense layer.
        dtype: Of all floating leaves.
        kind: Of the values: `"normal"`, `"ties"`, `"zeros"`, `"wide"` (of many magnitudes) or `"sparse"`.
        seed: Of NumPy's generator.
    """

    shapes: int = 0
    dtype: str = "float32"
    kind: str = "normal"
    seed: int = 0

    def params(self) -> dict[str, Any]:
        """The tree, with an integer leaf that no method may touch."""
        rng = np.random.default_rng(self.seed)
        tree: dict[str, Any] = {"step": jnp.int32(self.seed)}
        for path, shape in SHAPES[self.shapes].items():
            owner, name = path.split("/")
            tree.setdefault(owner, {})[name] = jnp.asarray(_numbers(rng, shape, self.kind), jnp.dtype(self.dtype))
        return tree

    def grads(self) -> dict[str, Any]:
        """Gradients of the floating leaves; zeros of the integer leaf's type elsewhere."""
        rng = np.random.default_rng(self.seed + 1)

        def draw(x: Any) -> Any:
            if not jnp.issubdtype(x.dtype, jnp.floating):
                return jnp.zeros_like(x)
            return jnp.asarray(rng.normal(size=x.shape), x.dtype)

        return jax.tree.map(draw, self.params())


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    normal = rng.normal(size=shape)
    match kind:
        case "normal":
            return normal
        case "ties":
            return rng.integers(-2, 3, shape) / 2
        case "zeros":
            return np.zeros(shape)
        case "wide":
            return normal * 10.0 ** rng.integers(-3, 3, shape)
        case "sparse":
            return np.where(rng.random(shape) < 0.7, 0.0, normal)
    raise ValueError(f"kind={kind!r} is none of {KINDS}")


class Run(NamedTuple):
    """A method after some steps: what it trains with (`view`) and what it stores (`tree`)."""

    step: int
    state: Any
    view: Tree
    tree: Tree


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """A method in one setting, and what it promises.

    A tolerance is a number, or a function of the dtype's name, in units of the dtype's epsilon times the largest
    magnitude of the leaf.

    Attributes:
        name: For reports.
        make: Makes the compression.
        neutral: Makes the compression that must give its input back; None where there is none.
        zero: Tolerance of that.
        snap: Moves parameters to where the neutral setting is exact (onto a grid, say).
        projection: Tolerance of encoding what was encoded; None when the method is no projection.
        select: What the method acts on by itself.
        decides_early: Whether `init` does the work, so that it too is judged on two devices.
        devices: Tolerance between one device and two.
        traceable: Whether it runs under `jit` (a rank by energy does not).
        ready: The first step after which view and encode agree.
        stats: From parameters to the statistics that `after_step` reads.

    Example:
        >>> from compressjax import quant
        >>> method = Method("rounding", lambda: quant.rtn(4))
        >>> [run.step for run in method.runs(Example())]
        [0, 1, 3]
    """

    name: str
    make: Callable[[], core.Compression]
    neutral: Callable[[], core.Compression] | None = None
    zero: Tolerance = 0.0
    snap: Callable[[Tree], Tree] = lambda params: params
    projection: Tolerance | None = 0.0
    select: core.Selector = core.kernels
    decides_early: bool = False
    devices: Tolerance = 0.0
    traceable: bool = True
    ready: int = 0
    stats: Callable[[Tree], Any] = lambda params: None

    @functools.cached_property
    def compression(self) -> core.Compression:
        """The compression, made once so that compiled programs are shared."""
        return self.make()

    @functools.cached_property
    def compiled(self) -> core.Compression:
        """The compression with its functions compiled one by one, where it can be traced."""
        return self._compile(self.compression)

    @functools.cached_property
    def compiled_neutral(self) -> core.Compression:
        """The neutral compression, compiled likewise; `core.identity()` where there is none."""
        return self._compile((self.neutral or core.identity)())

    def _compile(self, c: core.Compression) -> core.Compression:
        if not self.traceable:
            return c
        # Inlined where a combination is traced: what comes back untouched can be told.
        compiled = functools.partial(jax.jit, inline=True)
        return c._replace(
            init=compiled(c.init), view=compiled(c.view), encode=compiled(c.encode), after_step=compiled(c.after_step)
        )

    def runs(self, example: Example, steps: tuple[int, ...] = (0, 1, 3)) -> Iterator[Run]:
        """The method after these steps, as in a training loop: compiled, with a step of the state each time."""
        c, params = self.compiled, example.params()
        state, stats = c.init(params), self.stats(params)
        for step in range(max(steps) + 1):
            if step:
                _, state = c.after_step(params, state, stats)
            if step in steps and step >= self.ready:
                yield Run(step, state, c.view(params, state), c.encode(params, state))
