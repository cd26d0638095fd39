"""A Service as kube-proxy makes one: each new connection goes to one of the servers that are behind
it now, and stays there for as long as it lasts.
"""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from typing import Final

BACKLOG: Final = 128
LARGEST: Final = 65536


class Balancer:
    """On a port of the loopback. ``behind``: ports of servers, in turn."""

    def __init__(self, *behind: int) -> None:
        self.behind = list(behind)
        self._turns = itertools.count()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port = int(self._listening.getsockname()[1])

    @contextlib.contextmanager
    def open(self) -> Iterator["Balancer"]:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        try:
            yield self
        finally:
            # A close alone would not wake the one who waits for connections.
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            accepting.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                port = self.behind[next(self._turns) % len(self.behind)]
                try:
                    server = socket.create_connection(("127.0.0.1", port))
                except OSError:
                    client.close()
                    continue
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """One direction; its end is passed on, and the other one goes on to its own."""
    with contextlib.suppress(OSError):
        while part := source.recv(LARGEST):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
