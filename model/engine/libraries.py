"""How the libraries that the engine imports shall behave. Imports no torch itself."""

import os
import threading


def set_library_environment() -> None:
    """Before torch is imported. What the user has set stays."""
    # OpenMP threads that spin at barriers are a fifth faster on idle cores, and ten times slower as
    # soon as anything else wants one of them (docs/design/process-split.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Their progress bars would garble ours; their warnings stay.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "warning")


def keep_progress_bars_from_semaphores() -> None:
    """tqdm's default lock is a system semaphore, which a killed process leaves behind."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())
