"""Compresses texts with a model that learns while it codes, against xz and bzip2.

    python -m experiments.text --files=alice29.txt,asyoulik.txt --workdir=runs/text
    python -m experiments.text --coder=network --files=alice29.txt --limit=1000000 --workdir=runs/text_network

Every text is decoded and compared. Nothing is trained before. The decoder counts: its source without docstrings, as xz
packs it, is added to our bytes; JAX, constriction and optax are the machine that it runs on. `--limit=1000000` takes
the first bytes of every text, of a gzipped one after it is unpacked. Without `--files`, a dictionary of computing:
`apt-get install dict-foldoc`. The coder `contexts` mixes counts of contexts; `network` is a recurrent network that
trains on what it reads, in streams that are coded together.
"""

import ast
import bz2
import inspect
import json
import lzma
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from absl import flags

from compressjax import theory
from compressjax.theory.lossless import _arithmetic, _bytes, _contexts, _logistic, _match, _online, _tokens
from experiments import app, byte_network, text_files
from experiments.view import make_console

_FILES = flags.DEFINE_list(
    "files", ["/usr/share/dictd/foldoc.dict.dz"], "Texts, plain or gzipped, with commas between."
)
_LIMIT = flags.DEFINE_integer("limit", 1_000_000, "Bytes of every text, from its start.", lower_bound=1)
_ORDERS = flags.DEFINE_integer("orders", 6, "Bytes of the longest context, 1 to 6; for `contexts`.")
_CODER = flags.DEFINE_enum("coder", "contexts", ["contexts", "network"], "What learns.")
_STREAMS = flags.DEFINE_integer("network_streams", 8, "Streams that the network codes together.", lower_bound=1)

COLUMNS = ("text", "bytes", "ours", "decoder", "ours + decoder", "xz -9e", "bzip2 -9", "bits a byte", "seconds")


class Coder(NamedTuple):
    """A lossless coder, and the modules that decode."""

    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes, int], bytes]
    parts: Sequence[Any]


def contexts(orders: int) -> Coder:
    """A mixture of counts of contexts of up to so many bytes."""
    return Coder(
        lambda data: theory.encode_bytes(data, orders=orders),
        lambda packed, size: theory.decode_bytes(packed),
        (_arithmetic, _bytes, _contexts, _logistic, _match),
    )


def network(streams: int) -> Coder:
    """A recurrent network that trains on what it reads."""
    return Coder(
        lambda data: byte_network.encode(data, streams),
        lambda packed, size: byte_network.decode(packed, size, streams),
        (byte_network, _online, _tokens),
    )


def texts() -> None:
    """Prints and writes the table, and refuses a text that does not come back."""
    folder, console = app.workdir(), make_console()
    if not 1 <= _ORDERS.value <= 6:
        raise ValueError(f"--orders={_ORDERS.value} must lie in 1 to 6")
    coder = network(_STREAMS.value) if _CODER.value == "network" else contexts(_ORDERS.value)
    held = {name: text_files.read(name, _LIMIT.value) for name in _FILES.value}
    for name, data in held.items():
        if _CODER.value == "network" and len(data) < _STREAMS.value:
            raise ValueError(
                f"--network_streams={_STREAMS.value} is more than the {len(data)} bytes of {name}; lower it"
            )
    rows = []
    for name, data in held.items():
        rows.append(measured(pathlib.Path(name).name, data, coder))
        console.print(text_files.table(rows[-1:], COLUMNS).splitlines()[-1], markup=False)
    text = text_files.table(rows, COLUMNS)
    app.write(
        folder, {"text.md": text, "text.json": json.dumps({"rows": rows, **app.describe_machine()}, indent=2) + "\n"}
    )
    console.print(text, markup=False)


def measured(name: str, data: bytes, coder: Coder) -> dict[str, Any]:
    """One row of the table.

    Raises:
        ValueError: If the decoder gives another text.
    """
    began = time.process_time()
    packed = coder.encode(data)
    spent = time.process_time() - began
    if coder.decode(packed, len(data)) != data:
        raise ValueError(f"{name}: the decoder gave another text; this is an error of the coder, please report it")
    decoder = decoder_bytes(coder)
    sizes = len(text_files.xz(data)), len(bz2.compress(data))
    bits = 8 * len(packed) / len(data)
    values = name, len(data), len(packed), decoder, len(packed) + decoder, *sizes, bits, spent
    return dict(zip(COLUMNS, values, strict=True))


def decoder_bytes(coder: Coder) -> int:
    """Bytes of the source of the coder without docstrings, packed by xz."""
    return len(lzma.compress("".join(bare(inspect.getsource(module)) for module in coder.parts).encode()))


def bare(source: str) -> str:
    """A module without docstrings, comments and annotations of arguments and results.

    Example:
        >>> bare("def f(x: int) -> int:\\n    'Says.'\\n    return x  # one")
        'def f(x):\\n    return x'
    """
    tree = ast.parse(source)
    for item in ast.walk(tree):
        if isinstance(item, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(item) is not None:
            item.body = item.body[1:] or [ast.Pass()]
        if isinstance(item, ast.FunctionDef):
            item.returns = None
        if isinstance(item, ast.arg):
            item.annotation = None
    return ast.unparse(tree)


if __name__ == "__main__":
    app.simple(texts)
