"""tritonclient's gRPC client in a process of its own: its messages have the names of KServe's, and
a process can hold only one of the two.

Run as a program it makes the calls that come as JSON on standard input, and prints the answer.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS = 120
OUTPUT = "generated_image"


class TritonGrpcError(Exception):
    """What the client raised: ``STATUS message``."""


def call(address: str, name: str, **arguments: Any) -> Any:
    """Call ``draw`` or ``describe`` below.

    Raises:
        TritonGrpcError: the server refused.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve())],
        input=json.dumps({"call": name, "address": address, **arguments}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    found = json.loads(done.stdout)
    if "error" in found:
        raise TritonGrpcError(found["error"])
    return found


def draw(
    client: Any, model: str, prompts: list[str], parameters: dict[str, Any], id_: str
) -> dict[str, Any]:
    """Id, pictures (base64) and parameters of the answer."""
    import numpy as np
    from tritonclient.grpc import InferInput

    tensor = InferInput("prompt", [len(prompts)], "BYTES")
    tensor.set_data_from_numpy(np.array([each.encode() for each in prompts], dtype=np.object_))
    result = client.infer(model, [tensor], request_id=id_, parameters=parameters)
    answer = result.get_response()
    return {
        "id": answer.id,
        "pictures": [base64.b64encode(each).decode() for each in result.as_numpy(OUTPUT)],
        "parameters": {
            name: getattr(each, each.WhichOneof("parameter_choice"))
            for name, each in answer.parameters.items()
        },
    }


def describe(client: Any, model: str) -> dict[str, Any]:
    """Health and metadata."""
    return {
        "health": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)],
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata(model, as_json=True),
    }


def main() -> None:
    from tritonclient.grpc import InferenceServerClient
    from tritonclient.utils import InferenceServerException

    given = json.load(sys.stdin)
    function = {"draw": draw, "describe": describe}[given.pop("call")]
    with InferenceServerClient(given.pop("address")) as client:
        try:
            found = function(client, **given)
        except InferenceServerException as error:
            found = {"error": f"{error.status()} {error.message()}"}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
