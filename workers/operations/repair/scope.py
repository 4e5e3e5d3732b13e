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
"""Returns the keys that follow a key, sorted by tenant first; none at the end."""


@dataclass(frozen=True, slots=True)
class Scope:
    """All learners, those of a tenant, or one.

    Args:
        tenant_id: None for all tenants.
        student_id: None for all students; a student needs a tenant.

    Raises:
        ValueError: a student without a tenant.
    """

    tenant_id: str | None = None
    student_id: str | None = None

    def __post_init__(self) -> None:
        if self.student_id is not None and self.tenant_id is None:
            raise ValueError("a student belongs to a tenant: name the tenant too")

    @property
    def learner(self) -> LearnerKey | None:
        """The learner, if the scope is one learner."""
        if self.tenant_id is None or self.student_id is None:
            return None
        return LearnerKey(self.tenant_id, self.student_id)

    async def learners(
        self, following: NextPage[LearnerKey], after: LearnerKey | None = None
    ) -> AsyncIterator[list[LearnerKey]]:
        """Yield pages of the learners in scope.

        A scope of one learner yields that learner without a call of `following`.

        Args:
            following: see `NextPage`.
            after: only learners after this one.
        """
        if self.learner is not None:
            if after is None or after < self.learner:
                yield [self.learner]
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
            in_scope = [key for key in page if self.tenant_id in {None, key.tenant_id}]
            if in_scope:
                yield in_scope
            if len(in_scope) < len(page):
                return
            after = page[-1]


class Phase(StrEnum):
    """The phase at which a reconciliation was interrupted."""

    PUBLISH = "publish"
    GRAPH = "graph"


class Cursor(NamedTuple):
    """The place where a reconciliation resumes: everything up to this learner is done."""

    phase: Phase
    after: LearnerKey

    def __str__(self) -> str:
        """Return it as text that needs no quoting."""
        return base64.urlsafe_b64encode(json.dumps([self.phase, *self.after]).encode()).decode()

    @classmethod
    def of_text(cls, text: str) -> "Cursor":
        """Read the text of a cursor.

        Raises:
            ValueError: the text is not a cursor.
        """
        try:
            phase, *names = json.loads(base64.urlsafe_b64decode(text.encode()))
            tenant_id, student_id = (str(name) for name in names)
            return cls(Phase(phase), LearnerKey(tenant_id, student_id))
        except (ValueError, TypeError):  # base64 and JSON errors are ValueErrors
            raise ValueError(
                f"{text!r} is not a cursor: give the one that the command printed"
            ) from None
