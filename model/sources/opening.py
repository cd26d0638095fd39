"""The source that an address names. Each one's library is imported only for its own addresses."""

from pathlib import Path

from . import address as schemes
from .address import Address
from .listing import Source


def open_source(address: Address, embedded: Path) -> Source:
    """``embedded``: the folder of the model that ships with Kiln.

    Raises:
        StartupError: its credentials or options cannot be used.
    """
    match address.scheme:
        case schemes.HUB:
            from .hub import Hub

            return Hub(address)
        case schemes.S3:
            from .s3 import S3

            return S3(address)
        case schemes.GCS:
            from .gcs import Gcs

            return Gcs(address)
    from .local import Local

    folder = embedded if address.scheme == schemes.EMBEDDED else Path(address.place)
    return Local(folder, address.text)
