"""The jaxpr interpreter: tracing, evaluation equation by equation, calls and loops."""
