"""The errors that reading or writing an artifact raises."""


class ArtifactError(ValueError):
    """A file, section or value that an artifact cannot hold or must not trust.

    Example:
        >>> issubclass(ArtifactError, ValueError)
        True
    """


class UnknownNode(ArtifactError):  # noqa: N818 - it names what was met
    """A node of a type that nobody registered; the message names the import that is missing.

    Example:
        >>> issubclass(UnknownNode, ArtifactError)
        True
    """
