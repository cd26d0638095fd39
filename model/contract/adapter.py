"""Which change of the weights is in force."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA by the name under which ``--loras`` declares it, and how strongly it acts."""

    lora: str
    scale: float = 1.0
