"""W24: which errors are that memory ran out, and that nothing of the failed call stays behind."""

import weakref

import numpy as np
import pytest
import torch

from model.engine.memory import free, is_out_of_memory

WORDS = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "Triton Error [CUDA]: out of memory",
    "cuModuleLoadData failed: CUDA_ERROR_OUT_OF_MEMORY",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 4000 bytes. Error code 12 (Cannot allocate memory)",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 4000 bytes.",
    "[Errno 12] Cannot allocate memory",
    "std::bad_alloc",
    "could not create a primitive",
]


@pytest.mark.parametrize("words", WORDS)
def test_w24_every_library_says_it_in_its_own_words(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("no"), torch.cuda.OutOfMemoryError("no")]
)
def test_w24_some_say_it_by_their_type(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_w24_the_allocators_of_this_machine_are_understood() -> None:
    for allocate in (lambda: torch.empty(10**15), lambda: np.empty(10**15)):
        with pytest.raises((RuntimeError, MemoryError)) as raised:
            allocate()
        assert is_out_of_memory(raised.value)


def test_w24_what_wraps_it_is_it_and_other_errors_are_not() -> None:
    wrapper = ValueError("decoding failed")
    assert not is_out_of_memory(wrapper)
    wrapper.__cause__ = MemoryError()
    assert is_out_of_memory(wrapper)
    for words in ("CUDA error: an illegal memory access was encountered", "size mismatch", ""):
        assert not is_out_of_memory(RuntimeError(words))


def test_w24_what_the_failed_call_held_is_given_back() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def call() -> None:
        large = torch.zeros(1024)
        held.append(weakref.ref(large))
        raise MemoryError

    try:
        call()
    except MemoryError as error:
        assert held[0]() is not None
        free(error)
        assert held[0]() is None
