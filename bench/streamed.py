"""Compare predictions of streamed responses with those of `mastery evaluate`, and measure the rate.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.streamed FILE --limit 20000

Parameters are fitted to the file's responses, stored and activated. Then the responses go through
the recorder into Postgres, and each stored prediction is compared with the evaluation's.
"""

import argparse
import asyncio
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tests.support.servers import fresh_database, server_variables
from tests.support.streamed import largest_difference, stream
from workers.estimation.documents import parameters_document
from workers.importing.csv_responses import CsvResponses
from workers.ledger.sql.direct import DirectLedger
from workers.modelling.calibration.fitting import COMBINED, MODELS, fit
from workers.modelling.evaluation.reading import logs_of
from workers.operations.repair.verifying import verify


async def _main(options: argparse.Namespace) -> None:
    logs = logs_of(islice(CsvResponses(options.file), options.limit))
    fitted = fit(options.model, list(logs.values())).parameters
    (url,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(url, migrated=True) as dsn:
        ledger = DirectLedger(dsn)
        version = await ledger.store(options.model, parameters_document(fitted), {}, "bench")
        await ledger.activate(version, "bench")
        parameters = replace(fitted, version=version)
        began = time.perf_counter()
        count = await stream(ledger, logs, parameters, options.batch)
        seconds = time.perf_counter() - began
        apart = await largest_difference(dsn, logs, parameters)
        wrong = [
            difference
            async for page in verify(ledger, parameters)
            for difference in page.differences
        ]
        await ledger.close()
    print(f"{options.model}: {count} responses of {len(logs)} learners, {count / seconds:.0f}/s")
    print(f"largest difference of a prediction: {apart:g}; differences of verify: {len(wrong)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", choices=list(MODELS), default=COMBINED)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch", type=int, default=500)
    asyncio.run(_main(parser.parse_args()))
