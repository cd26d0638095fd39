"""Which device an engine owns. Imports torch: engine process only."""

import torch


def place(device: str, number: int) -> str:
    """The device of process ``number``, counted over all ranks of all engines: each has a GPU of
    its own, from the one that was asked for on. A CPU is shared.
    """
    if device == "auto" and torch.cuda.is_available():
        device = "cuda:0"
    kind, _, first = device.partition(":")
    return f"cuda:{int(first or 0) + number}" if kind == "cuda" else device
