"""The transport as the settings want it: where the roles are, and what is taken from whom."""

from typing import Final

from ..contract.roles import WORKERS, Role
from ..errors import InvalidSettings
from ..settings import Settings
from .addresses import Addresses, parse
from .calling import Security
from .payload import Bounds
from .pool import PoolOptions

# Requests that a router leads at the same time; each waits in one pool at most.
AT_ONCE: Final = 256
SETTING_OF: Final = {role: f"{role}s" for role in WORKERS}


def bounds(settings: Settings) -> Bounds:
    """What a role takes at most."""
    return Bounds(settings.stage_max_bytes, settings.stage_max_tensors)


def security(settings: Settings) -> Security:
    """What roles show each other, read from its files.

    Raises:
        InvalidSettings: a file that holds nothing of use.
    """
    return Security.read(settings.role_token_file, settings.role_ca_file)


def addresses(settings: Settings, role: Role) -> Addresses:
    """Where the replicas of ``role`` are, for the router.

    Raises:
        InvalidSettings: it does not say, or not so that it is understood.
    """
    name = SETTING_OF[role]
    text = str(getattr(settings, name))
    if not text:
        raise InvalidSettings(
            f"{name}: a router has to know where they are; give --{name} dns://NAME:PORT, or a "
            "list of HOST:PORT"
        )
    return parse(text, name)


def pool_options(settings: Settings) -> PoolOptions:
    """
    Raises:
        InvalidSettings: a file that holds nothing of use.
    """
    return PoolOptions(
        bounds=bounds(settings),
        security=security(settings),
        check_seconds=settings.replica_check_interval,
        most_each=settings.replica_max_stages,
        most_waiting=max(settings.queue_size, AT_ONCE),
        wait_seconds=settings.replica_wait,
        prove_seconds=settings.startup_timeout,
    )
