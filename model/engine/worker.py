"""The engine process: owns torch, the pipeline and the device. Nothing else touches the GPU.

A reader thread takes the messages, so that a cancellation arrives while the main thread draws, and
a closed pipe (the API process is gone) ends the process at once: no orphan keeps the device.
"""

import contextlib
import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final, NoReturn

from ..contract.compilation import Compilations, CompileMode
from ..contract.roles import Role
from ..contract.stages import StageOutcome
from ..errors import GenerationFailed, InvalidRequest, KilnError
from ..telemetry.logs import configure_logs, get_logger
from .caches import point_compilers_to
from .garbage import set_aside, take_back
from .libraries import keep_progress_bars_from_semaphores, set_library_environment
from .memory import free, is_out_of_memory
from .messages import (
    AdapterChanged,
    Broken,
    Cancel,
    ChangeAdapter,
    Done,
    EngineOptions,
    Generate,
    Loaded,
    LoadFailed,
    Loading,
    Meeting,
    Ping,
    Pong,
    PreviewDrawn,
    RankLost,
    Refusal,
    Refused,
    RunStage,
    Settle,
    Settled,
    StageEnded,
    StepDone,
    Stop,
)
from .pixels import write_pixels

log = get_logger(__name__)

# Whoever is lost says why better than the rank that misses it, and the API process hears it at
# once: this one speaks only where nobody did for so many seconds.
MISSING_SECONDS: Final = 5.0


class Interrupted(Exception):
    """Raised from the step callback to end a call."""

    def __init__(self, kind: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def main(connection: Connection, options: EngineOptions, meeting: Meeting | None = None) -> None:
    """Entry point of the spawned process. ``meeting``: where the engine has a second rank."""
    # The API process decides when the engine ends; a Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logs(options.log_level, options.log_format)
    set_library_environment()
    point_compilers_to(options.cache_dir)
    worker = Worker(connection, meeting)
    try:
        worker.load(options)
        worker.serve()
    except RankLost as lost:
        worker.miss(lost)
    except (BrokenPipeError, ConnectionResetError, EOFError):
        os._exit(0)  # nobody is left to tell


class Worker:
    """One pipeline and the requests for it, one at a time, or its role's stage of each; or
    (``second_rank``) the calls that the first rank does not make itself."""

    def __init__(self, connection: Connection, meeting: Meeting | None) -> None:
        self.connection = connection
        self.meeting = meeting
        self.sending = threading.Lock()
        self.waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self.pipelines: dict[Any, Any] = {}
        self.role = Role.MONOLITHIC
        self.model: Any = None
        self.compiling = False
        self.notes: dict[str, str] = {}
        self.prompts: Any = None
        self.first_rank: Any = None
        self.second_rank: Any = None
        threading.Thread(target=self._read, name="engine-reader", daemon=True).start()

    def send(self, message: object) -> None:
        with self.sending:
            self.connection.send(message)

    def load(self, options: EngineOptions) -> None:
        """Find the model, import torch, load. A failure is told, and ends the process."""
        try:
            self.send(Loading("find"))
            from ..pipelines.cuts import check_cut
            from ..pipelines.guidance import check_divisible
            from ..pipelines.location import locate

            folder = locate(options.model)  # first: a wrong address is told before torch is there
            check_cut(options.role, folder.pipeline, folder.path)
            if self.meeting is not None:
                check_divisible(folder.pipeline)
            self.send(Loading("import"))
            keep_progress_bars_from_semaphores()
            from ..pipelines.adapters import load_adapters
            from ..pipelines.compilation import compile_parts
            from ..pipelines.loader import load
            from ..pipelines.prompt_cache import PromptCache
            from .placement import place
            from .threads import set_threads

            set_threads(options.threads, options.engines * options.ranks)
            self.send(Loading("read"))
            where = place(options.device, options.number)
            model = load(folder, where, options.dtype, options.role)
            load_adapters(next(iter(model.pipelines.values())), options.loras)
            parts = compile_parts(model.pipelines.values(), options.compile)
            if self.meeting is not None:
                self._meet(self.meeting, options, model)
        except KilnError as error:
            self.send(LoadFailed(str(error)))
            raise SystemExit(1) from error
        self.model, self.role, self.pipelines = model, options.role, model.pipelines
        self.prompts = PromptCache(options.prompt_cache_bytes)
        self.prompts.wrap(self.pipelines.values())
        self.compiling = options.compile is not CompileMode.OFF
        if self.compiling:
            log.info("compiling", mode=str(options.compile), parts=parts)
        self.send(Loaded(model.description))

    def _meet(self, meeting: Meeting, options: EngineOptions, model: Any) -> None:
        from .ranks import FirstRank, SecondRank, meet

        self.send(Loading("meet"))
        exchange = meet(meeting, options, model)
        if options.rank == 0:
            self.first_rank = FirstRank(exchange, model)
        else:
            self.second_rank = SecondRank(exchange, model, self._gives_up_compiling)
            self.second_rank.listen(self.waiting.put)

    def miss(self, lost: RankLost) -> None:
        """End, without the other rank; told to, if there is still somebody who does."""
        with contextlib.suppress(queue.Empty):
            while not isinstance(self.waiting.get(timeout=MISSING_SECONDS), Stop):
                pass
            return
        self.send(Broken(f"the other rank is gone: {lost}"))
        raise SystemExit(1)

    def serve(self) -> None:
        """Serve until told to stop."""
        while True:
            match self.waiting.get():
                case Generate() | RunStage() as message:
                    self._generate(message)
                case ChangeAdapter() as message:
                    self._change_adapter(message)
                case Settle() as message:
                    self._settle(message)
                case RankLost() as lost:
                    raise lost
                case Stop():
                    return
                case call:
                    self._compute(call)

    def _generate(self, message: Generate | RunStage) -> None:
        # One request at a time: a cancellation of any other came too late to matter.
        self.cancelled.intersection_update({message.number})
        try:
            self.send(self._draw(message))
        except Interrupted as interrupted:
            self.send(Refused(message.number, interrupted.kind, str(interrupted)))
        except RankLost:
            raise
        # The process boundary: whatever the pipeline raised is told to the caller of this request.
        except Exception as error:  # noqa: BLE001
            self._tell(message, error)

    def _compute(self, call: Any) -> None:
        try:
            self.second_rank.compute(call)
        # A failure of the call itself is told to the first rank. This one is the device's.
        except RuntimeError as error:
            self._break(error)

    def _break(self, error: Exception) -> NoReturn:
        log.error("device_error", exc_info=error)
        self.send(Broken(f"device error: {str(error).splitlines()[0]}"))
        raise SystemExit(1) from error

    def _change_adapter(self, message: ChangeAdapter) -> None:
        from ..pipelines.adapters import activate

        try:
            # The pipelines of all tasks share their components, and so their adapters.
            activate(next(iter(self.pipelines.values())), message.adapter)
        # The process boundary, as above.
        except Exception as error:
            log.error("adapter_failed", adapter=str(message.adapter), exc_info=error)
            reason = f"{type(error).__name__}: {str(error)[:300]}"
            self.send(Refused(message.number, Refusal.FAILED, reason))
            return
        self.prompts.adapter = str(message.adapter or "")
        self.send(AdapterChanged(message.number))

    def _settle(self, message: Settle) -> None:
        # Where nothing compiles there is no compiler to tell, and importing it takes a second.
        if self.compiling:
            from ..pipelines.compilation import settle

            settle(message.settled)
        kept = set_aside() if message.settled else take_back()
        self.send(Settled(message.number, kept))

    def _draw(self, message: Generate | RunStage) -> Done | StageEnded:
        self._check(message)
        try:
            return self._once(message)
        except Exception as error:
            if not self._gives_up_compiling(error):
                raise
            return self._once(message)

    def _once(self, message: Generate | RunStage) -> Done | StageEnded:
        return self._drawn(message) if isinstance(message, Generate) else self._staged(message)

    def _gives_up_compiling(self, error: Exception) -> bool:
        """A disk that is full costs speed, and no request."""
        if not self.compiling:
            return False
        from ..pipelines.compilation import give_up, has_no_room

        if not has_no_room(error):
            return False
        log.warning(
            "not_compiled",
            reason=str(error).splitlines()[0],
            remedy="the disk of the compiled code is full: free it, or name another --cache-dir; "
            "until the next start everything runs uncompiled",
        )
        give_up()
        self.compiling = False
        # For users: without the reason, which holds a path.
        self.notes["not_compiled"] = "no room for compiled code"
        return True

    def _drawn(self, message: Generate) -> Done:
        from ..pipelines.calls import run

        request = message.request
        self.prompts.begin(request)
        compiled = Compilations()
        if self.first_rank is not None:
            self.first_rank.begin(request)
        pipeline = self.pipelines[request.task]
        drawn = run(pipeline, request, self._on_step(message), self._looking(pipeline, message))
        if self.first_rank is not None:
            compiled = self.first_rank.compilations
        if drawn.pixels.shape != request.pixel_shape:
            raise ValueError(f"the pipeline drew {drawn.pixels.shape}, not {request.pixel_shape}")
        write_pixels(message.pixels, drawn.pixels)
        return Done(
            message.number,
            drawn.timings,
            compilations=drawn.compilations + compiled,
            prompt_cache=self.prompts.use,
            notes={**self.notes, **drawn.notes},
            peak_memory_bytes=drawn.peak_memory_bytes,
        )

    def _looking(self, pipeline: Any, message: Generate) -> Any:
        """Where somebody wants to see it before it is done."""
        if not message.request.previews:
            return None
        from ..pipelines.previews import Previewing

        def tell(index: int, step: int, of: int, pixels: Any) -> None:
            write_pixels(message.previews, pixels, index)
            self.send(PreviewDrawn(message.number, index, step, of))

        return Previewing(pipeline, message.request, tell)

    def _staged(self, message: RunStage) -> StageEnded:
        from ..pipelines.handover import Handover

        work = message.request
        staged = self._stage(message, Handover.read(work.tensors, work.facts))
        outcome = StageOutcome(
            work.id,
            staged.handover.facts,
            staged.handover.written(),
            staged.timings,
            peak_memory_bytes=staged.peak_memory_bytes,
            compilations=staged.compilations,
            prompt_cache=self.prompts.use,
            notes={**self.notes, **staged.notes},
        )
        return StageEnded(message.number, outcome)

    def _stage(self, message: RunStage, given: Any) -> Any:
        from ..pipelines.bare_latents import are_bare, decode_bare
        from ..pipelines.stages import STAGES, request_at

        if self.role is Role.DECODER and are_bare(given.facts):
            return decode_bare(self.model, given)
        request = request_at(self.role, self.model, message.request, given)
        self.prompts.begin(request)
        return STAGES[self.role](self.model, request, given, self._on_step(message))

    def _on_step(self, message: Generate | RunStage) -> Callable[[int, int], None]:
        def after(step: int, of: int) -> None:
            self.send(StepDone(message.number, step, of))
            if step < of:
                self._check(message)

        return after

    def _check(self, message: Generate | RunStage) -> None:
        if message.number in self.cancelled:
            raise Interrupted(Refusal.CANCELLED, "cancelled")
        deadline = message.request.deadline
        if deadline is not None and time.monotonic() > deadline:
            raise Interrupted(Refusal.DEADLINE, "the deadline passed while it was drawn")

    def _tell(self, message: Generate | RunStage, error: Exception) -> None:
        import torch

        request = message.request
        accelerator_error = getattr(torch, "AcceleratorError", ())
        if is_out_of_memory(error):
            free(error)
            reason = f"the device has no room for {request.shape}"
            log.warning("out_of_memory", id=request.id, shape=str(request.shape),
                        detail=str(error)[:300])  # fmt: skip
            self.send(Refused(message.number, Refusal.OUT_OF_MEMORY, reason))
        elif isinstance(error, InvalidRequest):
            self.send(Refused(message.number, Refusal.INVALID, str(error)))
        elif isinstance(error, GenerationFailed):
            log.error(
                "generation_failed", id=request.id, shape=str(request.shape), reason=str(error)
            )
            self.send(Refused(message.number, Refusal.FAILED, str(error)))
        elif isinstance(error, accelerator_error):
            self._break(error)
        else:
            log.error("generation_failed", id=request.id, shape=str(request.shape), exc_info=error)
            reason = f"the pipeline failed on {request.shape}: {type(error).__name__}"
            self.send(Refused(message.number, Refusal.FAILED, f"{reason}: {str(error)[:300]}"))

    def _read(self) -> None:
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                if self.meeting is not None:
                    shutil.rmtree(self.meeting.file.parent, ignore_errors=True)
                os._exit(0)  # the API process is gone; so is the reason to hold the device
            match message:
                case Cancel(number):
                    self.cancelled.add(number)
                case Ping():
                    self.send(Pong())
                case _:
                    self.waiting.put(message)
