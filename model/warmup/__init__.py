"""Kiln's promise: plan the requests that make a server hot, run them, prove that it is."""
