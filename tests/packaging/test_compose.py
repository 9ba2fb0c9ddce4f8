"""The compose files: right by their schema, confined, without a secret of their own; what they start is what there is."""

from __future__ import annotations

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from feeds.cli import main
from feeds.config.environment import Environment, secret_variables

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging"
TEXTS = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("compose*.yaml"))}
FILES: dict[str, dict[str, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
SERVICES = [(file, name) for file, found in FILES.items() for name in found["services"]]
OURS = [(file, name) for file, name in SERVICES if FILES[file]["services"][name]["image"] == "feeds"]
SCALE = FILES["compose.yaml"]["services"]
#: Compose's `${NAME}`, `${NAME:-default}` and `${NAME:?what to do}`.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


def service(file: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = FILES[file]["services"][name]
    return found


def test_there_is_one_for_one_machine_and_one_that_scales() -> None:
    assert set(FILES) == {"compose.yaml", "compose.single.yaml"}
    assert [name for file, name in OURS if file == "compose.single.yaml"] == ["feeds"], "one service"
    assert "FEEDS_DATABASE_URL" not in TEXTS["compose.single.yaml"], "SQLite in the volume"


@pytest.mark.parametrize("file", list(FILES))
def test_they_are_right_by_the_schema_of_the_compose_specification(file: str) -> None:
    schema = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    plain = {name: value for name, value in FILES[file].items() if not name.startswith("x-")}
    jsonschema.Draft202012Validator(json.loads(schema.read_text("utf-8"))).validate(plain)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**plain, "service": {}}, json.loads(schema.read_text("utf-8")))


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_nobody_is_root_or_writes_to_the_image_or_gets_more_rights_and_memory(file: str, name: str) -> None:
    found = service(file, name)
    assert found["read_only"] is True and found["cap_drop"] == ["ALL"] and "no-new-privileges:true" in found["security_opt"]
    assert str(found["user"]).split(":")[0] not in ("0", "root")
    assert found["mem_limit"] and found["pids_limit"] and any(one.startswith("/tmp") for one in found["tmpfs"])
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & found.keys()
    assert not any("docker.sock" in str(volume) for volume in found.get("volumes", []))


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_ports_are_open_to_this_machine_alone(file: str, name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service(file, name).get("ports", []))


@pytest.mark.parametrize(("file", "name"), OURS)
def test_it_starts_commands_that_there_are_with_options_that_they_take(file: str, name: str) -> None:
    found = service(file, name)
    commands = [found["command"]] if "command" in found and found["command"][0] == "feeds" else []
    if name != "setup":
        kind, *check = found["healthcheck"]["test"]
        assert kind == "CMD"
        commands.append(check)
        role = {"feeds": "web"}.get(name, name)
        assert check == ["feeds", "health", "--role", role], "a check that the OCI format of images has not dropped"
    for program, verb, *options in commands:
        assert program == "feeds"
        shown = CliRunner().invoke(main, [verb, "--help"]).output
        assert all(option in shown for option in options if option.startswith("--"))


def test_the_one_that_scales_is_what_the_page_on_scaling_promises() -> None:
    replicas = {
        name: service("compose.yaml", name).get("deploy", {}).get("replicas", 1)
        for file, name in OURS
        if file == "compose.yaml"
    }
    assert replicas == {"setup": 1, "clock": 2, "worker": 4, "web": 3}
    assert all(SCALE[name]["restart"] == "always" for name in replicas if name != "setup")


def test_what_it_changes_in_the_settings_is_there_to_be_changed() -> None:
    script = SCALE["setup"]["command"][-1]
    changes = re.findall(r"sed -i 's/\^(.+?)/(.+?)/' (\S+)", script)
    assert len(changes) == 2
    for old, new, file in changes:
        lines = (ROOT / file).read_text("utf-8").splitlines()
        assert any(line.startswith(old) for line in lines), old
        assert old.partition(":")[0] == new.partition(":")[0]


@pytest.mark.parametrize("file", list(FILES))
def test_no_secret_is_in_them_and_what_is_missing_is_asked_for_with_a_way_to_make_it(file: str) -> None:
    for name, found in FILES[file]["services"].items():
        for variable, value in found.get("environment", {}).items():
            if variable not in (*secret_variables(), "POSTGRES_PASSWORD"):
                continue
            references = list(VARIABLE.finditer(value))
            assert references, f"{name}: {variable} has a value of its own"
            for reference in references:
                if reference["kind"] == "?":
                    assert "packaging/.env" in reference["text"] and "openssl rand" in reference["text"]
                else:  # no secret: the mail server that only looks like one
                    assert variable == "FEEDS_SMTP_URL" and "@" not in (reference["text"] or "")
    assert not re.search(r"change-?me|PASSWORD: \w|:feeds@", TEXTS[file])


@pytest.mark.parametrize(("file", "name"), OURS)
def test_their_variables_are_read_by_the_program(file: str, name: str, tmp_path: Path) -> None:
    environ = {
        variable: VARIABLE.sub(lambda found: found["text"] if found["kind"] == "-" else "s3cret", value)
        for variable, value in service(file, name)["environment"].items()
    }
    (tmp_path / "config").mkdir()
    found = Environment.read(tmp_path / "config", environ)
    assert set(environ.values()) <= {found.store, found.base_url, *found.secrets}


def test_what_is_mounted_is_there() -> None:
    for file, name in SERVICES:
        for volume in service(file, name).get("volumes", []):
            source = VARIABLE.sub(lambda found: found["text"] or "", volume).split(":")[0]
            assert source in FILES[file]["volumes"] or (FOLDER / source).exists(), volume
