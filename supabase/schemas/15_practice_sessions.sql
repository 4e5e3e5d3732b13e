-- Practice sessions: what each learner answered in each.

create table public.practice_sessions (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  session_id text collate "C" not null,
  responses int not null check (responses > 0),
  correct int not null check (correct between 0 and responses),
  started_at timestamptz not null,
  ended_at timestamptz not null check (ended_at >= started_at),
  version bigint not null,
  checksum bigint,
  primary key (tenant_id, student_id, session_id)
) with (fillfactor = 80);

alter table public.practice_sessions enable row level security;
create policy own_rows on public.practice_sessions for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.practice_sessions from public, anon, authenticated;
grant select on public.practice_sessions to authenticated;
grant all on public.practice_sessions to service_role;

create function mastery.session_checksum(
  tenant_id text, student_id text, session_id text, responses int, correct int,
  started_at timestamptz, ended_at timestamptz, version bigint) returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(
  row(tenant_id, student_id, session_id, responses, correct, started_at, ended_at, version), 0);

revoke execute on function mastery.session_checksum from public, anon, authenticated;
grant execute on function mastery.session_checksum to service_role;
