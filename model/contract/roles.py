"""The parts that a server can play."""

from enum import StrEnum


class Role(StrEnum):
    """``monolithic`` runs the whole pipeline in one engine."""

    MONOLITHIC = "monolithic"
