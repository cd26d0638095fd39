"""What is typed for a picture: understood, or refused by its flag."""

import argparse
from pathlib import Path

import pytest

from model.commands.drawn import Drawn, save
from model.commands.wishes import Wish, add_wish, file_name, wish_of
from model.errors import InvalidSettings


def typed(*arguments: str) -> Wish:
    parser = argparse.ArgumentParser()
    add_wish(parser)
    return wish_of(parser.parse_args(arguments))


def test_flags_are_parameters_by_the_names_of_the_protocols(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(b"a picture")
    wish = typed(
        *("a fox", "--seed", "7", "--size", "64x32", "--steps", "4", "-n", "2"),
        *("--negative-prompt", "a wolf", "--image", str(tmp_path / "in.png")),
        *("--set", "strength=0.5", "--set", "guidance_scale=3", "-o", str(tmp_path / "fox.JPG")),
    )
    assert wish == Wish(
        "a fox",
        "a wolf",
        b"a picture",
        {
            "seed": 7,
            "num_inference_steps": 4,
            "num_images_per_prompt": 2,
            "width": 64,
            "height": 32,
            "strength": "0.5",
            "guidance_scale": "3",
        },
        tmp_path / "fox.JPG",
        "jpeg",
    )
    assert typed("a fox") == Wish("a fox")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([" "], "PROMPT: is empty"),
        (["a", "--size", "big"], "--size: 'big' is no size; write WIDTHxHEIGHT"),
        (["a", "--size", "0x64"], "--size"),
        (["a", "--set", "strength"], "--set: 'strength' is no NAME=VALUE"),
        (["a", "--set", "=1"], "--set"),
        (["a", "--seed", "1", "--set", "seed=2"], "--set seed: has a flag of its own"),
        (["a", "--set", "fps=1", "--set", "fps=2"], "--set fps"),
        (["a", "--set", "output_format=png"], "--set output_format"),
        (["a", "-o", "fox.gif"], "must end in .png, .jpg"),
        (["a", "-o", "fox"], "must end in .png, .jpg"),
        (["a", "-o", "no/such/folder/fox.png"], "in a folder that exists"),
        (["a", "--image", "no-such-file.png"], "--image: 'no-such-file.png' cannot be read"),
    ],
)
def test_what_is_wrong_is_refused_by_its_flag(arguments: list[str], words: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        typed(*arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "output_format", "name"),
    [
        ("A red fox, please!", "png", "a-red-fox-please.png"),
        ("a fox", "jpeg", "a-fox.jpg"),
        ("a fox", "mp4", "a-fox.mp4"),
        ("狐", "png", "picture.png"),
        ("x" * 200, "png", "x" * 80 + ".png"),
        ("../../etc/passwd", "png", "etc-passwd.png"),
    ],
)
def test_files_are_called_after_the_prompt(prompt: str, output_format: str, name: str) -> None:
    assert file_name(prompt, output_format) == Path(name)


def test_a_file_that_nobody_named_replaces_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = Drawn([b"one"], "png", {})
    names = [str(save(drawn, Wish("a fox"))[0]) for _ in range(3)]
    assert names == ["a-fox.png", "a-fox-2.png", "a-fox-3.png"]


def test_several_are_numbered_and_one_that_was_named_is_replaced(tmp_path: Path) -> None:
    wish = Wish("a fox", output=tmp_path / "fox.png")
    for files in ([b"1", b"2"], [b"3", b"4"]):
        assert save(Drawn(files, "png", {}), wish) == [
            tmp_path / "fox-1.png",
            tmp_path / "fox-2.png",
        ]
    assert (tmp_path / "fox-2.png").read_bytes() == b"4"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    wish = Wish("a fox", output=tmp_path / "fox.png")
    (tmp_path / "fox.png").mkdir()
    with pytest.raises(InvalidSettings, match="cannot be written"):
        save(Drawn([b"1"], "png", {}), wish)
