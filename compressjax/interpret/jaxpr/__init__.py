"""The jaxpr interpreter: tracing, walking equation by equation, calls and loops."""
