"""The parts that a server can play, and what each means for its warmup."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .warmup import WarmupMode


class Role(StrEnum):
    """``monolithic`` runs the whole pipeline in one engine. ``encoder``, ``denoiser`` and
    ``decoder`` are workers, each with its part of the pipeline. ``router`` has no device: it leads
    requests through the workers.
    """

    MONOLITHIC = "monolithic"
    ENCODER = "encoder"
    DENOISER = "denoiser"
    DECODER = "decoder"
    ROUTER = "router"


WORKERS: Final = frozenset({Role.ENCODER, Role.DENOISER, Role.DECODER})
# The word of metadata and of --print-config.
DISAGGREGATED: Final = "disaggregated-role"


@dataclass(frozen=True, slots=True)
class RoleWarmup:
    """``reason``: None where the mode is as it was set. ``overruled``: somebody asked for a warmup
    that the role cannot have.
    """

    mode: WarmupMode
    reason: str | None = None
    overruled: bool = False


def warmup_of(role: Role, mode: WarmupMode, *, explicit: bool) -> RoleWarmup:
    """W05: a worker never warms itself up, whatever its default: it gets no whole request that it
    could build or copy, and the router warms it through the chain. ``explicit``: ``mode`` was set,
    and is no default. An ``off`` that was set is the role's too: it could be nothing else.
    """
    if role not in WORKERS:
        return RoleWarmup(mode)
    overruled = explicit and mode is not WarmupMode.OFF
    return RoleWarmup(WarmupMode.OFF, DISAGGREGATED, overruled=overruled)
