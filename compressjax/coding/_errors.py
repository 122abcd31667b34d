"""Errors of reading and writing artifacts."""


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
