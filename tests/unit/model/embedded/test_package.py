"""The package as it ships: small, loadable by stock diffusers, and light to import."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
)

import model.embedded
from model.embedded import (
    GENERATION_DEFAULTS_FILE,
    PIPELINE_FOLDER,
    catalogue,
    list_objects,
    print_catalogue,
)
from model.embedded.folder import GENERATION_DEFAULTS, folder_bytes
from model.embedded.palette import BACKGROUND_NAMES
from model.embedded.tokenizer import END, LONGEST_CAPTION

LARGEST_FOLDER = 10_000_000
HEAVY = ("torch", "diffusers", "transformers", "numpy", "PIL")


@pytest.mark.parametrize(
    "kind", [AutoPipelineForText2Image, AutoPipelineForImage2Image, AutoPipelineForInpainting]
)
def test_stock_pipelines_load_the_folder(kind: Any) -> None:
    loaded = kind.from_pretrained(PIPELINE_FOLDER)
    assert loaded.unet.config.in_channels == 4
    assert loaded.text_encoder.dtype == loaded.unet.dtype


def test_the_folder_is_at_most_10_megabytes() -> None:
    assert folder_bytes(PIPELINE_FOLDER) <= LARGEST_FOLDER


def test_generation_defaults_lie_in_the_folder() -> None:
    assert json.loads(GENERATION_DEFAULTS_FILE.read_text()) == GENERATION_DEFAULTS


def test_no_path_of_the_training_machine_is_left() -> None:
    texts = [path.read_text() for path in PIPELINE_FOLDER.rglob("*.json")]
    assert not [text for text in texts if "_name_or_path" in text]


def test_importing_and_listing_load_nothing_heavy() -> None:
    program = (
        "import sys, model.embedded as m; m.print_catalogue(write=lambda line: None);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    root = Path(model.embedded.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_word_of_the_catalogue_is_known_to_the_tokenizer(pipeline: Any) -> None:
    tokenizer = pipeline.tokenizer
    words = catalogue()
    names = [each.name for each in words.objects]
    for text in (*names, *words.backgrounds, *words.object_colours, *words.sizes, *words.styles):
        inner = tokenizer(text).input_ids[1:-1]
        assert inner, text
        assert tokenizer.convert_tokens_to_ids(END) not in inner, text


def test_the_longest_prompt_fits(pipeline: Any) -> None:
    name = max((each.name for each in catalogue().objects), key=len)
    prompt = f"a small yellow {name}, flat style on a yellow background"
    assert len(pipeline.tokenizer(prompt).input_ids) <= LONGEST_CAPTION


def test_tokenizer_and_text_encoder_agree(pipeline: Any) -> None:
    assert pipeline.text_encoder.config.vocab_size == len(pipeline.tokenizer)
    assert pipeline.tokenizer.model_max_length == LONGEST_CAPTION


def test_names_are_unique_and_numbered() -> None:
    objects = catalogue().objects
    assert len({each.name for each in objects}) == len(objects) > 1000
    assert [each.number for each in objects] == list(range(len(objects)))


def test_searching_the_catalogue() -> None:
    assert ("Animals and plants", ("fox",)) in list(list_objects("fox"))


def test_printing_names_objects_backgrounds_and_examples() -> None:
    lines: list[str] = []
    print_catalogue("rocket", write=lines.append)
    text = "\n".join(lines)
    assert "rocket" in text
    assert all(name in text for name in BACKGROUND_NAMES)
    assert "a rocket on a black background" in text


def test_a_search_that_finds_nothing_says_so() -> None:
    lines: list[str] = []
    print_catalogue("spanner in the works", write=lines.append)
    assert "No object" in lines[0]
