"""Drafts from changed schema files, on an embedded Postgres."""

import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from workers.cli.commands.migrate import app
from workers.common.errors import MigrationError
from workers.ledger.schema import drafting
from workers.ledger.schema.catalogue import read_catalogue
from workers.ledger.schema.drafting import Draft, draft
from workers.ledger.schema.embedded import EmbeddedPostgres
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import migration_files

TABLE = """
create schema mastery;
create table public.answers (student text not null, score float8 not null);
alter table public.answers enable row level security;
revoke all on public.answers from public, anon, authenticated;
grant select on public.answers to authenticated;
"""
FUNCTIONS = """
create function mastery.refuse() returns trigger language plpgsql set search_path = ''
as $$ begin raise exception 'no'; end $$;
create function public.mastery_double(score float8) returns float8
language sql set search_path = '' as $$ select 2 * score $$;
revoke execute on function mastery.refuse, public.mastery_double
  from public, anon, authenticated;
grant execute on function mastery.refuse, public.mastery_double to service_role;
create policy own on public.answers for select to authenticated
  using (student = current_user);
create trigger append_only before delete on public.answers
  for each statement execute function mastery.refuse();
"""


@pytest.fixture
def server(embedded_postgres: EmbeddedPostgres) -> str:
    return embedded_postgres.dsn


@pytest.fixture
async def base(tmp_path: Path) -> Path:
    """A checkout whose one migration is its two schema files."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "1_table.sql").write_text(TABLE)
    (tmp_path / "schemas" / "2_functions.sql").write_text(FUNCTIONS)
    first = await draft("baseline", tmp_path)
    assert first is not None
    assert (tmp_path / "rollbacks").exists() is False
    return tmp_path


def edit(base: Path, file: str, old: str, new: str) -> None:
    path = base / "schemas" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


async def drafted(base: Path, server: str) -> Draft:
    made = await draft("next", base, server=server)
    assert made is not None
    return made


async def assert_both_ways(base: Path, server: str) -> None:
    """The migration gives what the schema files say, its rollback what was before."""
    declared = await drafting._catalogue_of_schema_files(server, base)
    *_, before, newest = files = migration_files(base)
    async with drafting._scratch_database(server) as (dsn, connection):
        runner = Migrations(dsn, files=files)
        await runner.up(before.version)
        first = await read_catalogue(connection)
        assert await runner.up() == [newest.version]
        assert await read_catalogue(connection) == declared != first
        await runner.down()
        assert await read_catalogue(connection) == first


async def test_given_no_migration_then_the_draft_is_the_schema_files_in_order(
    base: Path,
) -> None:
    (file,) = migration_files(base)
    assert file.name == "mastery_baseline"
    assert file.up == f"{TABLE.strip()}\n\n{FUNCTIONS.strip()}\n\nnotify pgrst, 'reload schema';\n"


async def test_given_nothing_changed_when_drafted_then_nothing_is_written(
    base: Path, server: str
) -> None:
    assert await draft("next", base, server=server) is None
    assert len(migration_files(base)) == 1


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("select 2 *", "select 3 *", ["function public.mastery_double(double precision)"]),
        (
            "(score float8) returns float8",
            "(points float8) returns float8",
            ["function public.mastery_double(double precision)"],
        ),
        ("student = current_user", "true", ["policy own on public.answers"]),
        ("before delete on", "before update on", ["trigger append_only on public.answers"]),
        (
            "to service_role;",
            "to authenticated;",
            [
                "grant function mastery.refuse()",
                "grant function public.mastery_double(double precision)",
            ],
        ),
    ],
    ids=["body", "parameter", "policy", "trigger", "grant"],
)
async def test_given_one_change_then_draft_and_rollback_do_that_alone(
    base: Path, server: str, old: str, new: str, changed: list[str]
) -> None:
    if "points" in new:
        edit(base, "2_functions.sql", "select 2 * score", "select 2 * points")
    edit(base, "2_functions.sql", old, new)
    made = await drafted(base, server)
    assert list(made.changed) == changed
    assert made.by_hand == ()
    await assert_both_ways(base, server)


async def test_given_many_changes_when_drafted_then_they_come_in_a_working_order(
    base: Path, server: str
) -> None:
    edit(
        base,
        "2_functions.sql",
        "create policy own",
        """create function mastery.whose() returns text language sql stable
        set search_path = '' as 'select current_user::text';
        comment on function mastery.whose is 'Who''s reading.';
        revoke execute on function mastery.whose from public, anon;
        grant execute on function mastery.whose to authenticated, service_role;
        comment on column public.answers.score is 'From 0 to 1.';
        create policy own""",
    )
    edit(base, "2_functions.sql", "student = current_user", "student = mastery.whose()")
    edit(base, "1_table.sql", "enable row level", "force row level")
    made = await drafted(base, server)
    assert "function mastery.whose()" in made.changed
    assert "row security public.answers" in made.changed
    await assert_both_ways(base, server)
    # A later draft takes the function away again, after the policy that uses it.
    edit(base, "2_functions.sql", "student = mastery.whose()", "student = current_user")
    text = (base / "schemas" / "2_functions.sql").read_text()
    start, end = text.index("create function mastery.whose"), text.index("comment on column")
    (base / "schemas" / "2_functions.sql").write_text(text[:start] + text[end:])
    await drafted(base, server)
    await assert_both_ways(base, server)


async def test_given_a_new_function_then_default_rights_are_revoked_by_name(
    base: Path, server: str
) -> None:
    edit(
        base,
        "2_functions.sql",
        "create policy own",
        "create function public.mastery_one() returns int language sql as 'select 1';\n"
        "revoke execute on function public.mastery_one from public;\ncreate policy own",
    )
    made = await drafted(base, server)
    name = "function public.mastery_one()"
    revoke = f"revoke all on {name} from public, anon, authenticated, service_role;"
    assert revoke in made.files[0].read_text()


async def test_given_a_changed_table_then_it_is_named_as_to_be_done_by_hand(
    base: Path, server: str
) -> None:
    edit(base, "1_table.sql", "score float8 not null", "score float8 not null, attempt int")
    made = await drafted(base, server)
    assert made.by_hand == ("public.answers: add column attempt integer",)
    note = "--   public.answers: {} column attempt integer"
    for file, word, statement in zip(
        made.files, ("add", "remove"), ("add attempt int", "drop attempt"), strict=True
    ):
        text = file.read_text()
        assert note.format(word) in text
        file.write_text(text + f"alter table public.answers {statement};\n")
    await assert_both_ways(base, server)


async def test_given_a_newest_version_in_the_future_then_the_draft_is_newer(
    base: Path, server: str
) -> None:
    (path,) = (base / "migrations").glob("*.sql")
    path.rename(path.with_name("29981231235959_mastery_baseline.sql"))
    edit(base, "2_functions.sql", "select 2 *", "select 3 *")
    made = await drafted(base, server)
    assert [file.name for file in made.files] == ["29990101000000_mastery_next.sql"] * 2


async def test_given_a_broken_schema_file_when_drafted_then_it_is_named(
    base: Path, server: str
) -> None:
    edit(base, "2_functions.sql", "create policy own", "create polic own")
    with pytest.raises(MigrationError, match=r"2_functions\.sql: syntax error.*42601"):
        await draft("next", base, server=server)


@pytest.mark.parametrize("name", ["", "Two Words", "a-b", "../x"])
async def test_given_an_unfit_name_when_drafted_then_the_form_is_told(
    base: Path, name: str
) -> None:
    with pytest.raises(MigrationError, match="small letters, digits and underscores"):
        await draft(name, base)


async def test_given_an_installed_package_then_a_checkout_is_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "migrations").mkdir()
    with pytest.raises(MigrationError, match="in a checkout of the repository"):
        await draft("next", tmp_path)


def test_given_nothing_changed_when_the_command_runs_then_it_says_so(
    base: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "schema_directory", lambda: base)
    monkeypatch.setattr(
        drafting, "EmbeddedPostgres", lambda: nullcontext(SimpleNamespace(dsn=server))
    )
    output = CliRunner().invoke(app, ["draft", "next"]).output
    assert output == "nothing to draft: the migrations give what supabase/schemas says\n"


def test_given_no_server_when_the_command_runs_then_it_names_what_it_wrote(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "schema_directory", lambda: base)
    # Whatever database the settings name is left alone.
    monkeypatch.setitem(os.environ, "DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    edit(base, "2_functions.sql", "select 2 *", "select 3 *")
    edit(base, "1_table.sql", "score float8 not null", "score float8 not null, attempt int")
    lines = CliRunner().invoke(app, ["draft", "next"]).output.splitlines()
    assert [line.split(" /")[0] for line in lines] == [
        "wrote",
        "wrote",
        "changes function public.mastery_double(double precision)",
        "write by hand, in both files: public.answers: add column attempt integer",
    ]
