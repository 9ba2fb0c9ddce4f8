"""The manifests for Kubernetes: right by its schemas, confined, and about commands, ports and settings that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from feeds.cli import main
from feeds.config.environment import Environment, secret_variables, variable
from feeds.config.load import load_config
from feeds.web.app import make_app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging" / "kubernetes"
FILES = {path.name: list(yaml.safe_load_all(path.read_text("utf-8"))) for path in sorted(FOLDER.glob("*.yaml"))}
KUSTOMIZATION: dict[str, Any] = FILES.pop("kustomization.yaml")[0]
OBJECTS: list[dict[str, Any]] = [found for objects in FILES.values() for found in objects]
IDS = [f"{found['kind']}-{found['metadata']['name']}" for found in OBJECTS]
RUN = {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] in ("Deployment", "Job")}
#: The oldest version whose fields are used (`preStop.sleep`), and those of today.
VERSIONS = ("1.30", "1.32", "1.34", "1.37")


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RUN[name]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    [found] = pod(name)["containers"]
    return dict(found)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("found", OBJECTS, ids=IDS)
def test_they_are_right_by_the_schemas_of_kubernetes(found: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("found", OBJECTS, ids=IDS)
def test_the_schemas_refuse_a_field_that_there_is_not(found: dict[str, Any]) -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**found, "metadata": {**found["metadata"], "lables": {}}}, VERSIONS[-1], strict=True)


def test_there_is_what_a_site_needs_and_one_command_that_brings_it() -> None:
    assert set(RUN) == {"feeds-web", "feeds-clock", "feeds-worker", "feeds-migrate"}
    assert RUN["feeds-clock"]["spec"]["replicas"] == 2, "one acts, one stands by"
    assert set(KUSTOMIZATION["resources"]) == FILES.keys() - {"secret.example.yaml"}, "no secret is in what is applied"
    [generator] = KUSTOMIZATION["configMapGenerator"]
    assert {path.name for path in (FOLDER / "config").iterdir()} == {Path(file).name for file in generator["files"]}
    assert [image["name"] for image in KUSTOMIZATION["images"]] == [container("feeds-web")["image"]]


@pytest.mark.parametrize("name", list(RUN))
def test_they_start_commands_that_there_are_with_options_that_they_take(name: str) -> None:
    found = container(name)
    probes = [found[probe] for probe in ("startupProbe", "livenessProbe", "readinessProbe") if probe in found]
    for program, verb, *options in (found["command"], *(probe["exec"]["command"] for probe in probes if "exec" in probe)):
        assert program == "feeds"
        shown = CliRunner().invoke(main, [verb, "--help"])
        assert shown.exit_code == 0 and all(option in shown.output for option in options if option.startswith("--"))


def test_each_role_is_asked_for_its_own_health(site: Any) -> None:
    served = {str(rule) for rule in make_app(site.environment).url_map.iter_rules()}
    web = container("feeds-web")
    [port] = web["ports"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert web[probe]["httpGet"]["path"] in served and web[probe]["httpGet"]["port"] == port["name"]
    assert web["readinessProbe"]["httpGet"]["path"] == "/ready" and web["livenessProbe"]["httpGet"]["path"] == "/health"
    assert str(port["containerPort"]) in web["command"]
    for role in ("clock", "worker"):
        for probe in ("livenessProbe", "readinessProbe"):
            assert container(f"feeds-{role}")[probe]["exec"]["command"] == ["feeds", "health", "--role", role]


def test_the_service_leads_to_the_port_of_the_web_nodes() -> None:
    [service] = [found for found in OBJECTS if found["kind"] == "Service"]
    assert service["spec"]["selector"] == RUN["feeds-web"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == container("feeds-web")["ports"][0]["name"]


@pytest.mark.parametrize("name", list(RUN))
def test_pods_fit_the_restricted_profile(name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a root that is read only."""
    whole, one = pod(name), container(name)
    assert whole["securityContext"]["runAsNonRoot"] is True and whole["securityContext"]["runAsUser"] == 10001
    assert whole["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & whole.keys() and whole["automountServiceAccountToken"] is False
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
    assert {kind for volume in whole["volumes"] for kind in volume if kind != "name"} <= allowed
    assert one["resources"]["requests"] and one["resources"]["limits"]["memory"]
    containerfile = (ROOT / "Containerfile").read_text("utf-8")
    assert f"USER {whole['securityContext']['runAsUser']}:{whole['securityContext']['runAsGroup']}\n" in containerfile


@pytest.mark.parametrize("name", list(RUN))
def test_what_is_mounted_is_declared_and_claimed(name: str) -> None:
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    assert {mount["name"] for mount in container(name)["volumeMounts"]} == volumes.keys()
    claims = {found["metadata"]["name"] for found in OBJECTS if found["kind"] == "PersistentVolumeClaim"}
    wanted = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume}
    assert wanted <= claims
    assert ("store" in volumes) == (name == "feeds-clock"), "only clocks read the store"
    config = next(volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume)
    assert config == KUSTOMIZATION["configMapGenerator"][0]["name"]


@pytest.mark.parametrize("name", list(RUN))
def test_secrets_come_by_reference(name: str) -> None:
    assert container(name)["envFrom"] == [{"secretRef": {"name": "feeds"}}] and "env" not in container(name)
    [example] = [found for found in OBJECTS if found["kind"] == "Secret"]
    assert example["metadata"]["name"] == "feeds" and not any(example["stringData"].values()), "an example without values"
    assert example["stringData"].keys() <= set(secret_variables())


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "NetworkPolicy"])
def test_a_selector_finds_the_pods_that_it_is_about(kind: str) -> None:
    labels = [found["spec"]["template"]["metadata"]["labels"] for found in RUN.values()]
    for found in (found for found in OBJECTS if found["kind"] == kind):
        selector = found["spec"].get("podSelector") or found["spec"]["selector"]
        assert any(matches(selector, one) for one in labels), found["metadata"]["name"]
    if kind == "NetworkPolicy":
        policies = [found["spec"] for found in OBJECTS if found["kind"] == kind]
        assert all(any(matches(spec["podSelector"], one) for spec in policies) for one in labels), "nobody is without one"
        assert all(set(spec["policyTypes"]) == {"Ingress", "Egress"} for spec in policies)


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    listed = (
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", [])
    )
    return wanted and all(listed)


def test_the_settings_are_settings_that_there_are(tmp_path: Path) -> None:
    environment = Environment.read(FOLDER / "config", {variable("database_url"): "postgresql://database.example.org/feeds"})
    config = load_config(environment)
    assert config.site.workers and config.newsletter.transport == "smtp"
    [mount] = [mount for mount in container("feeds-clock")["volumeMounts"] if mount["name"] == "store"]
    assert config.site.stores[0].path == mount["mountPath"]


@pytest.mark.parametrize(("name", "least"), [("feeds-web", 30), ("feeds-clock", 60), ("feeds-worker", 60)])
def test_there_is_time_to_end_what_was_begun(name: str, least: int) -> None:
    """As the systemd units give it (TimeoutStopSec)."""
    assert pod(name)["terminationGracePeriodSeconds"] >= least
