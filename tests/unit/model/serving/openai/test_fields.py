"""The table of fields against OpenAI's own SDK: nothing that its users can send is forgotten."""

from typing import get_type_hints

import pytest
from openai.types import image_edit_params, image_generate_params
from openai.types.image_create_variation_params import ImageCreateVariationParams
from openai.types.video_create_params import VideoCreateParams

from model.serving.openai.fields import BY_ROUTE, FIELDS, Route, Support

SDK = {
    Route.GENERATIONS: image_generate_params.ImageGenerateParamsStreaming,
    Route.EDITS: image_edit_params.ImageEditParamsStreaming,
    Route.VARIATIONS: ImageCreateVariationParams,
    Route.VIDEOS: VideoCreateParams,
}


@pytest.mark.parametrize("route", Route)
def test_every_field_of_the_sdk_is_in_the_table_and_no_other_is_called_openais(
    route: Route,
) -> None:
    theirs = set(get_type_hints(SDK[route]))
    ours = {name for name, each in BY_ROUTE[route].items() if each.support is not Support.OWN}
    # Beyond the SDK: JSON's way to send pictures, and the format, which variations do not have.
    beyond = {
        Route.GENERATIONS: set(),
        Route.EDITS: {"images"},
        Route.VARIATIONS: {"output_format", "output_compression"},
        Route.VIDEOS: set(),
    }
    assert ours - beyond[route] == theirs


@pytest.mark.parametrize("field", FIELDS, ids=lambda each: each.name)
def test_what_is_not_supported_says_why(field: object) -> None:
    assert field.meaning.endswith(".")  # type: ignore[attr-defined]
