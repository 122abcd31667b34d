"""Compresses texts with a model that learns while it codes, against xz and bzip2.

    python -m experiments.text --files=alice29.txt,asyoulik.txt --workdir=runs/text

Every text is decoded and compared. Nothing is trained before. The decoder counts: its source without docstrings, as xz
packs it, is added to our bytes. `--limit=1000000` takes the first bytes of every text, of a gzipped one after it is
unpacked. Without `--files`, a dictionary of computing: `apt-get install dict-foldoc`.
"""

import ast
import bz2
import json
import lzma
import pathlib
import time
from typing import Any

from absl import flags

from compressjax import theory
from compressjax.theory import lossless
from experiments import app, text_files
from experiments.view import make_console

_FILES = flags.DEFINE_list(
    "files", ["/usr/share/dictd/foldoc.dict.dz"], "Texts, plain or gzipped, with commas between."
)
_LIMIT = flags.DEFINE_integer("limit", 1_000_000, "Bytes of every text, from its start.", lower_bound=1)
_ORDERS = flags.DEFINE_integer("orders", 6, "Bytes of the longest context, 1 to 6.")

PARTS = ("_arithmetic", "_bytes", "_contexts", "_logistic", "_match")
COLUMNS = ("text", "bytes", "ours", "decoder", "ours + decoder", "xz -9e", "bzip2 -9", "bits a byte", "seconds")


def texts() -> None:
    """Prints and writes the table, and refuses a text that does not come back."""
    folder, console = app.workdir(), make_console()
    if not 1 <= _ORDERS.value <= 6:
        raise ValueError(f"--orders={_ORDERS.value} must lie in 1 to 6")
    held = {name: text_files.read(name, _LIMIT.value) for name in _FILES.value}
    rows = []
    for name, data in held.items():
        rows.append(measured(pathlib.Path(name).name, data, _ORDERS.value))
        console.print(text_files.table(rows[-1:], COLUMNS).splitlines()[-1], markup=False)
    text = text_files.table(rows, COLUMNS)
    app.write(
        folder, {"text.md": text, "text.json": json.dumps({"rows": rows, **app.describe_machine()}, indent=2) + "\n"}
    )
    console.print(text, markup=False)


def measured(name: str, data: bytes, orders: int) -> dict[str, Any]:
    """One row of the table.

    Raises:
        ValueError: If the decoder gives another text.
    """
    began = time.process_time()
    packed = theory.encode_bytes(data, orders=orders)
    spent = time.process_time() - began
    if theory.decode_bytes(packed) != data:
        raise ValueError(f"{name}: the decoder gave another text; this is an error of the coder, please report it")
    decoder = decoder_bytes()
    sizes = len(text_files.xz(data)), len(bz2.compress(data))
    bits = 8 * len(packed) / len(data)
    values = name, len(data), len(packed), decoder, len(packed) + decoder, *sizes, bits, spent
    return dict(zip(COLUMNS, values, strict=True))


def decoder_bytes() -> int:
    """Bytes of the source of the coder without docstrings, packed by xz; JAX is the machine that it runs on."""
    place = pathlib.Path(lossless.__file__).parent
    return len(lzma.compress("".join(bare((place / f"{name}.py").read_text("utf-8")) for name in PARTS).encode()))


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
