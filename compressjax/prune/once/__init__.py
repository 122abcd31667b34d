"""Methods that prune at once, after training."""
