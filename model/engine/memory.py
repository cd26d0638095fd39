"""How running out of memory looks in each library that allocates, and what to do then."""

import gc
import traceback
from typing import Final

# Parts of messages, in small letters, and who says so.
WORDS: Final = {
    "out of memory": "the CUDA runtime, torch's allocators, Triton",
    "out_of_memory": "the CUDA driver",
    "alloc_failed": "cuBLAS, cuFFT, cuSOLVER, cuDNN before 9",
    "allocation_failed": "cuDNN",
    "can't allocate memory": "torch on a CPU",
    "not enough memory": "torch on a CPU",
    "cannot allocate memory": "the operating system",
    "unable to allocate": "numpy",
    "bad_alloc": "C++",
    "could not create a primitive": "oneDNN",
}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, is that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    if any(words in text for words in WORDS):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def free(error: BaseException) -> None:
    """Give back what the call that failed still holds: its frames keep its tensors alive, and the
    error keeps the frames.
    """
    import torch

    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
