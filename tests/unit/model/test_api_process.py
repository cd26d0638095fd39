"""The API process imports no torch, however indirectly: kserve's imports count, too."""

import subprocess
import sys

PROBE = """
import sys
import model.serving.server, model.serving.kserve_side
print(sorted({name.partition(".")[0] for name in sys.modules} & {%s}))
"""


def test_the_whole_api_process_imports_neither_torch_nor_diffusers_nor_transformers():
    probe = PROBE % '"torch", "diffusers", "transformers", "accelerate", "safetensors"'
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_server_is_imported_without_kserve_which_takes_longer_than_liveness_may():
    probe = PROBE.replace(", model.serving.kserve_side", "") % '"kserve", "pandas", "grpc"'
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
