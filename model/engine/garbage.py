"""Keep Python's garbage collector out of requests.

A full collection walks every object. Once torch, the libraries and compiled code are there, those
are hundreds of thousands, and the walk stalls whatever request it happens in for as long as some
steps take. What is there when a server is warm stays: it is collected one last time, and then
passed over.
"""

import gc


def set_aside() -> int:
    """Collect, and pass over what is left from now on; how many objects those are."""
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()


def take_back() -> int:
    """Walk everything again, since it may become garbage; how many objects are passed over: 0."""
    gc.unfreeze()
    return gc.get_freeze_count()
