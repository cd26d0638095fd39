"""The server's flags that the operator sets, and how it writes them. A test parses every container
that the operator renders with the server's own settings, so neither can rename one alone.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Flag(StrEnum):
    """Each is a field of ``model.settings``, with hyphens."""

    MODEL = "model"
    MODEL_NAME = "model-name"
    ROLE = "role"
    DTYPE = "dtype"
    COMPILE = "compile"
    CACHE_DIR = "cache-dir"
    WARMUP_MODE = "warmup-mode"
    WARMUP_RESOLUTIONS = "warmup-resolutions"
    WARMUP_NUM_FRAMES = "warmup-num-frames"
    WARMUP_STEPS = "warmup-steps"
    WARMUP_BATCH_SIZES = "warmup-batch-sizes"
    WARMUP_TASKS = "warmup-tasks"
    WARMUP_ON_FAILURE = "warmup-on-failure"
    STARTUP_TIMEOUT = "startup-timeout"
    UNWARMED_SHAPES = "unwarmed-shapes"
    QUEUE_SIZE = "queue-size"
    REQUEST_TIMEOUT = "request-timeout"
    MAX_PIXELS = "max-pixels"
    MAX_IMAGES = "max-images"
    HTTP_PORT = "http-port"
    GRPC_PORT = "grpc-port"
    DRAIN_DELAY = "drain-delay"
    DRAIN_TIMEOUT = "drain-timeout"
    LOG_FORMAT = "log-format"
    ENCODERS = "encoders"
    DENOISERS = "denoisers"
    DECODERS = "decoders"
    ROLE_TOKEN_FILE = "role-token-file"  # noqa: S105 - of no secret, the place


# Other spellings of what the operator sets: a second one would contradict it.
SYNONYMS: Final = ("warmup", "model-dir", "config")
OPERATOR_FLAGS: Final = frozenset({*map(str, Flag), *SYNONYMS})

HTTP_PORT: Final = 8080
GRPC_PORT: Final = 8081
READY_PATH: Final = "/v2/health/ready"
LIVE_PATH: Final = "/v2/health/live"


def written(flag: Flag, value: object) -> str:
    """``--flag=value``. A list is its items with commas."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = ",".join(str(each) for each in value)
    return f"--{flag}={value}"
