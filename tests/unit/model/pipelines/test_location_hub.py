"""``hf://`` resolves through the hub's own client. Its cache, laid out as the client lays it out,
stands in for the network.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from model.embedded import PIPELINE_FOLDER

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOCATE = """
import json, sys
from model.errors import ModelNotLoadable
from model.pipelines.location import locate
try:
    found = locate(sys.argv[1])
    print(json.dumps([str(found.path), found.pipeline, found.revision]))
except ModelNotLoadable as error:
    print(json.dumps(str(error)))
"""


def located(address: str, cache: Path) -> object:
    environment = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", LOCATE, address],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def cached_model(cache: Path) -> Path:
    repository = cache / "models--kiln--tiny"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(PIPELINE_FOLDER, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


def test_a_hub_name_becomes_its_snapshot_and_the_commit_its_revision(tmp_path):
    snapshot = cached_model(tmp_path)
    for address in ("hf://kiln/tiny", f"hf://kiln/tiny@{COMMIT}"):
        assert located(address, tmp_path) == [str(snapshot), "StableDiffusionPipeline", COMMIT]


def test_a_hub_name_that_cannot_be_had_says_what_to_check(tmp_path):
    for address in ("hf://kiln/nowhere", "hf://no spaces/here"):
        message = located(address, tmp_path)
        assert isinstance(message, str)
        assert address in message
        assert "check the name, the network and HF_TOKEN" in message
