"""Learners who go on under an earlier version of the parameters while others are active.

An activation makes every state outdated at once. To replay the log of each learner who answers
would hold up all the others, so a learner whose answers are in order goes on under the version of
the stored state, until the replay in the background has reached it.
"""

import structlog

from workers.common.errors import ParametersRefused
from workers.common.retrying import Retrying
from workers.engine.group import LearnerGroup
from workers.estimation.parameters import Parameters
from workers.ledger.parameter_versions import Versions

_log = structlog.get_logger(__name__)


class EarlierVersions:
    """Decides which learners go on under the version that they have.

    Args:
        versions: the versions of the parameters.
        retrying: waits for the ledger while it is away.
    """

    def __init__(self, versions: Versions, retrying: Retrying) -> None:
        self._versions = versions
        self._retrying = retrying
        self._unreadable: set[int] = set()

    async def keep(self, group: LearnerGroup, active: Parameters) -> None:
        """Keep a learner under the version of the stored state, if that has to be.

        A learner is replayed instead if the log is loaded, a response is late, or this engine can't
        read the version.

        Args:
            group: a loaded learner with new responses.
            active: the active parameters.
        """
        state = group.state
        version = state.learner.parameters_version
        if state.learner.last is None or version in {active.version, *self._unreadable}:
            return
        if state.log is not None or state.late(group.responses()):
            return
        try:
            group.parameters = await self._retrying.call(lambda: self._versions.of(version))
        except ParametersRefused as error:
            self._unreadable.add(version)
            _log.warning("earlier_version_unreadable", version=version, reason=str(error))
