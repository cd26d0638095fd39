"""Which of several sources wins, what each may say, and how a refusal names its place (W01 to W03).

Everything goes through the real command line's parser and an environment made by the test.
"""

import argparse
import importlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.configuration.flags import add_flags
from model.configuration.names import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    FIELDS,
    KSERVE_IGNORED,
    SHORTHAND,
    TRUTHS,
)
from model.contract.warmup import WarmupMode
from model.errors import InvalidSettings
from model.settings import Settings
from tests.unit.model.configuration.support import (
    SOURCES,
    ConfigFile,
    combined,
    from_source,
    refusal,
    resolved,
)

WEAKER_PAIRS = [
    ("flag", "environment"),
    ("flag", "file"),
    ("environment", "file"),
]


# -- W01: the mode and its shorthand ---------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("word", "mode"), TRUTHS.items())
def test_w01_the_shorthand_means_server_or_off(
    source: str, word: str, mode: WarmupMode, config_file: ConfigFile
) -> None:
    found = combined(from_source(source, {SHORTHAND: word}, config_file))
    assert found.settings.warmup_mode is mode
    assert found.sources["warmup_mode"].split()[0] == source.replace("file", "config")


@pytest.mark.parametrize("word", ["True", " FALSE ", "Yes"])
def test_w01_the_shorthand_ignores_case_and_blanks(word: str) -> None:
    expected = WarmupMode.OFF if "F" in word else WarmupMode.SERVER
    assert resolved("--warmup", word).settings.warmup_mode is expected


@pytest.mark.parametrize(("written", "mode"), [("true", "server"), ("false", "off")])
@pytest.mark.parametrize("name", ["kiln.yaml", "kiln.json"])
def test_w01_the_shorthand_is_a_boolean_in_a_file(
    written: str, mode: str, name: str, config_file: ConfigFile
) -> None:
    found = resolved("--config", config_file(f'{{"warmup": {written}}}', name))
    assert found.settings.warmup_mode == mode


@pytest.mark.parametrize("source", SOURCES)
def test_w01_a_shorthand_that_is_neither_names_its_source(
    source: str, config_file: ConfigFile
) -> None:
    with pytest.raises(InvalidSettings, match=r"warmup \(.*'maybe' is neither true nor false"):
        combined(from_source(source, {SHORTHAND: "maybe"}, config_file))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("word", "mode"), [("true", "off"), ("false", "server")])
def test_w01_mode_and_shorthand_in_conflict_are_an_error(
    source: str, word: str, mode: str, config_file: ConfigFile
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        combined(from_source(source, {SHORTHAND: word, "warmup_mode": mode}, config_file))
    assert f"warmup={word}" in str(caught.value)
    assert f"warmup_mode={mode}" in str(caught.value)


def test_w01_true_does_not_mean_request() -> None:
    assert "give one of them" in refusal("--warmup", "true", "--warmup-mode", "request")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("word", "mode"), [("true", "server"), ("false", "off")])
def test_w01_mode_and_shorthand_may_say_the_same(
    source: str, word: str, mode: str, config_file: ConfigFile
) -> None:
    found = combined(from_source(source, {SHORTHAND: word, "warmup_mode": mode}, config_file))
    assert found.settings.warmup_mode == mode


def test_w01_mode_and_shorthand_of_different_sources_do_not_conflict() -> None:
    found = resolved("--warmup", "false", environment={"KILN_WARMUP_MODE": "server"})
    assert found.settings.warmup_mode is WarmupMode.OFF
    assert found.sources["warmup_mode"] == "flag"


# -- W02: precedence -------------------------------------------------------------------------


def test_w02_without_any_source_everything_is_the_default() -> None:
    found = resolved()
    assert found.settings == Settings()
    assert set(found.sources) == set(FIELDS)
    assert set(found.sources.values()) == {"default"}


@pytest.mark.parametrize(("stronger", "weaker"), WEAKER_PAIRS)
def test_w02_flag_beats_environment_beats_file(
    stronger: str, weaker: str, config_file: ConfigFile
) -> None:
    found = combined(
        from_source(weaker, {"queue_size": "11"}, config_file),
        from_source(stronger, {"queue_size": "22"}, config_file),
    )
    assert found.settings.queue_size == 22
    assert found.sources["queue_size"].startswith(stronger.replace("file", "config file"))


@pytest.mark.parametrize("source", SOURCES)
def test_w02_each_source_beats_the_default(source: str, config_file: ConfigFile) -> None:
    found = combined(from_source(source, {"queue_size": "11"}, config_file))
    assert found.settings.queue_size == 11
    assert [name for name, origin in found.sources.items() if origin != "default"] == ["queue_size"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("spelling", [{"warmup_mode": "off"}, {"warmup": "false"}])
def test_w02_an_explicit_off_holds_from_every_source(
    source: str, spelling: dict[str, str], config_file: ConfigFile
) -> None:
    found = combined(from_source(source, spelling, config_file))
    assert found.settings.warmup_mode is WarmupMode.OFF


@pytest.mark.parametrize(("stronger", "weaker"), WEAKER_PAIRS)
@pytest.mark.parametrize("spelling", [{"warmup_mode": "off"}, {"warmup": "false"}])
@pytest.mark.parametrize("other", [{"warmup_mode": "server"}, {"warmup": "true"}])
def test_w02_an_explicit_off_is_not_overridden_by_a_weaker_source(
    stronger: str,
    weaker: str,
    spelling: dict[str, str],
    other: dict[str, str],
    config_file: ConfigFile,
) -> None:
    found = combined(
        from_source(weaker, other, config_file), from_source(stronger, spelling, config_file)
    )
    assert found.settings.warmup_mode is WarmupMode.OFF


@pytest.mark.parametrize("written", ["off", "'off'", '"off"'])
def test_w02_a_bare_off_in_yaml_is_the_mode(written: str, config_file: ConfigFile) -> None:
    """YAML 1.1 reads a bare ``off`` as false, and would refuse the mode that the user wrote."""
    found = resolved("--config", config_file(f"warmup_mode: {written}\n"))
    assert found.settings.warmup_mode is WarmupMode.OFF


def test_w02_a_bare_off_in_yaml_agrees_with_the_shorthand(config_file: ConfigFile) -> None:
    found = resolved("--config", config_file("warmup: off\nwarmup_mode: off\n"))
    assert found.settings.warmup_mode is WarmupMode.OFF


def test_w02_the_config_file_may_be_named_by_the_environment(config_file: ConfigFile) -> None:
    path = config_file({"queue_size": 5})
    found = resolved(environment={CONFIG_VARIABLE: path})
    assert found.settings.queue_size == 5
    assert found.sources["queue_size"] == f"config file {path}"


def test_w02_the_flag_names_the_config_file_before_the_environment(
    config_file: ConfigFile,
) -> None:
    found = resolved(
        "--config",
        config_file({"queue_size": 5}, "a.yaml"),
        environment={CONFIG_VARIABLE: config_file({"queue_size": 6}, "b.yaml")},
    )
    assert found.settings.queue_size == 5


def test_w02_the_table_shows_each_value_with_its_source(config_file: ConfigFile) -> None:
    path = config_file({"queue_size": 5})
    found = resolved(
        "--http-port", "9", "--config", path, environment={"KILN_GATE_HOLD": "2", "HOME": "/"}
    )
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in found.table().splitlines()}
    assert rows["http_port"] == ["9", "flag"]
    assert rows["gate_hold"] == ["2.0", "environment KILN_GATE_HOLD"]
    assert rows["queue_size"] == ["5", f"config file {path}"]
    assert rows["model"] == ['"embedded://"', "default"]
    assert set(rows) == set(FIELDS)


# -- W03: names ------------------------------------------------------------------------------


def test_w03_an_unknown_key_in_the_file_is_an_error_with_a_suggestion(
    config_file: ConfigFile,
) -> None:
    path = config_file({"warmup_mod": "off"})
    problem = refusal("--config", path)
    assert path in problem
    assert "'warmup_mod' is not a setting; did you mean warmup_mode?" in problem


def test_w03_a_key_in_the_file_has_underscores(config_file: ConfigFile) -> None:
    assert "did you mean http_port?" in refusal("--config", config_file({"http-port": 9}))


def test_w03_a_key_like_no_setting_points_to_the_help(config_file: ConfigFile) -> None:
    assert "see --help" in refusal("--config", config_file({"zzzz": 1}))


@pytest.mark.parametrize("content", ["1: 2\n", "null: 2\n", "true: 2\n", "[a]: 2\n"])
def test_w03_a_key_that_is_no_text_is_an_error(content: str, config_file: ConfigFile) -> None:
    assert "config file" in refusal("--config", config_file(content))


def test_w03_an_unknown_variable_is_an_error_with_a_suggestion() -> None:
    problem = refusal(environment={"KILN_WARMUP_MOD": "off"})
    assert "KILN_WARMUP_MOD is not a setting; did you mean KILN_WARMUP_MODE?" in problem


def test_w03_variables_without_the_prefix_are_nobodys_business() -> None:
    environment = {"WARMUP_MODE": "off", "KILNS_QUEUE_SIZE": "x", "PATH": "/bin"}
    assert resolved(environment=environment).settings == Settings()


@given(st.text(string.ascii_uppercase + string.digits + "_", min_size=1, max_size=30))
def test_w03_any_unknown_name_with_the_prefix_is_an_error(name: str) -> None:
    variable = f"{ENVIRONMENT_PREFIX}{name}"
    if name.lower() in (*FIELDS, SHORTHAND) or variable == CONFIG_VARIABLE:
        return
    assert variable in refusal(environment={variable: "1"})


# What Kubernetes puts into every container of a namespace that has Services named "kiln" and
# "kiln-http", unless the pod sets enableServiceLinks: false.
SERVICE_LINKS = {
    "KILN_SERVICE_HOST": "10.96.0.17",
    "KILN_SERVICE_PORT": "80",
    "KILN_SERVICE_PORT_HTTP": "80",
    "KILN_PORT": "tcp://10.96.0.17:80",
    "KILN_PORT_80_TCP": "tcp://10.96.0.17:80",
    "KILN_PORT_80_TCP_PROTO": "tcp",
    "KILN_PORT_80_TCP_PORT": "80",
    "KILN_PORT_80_TCP_ADDR": "10.96.0.17",
    "KILN_HTTP_SERVICE_HOST": "fd00::17",
    "KILN_HTTP_PORT": "tcp://[fd00::17]:80",
}


def test_w03_links_to_services_named_kiln_are_no_settings() -> None:
    found = resolved(environment=SERVICE_LINKS)
    assert found.settings == Settings()
    assert set(found.sources.values()) == {"default"}


@pytest.mark.parametrize("variable", ["KILN_PORT", "KILN_HTPP_PORT", "KILN_SERVICE_NAME"])
def test_w03_only_what_kubernetes_writes_counts_as_a_link(variable: str) -> None:
    assert variable in refusal(environment={variable: "80"})


def test_w03_every_field_has_a_variable() -> None:
    environment = {"KILN_HTTP_PORT": "9", "KILN_ENABLE_GRPC": "false", "KILN_DTYPE": "float16"}
    settings = resolved(environment=environment).settings
    assert (settings.http_port, settings.enable_grpc, settings.dtype) == (9, False, "float16")


# -- W03: KServe's flags ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        ["--model_name=x", "--http_port", "9", "--grpc_port", "10"],
        ["--model-name", "x", "--http-port=9", "--grpc-port=10"],
    ],
)
def test_w03_both_spellings_of_a_flag_are_the_same(flags: list[str]) -> None:
    settings = resolved(*flags).settings
    assert (settings.model_name, settings.http_port, settings.grpc_port) == ("x", 9, 10)


@pytest.mark.parametrize("flag", ["--model_dir", "--model-dir"])
def test_w03_model_dir_is_the_model(flag: str) -> None:
    found = resolved(flag, "/mnt/models")
    assert found.settings.model == "/mnt/models"
    assert found.sources["model"] == "flag"


def test_w03_model_dir_beats_the_environment() -> None:
    found = resolved("--model_dir", "/mnt/models", environment={"KILN_MODEL": "embedded://"})
    assert found.settings.model == "/mnt/models"


def test_w03_model_dir_and_model_must_agree() -> None:
    assert "--model_dir and --model" in refusal("--model_dir", "/a", "--model", "/b")
    assert resolved("--model_dir", "/a", "--model", "/a").settings.model == "/a"


@pytest.mark.parametrize("name", KSERVE_IGNORED)
def test_w03_kserve_flags_without_a_meaning_here_are_reported(name: str) -> None:
    for spelling in (f"--{name}", f"--{name.replace('_', '-')}"):
        found = resolved(spelling, "1", "--http-port", "9")
        assert found.ignored == (f"--{name}",)
        assert found.settings.http_port == 9


def test_w03_nothing_is_reported_when_nothing_was_ignored() -> None:
    assert resolved("--model_name=x", "--workers", "1").ignored == ()


def test_w03_every_flag_of_kserves_own_parser_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK parses ``sys.argv`` when it is imported, so it gets an empty one."""
    monkeypatch.setattr("sys.argv", ["serve"])
    kserves = importlib.import_module("kserve.model_server").parser
    ours = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(ours)
    for action in kserves._actions:
        if "--help" in action.option_strings:
            continue
        for flag in action.option_strings:
            takes_value = action.nargs != 0
            given_flags = [flag, "1"] if takes_value else [flag]
            _, unknown = ours.parse_known_args([*given_flags, "--max_steps", "9"])
            assert not unknown, flag


def test_w03_more_than_one_worker_is_refused() -> None:
    assert "--workers 2: only 1 is possible" in refusal("--workers", "2")
    assert resolved("--workers", "1").settings == Settings()


# -- values and where they came from ---------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "origin"),
    [("flag", "(flag)"), ("environment", "(environment KILN_QUEUE_SIZE)"), ("file", "kiln.yaml)")],
)
def test_a_bad_value_names_its_field_and_source(
    source: str, origin: str, config_file: ConfigFile
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        combined(from_source(source, {"queue_size": "many"}, config_file))
    assert "queue_size (" in str(caught.value)
    assert origin in str(caught.value)
    assert "valid integer" in str(caught.value)


def test_all_bad_values_are_told_at_once() -> None:
    problem = refusal("--queue-size", "0", environment={"KILN_DEVICE": "abacus"})
    assert "queue_size (flag)" in problem
    assert "device (environment KILN_DEVICE)" in problem


def test_a_bad_combination_names_its_fields() -> None:
    problem = refusal("--http-port", "9", "--grpc-port", "9")
    assert problem == "http_port and grpc_port are both 9"
    assert "ssl_certfile and ssl_keyfile" in refusal("--ssl-certfile", __file__)


@pytest.mark.parametrize("written", ["true", "no", "off", "1"])
def test_a_boolean_may_be_written_as_people_write_it(written: str, config_file: ConfigFile) -> None:
    expected = written in ("true", "1")
    path = config_file(f"enable_grpc: {written}\n")
    assert resolved("--enable-grpc", written).settings.enable_grpc is expected
    assert resolved("--config", path).settings.enable_grpc is expected


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kiln.yaml", "kiln.yml", "kiln.json", "kiln"])
def test_a_file_may_be_yaml_or_json(name: str, config_file: ConfigFile) -> None:
    path = config_file({"queue_size": 5, "model": "/mnt/models"}, name)
    settings = resolved("--config", path).settings
    assert (settings.queue_size, settings.model) == (5, "/mnt/models")


def test_json_may_be_indented_with_tabs(config_file: ConfigFile) -> None:
    """YAML forbids tabs in indentation, JSON does not."""
    path = config_file('{\n\t"queue_size": 5\n}\n', "kiln.json")
    assert resolved("--config", path).settings.queue_size == 5


@pytest.mark.parametrize("content", ["[1, 2]", '"text"', "{'queue_size': 5}"])
def test_json_is_held_to_its_own_rules(content: str, config_file: ConfigFile) -> None:
    assert "config file" in refusal("--config", config_file(content, "kiln.json"))


@pytest.mark.parametrize("content", ["", "# nothing set\n", "{}"])
def test_an_empty_file_sets_nothing(content: str, config_file: ConfigFile) -> None:
    assert resolved("--config", config_file(content)).settings == Settings()


def test_a_file_that_is_missing_is_an_error_with_its_name(tmp_path: Path) -> None:
    problem = refusal("--config", str(tmp_path / "none.yaml"))
    assert "none.yaml' cannot be read" in problem


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal("--config", str(tmp_path))


@pytest.mark.parametrize("content", ["- a\n- b\n", "just words\n", "7\n", "[]"])
def test_a_file_that_is_no_mapping_is_an_error(content: str, config_file: ConfigFile) -> None:
    assert "must be a mapping" in refusal("--config", config_file(content))


@pytest.mark.parametrize(
    ("name", "content"), [("kiln.yaml", "a: [1, 2\n"), ("kiln.json", '{"queue_size": 5')]
)
def test_a_file_that_does_not_parse_is_an_error(
    name: str, content: str, config_file: ConfigFile
) -> None:
    assert f"{name}' cannot be read" in refusal("--config", config_file(content, name))


@pytest.mark.parametrize("name", ["kiln.yaml", "kiln.json"])
def test_a_file_that_is_not_utf_8_is_an_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"model: \xff\xfe\n")
    assert "cannot be read" in refusal("--config", str(path))


def test_a_file_runs_no_code(tmp_path: Path, config_file: ConfigFile) -> None:
    witness = tmp_path / "ran"
    problem = refusal(
        "--config", config_file(f"model: !!python/object/apply:os.mkdir ['{witness}']\n")
    )
    assert "cannot be read" in problem
    assert not witness.exists()
