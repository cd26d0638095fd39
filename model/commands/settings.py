"""The settings of a command: resolved from all sources, with what does not hold said aloud."""

import argparse
import os
import sys

from ..configuration.resolve import Resolved, resolve
from ..contract.roles import Role
from ..errors import InvalidSettings


def settings_of(given: argparse.Namespace) -> Resolved:
    """What flags, environment and config file say.

    Raises:
        InvalidSettings: as ``resolve``.
    """
    resolved = resolve(given, os.environ)
    for each in resolved.warnings:
        print(f"kiln: warning: {each}", file=sys.stderr)
    return resolved


def check_role(resolved: Resolved, able: frozenset[Role]) -> None:
    """Return when the role is one of those that the command is ``able`` to play.

    Raises:
        InvalidSettings: it is not.
    """
    role = resolved.settings.role
    if role not in able:
        raise InvalidSettings(
            f"role ({resolved.sources['role']}): this command is not for a {role}; give one of "
            f"{', '.join(sorted(able))}"
        )
