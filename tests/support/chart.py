"""The Helm chart, rendered as an operator does it."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

CHART: Final = Path(__file__).parents[2] / "deploy" / "helm" / "mastery-engine"
RELEASE: Final = "practice"
# A helm that Go built by itself takes the cluster for one of 2020.
_OF_CLUSTER: Final = ("--namespace", "school", "--kube-version", "1.31.0")

Manifest = dict[str, Any]


def helm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run helm; the test is skipped where there is none."""
    return subprocess.run([_helm(), *arguments], capture_output=True, text=True, check=False)


def rendered(values: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Return what the chart makes of values, hooks included."""
    return yaml_documents(json.dumps(values or {}))


@functools.cache
def yaml_documents(values: str) -> list[Manifest]:
    """Render values, written as JSON."""
    done = _template(values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(values: Mapping[str, Any]) -> str:
    """Return why the chart refuses values."""
    done = _template(json.dumps(values))
    assert done.returncode != 0, done.stdout
    return done.stderr


def of_kind(kind: str, values: Mapping[str, Any] | None = None) -> dict[str, Manifest]:
    """Return the objects of a kind by their name, without the release's."""
    prefix = f"{RELEASE}-mastery-engine"
    return {
        document["metadata"]["name"].removeprefix(prefix).removeprefix("-"): document
        for document in rendered(values)
        if document["kind"] == kind
    }


def pods(values: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Manifest]]:
    """Yield each pod template, of workers and of the migration, with its name."""
    for kind in ("Deployment", "Job"):
        for name, document in of_kind(kind, values).items():
            yield name, document["spec"]["template"]


def container(pod: Manifest) -> Manifest:
    """Return the only container of a pod template."""
    (only,) = pod["spec"]["containers"]
    return dict(only)


def _template(values: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [_helm(), "template", RELEASE, str(CHART), *_OF_CLUSTER, "--values", "-"],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def _helm() -> str:
    program = shutil.which("helm") or os.environ.get("TEST_HELM")
    if not program:
        # In CI too: to build helm takes minutes, so a nightly run does (.ci/servers.sh).
        pytest.skip("helm is not installed: INSTALL_HELM=1 bash .ci/servers.sh start builds it")
    return program
