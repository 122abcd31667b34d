"""The one error that reading or writing an artifact raises."""


class ArtifactError(ValueError):
    """A file, section or value that an artifact cannot hold or must not trust.

    Example:
        >>> issubclass(ArtifactError, ValueError)
        True
    """
