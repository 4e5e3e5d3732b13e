-- Corrections of the log: append-only; the newest correction of a response counts.

create table public.response_corrections (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  response_id uuid not null,
  kind text collate "C" not null check (kind in ('void', 'rescore')),
  score float8 check (score between 0 and 1),
  reason text not null check (reason <> ''),
  corrected_at timestamptz not null,
  version bigint not null,
  checksum bigint,
  check ((kind = 'rescore') = (score is not null)),
  primary key (tenant_id, student_id, response_id, version)
);
comment on table public.response_corrections is
  'Corrections of the log, append-only: the newest correction of a response counts.';
comment on column public.response_corrections.score is
  'Score that counts instead; null for a voided response.';
comment on column public.response_corrections.version is 'Version of the learner that this correction took.';

alter table public.response_corrections enable row level security;
create policy own_rows on public.response_corrections for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.response_corrections from public, anon, authenticated;
grant select on public.response_corrections to authenticated;
grant all on public.response_corrections to service_role;

create function mastery.correction_checksum(
  tenant_id text, student_id text, response_id uuid, kind text, score float8, reason text,
  corrected_at timestamptz, version bigint) returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(
  row(tenant_id, student_id, response_id, kind, score, reason, corrected_at, version), 0);

revoke execute on function mastery.correction_checksum from public, anon, authenticated;
grant execute on function mastery.correction_checksum to service_role;
