"""Functions that may block: the offload pool, and where calls run."""
