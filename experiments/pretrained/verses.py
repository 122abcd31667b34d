"""Aligned verses of two English Bibles: the same sentence in words of 1611 and of today, to be found by meaning."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.pretrained import files

PYSWORD = "pysword==0.2.8"
TEXTS = "apt-get install sword-text-kjv sword-text-web"


def pairs(folder: str) -> list[tuple[str, str]]:
    """All verses that both Bibles have, as `(King James, World English)`.

    Args:
        folder: Of the SWORD modules, such as `/usr/share/sword`.

    Returns:
        About 31,000 pairs, in the order of the books.

    Raises:
        ValueError: If the reader or a text is missing; the message has the command that installs it.
    """
    reader = files.module("pysword.modules", PYSWORD)
    try:
        modules = reader.SwordModules(folder)
        modules.parse_modules()
        bibles = [modules.get_bible_from_module(name) for name in ("engKJV2006eb", "engWEB2015eb")]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} has no SWORD modules of both texts ({error}); run: {TEXTS}") from error
    for bible in bibles:  # a block holds a book and would be decompressed for every verse
        bible._decompressed_text = functools.lru_cache(maxsize=None)(bible._decompressed_text)
    found = []
    for part in bibles[0].get_structure().get_books().values():
        for book in part:
            for chapter, length in enumerate(book.chapter_lengths, 1):
                texts = [_verses(bible, book.name, chapter, length) for bible in bibles]
                found += [(old, new) for old, new in zip(*texts, strict=True) if old and new]
    return found


def _verses(bible: Any, book: str, chapter: int, length: int) -> list[str]:
    texts = bible.get_iter(books=[book.lower()], chapters=[chapter], verses=list(range(1, length + 1)))
    return [" ".join(text.split()) for text in texts]


def retrieval(order: np.ndarray) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
    """A comparison of vectors that asks how often the nearest verse is the right one.

    Args:
        order: Row of the outputs of every text: first all queries, then what they look for.

    Returns:
        Function of the vectors of the dense network and of another one.
    """
    count = len(order) // 2

    def right(vectors: np.ndarray) -> np.ndarray:
        queries, texts = vectors[order[:count]], vectors[order[count:]]
        return (queries @ texts.T).argmax(-1) == np.arange(count)

    def compare(dense: np.ndarray, found: np.ndarray) -> dict[str, Any]:
        before, after = right(dense), right(found)
        change = after.astype(float) - before
        error = change.std(ddof=1) / count**0.5
        cosine = float(np.sum(dense * found, axis=-1).mean())
        text = f"R@1 {100 * after.mean():.2f} % ({100 * change.mean():+.2f} +- {100 * error:.2f}), cosine {cosine:.4f}"
        return {"fidelity": text, "recall": float(after.mean()), "change": float(change.mean()), "error": float(error),
                "mean_cosine": cosine, "verses": count}  # fmt: skip

    return compare
