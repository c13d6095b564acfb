"""Benchmarks: the server beside others, and the instructions that its parts take."""
