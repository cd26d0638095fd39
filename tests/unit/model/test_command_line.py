"""``python -m model``: what it prints, how it ends, and that it stays light."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import model
from model.__main__ import main
from model.configuration.names import FIELDS, KSERVE_IGNORED

ROOT = Path(model.__file__).parents[1]
HEAVY = ("torch", "kserve", "diffusers", "transformers", "numpy", "fastapi", "grpc")
WRONG_SETTINGS = 2
LONGEST_SPELLING = 100


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real program, in an environment without settings of the machine."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return subprocess.run(
        [sys.executable, "-m", "model", *arguments],
        cwd=ROOT,
        env=clean | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def heavy_modules_after(statement: str) -> str:
    program = f"import sys\n{statement}\nprint([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def test_importing_the_command_line_is_light() -> None:
    assert heavy_modules_after("import model.__main__") == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["serve", "--help"],
        ["fetch", "--help"],
        ["generate", "--help"],
        ["client", "--help"],
        ["--version"],
    ],
)
def test_helping_is_light(arguments: list[str]) -> None:
    statement = (
        "from model.__main__ import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as ended: assert not ended.code"
    )
    assert heavy_modules_after(statement) == "[]"


def test_printing_the_settings_is_light() -> None:
    statement = "from model.__main__ import main\nmain(['serve', '--print-config'])"
    assert heavy_modules_after(statement) == "[]"


def test_the_help_names_every_setting_and_what_it_is_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    assert not ended.value.code
    text = " ".join(capsys.readouterr().out.split())
    for name, info in FIELDS.items():
        flag = name.replace("_", "-")
        _, flag_found, after = text.partition(f" --{flag} ")
        assert flag_found, flag
        assert info.description is not None
        # Between a flag and its text stands only its other spelling with the kind of value.
        assert len(after.partition(info.description)[0]) < LONGEST_SPELLING, flag


def test_the_help_names_what_is_no_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    text = capsys.readouterr().out
    assert all(flag in text for flag in ("--warmup ", "--config", "--print-config", "--model_dir"))
    assert not [name for name in KSERVE_IGNORED if f"--{name} " in text]


def test_the_first_help_shows_the_commands_and_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert "python -m model serve" in text
    assert "curl" in text


@pytest.mark.parametrize("arguments", [[], ["sreve"]])
def test_a_missing_or_unknown_command_lists_the_commands(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == WRONG_SETTINGS
    message = capsys.readouterr().err
    assert "serve" in message
    assert "embedded" in message


def test_w02_print_config_shows_values_and_sources(tmp_path: Path) -> None:
    config = tmp_path / "kiln.yaml"
    config.write_text("queue_size: 5\nhttp_port: 7\n")
    done = run(
        *("serve", "--print-config", "--config", str(config), "--http_port=9"),
        KILN_WARMUP="false",
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.splitlines()}
    assert rows["http_port"] == ["9", "flag"]
    assert rows["queue_size"] == ["5", f"config file {config}"]
    assert rows["warmup_mode"] == ['"off"', "environment KILN_WARMUP"]
    assert rows["device"] == ['"auto"', "default"]
    assert set(rows) == set(FIELDS)


def test_w03_an_unknown_flag_ends_with_a_suggestion() -> None:
    done = run("serve", "--warmup-mod", "off", "--print-config")
    assert done.returncode == WRONG_SETTINGS
    assert "unknown arguments: --warmup-mod off; did you mean --warmup-mode?" in done.stderr
    assert done.stdout == ""


def test_w03_a_flag_is_not_abbreviated() -> None:
    """An abbreviation would change its meaning with the next setting that we add."""
    assert run("serve", "--http", "9", "--print-config").returncode == WRONG_SETTINGS


def test_w03_an_unknown_flag_with_a_value_in_it_gets_a_suggestion() -> None:
    assert "did you mean --queue-size?" in run("serve", "--queue-siz=9").stderr


def test_w03_an_unknown_variable_ends_with_a_suggestion() -> None:
    done = run("serve", "--print-config", KILN_HTPP_PORT="9")
    assert done.returncode == WRONG_SETTINGS
    assert "did you mean KILN_HTTP_PORT?" in done.stderr
    assert "Traceback" not in done.stderr


def test_w01_flag_and_shorthand_in_conflict_end_before_anything_starts() -> None:
    done = run("serve", "--warmup", "true", "--warmup-mode", "off")
    assert done.returncode == WRONG_SETTINGS
    assert "give one of them" in done.stderr
    assert "Traceback" not in done.stderr


def test_w44_a_router_that_does_not_know_where_a_role_is_ends_before_anything_starts() -> None:
    done = run("serve", "--role", "router", "--encoders", "127.0.0.1:1")
    assert done.returncode == WRONG_SETTINGS
    assert "denoisers: a router has to know where they are; give --denoisers dns://" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_not_for_a_router_names_what_it_is_for() -> None:
    done = run("doctor", "--role", "router")
    assert done.returncode == WRONG_SETTINGS
    assert "role (flag): this command is not for a router; give one of decoder" in done.stderr


def test_w05_a_worker_says_that_its_warmup_is_switched_off_and_has_one_engine() -> None:
    done = run("serve", "--role", "decoder", "--warmup-mode", "server", "--engines", "2")
    assert done.returncode == WRONG_SETTINGS
    assert "engines (flag): a server of role decoder has one engine" in done.stderr


def test_w05_print_config_shows_a_workers_warmup_off_and_why() -> None:
    done = run("serve", "--role", "encoder", "--print-config")
    assert done.returncode == 0, done.stderr
    (row,) = [each for each in done.stdout.splitlines() if each.startswith("warmup_mode ")]
    assert row.split(maxsplit=2)[1:] == ['"off"', "disaggregated-role"]


def test_two_workers_are_refused() -> None:
    done = run("serve", "--workers", "2")
    assert done.returncode == WRONG_SETTINGS
    assert "run more replicas instead" in done.stderr


def test_the_embedded_command_counts_and_searches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embedded"]) == 0
    assert "The embedded model draws" in capsys.readouterr().out
    assert main(["embedded", "--search", "fox"]) == 0
    assert "fox" in capsys.readouterr().out
