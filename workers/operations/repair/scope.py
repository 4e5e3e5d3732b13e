"""The learners a repair covers, and the cursor with which it resumes."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from workers.estimation.learner import LearnerKey


class TenantKey(Protocol):
    """A key that begins with its tenant, such as that of a learner or a practice session."""

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        ...


Key = TypeVar("Key", bound=TenantKey)

NextPage = Callable[[Key], Awaitable[list[Key]]]
"""The keys that follow a key, each tenant's side by side; none at the end."""


@dataclass(frozen=True, slots=True)
class Scope:
    """All learners, those of a tenant, or one.

    Args:
        tenant_id: None for all tenants.
        student_id: None for all students; a student is one of a tenant.

    Raises:
        ValueError: a student without a tenant.
    """

    tenant_id: str | None = None
    student_id: str | None = None

    def __post_init__(self) -> None:
        if self.student_id is not None and self.tenant_id is None:
            raise ValueError("a student is one of a tenant: name the tenant too")

    @property
    def one(self) -> LearnerKey | None:
        """The learner, where it is one."""
        if self.tenant_id is None or self.student_id is None:
            return None
        return LearnerKey(self.tenant_id, self.student_id)

    async def learners(
        self, following: NextPage[LearnerKey], after: LearnerKey | None = None
    ) -> AsyncIterator[list[LearnerKey]]:
        """Pages of the learners in scope, of those that `following` knows.

        The one learner of a narrow scope is given without asking.

        Args:
            following: see `NextPage`.
            after: only those after it.
        """
        if self.one is not None:
            if after is None or after < self.one:
                yield [self.one]
            return
        async for page in self.pages(following, after or LearnerKey(self.tenant_id or "", "")):
            yield page

    async def pages(self, following: NextPage[Key], after: Key) -> AsyncIterator[list[Key]]:
        """Yield pages of the keys in scope, for keys of any kind.

        Args:
            following: see `NextPage`.
            after: only keys after this one, which is of the tenant in scope, or of tenant ``""``.
        """
        while page := await following(after):
            own = [key for key in page if self.tenant_id in {None, key.tenant_id}]
            if own:
                yield own
            if len(own) < len(page):
                return
            after = page[-1]


class Phase(StrEnum):
    """What a reconciliation was at when it was interrupted."""

    PUBLISH = "publish"
    GRAPH = "graph"


class Cursor(NamedTuple):
    """Where a reconciliation goes on: everything up to this learner is done."""

    phase: Phase
    after: LearnerKey

    def __str__(self) -> str:
        """As text that needs no quotes anywhere."""
        return base64.urlsafe_b64encode(json.dumps([self.phase, *self.after]).encode()).decode()

    @classmethod
    def of_text(cls, text: str) -> "Cursor":
        """Read what `str` wrote.

        Raises:
            ValueError: it is no cursor.
        """
        try:
            phase, *names = json.loads(base64.urlsafe_b64decode(text.encode()))
            tenant_id, student_id = (str(name) for name in names)
            return cls(Phase(phase), LearnerKey(tenant_id, student_id))
        except (ValueError, TypeError):  # of base64 and JSON too
            raise ValueError(f"{text!r} is no cursor: give what the command printed") from None
