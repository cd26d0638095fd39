"""The engine process: owns torch, the pipeline and the device. Nothing else touches the GPU.

A reader thread takes the messages, so that a cancellation arrives while the main thread draws, and
a closed pipe (the API process is gone) ends the process at once: no orphan keeps the device.
"""

import gc
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from ..errors import KilnError
from ..telemetry.logs import configure_logs, get_logger
from .messages import (
    Broken,
    Cancel,
    Done,
    EngineOptions,
    Generate,
    Loaded,
    LoadFailed,
    Loading,
    Ping,
    Pong,
    Refusal,
    Refused,
    StepDone,
    Stop,
)
from .pixels import write_pixels

log = get_logger(__name__)

# torch's allocator, the C++ runtime, the kernel, and oneDNN, which tells of no other cause.
OUT_OF_MEMORY_WORDS: Final = (
    "can't allocate memory",
    "bad_alloc",
    "Cannot allocate memory",
    "could not create a primitive",
)


class Interrupted(Exception):
    """Raised from the step callback to end a call."""

    def __init__(self, kind: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def main(connection: Connection, options: EngineOptions) -> None:
    """Entry point of the spawned process."""
    # The API process decides when the engine ends; a Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logs(options.log_level, options.log_format)
    _set_library_environment()
    worker = Worker(connection)
    try:
        worker.load(options)
        worker.serve()
    except (BrokenPipeError, ConnectionResetError, EOFError):
        os._exit(0)  # nobody is left to tell


class Worker:
    """One pipeline and the requests for it, one at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sending = threading.Lock()
        self.waiting: queue.SimpleQueue[Generate | Stop] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self.pipelines: dict[Any, Any] = {}
        threading.Thread(target=self._read, name="engine-reader", daemon=True).start()

    def send(self, message: object) -> None:
        with self.sending:
            self.connection.send(message)

    def load(self, options: EngineOptions) -> None:
        """Find the model, import torch, load. A failure is told, and ends the process."""
        try:
            self.send(Loading("find"))
            from ..pipelines.location import locate

            folder = locate(options.model)  # first: a wrong address is told before torch is there
            self.send(Loading("import"))
            _keep_progress_bars_from_semaphores()
            from ..pipelines.loader import load
            from .threads import set_threads

            set_threads(options.threads)
            self.send(Loading("read"))
            model = load(folder, options.device, options.dtype)
        except KilnError as error:
            self.send(LoadFailed(str(error)))
            raise SystemExit(1) from error
        self.pipelines = model.pipelines
        self.send(Loaded(model.description))

    def serve(self) -> None:
        """Serve until told to stop."""
        while isinstance(message := self.waiting.get(), Generate):
            self._generate(message)

    def _generate(self, message: Generate) -> None:
        # One request at a time: a cancellation of any other came too late to matter.
        self.cancelled.intersection_update({message.number})
        try:
            self.send(self._draw(message))
        except Interrupted as interrupted:
            self.send(Refused(message.number, interrupted.kind, str(interrupted)))
        # The process boundary: whatever the pipeline raised is told to the caller of this request.
        except Exception as error:  # noqa: BLE001
            self._tell(message, error)

    def _draw(self, message: Generate) -> Done:
        from ..pipelines.calls import run

        request = message.request
        self._check(message)
        drawn = run(self.pipelines[request.task], request, self._on_step(message))
        if drawn.pixels.shape != request.pixel_shape:
            raise ValueError(f"the pipeline drew {drawn.pixels.shape}, not {request.pixel_shape}")
        write_pixels(message.pixels, drawn.pixels)
        return Done(
            message.number,
            drawn.timings,
            compiles=drawn.compiles,
            notes=drawn.notes,
            peak_memory_bytes=drawn.peak_memory_bytes,
        )

    def _on_step(self, message: Generate) -> Callable[[int, int], None]:
        def after(step: int, of: int) -> None:
            self.send(StepDone(message.number, step, of))
            if step < of:
                self._check(message)

        return after

    def _check(self, message: Generate) -> None:
        if message.number in self.cancelled:
            raise Interrupted(Refusal.CANCELLED, "cancelled")
        deadline = message.request.deadline
        if deadline is not None and time.monotonic() > deadline:
            raise Interrupted(Refusal.DEADLINE, "the deadline passed while it was drawn")

    def _tell(self, message: Generate, error: Exception) -> None:
        import torch

        request = message.request
        accelerator_error = getattr(torch, "AcceleratorError", ())
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or _tells_of_memory(error):
            # The frames of the failed call hold its tensors, and a smaller request may come next.
            traceback.clear_frames(error.__traceback__)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            reason = f"the device has no room for {request.shape}"
            log.warning("out_of_memory", id=request.id, shape=str(request.shape),
                        detail=str(error)[:300])  # fmt: skip
            self.send(Refused(message.number, Refusal.OUT_OF_MEMORY, reason))
        elif isinstance(error, accelerator_error):
            log.error("device_error", id=request.id, exc_info=error)
            self.send(Broken(f"device error: {str(error).splitlines()[0]}"))
            raise SystemExit(1) from error
        else:
            log.error("generation_failed", id=request.id, shape=str(request.shape), exc_info=error)
            reason = f"the pipeline failed on {request.shape}: {type(error).__name__}"
            self.send(Refused(message.number, Refusal.FAILED, f"{reason}: {str(error)[:300]}"))

    def _read(self) -> None:
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                os._exit(0)  # the API process is gone; so is the reason to hold the device
            match message:
                case Cancel(number):
                    self.cancelled.add(number)
                case Ping():
                    self.send(Pong())
                case _:
                    self.waiting.put(message)


def _tells_of_memory(error: Exception) -> bool:
    """On a CPU, torch and the libraries below it have no type for it."""
    return any(words in str(error) for words in OUT_OF_MEMORY_WORDS)


def _set_library_environment() -> None:
    """Before torch is imported. What the user has set stays."""
    # OpenMP threads that spin at barriers are a fifth faster on idle cores, and ten times slower as
    # soon as anything else wants one of them (docs/design/process-split.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Their progress bars would garble ours; their warnings stay.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "warning")


def _keep_progress_bars_from_semaphores() -> None:
    """tqdm's default lock is a system semaphore, which a killed process leaves behind."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())
