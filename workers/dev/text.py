"""The text that `mastery dev` prints once it is ready."""

import json
import shlex
from pathlib import Path

from contracts.streams import EVENT_FIELD, MASTERY, RESPONSES
from workers.demo.curriculum import CONCEPTS, SCALE
from workers.dev.curriculum import item_ids
from workers.dev.issuer import Issuer
from workers.dev.practice import response_event
from workers.dev.running import Running, Urls
from workers.dev.students import DEMO_STUDENTS


def text(running: Running, directory: Path | None) -> str:
    """Describe every URL, and how to publish the first answer."""
    urls, student = running.urls, DEMO_STUDENTS[0].student_id
    kept = "Nothing is kept." if directory is None else f"Data is kept in {directory.resolve()}."
    return f"""\
Mastery Engine for development, on this machine alone. {kept} Ctrl-C ends it.

  practice page    {urls.http_url}/
  API and events   {urls.http_url}/docs
  health, metrics  {urls.http_url}/health  {urls.http_url}/metrics
  demo students    {urls.http_url}/dev/students  {urls.http_url}/dev/curriculum
  key set (JWKS)   {urls.jwks_url}
  Redis            {urls.redis_url}

Publish an answer, to the stream (the same line again is a repeat, which counts nothing) or over
HTTP (each call is a new answer):

  {_redis_cli(urls, running.issuer, student)}

  {_curl(urls, student)}

See what it changed, and get a token for another student:

  redis-cli -u {urls.redis_url} XREAD COUNT 10 STREAMS {MASTERY} 0
  uv run mastery token STUDENT
"""


def _answer(student: str) -> dict[str, object]:
    concept = CONCEPTS[0].concept_id
    return {
        "student_id": student,
        "item_id": item_ids(concept)[0],
        "concept_ids": [concept],
        "scale": SCALE,
        "correct": True,
    }


def _redis_cli(urls: Urls, issuer: Issuer, student: str) -> str:
    event = json.dumps(response_event(issuer, _answer(student)), separators=(",", ":"))
    words = ["redis-cli", "-u", urls.redis_url, "XADD", RESPONSES, "*", EVENT_FIELD, event]
    return shlex.join(words)


def _curl(urls: Urls, student: str) -> str:
    body = json.dumps(_answer(student), separators=(",", ":"))
    return shlex.join(["curl", f"{urls.http_url}/dev/responses", "-d", body])
