"""Tensors between roles: how they are written, sent and checked, and who gets them."""
