"""Leave the reason of a failure where Kubernetes looks for it."""

from pathlib import Path
from typing import Final

# Kubernetes keeps the first 4096 bytes.
MOST_BYTES: Final = 4096


def write_termination_message(path: Path, message: str) -> bool:
    """Write the message; False where there is no such place (outside of Kubernetes). The file is
    not created outside a folder that is there: nobody would find it.
    """
    try:
        path.write_bytes(message.encode()[:MOST_BYTES])
    except OSError:
        return False
    return True
