"""The hosts that a setting allows addresses on."""

import re
from dataclasses import dataclass
from typing import Final, Self

PORTS: Final = {"https": 443, "http": 80}
EVERY: Final = "*"
BELOW: Final = "*."
# https://HOST:PORT, of which only HOST is needed.
WRITTEN: Final = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)


@dataclass(frozen=True, slots=True)
class UrlHost:
    """``host``: a name in lower case, ``*.DOMAIN`` for every name below one, or ``*``."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises:
        ValueError: it is no such thing.
        """
        found = WRITTEN.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(
                f"{text[:100]!r} is no host; write HOST, *.DOMAIN or HOST:PORT, with http:// in "
                "front where it has no TLS"
            )
        scheme = found["scheme"] or "https"
        return cls(scheme, found["host"], int(found["port"] or PORTS[scheme]))

    def __str__(self) -> str:
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    def allows(self, scheme: str, host: str, port: int) -> bool:
        return (scheme, port) == (self.scheme, self.port) and self._names(host)

    def _names(self, host: str) -> bool:
        if self.host.startswith(BELOW):
            return host.endswith(self.host.removeprefix(EVERY))
        return self.host in (EVERY, host)
