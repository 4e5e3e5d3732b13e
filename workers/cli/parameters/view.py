"""Versions of the parameters as text for a person."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from workers.estimation.parameters import Parameters
from workers.ledger.parameters import Activation, ParametersVersion, StoredParameters
from workers.modelling.judging.deciding import Decision


def listing(versions: Iterable[ParametersVersion], active: Activation) -> list[str]:
    """One line for each version, the active one marked, and since when it is."""
    lines = [
        f"{'*' if one.version == active.version else ' '} {one.version:>5}  {one.model:<14}  "
        f"{one.created_at or '-':<27}  {one.note}".rstrip()
        for one in versions
    ]
    if active.activated_at is not None:
        lines.append(
            f"version {active.version} is active since {active.activated_at}: {active.reason}"
        )
    return lines


def whole(stored: StoredParameters, parameters: Parameters, *, active: bool) -> list[str]:
    """What is in a version, and what was found out when it was fitted."""
    scales = ", ".join([*parameters.scales, *(["any other"] if parameters.any_scale else [])])
    return [
        f"version      {stored.version}{', active' if active else ''}",
        f"model        {stored.model}",
        f"stored       {stored.created_at or '-'}",
        f"note         {stored.note}".rstrip(),
        f"concepts     {len(parameters.concepts)} with parameters of their own",
        f"items        {len(parameters.items)} with parameters of their own",
        f"scales       {scales or 'none is calibrated'}",
        *_decision(stored.diagnostics),
        f"diagnostics  {json.dumps(dict(stored.diagnostics), indent=2, ensure_ascii=False)}",
    ]


def _decision(diagnostics: Mapping[str, Any]) -> list[str]:
    """A line with the decision of a calibration; diagnostics of an imported version are free."""
    match diagnostics:
        case {
            "decision": {"activate": bool(), "reason": str()} as decision,
            "compared_with": compared_with,
        }:
            sentence = Decision.of(decision).sentence
            return [f"decision     {sentence} (compared with version {compared_with})"]
    return []
