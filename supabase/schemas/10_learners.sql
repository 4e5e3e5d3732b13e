-- Learners: one row each, which is the learner's lock, version and position.
--
-- A migration alters mastery.learners before any other table: every load and commit begins there,
-- so that none of them holds a later table while the migration waits for an earlier one.
--
-- Keys collate "C": by code point, as the engine sorts them, the same on every server and after
-- every upgrade of the system's locales, which would otherwise corrupt their indexes.

create sequence mastery.learner_version as bigint cache 1;
comment on sequence mastery.learner_version is
  'Versions of learners. A sequence, not a counter per learner: nobody can guess the next version '
  'and so pass a comparison after somebody else''s write.';
grant usage on sequence mastery.learner_version to service_role;

create table mastery.learners (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  version bigint not null default 0,
  answered_at timestamptz,
  response_id uuid,
  parameters_version int not null default 1,
  responses int default 0,
  corrections int not null default 0,
  checksum bigint,
  rate_windows bigint[],
  rate_counts int[],
  primary key (tenant_id, student_id)
) with (fillfactor = 80);
comment on table mastery.learners is
  'One row per learner: its lock, its version, the position of its newest response.';
comment on column mastery.learners.responses is
  'Number of this learner''s responses: shows that one was lost. Null: not counted (`mastery '
  'rebuild` counts them).';
comment on column mastery.learners.corrections is 'Number of this learner''s corrections.';
comment on column mastery.learners.rate_windows is
  'Starts of the newest rate-limit windows with counted responses, seconds since 1970, ascending. '
  'Null: none was ever counted.';
comment on column mastery.learners.rate_counts is
  'Number of responses in the log for each of these windows.';

-- Finds the learners whose state is under other parameters than the active ones. A commit changes
-- the column only after a replay, so the index costs an ordinary commit nothing.
create index learners_by_parameters
  on mastery.learners (parameters_version, tenant_id, student_id);

alter table mastery.learners enable row level security;
revoke all on mastery.learners from public, anon, authenticated;
grant all on mastery.learners to service_role;

-- Locks
--
-- Locks learners in the order of their keys, so that no two callers wait for each other; creates
-- those of whom version 0 is expected. Returns the numbers of the learners whose version is the
-- expected one. The settings of the planner are the caller's.
create function mastery.lock_learners(tenants text[], students text[], expected bigint[])
returns int[]
language plpgsql volatile security invoker
set search_path = ''
as $$
begin
  insert into mastery.learners (tenant_id, student_id)
  select t.tenant_id, t.student_id
    from unnest(tenants, students, expected) as t(tenant_id, student_id, version)
   where t.version = 0
   order by t.tenant_id collate "C", t.student_id collate "C"
      on conflict do nothing;

  return array(
    select w.n
      from (select * from unnest(tenants, students, expected)
                     with ordinality as u(tenant_id, student_id, version, n)
             order by u.tenant_id collate "C", u.student_id collate "C") as w,
           lateral (select from mastery.learners l
                     where l.tenant_id = w.tenant_id and l.student_id = w.student_id
                       and l.version = w.version
                       for update) as l);
end $$;

-- Checksums
--
-- Each row of a learner carries a checksum over all its columns. Only the functions of these files
-- set it: whoever alters a row in another way leaves a checksum that the columns do not give. A
-- trigger would follow the alteration, so there is none. Null: not sealed yet (`mastery rebuild`
-- does it).
--
-- Postgres places rows in hash partitions by the same extended hashes, so they stay the same
-- through every upgrade. `return …` bodies are parsed when the function is made, so that no
-- search_path can change their meaning; a function that sets one would not be inlined.

-- A row without rate counts has the checksum of its other columns alone.
create function mastery.learner_checksum(
  tenant_id text, student_id text, version bigint, answered_at timestamptz, response_id uuid,
  parameters_version int, responses int, corrections int, rate_windows bigint[],
  rate_counts int[]) returns bigint
language sql immutable parallel safe
return case
  when rate_windows is null and rate_counts is null then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, version, answered_at, response_id, parameters_version, responses,
        corrections), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, version, answered_at, response_id, parameters_version, responses,
        corrections, rate_windows, rate_counts), 0)
end;

-- Puts each text behind its length, so that no two learners give the same bytes.
create function mastery.learner_digest(tenant_id text, student_id text) returns bytea
language sql stable parallel safe
return pg_catalog.sha256(
  pg_catalog.int4send(pg_catalog.octet_length(tenant_id))
  || pg_catalog.convert_to(tenant_id, 'UTF8')
  || pg_catalog.int4send(pg_catalog.octet_length(student_id))
  || pg_catalog.convert_to(student_id, 'UTF8'));

revoke execute on function mastery.lock_learners,
  mastery.learner_checksum(text, text, bigint, timestamptz, uuid, int, int, int, bigint[], int[]),
  mastery.learner_digest(text, text)
  from public, anon, authenticated;
grant execute on function mastery.lock_learners,
  mastery.learner_checksum(text, text, bigint, timestamptz, uuid, int, int, int, bigint[], int[]),
  mastery.learner_digest(text, text)
  to service_role;
