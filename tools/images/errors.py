"""What can go wrong with building images, told to the person who has to mend it."""


class ImageError(Exception):
    """The message says what is missing or broken, and the next thing to do."""
