"""What both training stages share: budget, learning rate, averages, precision, log lines."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


def log(event: str, **fields: object) -> None:
    values = " ".join(f"{key}={_short(value)}" for key, value in fields.items())
    print(time.strftime("%H:%M:%S"), event, values, flush=True)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(slots=True)
class Budget:
    """A stage ends at its steps or its minutes, whichever comes first.

    The learning rate follows the one that is nearer.
    """

    steps: int
    minutes: float
    warm_up: int = 100
    started: float = field(default_factory=time.monotonic)

    def used(self, step: int) -> float:
        elapsed = (time.monotonic() - self.started) / (60 * self.minutes)
        return min(1.0, max(step / self.steps, elapsed))

    def learning_rate(self, step: int) -> float:
        """Cosine from 1 to nearly 0, after a linear warm-up."""
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.used(step))
        return min(1.0, (step + 1) / self.warm_up) * cosine + 1e-3


class Average:
    """An exponential average of a module's weights, which draws better than the last step's."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.source = module
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    def update(self, step: int) -> None:
        keep = min(self.decay, step / (step + 10))
        averaged = [each.data for each in self.module.parameters()]
        torch._foreach_lerp_(averaged, [each.data for each in self.source.parameters()], 1 - keep)


class Stepper:
    """One optimiser step: clipped gradients, AdamW, the budget's learning rate."""

    def __init__(
        self, parameters: list[nn.Parameter], rate: float, budget: Budget, weight_decay: float
    ) -> None:
        self.parameters, self.rate, self.budget = parameters, rate, budget
        fused = parameters[0].device.type == "cuda"
        self.optimiser = torch.optim.AdamW(
            parameters, lr=rate, betas=(0.9, 0.99), weight_decay=weight_decay, fused=fused
        )

    def step(self, loss: Tensor, number: int) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * self.budget.learning_rate(number)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()


def mixed_precision(device: str) -> torch.autocast:
    """bfloat16 on a GPU; plain float32 on a CPU."""
    return torch.autocast(device, torch.bfloat16, enabled=device == "cuda")


def allow_fast_kernels() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def compiled(function: Callable[..., Any], wanted: bool) -> Callable[..., Any]:
    """Compile a function, and go on uncompiled where the compiler fails on this machine."""
    if not wanted:
        return function
    fast = torch.compile(function)
    works: list[bool] = []

    def call(*arguments: Any) -> Any:
        if works == [False]:
            return function(*arguments)
        try:
            result = fast(*arguments)
        except Exception as error:
            if works:
                raise
            works.append(False)
            log("compiling_failed", error=f"{type(error).__name__}: {str(error)[:500]}")
            return function(*arguments)
        if not works:
            works.append(True)
        return result

    return call
