"""A text from a file, and its most frequent words as a vocabulary."""

import collections
import gzip
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.pretrained.sentences import CALIBRATION, EVALUATION

INSTALL = "apt-get install dict-foldoc (it then is in /usr/share/dictd/foldoc.dict.dz)"
PIECES = re.compile(r"\s*\w+|\s*[^\w\s]|\s+$")
UNKNOWN = 0


class Words(NamedTuple):
    """A text in the words of a vocabulary.

    Attributes:
        ids: `[n]`, int32; 0 for words that are not in the vocabulary.
        ends: `[n]`, int64: where every word ends in the bytes of the text; the space before it belongs to it.
        vocabulary: The words by their number.
    """

    ids: np.ndarray
    ends: np.ndarray
    vocabulary: Sequence[str]


def read(path: str) -> str:
    """The text of a file.

    Args:
        path: Of a text, which may be gzipped; empty for some sentences of our own.

    Returns:
        The text, in ASCII, with single spaces.

    Raises:
        ValueError: If there is no such file.
    """
    if not path:
        return " ".join(CALIBRATION + EVALUATION)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ValueError(f"--config.text={path} cannot be read; name a text, such as that of {INSTALL}") from error
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return " ".join(content.decode("ascii", "ignore").split())


def words(text: str, most: int) -> Words:
    """Cuts a text into words, each with the space before it.

    Args:
        text: In ASCII, so that characters are bytes.
        most: Size of the vocabulary; its first entry stands for all other words.

    Returns:
        The words.

    Example:
        >>> found = words("a b, a c", 4)
        >>> found.ids.tolist(), found.ends.tolist(), found.vocabulary
        ([1, 2, 3, 1, 0], [1, 3, 4, 6, 8], ['', 'a', 'b', ','])
    """
    places = list(PIECES.finditer(text))
    cut = [match.group().strip().lower() for match in places]
    kept = ["", *(word for word, _ in collections.Counter(cut).most_common(most - 1))]
    number = {word: i for i, word in enumerate(kept) if i}
    ids = np.array([number.get(word, UNKNOWN) for word in cut], np.int32)
    return Words(ids, np.array([match.end() for match in places]), kept)


def blocks(tokens: np.ndarray, length: int) -> np.ndarray:
    """A text as rows of `length + 1` tokens, the last of which is the first of the next row; the rest is dropped."""
    count = (len(tokens) - 1) // length
    return np.stack([tokens[i * length : (i + 1) * length + 1] for i in range(count)])
