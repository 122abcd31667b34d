"""The manifest: compact JSON, deflated with a preset dictionary of frequent words."""

from __future__ import annotations

import json
import zlib
from typing import Any

from compressjax.coding._bits import Buffer
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import Budget

MAX_BYTES = 1 << 26
_ITEMS = 1 << 17
_ITEMS_PER_BYTE = 4
_ITEM = 150  # bytes of memory, with the rows that are made of it
_FREE = 1 << 25
# Part of the format, so a change needs a new format version. The most frequent words come last.
_WORDS = (
    b'"fill","uint16","float16","bfloat16","packed","deflate","planes","palette","sparse","gaps","huffman","bool",'
    b'"Sum","terms":{"t":["LowRank","left":,"right":"inputs":1},"embedding","experts","seed":0,"seeds":[0],"data":'
    b'{"name":"digits","fingerprint":"sha256:","recipe":{"name":"stages":["train","prune","share","quantize","factorise",'
    b'"distil","encode"],"versions":{"python":"3.11","numpy":"2.","jax":"0.1","flax":"0.12.","constriction":"0.5.0",'
    b'"compressjax":"0.1.0"},"tree":{"d":{"params":{"d":{"program":"encoder/layers_0/attention/query/batch_stats/mean/'
    b'conv1/Conv_0/BatchNorm_0/LayerNorm_0/scale","params/Dense_0/bias",["raw","float32",[10],40]],'
    b'["params/Dense_0/kernel",{"n":"Quantized","m":{"bits":8,"order":[1,0],"activation":"dynamic","dtype_name":"float32"},'
    b'"f":{"codes":["ans","int8",[],"scale":["raw","float32",[1,1],4],"zero_point":null,"activation_scale":null}},'
    b'{"n":"Masked","m":{},"f":{"mask":["rows","bool",[300,100],"bernoulli","value":{"n":"Codebook","m":{},"f":'
    b'{"centroids":["raw","float32",[16],64],"codes":["ans","uint8",[],1]}}}},'
    b'{"format":1,"metadata":{"leaves":[["sections":[4096],"extras":[]}'
)


def encode(manifest: dict[str, Any]) -> tuple[int, bytes]:
    """Returns the length of the JSON text, and the deflated text."""
    try:
        text = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"metadata is not JSON ({error}); use strings, finite numbers, lists and dicts") from error
    if len(text) > MAX_BYTES:
        raise ArtifactError(f"the manifest has {len(text)} bytes, above {MAX_BYTES}; keep large data out of metadata")
    deflater = zlib.compressobj(9, wbits=-15, zdict=_WORDS)
    packed = deflater.compress(text) + deflater.flush()
    _count(text, len(packed))
    return len(text), packed


def decode(size: int, data: Buffer, budget: Budget) -> dict[str, Any]:
    """Inverse of `encode`; never inflates to more than `size` bytes."""
    if size > MAX_BYTES:
        raise ArtifactError(f"the manifest claims {size} bytes, above {MAX_BYTES}; the file is damaged")
    budget.spend(max(0, size - _FREE), "the manifest")
    engine = zlib.decompressobj(wbits=-15, zdict=_WORDS)
    try:
        text = engine.decompress(data, size + 1)
        if len(text) != size or not engine.eof or engine.unused_data:
            raise ArtifactError(f"the manifest does not hold exactly its {size} bytes; the file is damaged")
        budget.spend(max(0, _ITEM * _count(text, len(data)) + 4 * size - _FREE), "the manifest")
        manifest = json.loads(text.decode(), parse_constant=_refuse)
    except ArtifactError:
        raise
    except (zlib.error, ValueError, RecursionError) as error:
        raise ArtifactError(f"the manifest cannot be read: {str(error)[:200]}; the file is damaged") from error
    if not isinstance(manifest, dict):
        raise ArtifactError("the manifest is not a table; the file is damaged")
    return manifest


def _count(text: bytes, packed: int) -> int:
    """Bound on the number of values in a JSON text; many in few bytes are refused, since they take much memory."""
    items = text.count(b"[") + text.count(b"{") + text.count(b",")
    if items > _ITEMS + _ITEMS_PER_BYTE * packed:
        raise ArtifactError(
            f"the manifest holds up to {items} values in {packed} bytes, which no reader accepts; keep repetitions "
            "out of metadata"
        )
    return items


def _refuse(name: str) -> Any:
    raise ArtifactError(f"the manifest holds {name}, which is no JSON; the file is damaged")
