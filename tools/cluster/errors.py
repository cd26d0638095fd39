"""What can go wrong with the test cluster, told to the person who has to mend it."""


class ClusterError(Exception):
    """The message says what is missing or broken, and the next thing to do."""


class GoMissing(ClusterError):
    """There is nothing to build the programs with, and they are not built yet."""
