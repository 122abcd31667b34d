"""`taps`: activations inside a function."""
