"""Names the node classes in programs of `jax.export`, so that an exported program takes nodes as arguments."""

import ast
from typing import Any

from jax import export


def register(cls: Any) -> None:
    """Stores the static fields of a node as a Python literal, under the type name of its class.

    A class that replaces an earlier one of the same name (a notebook cell that ran again) is not registered: JAX takes
    one class for a name.
    """

    def write(static: tuple[Any, ...]) -> bytes:
        text = repr(static)
        try:
            same = ast.literal_eval(text) == static
        except (ValueError, SyntaxError):
            same = False
        if not same:
            raise ValueError(
                f"jax.export: {cls.type_name} has static fields that are no Python literals: {text}; use numbers, "
                "strings and tuples of them in meta() fields"
            )
        return text.encode()

    try:
        export.register_pytree_node_serialization(
            cls,
            serialized_name=f"compressjax:{cls.type_name}",
            serialize_auxdata=write,
            deserialize_auxdata=lambda data: ast.literal_eval(bytes(data).decode()),
        )
    except ValueError as error:
        if "Duplicate" not in str(error):
            raise
