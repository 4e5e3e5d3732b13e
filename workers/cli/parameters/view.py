"""Versions of the parameters as text."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from workers.cli.parameters.table import tables
from workers.estimation.parameters import Parameters
from workers.ledger.parameters import Activation, ParametersVersion, StoredParameters
from workers.modelling.judging.deciding import Decision


def listing(versions: Iterable[ParametersVersion], active: Activation) -> list[str]:
    """Return one line per version, with the active one marked, and when it was activated."""
    lines = [
        f"{'*' if version.version == active.version else ' '} {version.version:>5}  "
        f"{version.model:<14}  {version.created_at or '-':<27}  {version.note}".rstrip()
        for version in versions
    ]
    if active.activated_at is not None:
        lines.append(
            f"version {active.version} is active since {active.activated_at}: {active.reason}"
        )
    return lines


def details(
    stored: StoredParameters, parameters: Parameters, *, active: bool, most: int
) -> list[str]:
    """Return the diagnostics of a version, and its parameters as tables.

    Args:
        stored: the version as it is stored.
        parameters: its parameters.
        active: True if it is the active version.
        most: at most this many concepts and this many items.
    """
    scales = ", ".join([*parameters.scales, *(["any other"] if parameters.any_scale else [])])
    return [
        f"version      {stored.version}{', active' if active else ''}",
        f"model        {stored.model}",
        f"stored       {stored.created_at or '-'}",
        f"note         {stored.note}".rstrip(),
        f"concepts     {len(parameters.concepts)} with own parameters",
        f"items        {len(parameters.items)} with own parameters",
        f"scales       {scales or 'none is calibrated'}",
        *_decision(stored.diagnostics),
        f"diagnostics  {json.dumps(dict(stored.diagnostics), indent=2, ensure_ascii=False)}",
        "",
        *tables(parameters, most),
    ]


def _decision(diagnostics: Mapping[str, Any]) -> list[str]:
    """Return the decision of a calibration; imported versions may have other diagnostics."""
    match diagnostics:
        case {
            "decision": {"activate": bool(), "reason": str()} as decision,
            "compared_with": compared_with,
        }:
            sentence = Decision.of(decision).sentence
            return [f"decision     {sentence} (compared with version {compared_with})"]
    return []
