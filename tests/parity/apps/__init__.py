"""FastAPI apps for the referee: ordinary code, as a user would write it, and nothing that differs from run to run."""
