"""The tarball that `npm pack` makes of the TypeScript package, and an app that installs it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.fences import code_blocks
from tests.support.servers import server_variables

_ROOT: Final = Path(__file__).parents[2]
_PACKAGE: Final = _ROOT / "contracts" / "typescript"
_APP: Final = """\
import { OutcomeWaiter, Publisher, STREAMS, follow, newestOnly, responseRecorded, subscribe,
  type MasteryChanged } from "@mastery-engine/contracts";
import { Redis } from "ioredis";
const redis = new Redis({ lazyConnect: true });
const mastery = (event: MasteryChanged): number => event.data.mastery;
console.log(new Publisher(redis) instanceof Publisher, STREAMS.responses,
  [OutcomeWaiter, follow, newestOnly, responseRecorded, subscribe, mastery].map((f) => typeof f));
"""


pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in a repository of its own, with the tarball that `npm pack` made."""
    (source,) = server_variables("TEST_TYPESCRIPT_PACKAGE")
    copy = tmp_path_factory.mktemp("npm") / "contracts" / "typescript"
    ignored = shutil.ignore_patterns("node_modules", "dist", "build", "*.tgz")
    shutil.copytree(_PACKAGE, copy, ignore=ignored)
    (copy / "node_modules").symlink_to(Path(source) / "node_modules")
    _run(["npm", "pack", "--silent"], copy)
    return copy


def _run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tarball(packed: Path) -> Path:
    described = json.loads((packed / "package.json").read_text())
    return packed / f"mastery-engine-contracts-{described['version']}.tgz"


def test_given_npm_pack_then_it_holds_code_types_and_licence_alone(packed: Path) -> None:
    listed = _run(["tar", "-tzf", _tarball(packed)], packed).split()
    modules = {file.stem for file in (_PACKAGE / "src").glob("*.ts")}
    compiled = {
        f"package/dist/{module}{ending}"
        for module in modules
        for ending in (".js", ".js.map", ".d.ts")
    }
    sources = {f"package/src/{module}.ts" for module in modules}
    about = {f"package/{name}" for name in ("LICENSE", "README.md", "package.json")}

    assert set(listed) == compiled | sources | about
    assert len(listed) == len(set(listed))


def test_given_the_tarball_when_an_app_installs_it_then_it_works(
    packed: Path, tmp_path: Path
) -> None:
    module = tmp_path / "node_modules" / "@mastery-engine" / "contracts"
    module.mkdir(parents=True)
    _run(["tar", "-xzf", _tarball(packed), "--strip-components=1", "-C", module], tmp_path)
    # What the app has itself: the package brings no dependency.
    own = packed / "node_modules"
    for installed in own.iterdir():
        if installed.name not in {"@mastery-engine", ".package-lock.json"}:
            (tmp_path / "node_modules" / installed.name).symlink_to(installed)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "app.ts").write_text(_APP)
    _run(
        [own / ".bin" / "tsc", "--strict", "--module", "nodenext", "--types", "node", "app.ts"],
        tmp_path,
    )

    said = _run(["node", "app.js"], tmp_path)

    assert said.startswith("true practice.responses.v1")
    assert said.count("'function'") == 6


def test_given_the_readme_when_followed_then_the_tarball_is_installed(tmp_path: Path) -> None:
    (source,) = server_variables("TEST_TYPESCRIPT_PACKAGE")
    assert source
    clone, app = tmp_path / "mastery-engine", tmp_path / "your-app"
    ignored = shutil.ignore_patterns("node_modules", "dist", "build", "*.tgz")
    shutil.copytree(_PACKAGE, clone / "contracts" / "typescript", ignore=ignored)
    (commands,) = [b for b in code_blocks(_PACKAGE / "README.md", "sh") if "npm pack" in b]

    _run(["bash", "-ec", commands], clone, npm_config_prefer_offline="true")

    described = json.loads((app / "package.json").read_text())
    assert described["dependencies"]["@mastery-engine/contracts"].startswith("file:vendor/")
    code = 'import { Publisher } from "@mastery-engine/contracts"; console.log(Publisher.name)'
    assert _run(["node", "--input-type=module", "-e", code], app) == "Publisher\n"
    # The app has chosen ioredis; the package brings nothing else.
    assert described["dependencies"].keys() == {"@mastery-engine/contracts", "ioredis"}
