"""Tests that run the server as its users do: over real sockets, beside other servers."""
