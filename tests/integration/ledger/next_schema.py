"""The migration that a next version may bring: `commit` changed, drafted from its schema file."""

import re
import shutil
from pathlib import Path

from tests.support.servers import MIGRATIONS
from workers.ledger.schema.drafting import draft
from workers.ledger.schema.schema_files import MigrationFile, migration_files


async def next_migrations(directory: Path, server: str) -> tuple[MigrationFile, ...]:
    """Draft the next version's migration in a copy of the schema; return all migrations.

    Args:
        directory: an empty directory for the copy.
        server: DSN of a Postgres on which databases may be created.
    """
    shutil.copytree(MIGRATIONS.parent, directory, dirs_exist_ok=True)
    file = directory / "schemas" / "21_commit.sql"
    answer = r"\n  return json_build_object\(\n"
    text, count = re.subn(answer, r"\g<0>    'drafted', true,\n", file.read_text(encoding="utf-8"))
    assert count == 1
    file.write_text(text, encoding="utf-8")
    made = await draft("next_commit", directory, server=server)
    assert made is not None
    assert made.changed == ("function public.mastery_commit(jsonb)",)
    assert made.by_hand == ()
    return migration_files(directory)
