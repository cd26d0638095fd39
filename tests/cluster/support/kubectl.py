"""kubectl as the tests use it: one namespace, one user, answers as Python objects."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.integration.support.server import wait_until

SECONDS = 60.0
Object = dict[str, Any]


class Refused(AssertionError):
    """kubectl failed; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """``cache`` is a folder for what it remembers of the server."""

    program: str
    kubeconfig: Path
    cache: Path
    namespace: str = "default"

    def run(self, *arguments: str, text: str = "", seconds: float = SECONDS) -> str:
        """What it prints.

        Raises:
            Refused: its exit status was not 0.
        """
        result = subprocess.run(
            [
                *(self.program, "--kubeconfig", str(self.kubeconfig)),
                *("--namespace", self.namespace),
                *arguments,
            ],
            input=text,
            env={**os.environ, "KUBECACHEDIR": str(self.cache)},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if result.returncode:
            raise Refused(result.stderr.strip())
        return result.stdout

    def refused(self, *arguments: str, text: str = "") -> str:
        """What it says when it fails, which it must."""
        try:
            printed = self.run(*arguments, text=text)
        except Refused as refusal:
            return str(refusal)
        raise AssertionError(f"kubectl {' '.join(arguments)} was not refused: {printed}")

    def apply(self, *objects: Mapping[str, Any], manager: str = "test") -> None:
        """Apply on the server's side, as one field manager."""
        self.run(*_applying(manager), text=_list(objects))

    def refuses(self, *objects: Mapping[str, Any], manager: str = "test") -> str:
        """Why these objects are not accepted."""
        return self.refused(*_applying(manager), text=_list(objects))

    def get(self, *what: str) -> Object:
        """One object, or a list of them, as it is now."""
        found: Object = json.loads(self.run("get", *what, "--output=json"))
        return found

    def find(self, *what: str) -> Object | None:
        """One object, or None where it is not there."""
        printed = self.run("get", *what, "--output=json", "--ignore-not-found")
        return json.loads(printed) if printed else None

    def appearing(self, *what: str) -> Object:
        """One object, as soon as somebody has created it."""
        return wait_until(lambda: self.find(*what), f"{' '.join(what)} exists", SECONDS)

    def vanishing(self, *what: str) -> None:
        """Return when the object is gone."""
        wait_until(lambda: self.find(*what) is None, f"{' '.join(what)} is gone", SECONDS)

    def within(self, namespace: str) -> "Kubectl":
        """The same user in another namespace."""
        return replace(self, namespace=namespace)

    def as_service_account(self, name: str, kubeconfig: Path) -> "Kubectl":
        """With a token of a service account, as its pods would have; written to ``kubeconfig``."""
        token = self.run("create", "token", name).strip()
        config = json.loads(self.run("config", "view", "--raw", "--flatten", "--output=json"))
        (context,) = [
            each["context"]
            for each in config["contexts"]
            if each["name"] == config["current-context"]
        ]
        config["users"] = [{"name": name, "user": {"token": token}}]
        context["user"] = name
        kubeconfig.write_text(json.dumps(config), encoding="utf-8")
        return replace(self, kubeconfig=kubeconfig)


def _applying(manager: str) -> tuple[str, ...]:
    return ("apply", "--server-side", f"--field-manager={manager}", "-f", "-")


def _list(objects: tuple[Mapping[str, Any], ...]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
