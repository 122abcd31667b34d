"""The command line: `python -m compressjax inspect|verify|run FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from compressjax import coding


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 on success, and 2 with one line on standard error on bad input."""
    parser = argparse.ArgumentParser(prog="python -m compressjax", description="Inspect, check and run artifact files.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("inspect", "show the ledger and the metadata"),
        ("verify", "check every byte"),
        ("run", "run the stored program on arrays"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("file")
        if name == "inspect":
            command.add_argument("--json", action="store_true", help="print JSON")
        if name == "run":
            command.add_argument("--input", action="append", required=True, help=".npy file, once per argument")
            command.add_argument("--output", required=True, help=".npy file, or .npz for several results")
    options = parser.parse_args(arguments)
    try:
        {"inspect": _inspect, "verify": _verify, "run": _run}[options.command](options)
    except (ValueError, OSError) as error:
        print(f"compressjax {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


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
    print(_table(manifest.ledger))
    for key, value in metadata.items():
        print(f"{key}: {json.dumps(value, ensure_ascii=False)}")


def _table(ledger: coding.Ledger) -> str:
    rows = [("leaf", "nodes", "shape", "float32", "packed", "file", "codecs")]
    rows += [
        (
            r.path,
            r.nodes,
            "x".join(map(str, r.shape or ())),
            str(r.float32_bytes),
            "" if r.packed_bytes is None else str(r.packed_bytes),
            str(r.file_bytes),
            " ".join(r.codecs),
        )
        for r in ledger.leaves
    ]
    rows += [(f"({name})", "", "", "", "", str(size), "") for name, size in ledger.rest.items()]
    rows.append(
        (
            "total",
            "",
            "",
            str(ledger.float32_bytes),
            str(ledger.packed_bytes),
            str(ledger.file_bytes),
            f"{ledger.float32_bytes / ledger.file_bytes:.1f}x smaller than float32",
        )
    )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = {3, 4, 5}
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i in numeric else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _verify(options: argparse.Namespace) -> None:
    contents = coding.read(options.file)
    ledger = contents.manifest.ledger
    print(f"{options.file}: intact, {len(contents.leaves)} leaves decoded, {ledger.file_bytes} bytes accounted for")


def _run(options: argparse.Namespace) -> None:
    import jax

    from compressjax import artifact

    result = jax.tree.leaves(artifact.run(options.file, *(np.load(name, allow_pickle=False) for name in options.input)))
    if options.output.endswith(".npz"):
        np.savez(options.output, *map(_plain, result))
    elif len(result) == 1:
        np.save(options.output, _plain(result[0]))
    else:
        raise ValueError(f"the program returns {len(result)} arrays; give --output a name that ends in .npz")


def _plain(array: Any) -> np.ndarray:
    """The array in a dtype that .npy files support."""
    array = np.asarray(array)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


if __name__ == "__main__":
    sys.exit(main())
