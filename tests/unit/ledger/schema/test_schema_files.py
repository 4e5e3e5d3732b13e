"""The files of migrations: their names, versions and rollbacks, and where they lie."""

from pathlib import Path

import pytest

from workers.common.errors import MigrationError
from workers.ledger.schema import migrations, schema_files
from workers.ledger.schema.schema_files import migration_files


def write(base: Path, folder: str, name: str, sql: str = "select 1") -> None:
    (base / folder).mkdir(exist_ok=True)
    (base / folder / name).write_text(sql)


def test_given_this_program_then_each_migration_file_has_a_rollback() -> None:
    files = migration_files()
    assert files
    assert [f.version for f in files] == sorted(f.version for f in files)
    assert all(f.name.startswith(migrations.OURS) for f in files)
    assert all(file.down for file in files)


def test_given_a_file_with_another_name_then_the_form_of_names_is_told(
    tmp_path: Path,
) -> None:
    write(tmp_path, "migrations", "1_early.sql")
    with pytest.raises(MigrationError, match=r"1_early\.sql must be named <14 digits>"):
        migration_files(tmp_path)


def test_given_two_files_of_one_version_when_read_then_both_are_named(tmp_path: Path) -> None:
    write(tmp_path, "migrations", "20260101000000_a.sql")
    write(tmp_path, "migrations", "20260101000000_b.sql")
    with pytest.raises(MigrationError, match=r"20260101000000_a, .*20260101000000_b\.sql"):
        migration_files(tmp_path)


def test_given_a_rollback_of_no_migration_when_read_then_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, "migrations", "20260101000000_a.sql")
    write(tmp_path, "rollbacks", "20260101000000_b.sql")
    with pytest.raises(MigrationError, match="20260101000000_b"):
        migration_files(tmp_path)


def test_given_an_installed_wheel_then_its_own_files_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "workers" / "ledger"
    monkeypatch.setattr(schema_files, "__file__", str(package / "schema_files.py"))
    write_parent = package / "sql"
    write_parent.mkdir(parents=True)
    write(write_parent, "migrations", "20260101000000_a.sql")
    assert schema_files.schema_directory() == write_parent


def test_given_no_files_at_all_then_the_installation_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_files, "__file__", str(tmp_path / "a" / "b" / "c" / "d.py"))
    with pytest.raises(MigrationError, match="install the package again"):
        migration_files()
