"""The cluster's command line, run as people run it, and what it must not leave behind."""

import subprocess
import sys
from pathlib import Path

import psutil

SECONDS = 120.0


def command(*arguments: str) -> list[str]:
    """``python -m tools.cluster`` with arguments."""
    return [sys.executable, "-m", "tools.cluster", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end. A build is not bounded here, but by whoever runs the tests."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def printed(*arguments: str) -> str:
    """What it prints on success."""
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that have to do with the cluster in ``folder``."""
    found = []
    for each in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(each.info["cmdline"] or ())
        # Every program of a cluster is told its folder; our own command line is, too.
        if str(folder) in line and each.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{each.pid} {line}")
    return found
