"""Methods that prune during training."""
