"""Dependencies: locked with hashes, from registries, under known licences."""

import http.server
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

ROOT = Path(__file__).parents[3]
LOCK: Final[list[dict[str, Any]]] = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
FOREIGN: Final = [package for package in LOCK if package["name"] != "mastery-engine"]
NPM_LOCKS: Final = sorted(
    path for path in ROOT.glob("**/package-lock.json") if "node_modules" not in path.parts
)
_PERMISSIVE: Final = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python|MPL|Mozilla|0BSD|Zlib|CC0|Unlicense)\b", re.IGNORECASE
)
_COPYLEFT: Final = re.compile(r"\b(GPL|AGPL|LGPL|General Public|SSPL|BUSL)", re.IGNORECASE)


def test_given_the_lock_then_packages_are_of_the_registry_and_have_hashes() -> None:
    assert len(FOREIGN) > 50
    for package in FOREIGN:
        assert package["source"] == {"registry": "https://pypi.org/simple"}, package["name"]
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files, package["name"]
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]), file["url"]
            assert file["url"].startswith("https://files.pythonhosted.org/"), file["url"]


def test_given_the_locks_of_npm_when_read_then_each_package_has_a_hash() -> None:
    assert NPM_LOCKS
    for lock in NPM_LOCKS:
        for name, package in json.loads(lock.read_text())["packages"].items():
            if name and not package.get("inBundle"):
                assert package["integrity"].startswith("sha512-"), (lock, name)
                # Left out, it is the registry that npm is set to; never another place.
                registry = "https://registry.npmjs.org/"
                assert package.get("resolved", registry).startswith(registry), (lock, name)


def test_given_the_dockerfile_then_it_installs_the_lock_and_is_not_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    syncs = re.findall(r"uv sync[^\n]*", text)
    assert syncs
    assert all("--locked" in sync for sync in syncs)
    assert re.search(r"pip install \"uv==\$\{UV_VERSION\}\"", text)
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users[-1] == "10001:10001"
    assert text.index("USER 10001") < text.index("ENTRYPOINT")


def test_given_pyjwt_when_locked_then_it_has_the_fixes_that_tokens_rely_on() -> None:
    (version,) = [p["version"] for p in LOCK if p["name"] == "pyjwt"]
    assert tuple(map(int, version.split("."))) >= (2, 15, 1)


def test_given_the_installed_packages_then_all_licences_are_permissive() -> None:
    unknown = {}
    for package in FOREIGN:
        try:
            metadata = importlib.metadata.metadata(package["name"])
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform or Python
        named = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
        expression = metadata.get_all("License-Expression") or named
        licence = " ".join(expression or metadata.get_all("License") or [])
        first_line = licence.strip().partition("\n")[0]
        if not _PERMISSIVE.search(first_line) or _COPYLEFT.search(first_line):
            unknown[package["name"]] = first_line
    assert unknown == {}


# The audit, against a service of the test's own


@contextmanager
def _vulnerabilities(known: dict[str, str]) -> Iterator[str]:
    """A service in OSV's form that knows vulnerabilities by package; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            names = [query["package"]["name"] for query in asked]
            self._answer(
                {
                    "results": [
                        {"vulns": [{"id": known[name], "modified": "2026-01-01T00:00:00Z"}]}
                        if name in known
                        else {}
                        for name in names
                    ]
                }
            )

        def do_GET(self) -> None:
            identifier = self.path.rpartition("/")[2]
            self._answer(
                {
                    "id": identifier,
                    "modified": "2026-01-01T00:00:00Z",
                    "summary": "made up for a test",
                    "affected": [],
                }
            )

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _audit(service: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("uv") is None:
        if os.environ.get("CI"):
            pytest.fail("uv is not on the path: .ci/audit can't be tried", pytrace=False)
        pytest.skip("uv is not on the path: the audit can't be tried")
    return subprocess.run(
        ["bash", ROOT / ".ci" / "audit", "--service-url", service],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )


def test_given_no_known_vulnerability_when_audited_then_it_passes() -> None:
    with _vulnerabilities({"left-pad": "PYSEC-2026-0"}) as service:
        done = _audit(service)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_given_a_known_vulnerability_then_the_audit_fails_and_names_it() -> None:
    with _vulnerabilities({"pyjwt": "PYSEC-2026-1"}) as service:
        done = _audit(service)
    assert done.returncode != 0, done.stdout
    assert "PYSEC-2026-1" in done.stdout
    assert "pyjwt" in done.stdout


def test_given_an_absent_service_then_the_audit_is_skipped_with_the_reason() -> None:
    done = _audit("http://127.0.0.1:9/")
    assert done.returncode == 0, done.stdout
    assert "skipped, the service cannot be reached" in done.stdout
