"""What both ends of a call agree on beside its messages: metadata, limits, security."""

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..errors import InvalidSettings, TokenRefused
from .payload import MOST_HEADER_BYTES

SERVICE: Final = "kiln.stages.v1.Stages"
RUN: Final = f"/{SERVICE}/Run"
DESCRIBE: Final = f"/{SERVICE}/Describe"

AUTHORIZATION: Final = "authorization"
REQUEST_ID: Final = "kiln-request-id"
# The process that the caller means. Another one may have its address by now.
INSTANCE: Final = "kiln-instance"
TRACE: Final = ("traceparent", "tracestate")
TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
PRINTABLE: Final = re.compile(r"[\x20-\x7e]{1,512}")

CHUNK_BYTES: Final = 1024 * 1024
# One message: a header and a chunk.
MOST_MESSAGE_BYTES: Final = CHUNK_BYTES + MOST_HEADER_BYTES + 1024
# A peer behind a cut cable says nothing: it counts as gone after this time without an answer.
KEEPALIVE_MS: Final = 5_000
NO_COMPRESSION: Final = 0

LIMITS: Final = (
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    # Latents are noise: compressing them costs time, and saves nothing.
    ("grpc.default_compression_algorithm", NO_COMPRESSION),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
    # Without it, the one before is waited for in vain: the minute of this one decides.
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_MS),
)
SERVER_OPTIONS: Final = (
    *LIMITS,
    # Two servers on one port would share it in silence.
    ("grpc.so_reuseport", 0),
    # Callers ask whether we live while they wait for a long stage.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.http2.max_ping_strikes", 0),
)
CHANNEL_OPTIONS: Final = (
    *LIMITS,
    # W35: no proxy that the environment names.
    ("grpc.enable_http_proxy", 0),
    # Each replica has a connection of its own, and a new one soon after it came back.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class Security:
    """``tokens``: of which a caller shows the first, and a replica takes any: while one replaces
    another, both are known. ``roots``: PEM of the authorities whose certificates a caller trusts;
    without it, it speaks in the clear.
    """

    tokens: tuple[bytes, ...] = ()
    roots: bytes | None = None

    @classmethod
    def read(cls, token_file: Path | None, roots_file: Path | None) -> "Security":
        """
        Raises:
            InvalidSettings: a file that holds nothing of use.
        """
        tokens: tuple[bytes, ...] = ()
        if token_file is not None:
            tokens = tuple(_read(token_file, "role_token_file").split())
            if not tokens:
                raise InvalidSettings(
                    f"role_token_file: {str(token_file)!r} is empty; write a token into it, one on "
                    "a line where a new one replaces an old one"
                )
        return cls(tokens, _read(roots_file, "role_ca_file") if roots_file else None)

    def check(self, shown: str | bytes) -> None:
        """
        Raises:
            TokenRefused: what the caller shows is none of the tokens, and there are some.
        """
        if not self.tokens:
            return
        given = shown.encode(errors="replace") if isinstance(shown, str) else shown
        # All of them, each in constant time: nothing tells how near a guess was.
        found = [hmac.compare_digest(given, b"Bearer " + each) for each in self.tokens]
        if not any(found):
            missing = "no token came" if not given else "another token came"
            raise TokenRefused(
                f"authorization: {missing}; --role-token-file must hold the same in every role"
            )


def metadata(
    security: Security, request_id: str = "", instance: str = "", trace: Mapping[str, str] = {}
) -> list[tuple[str, str]]:
    """What a caller tells beside the message. What is empty, or no trace context, is left out."""
    told = {
        AUTHORIZATION: "Bearer " + security.tokens[0].decode() if security.tokens else "",
        REQUEST_ID: quote(request_id),
        INSTANCE: instance,
        **traced(trace),
    }
    return [(key, each) for key, each in told.items() if each]


def traced(found: Mapping[str, Any]) -> dict[str, str]:
    """The trace context in ``found``, if it is one: a broken one is ignored, as W3C wants it."""
    if not TRACEPARENT.fullmatch(str(found.get("traceparent", ""))):
        return {}
    return {key: str(found[key]) for key in TRACE if PRINTABLE.fullmatch(str(found.get(key, "")))}


def chunks(data: bytes) -> Iterator[bytes]:
    """At least one. Between messages, flow control can hold the sender back."""
    for begin in range(0, max(1, len(data)), CHUNK_BYTES):
        yield data[begin : begin + CHUNK_BYTES]


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"{setting}: {str(path)!r}: {error.strerror}") from error
