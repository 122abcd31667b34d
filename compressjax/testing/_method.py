"""The subject of the laws of methods: a method with its promises, and small trees of several shapes and dtypes."""

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
# Few shapes, so that examples share compiled programs; all axes of kernels are even.
SHAPES = (
    {"first/kernel": (8, 6), "first/bias": (6,), "last/kernel": (6, 4)},
    {"conv/kernel": (3, 3, 2, 4), "conv/bias": (4,), "norm/scale": (4,), "last/kernel": (4, 10)},
)
KINDS = ("normal", "ties", "zeros", "wide", "sparse")


class Example(NamedTuple):
    """Settings of a small random tree of parameters.

    Attributes:
        shapes: 0 for two dense layers, 1 for a convolution, a norm and a dense layer.
        dtype: Dtype of all floating-point leaves.
        kind: Distribution of the values: `"normal"`, `"ties"`, `"zeros"`, `"wide"` (many magnitudes) or `"sparse"`.
        seed: Seed of the NumPy generator.
    """

    shapes: int = 0
    dtype: str = "float32"
    kind: str = "normal"
    seed: int = 0

    def params(self) -> dict[str, Any]:
        """The tree, with an integer leaf that no method may change."""
        rng = np.random.default_rng(self.seed)
        tree: dict[str, Any] = {"step": jnp.int32(self.seed)}
        for path, shape in SHAPES[self.shapes].items():
            owner, name = path.split("/")
            tree.setdefault(owner, {})[name] = jnp.asarray(_numbers(rng, shape, self.kind), jnp.dtype(self.dtype))
        return tree

    def grads(self) -> dict[str, Any]:
        """Gradients of the floating-point leaves; zeros for the integer leaf."""
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
    raise ValueError(f"kind={kind!r} is not one of {KINDS}")


class Run(NamedTuple):
    """A method after some steps, with its view and its encoded tree."""

    step: int
    state: Any
    view: Tree
    tree: Tree


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """A method in one setting, and its promises.

    A tolerance is a number, or a function of the name of the dtype, in units of machine epsilon times the largest
    magnitude of the leaf.

    Attributes:
        name: Name for reports.
        make: Creates the compression.
        neutral: Creates the compression that must not change its input; None if there is none.
        zero: Tolerance of the neutral compression.
        snap: Moves parameters to where the neutral compression is exact, for example onto a grid.
        projection: Tolerance of encoding twice; None if the method is not a projection.
        select: Selector of the method.
        decides_early: Whether `init` does the work, so that two devices run it too.
        devices: Tolerance between one device and two.
        traceable: Whether the method runs under `jit` (a rank by energy does not).
        ready: The first step at which view and encode agree.
        stats: Returns the statistics for `after_step` from parameters.

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
        """The compression, created once to share compiled programs."""
        return self.make()

    @functools.cached_property
    def compiled(self) -> core.Compression:
        """The compression with compiled functions, if it can be traced."""
        return self._compile(self.compression)

    @functools.cached_property
    def compiled_neutral(self) -> core.Compression:
        """The neutral compression with compiled functions; `core.identity()` if there is none."""
        return self._compile((self.neutral or core.identity)())

    def _compile(self, c: core.Compression) -> core.Compression:
        if not self.traceable:
            return c
        # Inline the functions, so that a trace of a combination can detect unchanged values.
        compiled = functools.partial(jax.jit, inline=True)
        return c._replace(
            init=compiled(c.init), view=compiled(c.view), encode=compiled(c.encode), after_step=compiled(c.after_step)
        )

    def runs(self, example: Example, steps: tuple[int, ...] = (0, 1, 3)) -> Iterator[Run]:
        """The method after these steps of a training loop."""
        c, params = self.compiled, example.params()
        state, stats = c.init(params), self.stats(params)
        for step in range(max(steps) + 1):
            if step:
                _, state = c.after_step(params, state, stats)
            if step in steps and step >= self.ready:
                yield Run(step, state, c.view(params, state), c.encode(params, state))
