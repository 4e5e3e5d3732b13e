"""The Helm chart: what it renders fits the engine's settings, commands, routes and streams."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from tests.support.chart import CHART, Manifest, container, helm, of_kind, pods, refusal, rendered
from workers.cli.main import app
from workers.common.tasks import GRACE_S
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.metrics.health import Health
from workers.web import server
from workers.web.http import health_routes

pytestmark = pytest.mark.servers

_ROOT: Final = Path(__file__).parents[3]
_SECRET: Final = {
    "DATABASE_URL": "postgresql://worker:uP0meiGh9quo@db/postgres?sslmode=verify-full",
    "JWT_SECRET": "aeBohvoe6ohShiez0Oowaivei3Ahquae",
    "NEO4J_PASSWORD": "Ohy6aengahd8",
    "NEO4J_URI": "neo4j+s://graph",
    "REDIS_URL": "rediss://worker:ieTh4eequ1Oo@redis:6379/0",
    "SUPABASE_SERVICE_ROLE_KEY": "Eib9shu2Thee",
}
_ALL_SECRETS: Final = {name: {"name": "s", "key": name} for name in _SECRET}
_WHOLE: Final[Manifest] = {
    "settings": {
        "JWT_ISSUER": "https://issuer.example",
        "SUPABASE_URL": "https://project.supabase.co",
        "STREAM_SHARDS": 4,
        "STREAM_RETENTION_S": 2_592_000,
        "CORS_ALLOWED_ORIGINS": ["https://app.example", "https://admin.example"],
        "STRICT": True,
        "LOG_FORMAT": None,
    },
    "secrets": _ALL_SECRETS,
}


def _environment(pod: Manifest, values: Manifest) -> dict[str, Any]:
    """Return the variables of a container: text, or the key of a Secret."""
    config = of_kind("ConfigMap", values)[""]
    only = container(pod)
    given: dict[str, Any] = {}
    for source in only.get("envFrom", []):
        assert source == {"configMapRef": {"name": config["metadata"]["name"]}}
        given |= config["data"]
    for entry in only["env"]:
        reference = entry.get("valueFrom", {})
        if "resourceFieldRef" not in reference:
            given[entry["name"]] = reference.get("secretKeyRef") or entry["value"]
    return given


def test_given_the_chart_when_linted_then_helm_has_nothing_to_say() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_given_the_chart_then_its_version_of_the_engine_is_the_project_s() -> None:
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'appVersion: "{version}"' in (CHART / "Chart.yaml").read_text()


@pytest.mark.parametrize("pod", ["engine", "graph", "jobs", "http", "migrate"])
def test_given_a_pod_when_its_settings_load_then_production_takes_them(
    pod: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = _environment(dict(pods(_WHOLE))[pod], _WHOLE)
    assert {name.lower() for name in environment} <= set(Settings.model_fields)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value if isinstance(value, str) else _SECRET[value["key"]])
    settings = load_settings(tmp_path)
    assert settings.environment == "production"
    assert settings.stream_shards == 4
    assert settings.stream_retention_s == 2_592_000
    assert settings.cors_allowed_origins == ("https://app.example", "https://admin.example")
    assert settings.strict
    assert settings.log_format is None


def test_given_secrets_then_pods_name_them_and_no_manifest_holds_one() -> None:
    assert of_kind("Secret", _WHOLE) == {}
    for _, pod in pods(_WHOLE):
        for name, value in _environment(pod, _WHOLE).items():
            assert isinstance(value, dict) == (name in _ALL_SECRETS), name
    config = of_kind("ConfigMap", _WHOLE)[""]["data"]
    assert config.keys().isdisjoint(_ALL_SECRETS)


@pytest.mark.parametrize("name", sorted(_SECRET.keys() - {"NEO4J_URI"}))
def test_given_a_secret_among_the_settings_then_it_is_refused(name: str) -> None:
    secrets = {other: None if other == name else of for other, of in _ALL_SECRETS.items()}
    values = {"settings": {name: "x"}, "secrets": secrets}
    assert f"settings.{name} is a secret" in refusal(values)


def test_given_a_user_for_migrations_then_the_job_alone_gets_it() -> None:
    values = {"migrations": {"databaseUrlSecret": {"name": "owner", "key": "url"}}}
    by_name = dict(pods(values))
    assert _environment(by_name["migrate"], values)["DATABASE_URL"]["name"] == "owner"
    assert _environment(by_name["engine"], values)["DATABASE_URL"]["name"] == "mastery-engine"


def test_given_the_pods_then_the_command_line_takes_their_arguments() -> None:
    mastery: Any = typer.main.get_command(app)
    seen = set()
    for name, pod in pods():
        command, rest = mastery, list(container(pod)["args"])
        while hasattr(command, "commands"):
            word = rest.pop(0)
            command = command.commands[word]
        parameters = command.make_context(word, rest).params
        if name != "migrate":
            assert [role.value for role in parameters["role"]] == [name]
            assert not parameters["burst"]
        seen.add(name)
    assert seen == {"engine", "graph", "jobs", "http", "migrate"}


def test_given_the_migration_then_it_runs_before_what_needs_it() -> None:
    job = of_kind("Job")["migrate"]
    assert container(job["spec"]["template"])["args"] == ["migrate", "up"]
    hook = job["metadata"]["annotations"]
    assert hook["helm.sh/hook"] == "pre-install,pre-upgrade"
    # Objects of the release do not exist yet at the first install.
    assert "envFrom" not in container(job["spec"]["template"])
    policy = of_kind("NetworkPolicy")["migrate"]
    before = policy["metadata"]["annotations"]
    assert int(before["helm.sh/hook-weight"]) < int(hook["helm.sh/hook-weight"])
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= _labels(job).items()


def test_given_the_probes_then_the_app_serves_their_paths() -> None:
    served = {getattr(route, "path", None) for route in health_routes(Health([], version="1"))}
    config = of_kind("ConfigMap")[""]["data"]
    for document in of_kind("Deployment").values():
        only = container(document["spec"]["template"])
        ports = {port["name"]: port["containerPort"] for port in only["ports"]}
        assert ports["http"] == int(config["HTTP_PORT"])
        assert ports["inner"] == int(config["HTTP_INNER_PORT"])
        wanted = {"startup": "/health/live", "liveness": "/health/live"} | {
            "readiness": "/health/ready"
        }
        for probe, path in wanted.items():
            get = only[f"{probe}Probe"]["httpGet"]
            assert get == {"path": path, "port": "inner"}
            assert path in served


def test_given_a_stop_then_a_pod_may_take_as_long_as_a_worker_needs() -> None:
    # Batches, then connections, then the two HTTP servers.
    needs_s = 2 * GRACE_S + 2 * server._GRACE_S
    for name, document in of_kind("Deployment").items():
        pod = document["spec"]["template"]
        stop = container(pod).get("lifecycle", {}).get("preStop", {}).get("exec", {})
        before_s = int(stop.get("command", ["sleep", "0"])[1])
        assert (before_s > 0) == (name == "http")
        assert pod["spec"]["terminationGracePeriodSeconds"] >= needs_s + before_s
        assert document["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_given_the_pods_then_they_run_without_any_privilege() -> None:
    user = re.findall(r"^USER (\d+):\d+$", (_ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for _, pod in pods():
        spec, only = pod["spec"], container(pod)
        assert spec["securityContext"]["runAsNonRoot"]
        assert str(spec["securityContext"]["runAsUser"]) == user[-1]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec["automountServiceAccountToken"]
        # A Service named http would set HTTP_PORT.
        assert not spec["enableServiceLinks"]
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        (writable,) = only["volumeMounts"]
        assert (writable["name"], Path(writable["mountPath"])) == ("tmp", Path("/", "tmp"))
        assert only["resources"]["limits"]["memory"]
        assert only["resources"]["requests"].keys() == {"cpu", "memory"}


def test_given_a_calibration_then_it_counts_the_cores_of_its_pod() -> None:
    jobs = container(of_kind("Deployment")["jobs"]["spec"]["template"])
    (cores,) = [entry for entry in jobs["env"] if entry["name"] == "PYTHON_CPU_COUNT"]
    assert cores["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"


def test_given_services_and_budgets_then_they_select_pods_that_exist() -> None:
    labels = {name: _labels(document) for name, document in of_kind("Deployment").items()}
    selected = {
        name: {worker for worker, own in labels.items() if wanted.items() <= own.items()}
        for name, wanted in {
            **{n: s["spec"]["selector"] for n, s in of_kind("Service").items()},
            **{
                f"budget of {n}": b["spec"]["selector"]["matchLabels"]
                for n, b in of_kind("PodDisruptionBudget").items()
            },
        }.items()
    }
    assert selected == {
        "": {"http"},
        "inner": set(labels),
        **{f"budget of {name}": {name} for name in labels},
    }
    for budget in of_kind("PodDisruptionBudget").values():
        # At least one would block the drain of a node where there is only one.
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]


def test_given_a_monitor_then_it_scrapes_the_inner_service() -> None:
    values = {"metrics": {"serviceMonitor": {"enabled": True}}}
    spec = of_kind("ServiceMonitor", values)[""]["spec"]
    service = of_kind("Service", values)["inner"]
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert spec["endpoints"][0]["path"] == "/metrics"
    assert of_kind("ServiceMonitor") == {}


@pytest.mark.parametrize("peers", [[], [{"podSelector": {"matchLabels": {"app": "gateway"}}}]])
def test_given_policies_then_no_rule_lets_everybody_in(peers: list[Any]) -> None:
    values = {"networkPolicy": {"httpFrom": peers, "innerFrom": peers}}
    policies = of_kind("NetworkPolicy", values)
    rules = {name: policy["spec"]["ingress"] for name, policy in policies.items()}
    assert all(rule["from"] and rule["ports"] for of in rules.values() for rule in of)
    assert ("public" in rules) == bool(peers)
    assert bool(rules[""]) == bool(peers)
    for name in ("", "migrate"):
        assert policies[name]["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"settings": {"STREAM_SHARD": 3}}, "settings.STREAM_SHARD is no setting of the engine"),
        ({"secrets": {"REDIS": {"name": "s", "key": "k"}}}, "secrets.REDIS is no setting"),
        ({"settings": {"HTTP_PORT": 80}}, "settings.HTTP_PORT is decided by the chart"),
        ({"settings": {"NEO4J_URI": "bolt://g"}}, "NEO4J_URI is in settings and in secrets"),
        ({"secrets": {"REDIS_URL": None}}, "secrets.REDIS_URL is missing"),
        ({"secrets": {"DATABASE_URL": None}}, "DATABASE_URL and SUPABASE_URL are missing"),
        ({"secrets": {"NEO4J_URI": None}}, "NEO4J_URI is missing"),
        (
            {"secrets": {"DATABASE_URL": None}, "settings": {"SUPABASE_URL": "https://s"}},
            "migrations need a direct connection",
        ),
        ({"redis": {"cluster": True}}, "redis.cluster needs settings.STREAM_SHARDS of 1 or more"),
        ({"terminationGracePeriodSeconds": 34}, "workers.http needs 35 s"),
        ({"secrets": {"JWT_SECRET": "x"}}, "secrets/JWT_SECRET"),
        ({"settings": {"STREAM_SHARDS": 1025}}, "STREAM_SHARDS"),
        ({"workers": {"engine": {"roles": ["projector"]}}}, "workers/engine/roles"),
        ({"replicas": 3}, "replicas"),
    ],
)
def test_given_values_that_cannot_work_then_a_sentence_says_why(
    values: Manifest, sentence: str
) -> None:
    assert sentence in refusal(values)


def test_given_one_process_for_all_then_one_deployment_has_the_roles() -> None:
    off = {name: {"enabled": False} for name in ("graph", "jobs", "http")}
    engine = {"roles": ["engine", "graph", "jobs", "http"], "public": True}
    deployments = of_kind("Deployment", {"workers": {"engine": engine, **off}})
    assert set(deployments) == {"engine"}
    pod = deployments["engine"]["spec"]["template"]
    assert container(pod)["args"][2::2] == ["engine", "graph", "jobs", "http"]
    assert _labels(deployments["engine"])["mastery-public"] == "true"


def test_given_the_kubernetes_schemas_then_every_object_follows_them() -> None:
    reason = "run it with: uv run --with kubernetes-validate pytest tests/unit/deploy"
    schemas = pytest.importorskip("kubernetes_validate", reason=reason)
    for document in rendered(_WHOLE):
        for version in ("1.28", "1.34"):
            schemas.validate(document, version, strict=True)


def _labels(document: Manifest) -> dict[str, str]:
    return dict(document["spec"]["template"]["metadata"]["labels"])
