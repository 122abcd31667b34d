"""Gates on features that learn with the model."""
