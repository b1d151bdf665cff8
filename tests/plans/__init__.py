"""Compiled FastAPI routes."""
