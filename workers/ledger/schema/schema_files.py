"""The migrations as files: `supabase/migrations` and, of the same name, `supabase/rollbacks`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.common.errors import MigrationError

# What the Supabase CLI takes for a migration, with the 14 digits that it writes itself.
_FILE: Final = re.compile(r"([0-9]{14})_(.+)\.sql")


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One migration.

    Args:
        version: 14 digits, by which migrations are ordered.
        name: the rest of the file's name.
        up: the SQL that applies it.
        down: the SQL that takes it back; None if there is none.
    """

    version: str
    name: str
    up: str
    down: str | None

    def __str__(self) -> str:
        return f"{self.version}_{self.name}"


def schema_directory() -> Path:
    """Find `migrations` and `rollbacks`: in an installed wheel, else in the checkout.

    Raises:
        MigrationError: this installation has neither.
    """
    here = Path(__file__).resolve()
    # The wheel first: in site-packages a directory `supabase` is supabase-py.
    for directory in (here.parent / "sql", here.parents[3] / "supabase"):
        if (directory / "migrations").is_dir():
            return directory
    raise MigrationError(
        f"no migrations beside {here.parent} nor in a checkout around it: install the package again"
    )


def migration_files(directory: Path | None = None) -> tuple[MigrationFile, ...]:
    """Read all migrations, oldest first.

    Args:
        directory: holds `migrations` and `rollbacks`; by default `schema_directory()`.

    Raises:
        MigrationError: a file is misnamed, two share a version, or a rollback belongs to none.
    """
    base = directory or schema_directory()
    rollbacks = {file.name: file for file in (base / "rollbacks").glob("*.sql")}
    files: dict[str, MigrationFile] = {}
    for file in sorted((base / "migrations").glob("*.sql")):
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file} must be named <14 digits>_<name>.sql")
        version, name = match.groups()
        if version in files:
            raise MigrationError(f"two migrations have version {version}: {files[version]}, {file}")
        rollback = rollbacks.pop(file.name, None)
        files[version] = MigrationFile(
            version,
            name,
            file.read_text(encoding="utf-8"),
            rollback.read_text(encoding="utf-8") if rollback else None,
        )
    if rollbacks:
        raise MigrationError(f"rollbacks without a migration of the same name: {sorted(rollbacks)}")
    return tuple(files.values())
