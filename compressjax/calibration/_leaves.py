"""The leaves of a calibration: finished ones are held in fewer bytes until they are read."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_THIN = {"int8": jnp.int4, "uint8": jnp.uint4}
_FEWEST = 2**16  # entries of a smaller array are not worth a program


class Leaves(Mapping[str, Any]):
    """Arrays and nodes by path. Codes of at most 4 bits take half a byte each, and come back as they were."""

    def __init__(self, given: Mapping[str, Any], done: "Mapping[str, _Packed] | None" = None) -> None:
        self._given, self._done = given, dict(done or {})

    def __getitem__(self, path: str) -> Any:
        """The leaf in the form that it had when it was put in."""
        return self._done[path].whole() if path in self._done else self._given[path]

    def __iter__(self) -> Iterator[str]:
        """All paths."""
        return iter(self._given)

    def __len__(self) -> int:
        """How many leaves there are."""
        return len(self._given)

    def having(self, new: Mapping[str, Any]) -> "Leaves":
        """These leaves with some replaced; they share all others."""
        return Leaves(self._given, self._done | {path: _Packed.of(leaf) for path, leaf in new.items()})

    def replaced(self, paths: Iterable[str]) -> dict[str, Any]:
        """Those of some leaves that are not as they were given."""
        return {path: self[path] for path in paths if path in self._done}

    def take(self) -> dict[str, Any]:
        """All leaves that are not as they were given. They are given up one by one, so that none is there twice."""
        return {path: self._done.pop(path).whole() for path in list(self._done)}


class _Packed(NamedTuple):
    """A leaf as arrays in fewer bytes, the types that they had, and the structure that they had."""

    arrays: list[Any]
    types: list[Any]
    structure: Any

    @classmethod
    def of(cls, leaf: Any) -> "_Packed":
        """Packs what fits."""
        arrays, structure = jax.tree.flatten(leaf)
        return cls([_thin(x) for x in arrays], [getattr(x, "dtype", None) for x in arrays], structure)

    def whole(self) -> Any:
        """The leaf as it was."""
        pairs = zip(self.arrays, self.types, strict=True)
        return self.structure.unflatten([x if getattr(x, "dtype", t) == t else _cast(x, t) for x, t in pairs])


def _thin(x: Any) -> Any:
    """An array of integers in half of the bytes, if it fits."""
    thin = _THIN.get(str(getattr(x, "dtype", "")))
    if thin is None or not isinstance(x, jax.Array) or x.size < _FEWEST:
        return x
    made, exact = _narrow(x, thin)
    return made if bool(exact) else x


@partial(jax.jit, static_argnums=1)
def _narrow(x: jax.Array, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Another type, and whether it holds the same numbers."""
    made = x.astype(dtype)
    return made, jnp.all(made.astype(x.dtype) == x)


_cast = jax.jit(jnp.astype, static_argnums=1)
