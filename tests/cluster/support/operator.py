"""``python -m controller`` as a process, and what it says of itself."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.support.server import wait_until

ROOT = Path(__file__).parents[3]
SECONDS = 60.0
IMAGE = "kiln-model:1"
# Events in its log that no test expects.
COMPLAINTS = ("reconcile_crashed",)
# How the API server begins to say that a service account may not do something.
NO_RIGHT = 'User "system:serviceaccount'


class OperatorProcess:
    """Its log is read as it writes it. ``skew``: seconds by which its clock is wrong. ``excused``:
    from its complaints.
    """

    def __init__(self, kubeconfig: Path, log: Path, *flags: str, skew: float = 0) -> None:
        self.log = log
        self.excused = False
        environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
        program = ("tests.cluster.support.skewed", str(skew)) if skew else ("controller",)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", *program, "run", "--port", "0"),
                    *("--host", "127.0.0.1", "--kubeconfig", str(kubeconfig)),
                    *("--log-format", "json", "--image", IMAGE, *flags),
                ],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What it has logged, or the events of one name."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [each for each in found if not name or each.get("event") == name]

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait(self, *, leads: bool = True) -> None:
        """Until it works, or stands by."""
        wanted = "cluster_read" if leads else "standing_by"
        self.wait_for(wanted)

    def wait_for(self, event: str, seconds: float = SECONDS) -> None:
        """Until it has logged an event of this name."""
        wait_until(lambda: self.events(event) or self.process.poll() is not None, event, seconds)
        assert self.events(event), self.text()

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of one of its endpoints."""
        (listening,) = self.events("listening")
        url = f"http://127.0.0.1:{listening['port']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def writes(self) -> float:
        """How often it has written to the cluster, by its own count."""
        return self._total("kiln_operator_writes_total{")

    def reconciles(self) -> float:
        return self._total("kiln_operator_reconciles_total{")

    def missed(self) -> float:
        """Changes that no watch told."""
        return self._total("kiln_operator_missed_changes_total ")

    def _total(self, beginning: str) -> float:
        _, text = self.ask("/metrics")
        lines = (line for line in text.splitlines() if line.startswith(beginning))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def complaints(self) -> list[dict[str, Any]]:
        forbidden = [each for each in self.events() if NO_RIGHT in str(each)]
        return forbidden + [each for name in COMPLAINTS for each in self.events(name)]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def kill(self) -> None:
        """As a node that loses power."""
        self.process.kill()
        self.process.wait(SECONDS)

    def suspend(self) -> None:
        """It hears and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)
