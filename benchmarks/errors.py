"""The one way in which a benchmark fails: nothing could be measured."""


class NotMeasurable(Exception):
    """A server did not start, or an answer was not a picture. The message says why."""
