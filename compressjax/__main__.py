"""The command line: `python -m compressjax inspect|verify|run|certify FILE`, and `diff A B`."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from compressjax import coding
from compressjax.coding._containers import build
from compressjax.coding._errors import translated
from compressjax.coding._store import store
from compressjax.coding._twin import find, written

_WIDEST = 48  # columns are as wide as their longest entry up to this: one long path does not pad every row


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 on success, and 2 with one line on standard error on bad input."""
    parser = argparse.ArgumentParser(prog="python -m compressjax", description="Inspect, check, run and certify files.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("inspect", "show the ledger and the metadata"),
        ("verify", "check every byte"),
        ("diff", "compare two files: bytes and dense values of every leaf"),
        ("run", "run the stored program on arrays; a program is code, so run only files that you trust"),
        ("certify", "bound the error on new rows by the length of the file and its errors on the training rows"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("file", metavar="A" if name == "diff" else "FILE")
        if name == "diff":
            command.add_argument("other", metavar="B")
        if name == "inspect":
            command.add_argument("--json", action="store_true", help="print JSON")
        if name == "run":
            command.add_argument(
                "--input", action="append", required=True, help=".npy file, once per argument; bfloat16 as uint16 or V2"
            )
            command.add_argument("--output", required=True, help=".npy file, or .npz for several results")
        if name == "certify":
            _add_terms(command)
    options = parser.parse_args(arguments)
    try:
        actions = {"inspect": _inspect, "verify": _verify, "diff": _diff, "run": _run, "certify": _certify}
        actions[options.command](options)
    except (ValueError, OSError) as error:
        line = _printable(" ".join(str(error).split()))
        print(f"compressjax {options.command}: {line}", file=sys.stderr)
        return 2
    return 0


def _add_terms(command: argparse.ArgumentParser) -> None:
    """What a certificate needs and no file says."""
    for name, kind, text in (
        ("errors", int, "wrong predictions of the model in the file"),
        ("examples", int, "training rows on which they were counted"),
        ("trained-on", str, "name or fingerprint of the rows that the model was chosen by"),
        ("measured-on", str, "the same of the rows of --errors"),
    ):
        command.add_argument(f"--{name}", type=kind, required=True, help=text)
    command.add_argument("--iid", action="store_true", help="rows are independent draws from one distribution")
    command.add_argument("--tried", type=int, default=1, help="settings that were compared on these rows")
    command.add_argument("--delta", type=float, default=0.05, help="probability that the bound fails")


def _printable(text: str) -> str:
    """Text without characters that steer a terminal: files choose the names of their leaves."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _inspect(options: argparse.Namespace) -> None:
    manifest = coding.inspect(options.file)
    metadata = {key: value for key, value in manifest.metadata.items() if key != "tree"}
    if options.json:
        print(
            json.dumps(
                {
                    "format": manifest.format,
                    "metadata": metadata,
                    "ledger": manifest.ledger.as_json(),
                    "file_bytes": manifest.ledger.file_bytes,
                },
                indent=2,
            )
        )
        return
    _print(list(_rows(manifest.ledger)), (3, 4, 5))
    for key, value in metadata.items():
        print(_printable(f"{key}: {json.dumps(value, ensure_ascii=False)}"))


def _print(rows: Sequence[tuple[str, ...]], numbers: tuple[int, ...]) -> None:
    """Prints aligned columns, those of numbers to the right."""
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(w) if i in numbers else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _diff(options: argparse.Namespace) -> None:
    rows = coding.diff(options.file, options.other)
    table = [("leaf", "nodes", "A", "B", "change", "values")]
    for row in rows:
        one, two = row.nodes
        nodes = (
            "" if one == two is None else one or "absent" if one == two else f"{one or 'absent'} -> {two or 'absent'}"
        )
        table.append((_printable(row.path), _printable(nodes), *_both(*row.file_bytes), _values(row)))
    total = [sum(row.file_bytes[side] for row in rows) for side in (0, 1)]
    changed = sum(row.change is not None and row.change > 0 for row in rows)
    _print([*table, ("total", "", *_both(*total), f"{changed} leaves changed")], (2, 3, 4))


def _both(one: int, two: int) -> tuple[str, str, str]:
    return str(one), str(two), f"{(two - one) / one:+.1%}" if one else "new"


def _values(row: coding.DiffRow) -> str:
    if row.change is not None:
        return "equal" if row.change == 0 else f"off by {row.change:.2g} of the largest"
    one, two = row.shapes
    return f"{one} -> {two}" if one and two and one != two else ""


def _rows(ledger: coding.Ledger) -> Iterator[tuple[str, ...]]:
    """Cells of the table of a ledger."""
    yield "leaf", "nodes", "shape", "float32", "packed", "file", "codecs"
    for row in ledger.leaves:
        packed = "" if row.packed_bytes is None else str(row.packed_bytes)
        shape = "x".join(map(str, row.shape or ()))
        names = _printable(row.path), _printable(row.nodes)
        yield *names, shape, str(row.float32_bytes), packed, str(row.file_bytes), " ".join(row.codecs)
    for name, size in ledger.rest.items():
        yield f"({_printable(name)})", "", "", "", "", str(size), ""
    saving = f"{ledger.float32_bytes / ledger.file_bytes:.1f}x smaller than float32"
    yield "total", "", "", str(ledger.float32_bytes), str(ledger.packed_bytes), str(ledger.file_bytes), saving


def _verify(options: argparse.Namespace) -> None:
    contents = coding.read(options.file)
    with translated(options.file):
        for spec in contents.leaves.values():
            _known(spec)
        if "tree" in contents.manifest.metadata:
            build(contents.manifest.metadata["tree"], contents.leaves)
    ledger = contents.manifest.ledger
    print(f"{options.file}: intact, {len(contents.leaves)} leaves decoded, {ledger.file_bytes} bytes accounted for")


def _known(spec: Any) -> None:
    """Raises for nodes that should be ours and are not; those of other packages need their import."""
    if isinstance(spec, dict):
        if not written(spec["node"]) and find(spec["node"]) is None:
            raise coding.UnknownNode(f"unknown node type {spec['node']!r}; install the compressjax that wrote the file")
        for field in spec["fields"].values():
            _known(field)
    elif isinstance(spec, tuple | list) and not isinstance(spec, coding.Bits):
        for part in spec:
            _known(part)


def _run(options: argparse.Namespace) -> None:
    import jax

    from compressjax import artifact

    result = jax.tree.leaves(artifact.run(options.file, *map(_read, options.input)))
    buffer, name = io.BytesIO(), options.output
    if name.endswith(".npz"):
        np.savez(buffer, *map(_plain, result))
    elif len(result) == 1:
        np.save(buffer, _plain(result[0]))
        name += "" if name.endswith(".npy") else ".npy"
    else:
        raise ValueError(f"the program returns {len(result)} arrays; give --output a name that ends in .npz")
    store(name, buffer.getvalue())


def _certify(options: argparse.Namespace) -> None:
    from compressjax import theory

    wrong, rows = options.errors, options.examples
    if not 0 <= wrong <= rows or not 0 < rows <= 2**40:
        raise ValueError(f"--errors={wrong} of --examples={rows}; give counts, with 0 <= errors <= examples, 1 or more")
    found = theory.certify(
        options.file, np.arange(rows) < wrong, iid=options.iid, trained_on=options.trained_on,
        measured_on=options.measured_on, delta=options.delta, tried=options.tried,
    )  # fmt: skip
    print(found)


def _read(name: str) -> np.ndarray:
    """The array of a `.npy` file; its header is compared with its length before anything is allocated."""
    remedy = "give a .npy file that np.save wrote whole, of one array of numbers"
    try:
        with open(name, "rb") as file:
            if file.read(2) == b"PK":
                raise ValueError("it is an archive")
        mapped = np.load(name, mmap_mode="r", allow_pickle=False)
        return np.array(mapped)
    except OSError:
        raise
    except Exception as error:  # parsing a header can fail in many ways
        reason = " ".join(f"{error}".split())[:200] or type(error).__name__
        raise ValueError(f"{name} cannot be read: {reason}; {remedy}") from error


def _plain(array: Any) -> np.ndarray:
    """The array in a dtype that .npy files support."""
    array = np.asarray(array)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


if __name__ == "__main__":
    sys.exit(main())
