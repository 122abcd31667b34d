"""Some of the features, as they are."""
