"""`deploy/k8s` is parsed: schemas, probes, settings, secrets, and that the parts find each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from monitor._resources import ROOT
from monitor.cli import app
from monitor.settings import Settings

FOLDER = ROOT / "deploy/k8s"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
PROBES = {"/healthz", "/readyz", "/_stcore/health"}


def objects() -> list[dict[str, Any]]:
    return [found for name in FILES for found in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))]


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Each object that makes pods, their spec, and the one container of it."""
    for found in objects():
        if found["kind"] in ("Deployment", "Job"):
            spec = found["spec"]["template"]["spec"]
            (container,) = spec["containers"]
            yield found, spec, container


def test_every_object_follows_the_schema_of_kubernetes() -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for found in objects():
        validating.validate(found, "1.31", strict=True)


def test_kustomize_takes_every_file_but_the_one_that_is_applied_by_hand() -> None:
    data = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))

    assert set(data["resources"]) == set(FILES) - {"upgrade.yaml"}
    assert {image["name"] for image in data["images"]} == {"lossmonitor"}


def test_every_setting_is_one_and_every_secret_comes_from_the_secret() -> None:
    for found, _, container in pods():
        for variable in container["env"]:
            name = variable["name"]
            assert name.removeprefix("MONITOR_").lower() in Settings.model_fields, (found["metadata"]["name"], name)
            secret = any(word in name for word in ("TOKEN", "DATABASE", "SECRET", "ALERT"))
            assert ("valueFrom" in variable) == secret, name
            if secret:
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "lossmonitor"
        values = {v["name"].removeprefix("MONITOR_").lower(): v["value"] for v in container["env"] if "value" in v}
        Settings(**values)


def test_every_command_is_one_of_monitor_with_its_options() -> None:
    for _, _, container in pods():
        words = [word for word in container["args"] if not word.startswith("-")]
        command = words[:2] if words[0] == "db" else words[:1]
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
        assert all(option in shown for option in container["args"] if option.startswith("--")), shown


def test_every_server_is_probed_at_the_port_that_it_listens_at() -> None:
    for found, _, container in pods():
        if found["kind"] == "Job":
            continue
        (port,) = container["ports"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            at = container[probe]["httpGet"]
            assert at["path"] in PROBES and at["port"] == port["name"], probe
        listens = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert str(port["containerPort"]) in (listens.get("MONITOR_PORT"), container["args"][-1])


def test_a_server_whose_database_is_away_is_not_restarted() -> None:
    (server,) = [container for _, _, container in pods() if container["name"] == "server"]

    assert server["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert server["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_selectors_match_the_labels_of_pods_and_services_are_what_others_call() -> None:
    templates = [found["spec"]["template"] for found, _, _ in pods()]
    labels = [template["metadata"]["labels"] for template in templates if "metadata" in template]
    services = {found["metadata"]["name"]: found["spec"] for found in objects() if found["kind"] == "Service"}
    for found in objects():
        selector = found["spec"].get("selector")
        if selector is not None:
            wanted: Mapping[str, str] = selector.get("matchLabels", selector)
            assert any(wanted.items() <= each.items() for each in labels), found["metadata"]["name"]
    (url,) = [v["value"] for _, _, c in pods() for v in c["env"] if v["name"] == "MONITOR_SERVER_URL"]
    host, _, port = url.removeprefix("http://").partition(":")
    assert str(services[host]["ports"][0]["port"]) == port


def test_nothing_runs_as_root_or_writes_outside_of_its_volumes() -> None:
    for _, spec, container in pods():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert spec["automountServiceAccountToken"] is False
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in spec["volumes"]}
        assert "/data" in {mount["mountPath"] for mount in container["volumeMounts"]}
