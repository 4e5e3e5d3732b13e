"""Calibration on a Dask cluster: equal to the local one, with a worker killed, without secrets."""

import asyncio
import os
import pickle
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import dask.config
import psutil  # type: ignore[import-untyped]  # has no types of its own
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from tests.support.ledger_files import FILE, SECRET, open_from_file
from tests.unit.modelling.calibration_run.test_calibrator import practised, said_nothing
from workers.common.errors import CalibrationFailed
from workers.common.retrying import NoRetry
from workers.ledger.memory.ledger import MemoryLedger
from workers.modelling.calibration.steps import Step
from workers.modelling.calibration_run.calibrator import Calibrator
from workers.modelling.calibration_run.request import Request
from workers.modelling.cluster import work as work_module
from workers.modelling.cluster.address import check_address
from workers.modelling.cluster.work import cluster_work

_WITHIN_S = 240
_PASSWORD = "correct-horse"


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("few_parts")
async def test_given_a_worker_killed_in_a_fit_then_the_cluster_equals_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MemoryLedger()
    await practised(ledger, 60)
    file = tmp_path / "ledger"
    file.write_bytes(pickle.dumps(ledger))
    request = Request("bkt", dry_run=True)
    local = await Calibrator(ledger=ledger, retrying=NoRetry()).calibrate(request, said_nothing)

    monkeypatch.setattr(work_module, "_LEARNERS", 25)
    sent: list[bytes] = []
    submit = work_module.ClusterWork._submit

    def noted(self: Any, name: str, task: Any, *arguments: Any) -> Any:
        plain = [part for part in arguments if not isinstance(part, list)]
        sent.append(pickle.dumps((task, plain)))
        return submit(self, name, task, *arguments)

    monkeypatch.setattr(work_module.ClusterWork, "_submit", noted)
    killed: list[int] = []

    async def kill(address: str) -> None:
        """Kill the worker that runs the fit, once."""
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            while not killed:
                for worker, keys in (await client.processing()).items():
                    if any(str(key).startswith("mastery-fit 0") for key in keys):
                        pids = await client.run(os.getpid, workers=[worker])
                        os.kill(pids[worker], signal.SIGKILL)
                        killed.append(pids[worker])
                await asyncio.sleep(0.05)

    settings = {FILE: str(file), SECRET: _PASSWORD}
    async with (
        asyncio.timeout(_WITHIN_S),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            env=settings,
            local_directory=str(tmp_path),
            asynchronous=True,
        ) as cluster,
    ):
        address = cluster.scheduler_address
        assert address.startswith("tcp://127.0.0.1:")
        calibrator = Calibrator(
            ledger=ledger,
            retrying=NoRetry(),
            open_work=partial(cluster_work, address, ledger, NoRetry(), open_from_file),
        )
        killer = asyncio.create_task(kill(address))
        remote = await calibrator.calibrate(request, said_nothing)
        await killer
        # Those of a killed worker are removed by Dask, when the next one begins there.
        assert len(list(tmp_path.glob("**/mastery-calibration-*"))) <= 1  # noqa: ASYNC240

    assert killed
    assert remote.parameters == local.parameters
    assert remote.comparison == local.comparison
    apart = {"run", "until_us", "active_since"}
    for name in local.diagnostics.keys() - apart:
        assert remote.diagnostics[name] == local.diagnostics[name], name
    assert len(sent) > 4
    assert not any(_PASSWORD.encode() in task for task in sent)


@pytest.mark.filterwarnings("default")
async def test_given_tls_and_a_stopped_command_then_its_step_ends(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    await practised(ledger, 60)
    file = tmp_path / "ledger"
    file.write_bytes(pickle.dumps(ledger))
    security = Security.temporary()
    async with (
        asyncio.timeout(_WITHIN_S),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=True,
            protocol="tls://",
            security=security,
            dashboard_address=None,
            env={FILE: str(file), SECRET: _PASSWORD},
            local_directory=str(tmp_path),
            asynchronous=True,
        ) as cluster,
    ):
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with pytest.raises(CalibrationFailed, match="no cluster can be reached"):
            async with cluster_work(address, ledger, NoRetry(), open_from_file):
                raise AssertionError("without a certificate")
        own = security.get_tls_config_for_role("client")
        names = {"ca-file": "ca_file", "client.cert": "cert", "client.key": "key"}
        tls = {f"distributed.comm.tls.{name}": own[key] for name, key in names.items()}
        with dask.config.set(tls):
            async with cluster_work(address, ledger, NoRetry(), open_from_file) as work:
                facts = await work.read(await ledger.clock_us(), _nothing)
                assert facts.learners == 60
                fit = asyncio.create_task(work.fit("bkt-irt", Step("ability 0"), {}))
                here = psutil.Process()
                while not _steps(here):
                    await asyncio.sleep(0.05)
                assert not fit.done()
                fit.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await fit
                while _steps(here):
                    await asyncio.sleep(0.05)


async def _nothing(_: float) -> None:
    """Take the progress."""


def _steps(here: psutil.Process) -> list[psutil.Process]:
    """Return the processes of steps below a process."""
    steps = []
    for process in here.children(recursive=True):
        with suppress(psutil.Error):
            if any("step_process" in word for word in process.cmdline()):
                steps.append(process)
    return steps


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://10.0.0.7:8786", "has no TLS"),
        ("tcp://scheduler:8786", "has no TLS"),
        ("scheduler:8786", "give that of its scheduler"),
        ("tls://scheduler", "give that of its scheduler"),
        ("ws://127.0.0.1:8786", "give that of its scheduler"),
    ],
)
def test_given_an_address_without_tls_then_it_is_refused(address: str, why: str) -> None:
    with pytest.raises(CalibrationFailed, match=why):
        check_address(address)


def test_given_tls_or_a_loopback_address_then_it_is_taken() -> None:
    for address in ("tls://scheduler:8786", "tcp://127.0.0.1:1", "tcp://[::1]:1"):
        check_address(address)
