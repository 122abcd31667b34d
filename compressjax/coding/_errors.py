"""Errors of reading and writing artifacts."""

import contextlib
from collections.abc import Iterator


class ArtifactError(ValueError):
    """Raised for a value that an artifact cannot store, and for a file that is damaged or cannot be read.

    Example:
        >>> issubclass(ArtifactError, ValueError)
        True
    """


class UnknownNode(ArtifactError):  # noqa: N818 - named after its cause
    """Raised for a node of an unregistered type; the message names the missing import.

    Example:
        >>> issubclass(UnknownNode, ArtifactError)
        True
    """


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Puts a name before the message of an error, and makes any other error of reading a file an `ArtifactError`."""
    try:
        yield
    except ArtifactError as error:
        raise type(error)(f"{name}: {error}") from error
    except MemoryError as error:
        raise ArtifactError(f"{name}: it needs more memory than there is; pass a smaller max_bytes") from error
    except RecursionError as error:
        raise ArtifactError(f"{name}: it is nested too deep; the file is damaged") from error
    except Exception as error:
        # Whatever a file holds, its readers raise one type. The checks give better messages than this.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ArtifactError(f"{name}: it cannot be decoded ({reason}); the file is damaged") from error
