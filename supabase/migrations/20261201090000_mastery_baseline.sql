-- Schemas and roles.
--
-- Schema public holds what students and other programs read, under row level security. Schema
-- mastery holds what only the engine needs; no REST layer exposes it.

create schema mastery;

-- Supabase has these roles; a plain Postgres gets them here. Roles belong to the whole server, so
-- another database may be creating them at this moment.
do $$
declare
  r text;
begin
  foreach r in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_roles where rolname = r) then
      begin
        execute format('create role %I nologin noinherit %s', r,
                       case r when 'service_role' then 'bypassrls' else '' end);
      exception when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
end $$;

grant usage on schema mastery to authenticated, service_role;

-- Row level security: which student and which tenant a token speaks for. The policies of the
-- tables in schema public call these functions.

create table mastery.settings (
  name text primary key,
  value text not null
);
comment on table mastery.settings is
  'Settings that the database itself needs; `mastery migrate` writes them.';
alter table mastery.settings enable row level security;
create policy readable on mastery.settings for select to authenticated using (true);
revoke all on mastery.settings from public, anon, authenticated;
grant select on mastery.settings to authenticated;
grant all on mastery.settings to service_role;

create function mastery.claims() returns jsonb
language sql stable set search_path = ''
as $$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;

create function mastery.claimed_student() returns text
language sql stable set search_path = ''
as $$
  select case when jsonb_typeof(mastery.claims() -> 'sub') = 'string'
              then mastery.claims() ->> 'sub' end
$$;

-- Takes the first of these claims that exists: the configured one, app_metadata.tenant_id,
-- 'default'. A claim that is not a string gives null, which equals no row's tenant.
create function mastery.claimed_tenant() returns text
language sql stable set search_path = ''
as $$
  select case when tenant is null then 'default'
              when jsonb_typeof(tenant) = 'string' then tenant #>> '{}' end
    from (select coalesce(
            (select nullif(mastery.claims() #> string_to_array(s.value, '.'), 'null')
               from mastery.settings s
              where s.name = 'jwt_tenant_claim'),
            nullif(mastery.claims() #> '{app_metadata,tenant_id}', 'null')) as tenant) as claimed
$$;

revoke execute on function mastery.claims(), mastery.claimed_student(), mastery.claimed_tenant()
  from public, anon;
grant execute on function mastery.claims(), mastery.claimed_student(), mastery.claimed_tenant()
  to authenticated, service_role;

-- Times leave the database as microseconds since 1970.

create function mastery.microseconds(moment timestamptz) returns bigint
language sql immutable set search_path = ''
as $$ select (extract(epoch from moment) * 1000000)::bigint $$;

revoke execute on function mastery.microseconds(timestamptz) from public, anon, authenticated;
grant execute on function mastery.microseconds(timestamptz) to service_role;

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

-- The log of responses: append-only, in 16 hash partitions.

create table public.student_responses (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  response_id uuid not null,
  session_id text,
  item_id text not null,
  concept_ids text[] not null check (cardinality(concept_ids) between 1 and 16),
  scale text collate "C" not null,
  correct boolean not null generated always as (score >= 0.5) stored,
  score float8 not null check (score between 0 and 1),
  answered_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  version bigint not null,
  entry text not null,
  outcome jsonb not null,
  checksum bigint
) partition by hash (tenant_id, student_id);
comment on table public.student_responses is
  'The log, append-only: what each learner answered, ordered by (answered_at, response_id).';
comment on column public.student_responses.version is 'Version of the learner that this response took.';
comment on column public.student_responses.entry is
  'Stream and id of the entry that owns the response: only the ack of that entry publishes.';
comment on column public.student_responses.outcome is
  'Prediction before the response was seen, and result of its commit; never rewritten.';

-- The partitions stand in the private schema: a student reaches them through the parent and its
-- policy only. Nothing updates a response, so the vacuum that follows its insertion freezes it: later
-- the page would be cold, and would go whole into the journal once more.
do $$
begin
  for k in 0..15 loop
    execute format(
      'create table mastery.student_responses_%s partition of public.student_responses '
      'for values with (modulus 16, remainder %s) with (autovacuum_freeze_min_age = 0)',
      lpad(k::text, 2, '0'), k);
    execute format(
      'alter table mastery.student_responses_%s enable row level security', lpad(k::text, 2, '0'));
  end loop;
end $$;

-- The primary key comes after this index. Where both cost the same, as they do before the first
-- statistics, the planner takes the newer one: looking a response up in this index would scan the
-- learner's whole history.
create index student_responses_in_order
  on public.student_responses (tenant_id, student_id, answered_at, response_id);
alter table public.student_responses add primary key (tenant_id, student_id, response_id);

alter table public.student_responses enable row level security;
create policy own_rows on public.student_responses for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.student_responses from public, anon, authenticated;
grant select on public.student_responses to authenticated;
grant all on public.student_responses to service_role;

create function mastery.response_checksum(
  tenant_id text, student_id text, response_id uuid, session_id text, item_id text,
  concept_ids text[], scale text, score float8, answered_at timestamptz, recorded_at timestamptz,
  version bigint, entry text, outcome jsonb) returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(
  row(tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score,
      answered_at, recorded_at, version, entry, outcome), 0);

revoke execute on function mastery.response_checksum from public, anon, authenticated;
grant execute on function mastery.response_checksum to service_role;

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

-- Mastery: the state of each learner on each concept.
--
-- Columns that only calibrated parameters fill are null under the built-in ones.

create table public.concept_mastery (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  concept_id text collate "C" not null,
  mastery float8 not null check (mastery between 0 and 1),
  attempts int not null check (attempts > 0),
  mastered boolean not null,
  answered_at timestamptz not null,
  version bigint not null,
  parameters_version int not null,
  odds_mantissa float8 not null check (odds_mantissa >= 0.5 and odds_mantissa < 1),
  odds_exponent int not null,
  checksum bigint,
  deviation float8,
  deviation_variance float8 check (deviation_variance >= 0),
  gradient float8[],
  recent float8,
  lasting float8,
  mastery_low float8 check (mastery_low between 0 and 1),
  mastery_high float8 check (mastery_high between 0 and 1),
  primary key (tenant_id, student_id, concept_id)
) with (fillfactor = 80);
comment on column public.concept_mastery.odds_mantissa is
  'P(known) / P(unknown) = odds_mantissa * 2 ^ odds_exponent: mastery without loss of precision.';
comment on column public.concept_mastery.deviation is
  'Ability on the concept minus ability on its scale: posterior mean, logits. Null: 0.';
comment on column public.concept_mastery.deviation_variance is 'Posterior variance of deviation. Null: 0.';
comment on column public.concept_mastery.gradient is
  'Derivative of the log odds of mastery by each parameter of the concept. Null: the uncertainty '
  'of the parameters is not known.';
comment on column public.concept_mastery.recent is
  'Sum of (score - 0.5) over the answers on the concept, each with half the weight of the next '
  'one. Null: 0.';
comment on column public.concept_mastery.lasting is
  'The same sum, each with 0.85 of the weight of the next one. Null: 0.';
comment on column public.concept_mastery.mastery_low is
  'Lower end of the 95 % credible interval of mastery. Null: not known.';
comment on column public.concept_mastery.mastery_high is
  'Upper end of the 95 % credible interval of mastery. Null: not known.';

alter table public.concept_mastery enable row level security;
create policy own_rows on public.concept_mastery for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.concept_mastery from public, anon, authenticated;
grant select on public.concept_mastery to authenticated;
grant all on public.concept_mastery to service_role;

-- Supabase's realtime sends changes of a student's mastery to the student.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.concept_mastery;
  end if;
end $$;

-- A row without calibrated columns has the checksum of its other columns alone.
create function mastery.concept_checksum(
  tenant_id text, student_id text, concept_id text, mastery float8, attempts int,
  mastered boolean, answered_at timestamptz, version bigint, parameters_version int,
  odds_mantissa float8, odds_exponent int, deviation float8, deviation_variance float8,
  gradient float8[], recent float8, lasting float8, mastery_low float8, mastery_high float8)
returns bigint
language sql immutable parallel safe
return case
  when deviation is null and deviation_variance is null and gradient is null
       and recent is null and lasting is null and mastery_low is null and mastery_high is null
  then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
        parameters_version, odds_mantissa, odds_exponent), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
        parameters_version, odds_mantissa, odds_exponent, deviation, deviation_variance, gradient,
        recent, lasting, mastery_low, mastery_high), 0)
end;

revoke execute on function mastery.concept_checksum from public, anon, authenticated;
grant execute on function mastery.concept_checksum to service_role;

-- Ability: the state of each learner on each scale.
--
-- Columns that only calibrated parameters fill are null under the built-in ones.

create table public.student_ability (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  scale text collate "C" not null,
  theta float8 not null,
  standard_error float8 not null check (standard_error >= 0),
  responses int not null check (responses > 0),
  version bigint not null,
  parameters_version int not null,
  score float8 not null check (score >= 0),
  checksum bigint,
  variance float8 check (variance > 0),
  surprise float8,
  surprise_variance float8 check (surprise_variance >= 0),
  primary key (tenant_id, student_id, scale)
) with (fillfactor = 80);
comment on column public.student_ability.score is 'Sum of the scores of these responses.';
comment on column public.student_ability.variance is
  'Posterior variance of theta on a calibrated scale. Null: not calibrated.';
comment on column public.student_ability.surprise is
  'Log likelihood of all answers on a calibrated scale minus its expectation under the predictions, '
  'nats. Null: not calibrated.';
comment on column public.student_ability.surprise_variance is
  'Variance of surprise, nats squared. Null: not calibrated.';

alter table public.student_ability enable row level security;
create policy own_rows on public.student_ability for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.student_ability from public, anon, authenticated;
grant select on public.student_ability to authenticated;
grant all on public.student_ability to service_role;

-- A row without calibrated columns has the checksum of its other columns alone.
create function mastery.ability_checksum(
  tenant_id text, student_id text, scale text, theta float8, standard_error float8, responses int,
  version bigint, parameters_version int, score float8, variance float8, surprise float8,
  surprise_variance float8) returns bigint
language sql immutable parallel safe
return case
  when variance is null and surprise is null and surprise_variance is null
  then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, scale, theta, standard_error, responses, version,
        parameters_version, score), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, scale, theta, standard_error, responses, version,
        parameters_version, score, variance, surprise, surprise_variance), 0)
end;

revoke execute on function mastery.ability_checksum from public, anon, authenticated;
grant execute on function mastery.ability_checksum to service_role;

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

-- The outbox: changes of mastery that no answer caused (corrections, replays), written in the
-- transaction that makes them and published afterwards.

create table mastery.untold (
  id bigint generated always as identity primary key,
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  concept_id text collate "C" not null,
  version bigint not null,
  data jsonb not null,
  written_at timestamptz not null default now(),
  taken_at timestamptz
);
comment on table mastery.untold is
  'Pending changes: written in the transaction that makes them, deleted once published.';
comment on column mastery.untold.taken_at is
  'When a worker took it for publishing; after the lease another one may take it.';
alter table mastery.untold enable row level security;
revoke all on mastery.untold from public, anon, authenticated;
grant all on mastery.untold to service_role;

-- Takes pending changes, the oldest first, and keeps others from taking them for `lease_s`.
--
-- In:  limit; lease_s: seconds after which whoever took a change is assumed dead
-- Out: [[id, tenant, student, concept, version, written_at, data], ...]
create function public.mastery_untold(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with taken as (
    update mastery.untold u
       set taken_at = clock_timestamp()
     where u.id = any (array(
       select f.id from mastery.untold f
        where f.taken_at is null
           or f.taken_at < clock_timestamp() - make_interval(secs => ($1 ->> 'lease_s')::float8)
        order by f.id
        limit ($1 ->> 'limit')::int
          for update skip locked))
    returning u.*)
  select coalesce(json_agg(json_build_array(
           t.id, t.tenant_id, t.student_id, t.concept_id, t.version,
           mastery.microseconds(t.written_at), t.data) order by t.id), '[]')
    from taken t
$$;

-- Deletes changes that were published.
--
-- In:  ids
-- Out: [number of those that were still there]
create function public.mastery_told(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with gone as (
    delete from mastery.untold u where u.id = any (($1 ->> 'ids')::bigint[]) returning u.id)
  select json_build_array(count(*)) from gone
$$;

revoke execute on function public.mastery_untold(jsonb), public.mastery_told(jsonb)
  from public, anon, authenticated;
grant execute on function public.mastery_untold(jsonb), public.mastery_told(jsonb)
  to service_role;

-- Parameters: the versions that states are computed under, and which one is active.
--
-- Parameters belong to the deployment and to no tenant. Version 1 is built in and stands in no
-- table; it is active while mastery.active_parameters has no row.

create sequence mastery.parameters_version as int minvalue 2 start 2;
comment on sequence mastery.parameters_version is 'Versions of stored parameters.';
grant usage on sequence mastery.parameters_version to service_role;

create table mastery.parameters (
  version int primary key default nextval('mastery.parameters_version') check (version >= 2),
  model text not null check (model <> ''),
  document jsonb not null check (jsonb_typeof(document) = 'object'),
  diagnostics jsonb not null check (jsonb_typeof(diagnostics) = 'object'),
  note text not null,
  created_at timestamptz not null default now(),
  checksum bigint not null
);
comment on table mastery.parameters is 'Versions of parameters, append-only.';
comment on column mastery.parameters.document is
  'The parameters as the engine writes them, without version and threshold.';
comment on column mastery.parameters.diagnostics is 'Diagnostics of the fit.';

create table mastery.active_parameters (
  singleton boolean primary key default true check (singleton),
  version int not null check (version >= 1),
  activated_at timestamptz not null default now(),
  reason text not null
);
comment on table mastery.active_parameters is 'The version that states are computed under: one row or none.';

alter table mastery.parameters enable row level security;
alter table mastery.active_parameters enable row level security;
revoke all on mastery.parameters, mastery.active_parameters from public, anon, authenticated;
grant select, insert on mastery.parameters to service_role;
grant select, insert, update on mastery.active_parameters to service_role;

-- Refuses a superuser too: a version's states are what its document gives.
create function mastery.refuse_change() returns trigger
language plpgsql security invoker set search_path = ''
as $$
begin
  raise exception '%.% is append-only', tg_table_schema, tg_table_name;
end $$;
create trigger append_only before update or delete or truncate on mastery.parameters
  for each statement execute function mastery.refuse_change();

create function mastery.parameters_checksum(
  version int, model text, document jsonb, diagnostics jsonb, note text, created_at timestamptz)
returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(
  row(version, model, document, diagnostics, note, created_at), 0);

create function mastery.active_version() returns int
language sql stable parallel safe security invoker set search_path = ''
as $$ select coalesce((select a.version from mastery.active_parameters a), 1) $$;

-- Lists the versions of parameters.
--
-- In:  version   the one whose document is wanted; absent: all, without their documents
-- Out: active    [version, activated_at, reason]; both null for the built-in one that nobody
--                activated
--      versions  [[version, model, note, created_at, diagnostics, document, intact], ...] by
--                version; intact: the row is what was written. A list of all leaves concepts,
--                items and warnings out of the diagnostics
create function public.mastery_parameters(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
as $$
declare
  request alias for $1;
  wanted constant int := (request ->> 'version')::int;
begin
  return json_build_object(
    'active', coalesce(
      (select json_build_array(a.version, mastery.microseconds(a.activated_at), a.reason)
         from mastery.active_parameters a),
      json_build_array(1, null, null)),
    'versions', (
      select coalesce(json_agg(json_build_array(
               p.version, p.model, p.note, mastery.microseconds(p.created_at),
               case when wanted is null then p.diagnostics - array['concepts', 'items', 'warnings']
                    else p.diagnostics end,
               case when wanted is not null then p.document end,
               p.checksum = mastery.parameters_checksum(
                 p.version, p.model, p.document, p.diagnostics, p.note, p.created_at))
               order by p.version), '[]')
        from mastery.parameters p
       where wanted is null or p.version = wanted));
end $$;

-- Stores a version, which nothing uses before it is activated.
--
-- In:  model, document, diagnostics, note
-- Out: [its version]
create function public.mastery_store_parameters(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with made as (
    insert into mastery.parameters as p (
      version, model, document, diagnostics, note, created_at, checksum)
    select t.*, mastery.parameters_checksum(
             t.version, t.model, t.document, t.diagnostics, t.note, t.created_at)
      from (select nextval('mastery.parameters_version')::int as version, $1 ->> 'model' as model,
                   $1 -> 'document' as document, $1 -> 'diagnostics' as diagnostics,
                   $1 ->> 'note' as note, now() as created_at offset 0) as t
    returning p.version)
  select json_build_array(m.version) from made m
$$;

-- Activates a version: states are computed under it from now on.
--
-- In:  version, reason
--      expected  [version, activated_at] of the activation that must be the latest one, as
--                `mastery_parameters` gave it, else nothing changes; absent: any
-- Out: [the version that is active now, whether the requested version exists]
create function public.mastery_activate_parameters(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
as $$
declare
  request alias for $1;
  wanted constant int := (request ->> 'version')::int;
  known constant boolean :=
    wanted = 1 or exists (select from mastery.parameters p where p.version = wanted);
  anyhow constant boolean := not request ? 'expected';
  version_before constant int := (request -> 'expected' ->> 0)::int;
  since constant bigint := (request -> 'expected' ->> 1)::bigint;
begin
  -- The row's lock decides between two callers.
  insert into mastery.active_parameters as a (version, activated_at, reason)
  select wanted, clock_timestamp(), request ->> 'reason'
   where known
     and (anyhow or since is not null or version_before = 1)
     and (anyhow or since is null or exists (select from mastery.active_parameters))
      on conflict (singleton) do update
     set version = excluded.version, activated_at = excluded.activated_at, reason = excluded.reason
   where anyhow
      or (a.version = version_before and mastery.microseconds(a.activated_at) = since);
  return json_build_array(mastery.active_version(), known);
end $$;

-- Lists the learners whose state is under another version than the active one.
--
-- In:  limit, after_version, after_tenant, after_student: a page, by version and key
--      or count: true
-- Out: [[parameters_version, tenant, student], ...], or [number of learners]
create function public.mastery_outdated(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  active constant int := mastery.active_version();
  after_version constant int := coalesce((request ->> 'after_version')::int, 0);
  after_tenant constant text := coalesce(request ->> 'after_tenant', '');
  after_student constant text := coalesce(request ->> 'after_student', '');
  most constant int := (request ->> 'limit')::int;
begin
  if request ? 'count' then
    -- Two ranges of the index: no other learner is read.
    return json_build_array(
      (select count(*) from mastery.learners l
        where l.parameters_version < active and l.version > 0)
      + (select count(*) from mastery.learners l
          where l.parameters_version > active and l.version > 0));
  end if;
  return (
    select coalesce(json_agg(json_build_array(o.parameters_version, o.tenant_id, o.student_id)
             order by o.parameters_version, o.tenant_id, o.student_id), '[]')
      from ((select l.parameters_version, l.tenant_id, l.student_id from mastery.learners l
              where l.parameters_version < active and l.version > 0
                and (l.parameters_version, l.tenant_id, l.student_id)
                    > (after_version, after_tenant, after_student)
              order by l.parameters_version, l.tenant_id, l.student_id limit most)
            union all
            (select l.parameters_version, l.tenant_id, l.student_id from mastery.learners l
              where l.parameters_version > active and l.version > 0
                and (l.parameters_version, l.tenant_id, l.student_id)
                    > (after_version, after_tenant, after_student)
              order by l.parameters_version, l.tenant_id, l.student_id limit most)
            order by parameters_version, tenant_id, student_id
            limit most) as o);
end $$;

revoke execute on function
  public.mastery_parameters(jsonb), public.mastery_store_parameters(jsonb),
  public.mastery_activate_parameters(jsonb), public.mastery_outdated(jsonb),
  mastery.active_version(), mastery.refuse_change(), mastery.parameters_checksum
  from public, anon, authenticated;
grant execute on function
  public.mastery_parameters(jsonb), public.mastery_store_parameters(jsonb),
  public.mastery_activate_parameters(jsonb), public.mastery_outdated(jsonb),
  mastery.active_version(), mastery.refuse_change(), mastery.parameters_checksum
  to service_role;

-- Privacy: export and erasure of all that is stored about a learner.

create table mastery.erasures (
  digest bytea primary key,
  until_ms bigint not null,
  refuse boolean not null,
  version bigint not null,
  unfinished boolean not null
);
comment on table mastery.erasures is
  'Erased learners, by a digest that cannot be read back: keeps what entered a stream before the '
  'erasure from coming back.';
comment on column mastery.erasures.until_ms is
  'Entries up to this time are erased: Redis''s clock, milliseconds since 1970.';
comment on column mastery.erasures.refuse is 'Whether later entries are refused as well.';
comment on column mastery.erasures.version is
  'No row or event from before the erasure has a higher version of the learner.';
comment on column mastery.erasures.unfinished is
  'Whether rows are left: until they are deleted too, nothing of the learner is committed.';
alter table mastery.erasures enable row level security;
revoke all on mastery.erasures from public, anon, authenticated;
grant all on mastery.erasures to service_role;

-- Exports a page of a learner's rows in one table, as JSON objects.
--
-- In:  tenant, student; of: the table's name; limit
--      after_id: the key of the last row of the page before, with after_at for responses,
--      after_version for corrections, and both for snapshots
-- Out: [row, ...]
create function public.mastery_held(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off
set timezone = 'UTC'
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  after constant text := request ->> 'after_id';
  most constant int := (request ->> 'limit')::int;
  found json;
begin
  case request ->> 'of'
  when 'learners' then
    select json_agg(to_json(f)) into found
      from (select * from mastery.learners t
             where t.tenant_id = tenant and t.student_id = student and after is null) as f;
  when 'student_responses' then
    select json_agg(to_json(f)) into found
      from (select * from public.student_responses t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or (t.answered_at, t.response_id)
                                     > ((request ->> 'after_at')::timestamptz, after::uuid))
             order by t.answered_at, t.response_id limit most) as f;
  when 'response_corrections' then
    select json_agg(to_json(f)) into found
      from (select * from public.response_corrections t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or (t.version, t.response_id)
                                     > ((request ->> 'after_version')::bigint, after::uuid))
             order by t.version, t.response_id limit most) as f;
  when 'concept_mastery' then
    select json_agg(to_json(f)) into found
      from (select * from public.concept_mastery t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.concept_id > after)
             order by t.concept_id limit most) as f;
  when 'student_ability' then
    select json_agg(to_json(f)) into found
      from (select * from public.student_ability t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.scale > after)
             order by t.scale limit most) as f;
  when 'snapshots' then
    select json_agg(to_json(f)) into found
      from (select * from mastery.snapshots t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or (t.parameters_version, t.answered_at, t.response_id)
                                     > ((request ->> 'after_version')::int,
                                        (request ->> 'after_at')::timestamptz, after::uuid))
             order by t.parameters_version, t.answered_at, t.response_id limit most) as f;
  when 'practice_sessions' then
    select json_agg(to_json(f)) into found
      from (select * from public.practice_sessions t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.session_id > after)
             order by t.session_id limit most) as f;
  when 'untold' then
    select json_agg(to_json(f)) into found
      from (select * from mastery.untold t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.id > after::bigint)
             order by t.id limit most) as f;
  end case;
  return coalesce(found, '[]');
end $$;

-- Erases a learner's rows in all tables, and records the erasure. Each call deletes some rows in one
-- transaction, states before the log, and the learner's own row last. Nothing of the learner is
-- committed from the first call on until the last.
--
-- In:  tenant, student; dry_run: only count
--      until_ms   also erase what entered a stream up to then; the later of this and an earlier
--                 erasure's counts
--      refuse     whether to refuse what enters later
--      limit      the most rows to delete in this call; null: all
-- Out: version    no row or event before the erasure has a higher one
--      rows       {table: number of rows, ...}
--      done       false: rows are left, call again
create function public.mastery_erase(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  tables constant text[] := array[
    'mastery.untold', 'mastery.snapshots', 'public.practice_sessions', 'public.student_ability',
    'public.concept_mastery', 'public.response_corrections', 'public.student_responses'];
  room bigint := (request ->> 'limit')::bigint;
  gone bigint;
  taken bigint;
  rows jsonb := '{}';
begin
  if coalesce((request ->> 'dry_run')::boolean, false) then
    for i in 1..cardinality(tables) loop
      execute format('select count(*) from %s t where t.tenant_id = $1 and t.student_id = $2',
                     tables[i]) into gone using tenant, student;
      rows := rows || jsonb_build_object(split_part(tables[i], '.', 2), gone);
    end loop;
    return json_build_object('version', null, 'done', true, 'rows', rows || jsonb_build_object(
      'learners', (select count(*) from mastery.learners t
                    where t.tenant_id = tenant and t.student_id = student and t.version > 0)));
  end if;

  loop
    insert into mastery.learners (tenant_id, student_id) values (tenant, student)
        on conflict do nothing;
    perform from mastery.learners l
      where l.tenant_id = tenant and l.student_id = student for update;
    exit when found; -- else another erasure has just deleted it
  end loop;
  taken := nextval('mastery.learner_version');
  insert into mastery.erasures as e (digest, until_ms, refuse, version, unfinished)
  values (mastery.learner_digest(tenant, student), (request ->> 'until_ms')::bigint,
          (request ->> 'refuse')::boolean, taken, true)
      on conflict (digest) do update
     set until_ms = greatest(e.until_ms, excluded.until_ms), refuse = excluded.refuse,
         version = excluded.version, unfinished = true;

  for i in 1..cardinality(tables) loop
    -- A ctid alone may name a row of another learner in another partition.
    execute format('delete from %1$s t where t.tenant_id = $1 and t.student_id = $2 and t.ctid = '
                   'any (array(select d.ctid from %1$s d where d.tenant_id = $1 '
                   'and d.student_id = $2 limit $3))', tables[i])
      using tenant, student, room;
    get diagnostics gone = row_count;
    rows := rows || jsonb_build_object(split_part(tables[i], '.', 2), gone);
    room := room - gone;
    exit when room = 0;
  end loop;
  if room is distinct from 0 then
    rows := rows || jsonb_build_object(
      'learners', (select count(*) from mastery.learners t
                    where t.tenant_id = tenant and t.student_id = student and t.version > 0));
    delete from mastery.learners t where t.tenant_id = tenant and t.student_id = student;
    update mastery.erasures e set unfinished = false
     where e.digest = mastery.learner_digest(tenant, student);
  end if;
  return json_build_object('version', taken, 'rows', rows, 'done', room is distinct from 0);
end $$;

-- Deletes the records of erasures that refuse nothing any more.
--
-- In:  before_ms: those up to an entry before then; milliseconds since 1970
-- Out: [number of records]
create function public.mastery_forget_erasures(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with gone as (
    delete from mastery.erasures e
     where not e.refuse and not e.unfinished and e.until_ms < ($1 ->> 'before_ms')::bigint
    returning e.digest)
  select json_build_array(count(*)) from gone
$$;

revoke execute on function public.mastery_held(jsonb), public.mastery_erase(jsonb),
  public.mastery_forget_erasures(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_held(jsonb), public.mastery_erase(jsonb),
  public.mastery_forget_erasures(jsonb) to service_role;

-- Snapshots: states of learners at earlier positions, from which a replay can begin.
--
-- A late answer needs the state at its place. Replaying from the nearest snapshot before that place
-- costs at most the distance to it, whatever the length of the log. Snapshots stand close together
-- near the newest answer and ever farther apart behind it: a learner has few of them.

create table mastery.snapshots (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  parameters_version int not null,
  answered_at timestamptz not null,
  response_id uuid not null,
  responses int not null,
  state text not null,
  checksum bigint not null,
  primary key (tenant_id, student_id, parameters_version, answered_at, response_id)
);
comment on table mastery.snapshots is
  'State of a learner after all answers up to a position, under a version of the parameters.';
comment on column mastery.snapshots.responses is 'Number of answers up to the position, about.';
comment on column mastery.snapshots.state is
  'JSON: concepts and abilities, as mastery.concept_state and mastery.ability_state write them.';

alter table mastery.snapshots enable row level security;
revoke all on mastery.snapshots from public, anon, authenticated;
grant all on mastery.snapshots to service_role;

create function mastery.snapshot_checksum(
  tenant_id text, student_id text, parameters_version int, answered_at timestamptz,
  response_id uuid, responses int, state text) returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(
  row(tenant_id, student_id, parameters_version, answered_at, response_id, responses, state), 0);

-- Changes the snapshots of some learners, for commit and rewrite.
--
-- In:  request     b_of, b_at, b_id: learners whose states at and after a position changed, or are
--                  under other parameters than before: these snapshots go
--                  n_of, n_at, n_id, n_responses, n_state: snapshots to store
--                  t_of: learners whose present state becomes a snapshot
--                  every: answers between two snapshots near the newest answer
--      tenants, students, agreed, parameters   of each learner; only those who agreed are changed
-- The settings of the planner are the caller's.
create function mastery.write_snapshots(
  request jsonb, tenants text[], students text[], agreed boolean[], parameters int[]) returns void
language plpgsql volatile security invoker
set search_path = ''
as $$
declare
  changed constant int[] := (request ->> 'b_of')::int[];
  taken constant int[] := (request ->> 't_of')::int[];
  every constant int := (request ->> 'every')::int;
begin
  delete from mastery.snapshots s
   using unnest(changed, (request ->> 'b_at')::timestamptz[], (request ->> 'b_id')::uuid[])
         as b(n, at, id)
   where agreed[b.n] and s.tenant_id = tenants[b.n] and s.student_id = students[b.n]
     and (s.parameters_version <> parameters[b.n] or (s.answered_at, s.response_id) >= (b.at, b.id));

  insert into mastery.snapshots
  select t.*, mastery.snapshot_checksum(
           t.tenant_id, t.student_id, t.parameters_version, t.answered_at, t.response_id,
           t.responses, t.state)
    from (select tenants[n.learner] as tenant_id, students[n.learner] as student_id,
                 parameters[n.learner] as parameters_version, n.at as answered_at,
                 n.id as response_id, n.responses, n.state
            from unnest((request ->> 'n_of')::int[], (request ->> 'n_at')::timestamptz[],
                        (request ->> 'n_id')::uuid[], (request ->> 'n_responses')::int[],
                        (request ->> 'n_state')::text[]) as n(learner, at, id, responses, state)
           where agreed[n.learner]
          union all
          select l.tenant_id, l.student_id, parameters[w.n], l.answered_at, l.response_id,
                 l.responses, json_build_object('concepts', c.states, 'abilities', a.states)::text
            from unnest(taken) as w(n),
                 lateral (select * from mastery.learners l
                           where l.tenant_id = tenants[w.n] and l.student_id = students[w.n]
                          offset 0) as l,
                 lateral (select json_agg(mastery.concept_state(0, m)) as states
                            from public.concept_mastery m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]) as c,
                 lateral (select json_agg(mastery.ability_state(0, m)) as states
                            from public.student_ability m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]) as a
           where agreed[w.n] offset 0) as t
      on conflict do nothing;

  -- Snapshots at a distance d stand about d / 4 apart: of those closer together the first stays.
  delete from mastery.snapshots s
   using (select k.*, row_number() over (
                   partition by k.n, k.level, k.slot >> k.level
                   order by k.responses, k.answered_at, k.response_id) as nth
            from (select w.n, s.answered_at, s.response_id, s.responses, s.responses / every as slot,
                         greatest(0, floor(log(2.0, greatest(
                           1, l.responses / every - s.responses / every + 1)))::int - 2) as level
                    from unnest(changed || taken) as w(n),
                         lateral (select * from mastery.learners l
                                   where l.tenant_id = tenants[w.n]
                                     and l.student_id = students[w.n] offset 0) as l,
                         lateral (select * from mastery.snapshots s
                                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                                     and s.parameters_version = parameters[w.n] offset 0) as s
                   where agreed[w.n]) as k) as g
   where g.nth > 1 and s.tenant_id = tenants[g.n] and s.student_id = students[g.n]
     and s.parameters_version = parameters[g.n] and s.answered_at = g.answered_at
     and s.response_id = g.response_id;
end $$;

revoke execute on function mastery.snapshot_checksum, mastery.write_snapshots
  from public, anon, authenticated;
grant execute on function mastery.snapshot_checksum, mastery.write_snapshots to service_role;

-- States: reads and writes the columns of concepts, abilities and sessions for the other functions.
--
-- Call the functions of a row where its table is read: only there does Postgres inline them.

-- A row as `mastery_load` answers it; n is the number of its learner.
create function mastery.concept_state(n int, r public.concept_mastery) returns json
language sql stable parallel safe
return json_build_array(
  n, r.concept_id, r.odds_mantissa, r.odds_exponent, r.attempts,
  mastery.microseconds(r.answered_at), r.mastery, r.mastered, r.version, r.parameters_version,
  r.deviation, r.deviation_variance, r.gradient, r.recent, r.lasting);

create function mastery.ability_state(n int, r public.student_ability) returns json
language sql stable parallel safe
return json_build_array(
  n, r.scale, r.responses, r.score, r.theta, r.standard_error, r.version, r.parameters_version,
  r.variance, r.surprise, r.surprise_variance);

create function mastery.session_state(n int, r public.practice_sessions) returns json
language sql stable parallel safe
return json_build_array(
  n, r.session_id, r.responses, r.correct, mastery.microseconds(r.started_at),
  mastery.microseconds(r.ended_at), r.version);

-- The checksum that the columns of a row give.
create function mastery.row_checksum(r public.concept_mastery) returns bigint
language sql immutable parallel safe
return mastery.concept_checksum(
  r.tenant_id, r.student_id, r.concept_id, r.mastery, r.attempts, r.mastered, r.answered_at,
  r.version, r.parameters_version, r.odds_mantissa, r.odds_exponent, r.deviation,
  r.deviation_variance, r.gradient, r.recent, r.lasting, r.mastery_low, r.mastery_high);

create function mastery.row_checksum(r public.student_ability) returns bigint
language sql immutable parallel safe
return mastery.ability_checksum(
  r.tenant_id, r.student_id, r.scale, r.theta, r.standard_error, r.responses, r.version,
  r.parameters_version, r.score, r.variance, r.surprise, r.surprise_variance);

create function mastery.row_checksum(r public.practice_sessions) returns bigint
language sql immutable parallel safe
return mastery.session_checksum(
  r.tenant_id, r.student_id, r.session_id, r.responses, r.correct, r.started_at, r.ended_at,
  r.version);

revoke execute on function
  mastery.concept_state, mastery.ability_state, mastery.session_state,
  mastery.row_checksum(public.concept_mastery), mastery.row_checksum(public.student_ability),
  mastery.row_checksum(public.practice_sessions) from public, anon, authenticated;
grant execute on function
  mastery.concept_state, mastery.ability_state, mastery.session_state,
  mastery.row_checksum(public.concept_mastery), mastery.row_checksum(public.student_ability),
  mastery.row_checksum(public.practice_sessions) to service_role;

-- Writes rows, for commit and rewrite.
--
-- In:  request           c_*, a_*, s_*: the rows, each with the number of its learner
--                        p_of: learners whose unchanged rows take the version of the parameters too
--      tenants, students, agreed, parameters   of each learner; only rows of those who agreed are
--                        written
--      versions          of each response, where the request has c_by, a_by and s_by: the number of
--                        the response that each row comes from; else of each learner
-- The settings of the planner are the caller's.
create function mastery.write_states(
  request jsonb, tenants text[], students text[], agreed boolean[], parameters int[],
  versions bigint[]) returns void
language plpgsql volatile security invoker
set search_path = ''
as $$
declare
  n int;
begin
  insert into public.concept_mastery as m (
    tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
    parameters_version, odds_mantissa, odds_exponent, deviation, deviation_variance, gradient,
    recent, lasting, mastery_low, mastery_high, checksum)
  select t.*, mastery.concept_checksum(
           t.tenant_id, t.student_id, t.concept_id, t.mastery, t.attempts, t.mastered,
           t.answered_at, t.version, t.parameters_version, t.odds_mantissa, t.odds_exponent,
           t.deviation, t.deviation_variance, t.gradient, t.recent, t.lasting, t.mastery_low,
           t.mastery_high)
    from (select tenants[c.learner] as tenant_id, students[c.learner] as student_id, c.concept_id,
                 c.mastery, c.attempts, c.mastered, c.at as answered_at,
                 versions[coalesce(c.by, c.learner)] as version,
                 parameters[c.learner] as parameters_version, c.mantissa as odds_mantissa,
                 c.exponent as odds_exponent, c.deviation, c.deviation_variance,
                 c.gradient::float8[] as gradient, c.recent, c.lasting, c.low as mastery_low,
                 c.high as mastery_high
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_concept')::text[],
                        (request ->> 'c_mastery')::float8[], (request ->> 'c_attempts')::int[],
                        (request ->> 'c_mastered')::boolean[], (request ->> 'c_at')::timestamptz[],
                        (request ->> 'c_by')::int[], (request ->> 'c_mantissa')::float8[],
                        (request ->> 'c_exponent')::int[], (request ->> 'c_deviation')::float8[],
                        (request ->> 'c_deviation_variance')::float8[],
                        (request ->> 'c_gradient')::text[], (request ->> 'c_recent')::float8[],
                        (request ->> 'c_lasting')::float8[], (request ->> 'c_low')::float8[],
                        (request ->> 'c_high')::float8[])
                 as c(learner, concept_id, mastery, attempts, mastered, at, by, mantissa, exponent,
                      deviation, deviation_variance, gradient, recent, lasting, low, high)
           where agreed[c.learner] offset 0) as t
      on conflict (tenant_id, student_id, concept_id) do update
     set mastery = excluded.mastery, attempts = excluded.attempts, mastered = excluded.mastered,
         answered_at = excluded.answered_at, version = excluded.version,
         parameters_version = excluded.parameters_version,
         odds_mantissa = excluded.odds_mantissa, odds_exponent = excluded.odds_exponent,
         deviation = excluded.deviation, deviation_variance = excluded.deviation_variance,
         gradient = excluded.gradient, recent = excluded.recent, lasting = excluded.lasting,
         mastery_low = excluded.mastery_low, mastery_high = excluded.mastery_high,
         checksum = excluded.checksum;

  insert into public.student_ability as m (
    tenant_id, student_id, scale, theta, standard_error, responses, version, parameters_version,
    score, variance, surprise, surprise_variance, checksum)
  select t.*, mastery.ability_checksum(
           t.tenant_id, t.student_id, t.scale, t.theta, t.standard_error, t.responses, t.version,
           t.parameters_version, t.score, t.variance, t.surprise, t.surprise_variance)
    from (select tenants[a.learner] as tenant_id, students[a.learner] as student_id, a.scale,
                 a.theta, a.standard_error, a.responses,
                 versions[coalesce(a.by, a.learner)] as version,
                 parameters[a.learner] as parameters_version, a.score, a.variance, a.surprise,
                 a.surprise_variance
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_scale')::text[],
                        (request ->> 'a_theta')::float8[],
                        (request ->> 'a_standard_error')::float8[],
                        (request ->> 'a_responses')::int[], (request ->> 'a_score')::float8[],
                        (request ->> 'a_by')::int[], (request ->> 'a_variance')::float8[],
                        (request ->> 'a_surprise')::float8[],
                        (request ->> 'a_surprise_variance')::float8[])
                 as a(learner, scale, theta, standard_error, responses, score, by, variance,
                      surprise, surprise_variance)
           where agreed[a.learner] offset 0) as t
      on conflict (tenant_id, student_id, scale) do update
     set theta = excluded.theta, standard_error = excluded.standard_error,
         responses = excluded.responses, version = excluded.version,
         parameters_version = excluded.parameters_version, score = excluded.score,
         variance = excluded.variance, surprise = excluded.surprise,
         surprise_variance = excluded.surprise_variance,
         checksum = excluded.checksum;

  insert into public.practice_sessions as m (
    tenant_id, student_id, session_id, responses, correct, started_at, ended_at, version,
    checksum)
  select t.*, mastery.session_checksum(
           t.tenant_id, t.student_id, t.session_id, t.responses, t.correct, t.started_at,
           t.ended_at, t.version)
    from (select tenants[s.learner] as tenant_id, students[s.learner] as student_id, s.session_id,
                 s.responses, s.correct, s.started_at, s.ended_at,
                 versions[coalesce(s.by, s.learner)] as version
            from unnest((request ->> 's_of')::int[], (request ->> 's_session')::text[],
                        (request ->> 's_responses')::int[], (request ->> 's_correct')::int[],
                        (request ->> 's_started')::timestamptz[],
                        (request ->> 's_ended')::timestamptz[],
                        (request ->> 's_by')::int[])
                 as s(learner, session_id, responses, correct, started_at, ended_at, by)
           where agreed[s.learner] offset 0) as t
      on conflict (tenant_id, student_id, session_id) do update
     set responses = excluded.responses, correct = excluded.correct,
         started_at = excluded.started_at, ended_at = excluded.ended_at,
         version = excluded.version, checksum = excluded.checksum;

  -- Rows that a replay under other parameters left as they were take their version too.
  for n in select w.n from unnest((request ->> 'p_of')::int[]) as w(n) where agreed[w.n] loop
    update public.concept_mastery as m
       set parameters_version = parameters[n],
           checksum = mastery.concept_checksum(
             m.tenant_id, m.student_id, m.concept_id, m.mastery, m.attempts, m.mastered,
             m.answered_at, m.version, parameters[n], m.odds_mantissa, m.odds_exponent, m.deviation,
             m.deviation_variance, m.gradient, m.recent, m.lasting, m.mastery_low, m.mastery_high)
     where m.tenant_id = tenants[n] and m.student_id = students[n]
       and m.parameters_version <> parameters[n];
    update public.student_ability as m
       set parameters_version = parameters[n],
           checksum = mastery.ability_checksum(
             m.tenant_id, m.student_id, m.scale, m.theta, m.standard_error, m.responses,
             m.version, parameters[n], m.score, m.variance, m.surprise, m.surprise_variance)
     where m.tenant_id = tenants[n] and m.student_id = students[n]
       and m.parameters_version <> parameters[n];
  end loop;
end $$;

revoke execute on function mastery.write_states from public, anon, authenticated;
grant execute on function mastery.write_states to service_role;

-- Load: reads what a batch needs of its learners, in one snapshot (the function is stable).
--
-- `mastery_load` and `mastery_commit` take one JSON document and return one, the same over
-- PostgREST and over a direct connection. Columns travel inside the document as Postgres array
-- literals (unnest is twice as fast as json_to_recordset), and a function with one unnamed jsonb
-- parameter takes the body of a PostgREST call as it is. Learners are numbered from 1 by their place
-- in `tenants` and `students`; all other rows name their learner by that number.
--
-- Each lookup is a lateral subquery with `offset 0`, which the planner may not reorder: while its
-- statistics still call a table empty, it would read the whole table for each batch.

-- In:  tenants, students     the learners
--      r_of, r_id, r_at      responses about to be applied
--      r_window              window in which each response entered its stream, null: not counted
--      c_of, c_id; a_of, a_id; s_of, s_id   concepts, scales and sessions that they touch
--      most_answers          the most answers to return in `log`
--      most_replayed         the most of these of learners with no late response; absent: as many
--      active                the caller can work under any active version of the parameters
--      parameters_version    version that a caller without `active` computes under
--      few                   see `whole`; absent: nobody is
-- Out: learners   [[n, version, answered_at, response_id, parameters_version, responses], ...]
--      known      responses that are in the log already, as they were published
--      late       numbers of the learners with a new response that is late, or whose state is under
--                 another version of the parameters than the active one (for a caller without
--                 `active`: than its own)
--      bases      of late learners, the nearest snapshot before the first new response:
--                 [[n, answered_at, response_id, responses, state], ...]
--      logged     numbers of the late learners whose answers after that snapshot are in `log`
--      log        effective logs: each response counts as its newest correction says
--      concepts, abilities   rows touched; all rows of a learner who is logged, the only late one or
--                 whole
--      whole      numbers of the learners with at most `few` rows of each, all of which are returned
--      sessions   rows touched
--      rates      [[n, windows, counts], ...] as they are kept
--      older      [[n, window, count], ...] of requested windows older than those that are kept
--      erased     [[n, until_ms, refuse], ...] of learners that were erased
--      erasing    numbers of the learners whose erasure is not finished
--      active     the active version of the parameters
create function public.mastery_load(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenants constant text[] := (request ->> 'tenants')::text[];
  students constant text[] := (request ->> 'students')::text[];
  nil_id constant uuid := '00000000-0000-0000-0000-000000000000';
  wanted int;
  asker int;
  late int[];
  first_at timestamptz[];
  first_id uuid[];
  in_order boolean[];
  room int := coalesce((request ->> 'most_answers')::int, 2147483647);
  room_in_order int := coalesce((request ->> 'most_replayed')::int, 2147483647);
  answers int;
  at timestamptz;
  id uuid;
  base_at timestamptz[];
  base_id uuid[];
  logged int[] := '{}';
  full_state boolean[] := array_fill(false, array[greatest(cardinality(tenants), 1)]);
  few constant int := (request ->> 'few')::int;
  whole int[] := '{}';
  n int;
  learners json;
  rates json;
  older json;
  erased json;
  erasing json;
  known json;
  log json;
  bases json;
  concepts json;
  abilities json;
  sessions json;
begin
  select json_agg(json_build_array(
           w.n, l.version, mastery.microseconds(l.answered_at), l.response_id, l.parameters_version,
           l.responses)),
         json_agg(json_build_array(w.n, l.rate_windows, l.rate_counts))
           filter (where l.rate_windows is not null)
    into learners, rates
    from generate_subscripts(tenants, 1) as w(n),
         lateral (select * from mastery.learners l
                   where l.tenant_id = tenants[w.n] and l.student_id = students[w.n] offset 0) as l;
  wanted := mastery.active_version();
  -- A caller without `active` computes under its own version, and needs the log for that.
  asker := case when request ? 'active' then wanted else (request ->> 'parameters_version')::int end;

  if request ? 'r_window' then
    -- A batch that was pending for long asks for windows older than those that are kept.
    select json_agg(json_build_array(o.learner, o.starts, o.counted))
      into older
      from (select r.learner, r.starts,
                   (select count(*) from public.student_responses s
                     where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                       and (s.outcome ->> 'window')::bigint = r.starts) as counted
              from (select distinct u.learner, u.starts
                      from unnest((request ->> 'r_of')::int[], (request ->> 'r_window')::bigint[])
                           as u(learner, starts)
                     where u.starts is not null offset 0) as r,
                   lateral (select from mastery.learners l
                             where l.tenant_id = tenants[r.learner]
                               and l.student_id = students[r.learner]
                               and r.starts < l.rate_windows[1] offset 0) as l) as o;
  end if;

  if exists (select from mastery.erasures) then
    select json_agg(json_build_array(w.n, e.until_ms, e.refuse)),
           json_agg(w.n) filter (where e.unfinished)
      into erased, erasing
      from generate_subscripts(tenants, 1) as w(n),
           lateral (select * from mastery.erasures e
                     where e.digest = mastery.learner_digest(tenants[w.n], students[w.n])
                    offset 0) as e;
  end if;

  select json_agg(json_build_array(
           r.learner, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.entry, s.outcome))
    into known
    from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[]) as r(learner, id),
         lateral (select * from public.student_responses s
                   where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                     and s.response_id = r.id offset 0) as s;

  select array_agg(f.learner), array_agg(f.at), array_agg(f.id), array_agg(f.in_order)
    into late, first_at, first_id, in_order
    from (select distinct on (r.learner) r.learner, r.at, r.id, l.in_order
            from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[],
                        (request ->> 'r_at')::timestamptz[]) as r(learner, id, at),
                 lateral (select (r.at, r.id) > (l.answered_at, l.response_id) as in_order
                            from mastery.learners l
                           where l.tenant_id = tenants[r.learner]
                             and l.student_id = students[r.learner]
                             and l.answered_at is not null
                             and ((r.at, r.id) < (l.answered_at, l.response_id)
                                  or l.parameters_version <> asker) offset 0) as l
           where not exists (
             select from public.student_responses s
              where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                and s.response_id = r.id offset 0)
           order by r.learner, r.at, r.id) as f;

  for i in 1..coalesce(cardinality(late), 0) loop
    n := late[i];
    select s.answered_at, s.response_id, l.responses - coalesce(s.responses, 0)
      into at, id, answers
      from mastery.learners l
           left join lateral (
             select s.* from mastery.snapshots s
              where s.tenant_id = tenants[n] and s.student_id = students[n]
                and s.parameters_version = asker
                and (s.answered_at, s.response_id) < (first_at[i], first_id[i])
              order by s.answered_at desc, s.response_id desc limit 1) as s on true
     where l.tenant_id = tenants[n] and l.student_id = students[n];
    base_at[i] := at;
    base_id[i] := id;
    if answers is null then -- never counted
      answers := (select count(*)
                    from (select from public.student_responses s
                           where s.tenant_id = tenants[n] and s.student_id = students[n]
                             and (s.answered_at, s.response_id)
                                 > (coalesce(at, '-infinity'), coalesce(id, nil_id))
                           limit room + 1) as s);
    end if;
    if answers <= least(room, case when in_order[i] then room_in_order end) then
      room := room - answers;
      if in_order[i] then
        room_in_order := room_in_order - answers;
      end if;
      logged := logged || n;
    end if;
    full_state[n] := n = any (logged) or cardinality(tenants) = 1;
  end loop;

  select json_agg(json_build_array(
           w.n, mastery.microseconds(s.answered_at), s.response_id, s.responses, s.state::json))
    into bases
    from unnest(late, base_at, base_id) as w(n, at, id),
         lateral (select * from mastery.snapshots s
                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                     and s.parameters_version = asker and s.answered_at = w.at
                     and s.response_id = w.id offset 0) as s
   where full_state[w.n];

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale,
           coalesce(k.score, s.score), mastery.microseconds(s.answered_at)))
    into log
    from unnest(late, base_at, base_id) as w(n, at, id)
         cross join lateral (
           select * from public.student_responses s
            where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
              and (s.answered_at, s.response_id)
                  > (coalesce(w.at, '-infinity'), coalesce(w.id, nil_id)) offset 0) as s
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenants[w.n] and k.student_id = students[w.n]
              and k.response_id = s.response_id
            order by k.version desc limit 1) as k on true
   where w.n = any (logged) and k.kind is distinct from 'void';

  if few is not null then
    whole := array(
      select w.n
        from generate_subscripts(tenants, 1) as w(n)
       where few >= (select count(*) from (select from public.concept_mastery m
                      where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                      limit few + 1) as rows_of_it)
         and few >= (select count(*) from (select from public.student_ability m
                      where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                      limit few + 1) as rows_of_it));
    foreach n in array whole loop
      full_state[n] := true;
    end loop;
  end if;

  select json_agg(m.state) into concepts
    from (select m.state
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_id')::text[]) as t(learner, id),
                 lateral (select mastery.concept_state(t.learner, m) as state
                            from public.concept_mastery m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.concept_id = t.id
                          offset 0) as m
           where not full_state[t.learner]
          union all
          select m.state
            from generate_subscripts(tenants, 1) as w(n),
                 lateral (select mastery.concept_state(w.n, m) as state
                            from public.concept_mastery m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m
           where full_state[w.n]) as m;

  select json_agg(m.state) into abilities
    from (select m.state
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_id')::text[]) as t(learner, id),
                 lateral (select mastery.ability_state(t.learner, m) as state
                            from public.student_ability m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.scale = t.id
                          offset 0) as m
           where not full_state[t.learner]
          union all
          select m.state
            from generate_subscripts(tenants, 1) as w(n),
                 lateral (select mastery.ability_state(w.n, m) as state
                            from public.student_ability m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m
           where full_state[w.n]) as m;

  select json_agg(m.state) into sessions
    from (select m.state
            from unnest((request ->> 's_of')::int[], (request ->> 's_id')::text[]) as t(learner, id),
                 lateral (select mastery.session_state(t.learner, m) as state
                            from public.practice_sessions m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.session_id = t.id
                          offset 0) as m) as m;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'known', coalesce(known, '[]'),
    'late', coalesce(to_json(late), '[]'), 'bases', coalesce(bases, '[]'),
    'whole', to_json(whole), 'logged', to_json(logged), 'log', coalesce(log, '[]'),
    'concepts', coalesce(concepts, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'rates', coalesce(rates, '[]'),
    'older', coalesce(older, '[]'), 'erased', coalesce(erased, '[]'),
    'erasing', coalesce(erasing, '[]'),
    'active', wanted);
end $$;

-- Reads a page of a learner's log, as it counts.
--
-- In:  tenant, student; limit; after_at, after_id: the last of the page before
-- Out: version   of the learner, 0: there is no row of it
--      last      [answered_at, response_id] of the last response read; null: the log ends before
--                the limit
--      log       [[response, session, item, concepts, scale, score, answered_at], ...]
create function public.mastery_log_page(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  most constant int := (request ->> 'limit')::int;
  after_at constant timestamptz := coalesce((request ->> 'after_at')::timestamptz, '-infinity');
  after_id constant uuid := coalesce(
    (request ->> 'after_id')::uuid, '00000000-0000-0000-0000-000000000000');
  log json;
  last json;
begin
  with page as (
    select s.*
      from public.student_responses s
     where s.tenant_id = tenant and s.student_id = student
       and (s.answered_at, s.response_id) > (after_at, after_id)
     order by s.answered_at, s.response_id
     limit most)
  select json_agg(json_build_array(
           p.response_id, p.session_id, p.item_id, p.concept_ids, p.scale,
           coalesce(k.score, p.score), mastery.microseconds(p.answered_at))
           order by p.answered_at, p.response_id)
           filter (where k.kind is distinct from 'void'),
         case when count(*) = most then (
           array_agg(json_build_array(mastery.microseconds(p.answered_at), p.response_id)
                     order by p.answered_at desc, p.response_id desc))[1] end
    into log, last
    from page p
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenant and k.student_id = student
              and k.response_id = p.response_id
            order by k.version desc limit 1) as k on true;
  return json_build_object(
    'version', coalesce((select l.version from mastery.learners l
                          where l.tenant_id = tenant and l.student_id = student), 0),
    'last', last, 'log', coalesce(log, '[]'));
end $$;

revoke execute on function public.mastery_load(jsonb), public.mastery_log_page(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_load(jsonb), public.mastery_log_page(jsonb) to service_role;

-- Commit: appends a batch's responses and writes the states they lead to, in one transaction.
--
-- The learners are locked in a fixed order. A learner is a conflict if its version is not the
-- expected one, if it was erased after a response entered, or if other parameters are active than
-- the caller knows; nothing of it is written. Each response takes a new version; a state row takes
-- the version of the response that changed it.
--
-- In:  load                what `mastery_load` was asked, with r_entered: when each response's
--                          entry entered its stream, ms since 1970
--      expected            version of each learner; 0: there is no row of it
--      parameters_version  that the caller knows to be active
--      parameters_of       of each learner, that the states are computed under: a learner may stay
--                          under the version that it has; absent: all under the active one
--      last_by, last_at, last_id   each learner's last response in the request (the responses of a
--                          learner stand together), and the position of its newest one
--      r_*                 responses: session, item, concepts, scale, score, entry, outcome
--      c_*, a_*, s_*       rows of concepts, abilities, sessions; `by` is the number of the response;
--                          calibrated columns are null, or left out where all are
--      p_of                learners replayed under other parameters: their unchanged rows take the
--                          version of the parameters
--      w_start, w_count    rate windows to keep for each learner, null: as they are
--      every, b_*, n_*, t_of   changes of snapshots
--      unchecked           of each learner: a response may be in the log already; it then is a conflict
-- Out: versions   of each response, null in a conflict
--      conflicts  numbers of the learners in conflict
create function public.mastery_commit(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  load constant jsonb := request -> 'load';
  tenants constant text[] := (load ->> 'tenants')::text[];
  students constant text[] := (load ->> 'students')::text[];
  expected constant bigint[] := (request ->> 'expected')::bigint[];
  r_of constant int[] := (load ->> 'r_of')::int[];
  last constant int[] := (request ->> 'last_by')::int[];
  w_start constant text[] := (request ->> 'w_start')::text[];
  w_count constant text[] := (request ->> 'w_count')::text[];
  unchecked constant boolean[] := (request ->> 'unchecked')::boolean[];
  agreed boolean[] := array_fill(false, array[cardinality(tenants)]);
  parameters constant int := (request ->> 'parameters_version')::int;
  under constant int[] := coalesce(
    (request ->> 'parameters_of')::int[], array_fill(parameters, array[cardinality(tenants)]));
  active int;
  conflicts int[];
  versions bigint[];
  n int;
begin
  foreach n in array mastery.lock_learners(tenants, students, expected) loop
    agreed[n] := true;
  end loop;

  -- Read under the locks: whoever activates the next version sees these learners as committed.
  active := mastery.active_version();
  if parameters <> active then
    if not load ? 'active' then
      -- As a conflict it would try again at once, for ever.
      raise exception 'version % of the parameters is active, but this worker computes under '
        'version % only: replace it with a worker of this schema''s version', active, parameters
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    agreed := array_fill(false, array[cardinality(tenants)]);
    delete from mastery.learners l
     using unnest(tenants, students, expected) as t(tenant_id, student_id, version)
     where t.version = 0 and l.tenant_id = t.tenant_id and l.student_id = t.student_id
       and l.version = 0;
  end if;

  -- Read under the locks: an erasure is either seen here or waits for this commit.
  if exists (select from mastery.erasures) then
    for n in
      select w.n
        from generate_subscripts(tenants, 1) as w(n),
             lateral (select * from mastery.erasures e
                       where e.digest = mastery.learner_digest(tenants[w.n], students[w.n])
                      offset 0) as e
       where e.unfinished or load ? 'r_entered' and exists (
               select from unnest(r_of, (load ->> 'r_entered')::bigint[]) as r(learner, entered_ms)
                where r.learner = w.n and (e.refuse or r.entered_ms <= e.until_ms))
    loop
      agreed[n] := false;
      delete from mastery.learners l
       where l.tenant_id = tenants[n] and l.student_id = students[n] and l.version = 0;
    end loop;
  end if;

  -- Under the locks nobody else can bring the response into the log.
  if request ? 'unchecked' then
    for n in
      select distinct r.learner
        from unnest(r_of, (load ->> 'r_id')::uuid[]) as r(learner, id),
             lateral (select from public.student_responses s
                       where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                         and s.response_id = r.id offset 0) as s
       where unchecked[r.learner]
    loop
      agreed[n] := false;
    end loop;
  end if;

  conflicts := array(
    select w.n from unnest(agreed) with ordinality as w(agreed, n) where not w.agreed order by w.n);

  versions := array(
    select nextval('mastery.learner_version') from generate_series(1, cardinality(r_of)));

  insert into public.student_responses (
    tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score,
    answered_at, recorded_at, version, entry, outcome, checksum)
  select t.*, mastery.response_checksum(
           t.tenant_id, t.student_id, t.response_id, t.session_id, t.item_id, t.concept_ids,
           t.scale, t.score, t.answered_at, t.recorded_at, t.version, t.entry, t.outcome)
    from (select tenants[r.learner] as tenant_id, students[r.learner] as student_id,
                 r.id as response_id, r.session as session_id, r.item as item_id,
                 r.concepts::text[] as concept_ids, r.scale, r.score, r.at as answered_at,
                 now() as recorded_at, versions[r.n] as version, r.entry,
                 r.outcome::jsonb as outcome
            from unnest(r_of, (load ->> 'r_id')::uuid[], (load ->> 'r_at')::timestamptz[],
                        (request ->> 'r_session')::text[], (request ->> 'r_item')::text[],
                        (request ->> 'r_concepts')::text[], (request ->> 'r_scale')::text[],
                        (request ->> 'r_score')::float8[], (request ->> 'r_entry')::text[],
                        (request ->> 'r_outcome')::text[])
                 with ordinality
                 as r(learner, id, at, session, item, concepts, scale, score, entry, outcome, n)
           where agreed[r.learner] offset 0) as t;

  insert into mastery.learners as l (
    tenant_id, student_id, version, answered_at, response_id, parameters_version, responses,
    rate_windows, rate_counts)
  select w.tenant_id, w.student_id, versions[w.last_by], w.last_at, w.last_id,
         under[w.n], w.last_by - coalesce(last[w.n - 1], 0),
         w_start[w.n]::bigint[], w_count[w.n]::int[]
    from unnest(tenants, students, last,
                (request ->> 'last_at')::timestamptz[], (request ->> 'last_id')::uuid[])
         with ordinality as w(tenant_id, student_id, last_by, last_at, last_id, n)
   where agreed[w.n]
      on conflict (tenant_id, student_id) do update
     set version = excluded.version, answered_at = excluded.answered_at,
         response_id = excluded.response_id, parameters_version = excluded.parameters_version,
         responses = l.responses + excluded.responses,
         rate_windows = coalesce(excluded.rate_windows, l.rate_windows),
         rate_counts = coalesce(excluded.rate_counts, l.rate_counts),
         checksum = mastery.learner_checksum(
           l.tenant_id, l.student_id, excluded.version, excluded.answered_at,
           excluded.response_id, excluded.parameters_version, l.responses + excluded.responses,
           l.corrections, coalesce(excluded.rate_windows, l.rate_windows),
           coalesce(excluded.rate_counts, l.rate_counts));

  perform mastery.write_states(request, tenants, students, agreed, under, versions);
  if request ? 'every' then
    perform mastery.write_snapshots(request, tenants, students, agreed, under);
  end if;

  return json_build_object(
    'versions', (select coalesce(json_agg(case when agreed[r_of[v.n]] then v.version end order by v.n), '[]')
                   from unnest(versions) with ordinality as v(version, n)),
    'conflicts', to_json(conflicts));
end $$;

revoke execute on function public.mastery_commit(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_commit(jsonb) to service_role;

-- Pages of learners, for those who go through all of them.

-- Lists learners in the order of their keys.
--
-- In:  limit; after_tenant, after_student (the last of the page before); tenant, student: only these
-- Out: [[tenant, student], ...]
create function public.mastery_learners(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select coalesce(json_agg(json_build_array(l.tenant_id, l.student_id)), '[]')
    from (select l.tenant_id, l.student_id
            from mastery.learners l
           where (not $1 ? 'after_tenant'
                  or (l.tenant_id, l.student_id)
                     > ($1 ->> 'after_tenant', $1 ->> 'after_student'))
             and (not $1 ? 'tenant' or l.tenant_id = $1 ->> 'tenant')
             and (not $1 ? 'student' or l.student_id = $1 ->> 'student')
           order by l.tenant_id, l.student_id
           limit ($1 ->> 'limit')::int) as l
$$;

-- Lists everybody with a row in any table, so that rows without a learner are found too.
--
-- In:  limit, after_tenant, after_student: a page of all who have a row in any table, by their keys
--      or sample: number of learners, drawn at random from mastery.learners
--      or count: true
-- Out: [[tenant, student], ...], or [number of learners]
create function public.mastery_holders(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant text := coalesce(request ->> 'after_tenant', '');
  student text := coalesce(request ->> 'after_student', '');
  page json[] := '{}';
begin
  if request ? 'count' then
    return (select json_build_array(count(*)) from mastery.learners);
  end if;
  if request ? 'sample' then
    return (select coalesce(json_agg(json_build_array(l.tenant_id, l.student_id)), '[]')
              from (select d.tenant_id, d.student_id from mastery.learners d
                     order by random() limit (request ->> 'sample')::int) as l);
  end if;
  for nth in 1..(request ->> 'limit')::int loop
    -- The next key of each table by one step in its index: none is read as a whole.
    select f.tenant_id, f.student_id into tenant, student
      from ((select l.tenant_id, l.student_id from mastery.learners l
              where (l.tenant_id, l.student_id) > (tenant, student)
              order by l.tenant_id, l.student_id limit 1)
            union all
            (select s.tenant_id, s.student_id from public.student_responses s
              where (s.tenant_id, s.student_id) > (tenant, student)
              order by s.tenant_id, s.student_id limit 1)
            union all
            (select k.tenant_id, k.student_id from public.response_corrections k
              where (k.tenant_id, k.student_id) > (tenant, student)
              order by k.tenant_id, k.student_id limit 1)
            union all
            (select c.tenant_id, c.student_id from public.concept_mastery c
              where (c.tenant_id, c.student_id) > (tenant, student)
              order by c.tenant_id, c.student_id limit 1)
            union all
            (select a.tenant_id, a.student_id from public.student_ability a
              where (a.tenant_id, a.student_id) > (tenant, student)
              order by a.tenant_id, a.student_id limit 1)
            union all
            (select p.tenant_id, p.student_id from public.practice_sessions p
              where (p.tenant_id, p.student_id) > (tenant, student)
              order by p.tenant_id, p.student_id limit 1)) as f
     order by f.tenant_id, f.student_id
     limit 1;
    exit when not found;
    page := page || json_build_array(tenant, student);
  end loop;
  return array_to_json(page);
end $$;

-- Finds the responses to an item, learner by learner: for an item with a wrong key.
--
-- In:  tenant, item; since, until (answered at or after, before; either may be missing);
--      limit (learners looked at), after_student (the last of the page before)
-- Out: last   the last student looked at, null: there are no more
--      found  [[student, response_id], ...]
create function public.mastery_answers(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  item constant text := request ->> 'item';
  since constant timestamptz := coalesce((request ->> 'since')::timestamptz, '-infinity');
  until constant timestamptz := coalesce((request ->> 'until')::timestamptz, 'infinity');
  students constant text[] := array(
    select l.student_id from mastery.learners l
     where l.tenant_id = tenant and l.student_id > coalesce(request ->> 'after_student', '')
     order by l.student_id
     limit (request ->> 'limit')::int);
begin
  return json_build_object(
    'last', students[cardinality(students)],
    'found', (select coalesce(json_agg(json_build_array(w.student, s.response_id)), '[]')
                from unnest(students) as w(student),
                     lateral (select s.response_id from public.student_responses s
                               where s.tenant_id = tenant and s.student_id = w.student
                                 and s.answered_at >= since and s.answered_at < until
                                 and s.item_id = item offset 0) as s));
end $$;

revoke execute on function public.mastery_learners(jsonb), public.mastery_holders(jsonb),
  public.mastery_answers(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_learners(jsonb), public.mastery_holders(jsonb),
  public.mastery_answers(jsonb) to service_role;

-- Current values, with the responses that led to them: events that Redis lost are made from these.
--
-- All in one snapshot (the function is stable).
--
-- In:  tenants, students  the learners
--      since              only those with a response recorded at or after it; absent: all
-- Out: now        the database's clock
--      active     numbers of the learners that are answered for
--      concepts   [[n, concept_id, mastery, attempts, mastered, answered_at, version,
--                   parameters_version], ...]
--      intervals  [[n, concept_id, mastery_low, mastery_high], ...] where they are known
--      abilities  [[n, scale, theta, standard_error, version], ...]
--      surprises  [[n, scale, responses, surprise, surprise_variance], ...] of calibrated scales
--      sessions   [[n, session_id, responses, correct, version], ...]
--      responses  those whose version a row has, as `known` of mastery_load; for a concept whose
--                 version no response has, the newest response on it
create function public.mastery_current(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenants constant text[] := (request ->> 'tenants')::text[];
  students constant text[] := (request ->> 'students')::text[];
  since constant timestamptz := (request ->> 'since')::timestamptz;
  active int[];
  concepts json;
  intervals json;
  surprises json;
  abilities json;
  sessions json;
  responses json;
begin
  active := array(
    select w.n
      from generate_series(1, cardinality(tenants)) as w(n),
           lateral (select from public.student_responses s
                     where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                       and (since is null or s.recorded_at >= since)
                     limit 1) as s
     order by w.n);

  select json_agg(json_build_array(
           w.n, m.concept_id, m.mastery, m.attempts, m.mastered,
           mastery.microseconds(m.answered_at), m.version, m.parameters_version)),
         json_agg(json_build_array(w.n, m.concept_id, m.mastery_low, m.mastery_high))
           filter (where m.mastery_low is not null)
    into concepts, intervals
    from unnest(active) as w(n),
         lateral (select * from public.concept_mastery m
                   where m.tenant_id = tenants[w.n] and m.student_id = students[w.n] offset 0) as m;

  select json_agg(json_build_array(w.n, a.scale, a.theta, a.standard_error, a.version)),
         json_agg(json_build_array(w.n, a.scale, a.responses, a.surprise, a.surprise_variance))
           filter (where a.variance is not null)
    into abilities, surprises
    from unnest(active) as w(n),
         lateral (select * from public.student_ability a
                   where a.tenant_id = tenants[w.n] and a.student_id = students[w.n] offset 0) as a;

  select json_agg(json_build_array(w.n, p.session_id, p.responses, p.correct, p.version))
    into sessions
    from unnest(active) as w(n),
         lateral (select * from public.practice_sessions p
                   where p.tenant_id = tenants[w.n] and p.student_id = students[w.n] offset 0) as p;

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.entry, s.outcome))
    into responses
    from unnest(active) as w(n),
         lateral (select array(
           select m.version from public.concept_mastery m
            where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
           union
           select a.version from public.student_ability a
            where a.tenant_id = tenants[w.n] and a.student_id = students[w.n]
           union
           select p.version from public.practice_sessions p
            where p.tenant_id = tenants[w.n] and p.student_id = students[w.n]) as versions
          offset 0) as rows,
         lateral (select array(
           select o.response_id from public.student_responses o
            where o.tenant_id = tenants[w.n] and o.student_id = students[w.n]
              and o.version = any(rows.versions)) as ids,
          array(
           select o.version from public.student_responses o
            where o.tenant_id = tenants[w.n] and o.student_id = students[w.n]
              and o.version = any(rows.versions)) as versions offset 0) as owner,
         lateral (select array(
           select newest.response_id
             from public.concept_mastery m,
                  lateral (select r.response_id from public.student_responses r
                            where r.tenant_id = m.tenant_id and r.student_id = m.student_id
                              and r.answered_at = m.answered_at
                              and m.concept_id = any(r.concept_ids)
                            order by r.response_id desc
                            limit 1) as newest
            where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
              and m.version <> all(owner.versions)) as ids offset 0) as other,
         lateral (select * from public.student_responses s
                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                     and s.response_id = any(owner.ids || other.ids) offset 0) as s;

  return json_build_object(
    'now', mastery.microseconds(clock_timestamp()), 'active', to_json(active),
    'concepts', coalesce(concepts, '[]'), 'intervals', coalesce(intervals, '[]'),
    'surprises', coalesce(surprises, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'responses', coalesce(responses, '[]'));
end $$;

revoke execute on function public.mastery_current(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_current(jsonb) to service_role;

-- A page of one learner's current values, in the order of their names, in one snapshot.
--
-- In:  tenant, student  the learner
--      limit            the most rows of each kind
--      concept, scale   the last ones of the page before; absent: from the beginning
-- Out: concepts   [[concept_id, mastery, attempts, mastered, answered_at, version,
--                   parameters_version, mastery_low, mastery_high], ...]
--      abilities  [[scale, theta, standard_error, version, responses, variance, surprise,
--                   surprise_variance], ...]
create function public.mastery_values(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select json_build_object(
    'concepts', (
      select coalesce(json_agg(json_build_array(
               m.concept_id, m.mastery, m.attempts, m.mastered, mastery.microseconds(m.answered_at),
               m.version, m.parameters_version, m.mastery_low, m.mastery_high)), '[]')
        from (select * from public.concept_mastery c
               where c.tenant_id = $1 ->> 'tenant' and c.student_id = $1 ->> 'student'
                 and c.concept_id > coalesce($1 ->> 'concept', '')
               order by c.concept_id
               limit ($1 ->> 'limit')::int) as m),
    'abilities', (
      select coalesce(json_agg(json_build_array(
               a.scale, a.theta, a.standard_error, a.version, a.responses, a.variance, a.surprise,
               a.surprise_variance)), '[]')
        from (select * from public.student_ability s
               where s.tenant_id = $1 ->> 'tenant' and s.student_id = $1 ->> 'student'
                 and s.scale > coalesce($1 ->> 'scale', '')
               order by s.scale
               limit ($1 ->> 'limit')::int) as a))
$$;

revoke execute on function public.mastery_values(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_values(jsonb) to service_role;

-- Audit: reads everything stored of some learners, in one snapshot, each row with its checksum and
-- the checksum that its columns give.
--
-- In:  tenants, students
--      most_answers  the most responses to return; null: all. A learner whose log does not fit comes
--                    without responses and windows.
-- Out: left_out     numbers of the learners whose log did not fit
--      learners     [[n, version, answered_at, response_id, parameters_version, responses,
--                     corrections, checksum, given], ...]
--      responses, corrections   alike, each as it is stored
--      concepts     [[n, row as in mastery_load, mastery_low, mastery_high, checksum, given], ...]
--      abilities, sessions      [[n, row as in mastery_load, checksum, given], ...]
--      rates        [[n, windows, counts], ...] as they are kept
--      windows      [[n, window, count], ...] counted from the log
create function public.mastery_audit(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenants constant text[] := (request ->> 'tenants')::text[];
  students constant text[] := (request ->> 'students')::text[];
  learners json;
  responses json;
  corrections json;
  concepts json;
  abilities json;
  sessions json;
  rates json;
  windows json;
  snapshots json;
  room int := (request ->> 'most_answers')::int;
  answers int;
  logged boolean[] := array_fill(true, array[cardinality(tenants)]);
begin
  for n in 1..case when room is null then 0 else cardinality(tenants) end loop
    answers := (select l.responses from mastery.learners l
                 where l.tenant_id = tenants[n] and l.student_id = students[n]);
    if answers is null then -- never counted, or without a row
      answers := (select count(*)
                    from (select from public.student_responses s
                           where s.tenant_id = tenants[n] and s.student_id = students[n]
                           limit room + 1) as s);
    end if;
    logged[n] := answers <= room;
    room := case when logged[n] then room - answers else room end;
  end loop;

  select json_agg(json_build_array(
           w.n, l.version, mastery.microseconds(l.answered_at), l.response_id,
           l.parameters_version, l.responses, l.corrections, l.checksum,
           mastery.learner_checksum(
             l.tenant_id, l.student_id, l.version, l.answered_at, l.response_id,
             l.parameters_version, l.responses, l.corrections, l.rate_windows, l.rate_counts))),
         json_agg(json_build_array(w.n, l.rate_windows, l.rate_counts))
           filter (where l.rate_windows is not null)
    into learners, rates
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from mastery.learners l
                   where l.tenant_id = w.tenant and l.student_id = w.student offset 0) as l;

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.checksum, mastery.response_checksum(
             s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id, s.concept_ids,
             s.scale, s.score, s.answered_at, s.recorded_at, s.version, s.entry, s.outcome)))
    into responses
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.student_responses s
                   where s.tenant_id = w.tenant and s.student_id = w.student offset 0) as s
   where logged[w.n];

  select json_agg(json_build_array(o.n, o.starts, o.counted))
    into windows
    from (select w.n, s.starts, count(*) as counted
            from unnest(tenants, students) with ordinality as w(tenant, student, n),
                 lateral (select (r.outcome ->> 'window')::bigint as starts
                            from public.student_responses r
                           where r.tenant_id = w.tenant and r.student_id = w.student offset 0) as s
           where logged[w.n] and s.starts is not null
           group by w.n, s.starts) as o;

  select json_agg(json_build_array(
           w.n, k.response_id, k.kind, k.score, k.reason, mastery.microseconds(k.corrected_at),
           k.version, k.checksum, mastery.correction_checksum(
             k.tenant_id, k.student_id, k.response_id, k.kind, k.score, k.reason, k.corrected_at,
             k.version)))
    into corrections
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.response_corrections k
                   where k.tenant_id = w.tenant and k.student_id = w.student offset 0) as k;

  select json_agg(m.audited) into concepts
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select json_build_array(w.n, mastery.concept_state(w.n::int, c),
                                          c.mastery_low, c.mastery_high, c.checksum,
                                          mastery.row_checksum(c)) as audited
                    from public.concept_mastery c
                   where c.tenant_id = w.tenant and c.student_id = w.student offset 0) as m;

  select json_agg(m.audited) into abilities
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select json_build_array(w.n, mastery.ability_state(w.n::int, a), a.checksum,
                                          mastery.row_checksum(a)) as audited
                    from public.student_ability a
                   where a.tenant_id = w.tenant and a.student_id = w.student offset 0) as m;

  select json_agg(m.audited) into sessions
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select json_build_array(w.n, mastery.session_state(w.n::int, p), p.checksum,
                                          mastery.row_checksum(p)) as audited
                    from public.practice_sessions p
                   where p.tenant_id = w.tenant and p.student_id = w.student offset 0) as m;

  select json_agg(json_build_array(
           w.n, s.parameters_version, mastery.microseconds(s.answered_at), s.response_id,
           s.responses, s.state::json, s.checksum, mastery.snapshot_checksum(
             s.tenant_id, s.student_id, s.parameters_version, s.answered_at, s.response_id,
             s.responses, s.state)))
    into snapshots
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from mastery.snapshots s
                   where s.tenant_id = w.tenant and s.student_id = w.student offset 0) as s;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'responses', coalesce(responses, '[]'),
    'corrections', coalesce(corrections, '[]'), 'concepts', coalesce(concepts, '[]'),
    'abilities', coalesce(abilities, '[]'), 'sessions', coalesce(sessions, '[]'),
    'rates', coalesce(rates, '[]'), 'windows', coalesce(windows, '[]'),
    'snapshots', coalesce(snapshots, '[]'),
    'left_out', (select coalesce(json_agg(w.n), '[]') from generate_subscripts(logged, 1) as w(n)
                  where not logged[w.n]));
end $$;

-- Reads some responses of a learner as they are stored, with their checksums: those that are named,
-- or a page.
--
-- In:  tenant, student; ids, or limit with after_at, after_id: the last of the page before
-- Out: responses   [[response, session, item, concepts, scale, score, answered_at, version, checksum,
--                    given, window], ...]
--      last        [answered_at, response_id] of the last response read; null: the log ends before
--                  the limit
create function public.mastery_audit_page(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  most constant int := (request ->> 'limit')::int;
  after_at constant timestamptz := coalesce((request ->> 'after_at')::timestamptz, '-infinity');
  after_id constant uuid := coalesce(
    (request ->> 'after_id')::uuid, '00000000-0000-0000-0000-000000000000');
  rows public.student_responses[];
  responses json;
begin
  if request ? 'ids' then
    rows := array(
      select s.named from unnest((request ->> 'ids')::uuid[]) as w(id),
             lateral (select r as named from public.student_responses r
                       where r.tenant_id = tenant and r.student_id = student
                         and r.response_id = w.id offset 0) as s);
  else
    rows := array(
      select s from public.student_responses s
       where s.tenant_id = tenant and s.student_id = student
         and (s.answered_at, s.response_id) > (after_at, after_id)
       order by s.answered_at, s.response_id limit most);
  end if;
  select json_agg(json_build_array(
           s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.checksum, mastery.response_checksum(
             s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id, s.concept_ids,
             s.scale, s.score, s.answered_at, s.recorded_at, s.version, s.entry, s.outcome),
           (s.outcome ->> 'window')::bigint))
    into responses
    from unnest(rows) as s;
  return json_build_object(
    'responses', coalesce(responses, '[]'),
    'last', case when cardinality(rows) = most then json_build_array(
      mastery.microseconds(rows[most].answered_at), rows[most].response_id) end);
end $$;

revoke execute on function public.mastery_audit(jsonb), public.mastery_audit_page(jsonb)
  from public, anon, authenticated;
grant execute on function public.mastery_audit(jsonb), public.mastery_audit_page(jsonb)
  to service_role;

-- Rewrite: replaces what is stored of some learners by the result of a replay, in one transaction
-- with the corrections that made it necessary and with the changes to publish.
--
-- The learners are locked in a fixed order; one whose version is not the expected one is left
-- alone. Each of the others takes one new version, which all rows written for it here carry.
--
-- In:  tenants, students, expected
--      last_at, last_id    position of each learner's newest response that counts; null: none does
--      parameters_version  of each learner
--      active              the caller knows that another version may be active than it computed
--                          under; a caller that does not is refused
--      corrections         number of each learner's corrections afterwards
--      recount             whether to count each learner's responses anew
--      w_start, w_count    rate windows to keep for each learner, null: as they are
--      x_*                 corrections to append
--      c_*, a_*, s_*       rows to write; c_gone_*, a_gone_*, s_gone_*  rows to delete
--      every, b_*, n_*     changes of snapshots
--      u_*                 changes to publish: concept and data of the event, without its version
-- Out: [version of each learner, null for one that was left alone]
create function public.mastery_rewrite(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenants constant text[] := (request ->> 'tenants')::text[];
  students constant text[] := (request ->> 'students')::text[];
  expected constant bigint[] := (request ->> 'expected')::bigint[];
  parameters constant int[] := (request ->> 'parameters_version')::int[];
  w_start constant text[] := (request ->> 'w_start')::text[];
  w_count constant text[] := (request ->> 'w_count')::text[];
  agreed boolean[] := array_fill(false, array[cardinality(tenants)]);
  versions bigint[] := array_fill(null::bigint, array[cardinality(tenants)]);
  active int;
  n int;
begin
  foreach n in array mastery.lock_learners(tenants, students, expected) loop
    agreed[n] := true;
    versions[n] := nextval('mastery.learner_version');
  end loop;

  -- A caller without `active` would put learners back to its own version.
  active := mastery.active_version();
  if not request ? 'active' and active <> any (parameters) then
    raise exception 'version % of the parameters is active, but this call computed under others: use '
      'the version of the engine that belongs to this schema', active
      using errcode = 'object_not_in_prerequisite_state';
  end if;

  update mastery.learners as l
     set version = w.version, answered_at = w.at, response_id = w.id,
         parameters_version = w.parameters, responses = w.responses, corrections = w.corrections,
         rate_windows = coalesce(w.starts, l.rate_windows),
         rate_counts = coalesce(w.counts, l.rate_counts),
         checksum = mastery.learner_checksum(
           l.tenant_id, l.student_id, w.version, w.at, w.id, w.parameters, w.responses,
           w.corrections, coalesce(w.starts, l.rate_windows), coalesce(w.counts, l.rate_counts))
    from (select u.*, w_start[u.n]::bigint[] as starts, w_count[u.n]::int[] as counts,
                 case when not u.recount then k.responses else (
                   select count(*) from public.student_responses s
                    where s.tenant_id = u.tenant_id and s.student_id = u.student_id)::int
                 end as responses
            from unnest(tenants, students, (request ->> 'recount')::boolean[], versions,
                        (request ->> 'last_at')::timestamptz[], (request ->> 'last_id')::uuid[],
                        parameters, (request ->> 'corrections')::int[])
                 with ordinality
                 as u(tenant_id, student_id, recount, version, at, id, parameters, corrections, n),
                 lateral (select l.responses from mastery.learners l
                           where l.tenant_id = u.tenant_id and l.student_id = u.student_id
                          offset 0) as k
           where u.version is not null offset 0) as w
   where l.tenant_id = w.tenant_id and l.student_id = w.student_id;

  insert into public.response_corrections (
    tenant_id, student_id, response_id, kind, score, reason, corrected_at, version, checksum)
  select t.*, mastery.correction_checksum(
           t.tenant_id, t.student_id, t.response_id, t.kind, t.score, t.reason, t.corrected_at,
           t.version)
    from (select tenants[x.learner] as tenant_id, students[x.learner] as student_id,
                 x.id as response_id, x.kind, x.score, x.reason, now() as corrected_at,
                 versions[x.learner] as version
            from unnest((request ->> 'x_of')::int[], (request ->> 'x_id')::uuid[],
                        (request ->> 'x_kind')::text[], (request ->> 'x_score')::float8[],
                        (request ->> 'x_reason')::text[]) as x(learner, id, kind, score, reason)
           where agreed[x.learner] offset 0) as t;

  delete from public.concept_mastery as m
   using unnest((request ->> 'c_gone_of')::int[], (request ->> 'c_gone')::text[]) as g(learner, id)
   where agreed[g.learner] and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.concept_id = g.id;

  delete from public.student_ability as m
   using unnest((request ->> 'a_gone_of')::int[], (request ->> 'a_gone')::text[]) as g(learner, id)
   where agreed[g.learner] and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.scale = g.id;

  delete from public.practice_sessions as m
   using unnest((request ->> 's_gone_of')::int[], (request ->> 's_gone')::text[]) as g(learner, id)
   where agreed[g.learner] and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.session_id = g.id;

  perform mastery.write_states(request, tenants, students, agreed, parameters, versions);
  if request ? 'every' then
    perform mastery.write_snapshots(request, tenants, students, agreed, parameters);
  end if;

  insert into mastery.untold (tenant_id, student_id, concept_id, version, data)
  select tenants[u.learner], students[u.learner], u.concept_id, versions[u.learner], u.data::jsonb
    from unnest((request ->> 'u_of')::int[], (request ->> 'u_concept')::text[],
                (request ->> 'u_data')::text[]) with ordinality as u(learner, concept_id, data, n)
   where agreed[u.learner]
   order by u.n;

  return to_json(versions);
end $$;

revoke execute on function public.mastery_rewrite(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_rewrite(jsonb) to service_role;

-- Seal: gives checksums to rows of some learners that have none, under the learners' locks.
--
-- In:  tenants, students, expected (a learner of another version is left alone)
--      log: false leaves out the responses, for `mastery_seal_page`
--      accept: true also gives one to rows whose columns were altered, which declares them right
-- Out: [number of rows of each learner with a new checksum, null for one that was left alone]
create function public.mastery_seal(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  accept constant boolean := coalesce((request ->> 'accept')::boolean, false);
  log constant boolean := coalesce((request ->> 'log')::boolean, true);
  w record;
  total int;
  sealed int[] := '{}';
begin
  for w in
    select u.* from unnest((request ->> 'tenants')::text[], (request ->> 'students')::text[],
                           (request ->> 'expected')::bigint[])
                    with ordinality as u(tenant_id, student_id, version, n)
     order by u.tenant_id collate "C", u.student_id collate "C"
  loop
    perform from mastery.learners l
      where l.tenant_id = w.tenant_id and l.student_id = w.student_id and l.version = w.version
        for update;
    if not found then
      sealed[w.n] := null;
      continue;
    end if;

    with learner as (
      update mastery.learners r set responses = g.responses, checksum = g.given
        from (select l.tenant_id, l.student_id, c.responses, mastery.learner_checksum(
                       l.tenant_id, l.student_id, l.version, l.answered_at, l.response_id,
                       l.parameters_version, c.responses, l.corrections, l.rate_windows,
                       l.rate_counts) as given
                from mastery.learners l,
                     lateral (select case when accept or l.responses is null then (
                                       select count(*) from public.student_responses s
                                        where s.tenant_id = l.tenant_id
                                          and s.student_id = l.student_id)::int
                                     else l.responses end as responses offset 0) as c
               where l.tenant_id = w.tenant_id and l.student_id = w.student_id) as g
       where r.tenant_id = g.tenant_id and r.student_id = g.student_id
         and (r.checksum is null or r.responses is null or accept and r.checksum <> g.given)
      returning 1),
    responses as (
      update public.student_responses r set checksum = g.given
        from (select s.tenant_id, s.student_id, s.response_id, mastery.response_checksum(
                       s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id,
                       s.concept_ids, s.scale, s.score, s.answered_at, s.recorded_at, s.version,
                       s.entry, s.outcome) as given
                from public.student_responses s
               where log and s.tenant_id = w.tenant_id and s.student_id = w.student_id) as g
       where r.tenant_id = g.tenant_id and r.student_id = g.student_id
         and r.response_id = g.response_id
         and (r.checksum is null or accept and r.checksum <> g.given)
      returning 1),
    corrections as (
      update public.response_corrections r set checksum = g.given
        from (select k.tenant_id, k.student_id, k.response_id, k.version,
                     mastery.correction_checksum(
                       k.tenant_id, k.student_id, k.response_id, k.kind, k.score, k.reason,
                       k.corrected_at, k.version) as given
                from public.response_corrections k
               where k.tenant_id = w.tenant_id and k.student_id = w.student_id) as g
       where r.tenant_id = g.tenant_id and r.student_id = g.student_id
         and r.response_id = g.response_id and r.version = g.version
         and (r.checksum is null or accept and r.checksum <> g.given)
      returning 1),
    concepts as (
      update public.concept_mastery r set checksum = mastery.row_checksum(r)
       where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null
      returning 1),
    abilities as (
      update public.student_ability r set checksum = mastery.row_checksum(r)
       where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null
      returning 1),
    sessions as (
      update public.practice_sessions r set checksum = mastery.row_checksum(r)
       where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null
      returning 1)
    select (select count(*) from learner) + (select count(*) from responses)
           + (select count(*) from corrections) + (select count(*) from concepts)
           + (select count(*) from abilities) + (select count(*) from sessions)
      into total;
    sealed[w.n] := total;
  end loop;
  return to_json(sealed);
end $$;

-- Gives checksums to some responses of a learner.
--
-- In:  tenant, student, expected, accept: see mastery_seal
--      limit; after_at, after_id: the last response of the page before
-- Out: [number of rows with a new checksum, null if the learner was left alone;
--       [answered_at, response_id] of the last response of the page, null: it was the last page]
create function public.mastery_seal_page(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  accept constant boolean := (request ->> 'accept')::boolean;
  most constant int := (request ->> 'limit')::int;
  after_at constant timestamptz := coalesce((request ->> 'after_at')::timestamptz, '-infinity');
  after_id constant uuid := coalesce(
    (request ->> 'after_id')::uuid, '00000000-0000-0000-0000-000000000000');
  last_at timestamptz;
  last_id uuid;
  read int;
  sealed int;
begin
  perform from mastery.learners l
    where l.tenant_id = tenant and l.student_id = student
      and l.version = (request ->> 'expected')::bigint for update;
  if not found then
    return json_build_array(null, null);
  end if;
  select count(*), (array_agg(p.answered_at order by p.n desc))[1],
         (array_agg(p.response_id order by p.n desc))[1]
    into read, last_at, last_id
    from (select s.answered_at, s.response_id,
                 row_number() over (order by s.answered_at, s.response_id) as n
            from public.student_responses s
           where s.tenant_id = tenant and s.student_id = student
             and (s.answered_at, s.response_id) > (after_at, after_id)
           order by s.answered_at, s.response_id limit most) as p;
  -- A range of the index in the learner's order: no join, whose plan would depend on statistics.
  update public.student_responses r
     set checksum = mastery.response_checksum(
           r.tenant_id, r.student_id, r.response_id, r.session_id, r.item_id, r.concept_ids, r.scale,
           r.score, r.answered_at, r.recorded_at, r.version, r.entry, r.outcome)
   where r.tenant_id = tenant and r.student_id = student
     and (r.answered_at, r.response_id) > (after_at, after_id)
     and (r.answered_at, r.response_id) <= (last_at, last_id)
     and (r.checksum is null or accept and r.checksum <> mastery.response_checksum(
            r.tenant_id, r.student_id, r.response_id, r.session_id, r.item_id, r.concept_ids,
            r.scale, r.score, r.answered_at, r.recorded_at, r.version, r.entry, r.outcome));
  get diagnostics sealed = row_count;
  return json_build_array(sealed, case when read = most then json_build_array(
    mastery.microseconds(last_at), last_id) end);
end $$;

revoke execute on function public.mastery_seal(jsonb), public.mastery_seal_page(jsonb)
  from public, anon, authenticated;
grant execute on function public.mastery_seal(jsonb), public.mastery_seal_page(jsonb)
  to service_role;

-- The concept map: each tenant's concepts and items, and the prerequisites of each concept.
--
-- The worker reads it in strict mode; `mastery concepts import` and `mastery reconcile` copy it into
-- the graph. It holds nothing about any learner.

create table mastery.concept_maps (
  tenant_id text collate "C" primary key,
  version bigint not null
);
comment on table mastery.concept_maps is
  'One row per tenant with a concept map: its lock, and a version that each import raises.';

create table mastery.concepts (
  tenant_id text collate "C" not null references mastery.concept_maps,
  concept_id text collate "C" not null,
  name text not null,
  scale text not null,
  primary key (tenant_id, concept_id)
);
comment on table mastery.concepts is 'Registered concepts.';
comment on column mastery.concepts.scale is 'Ability scale of the concept.';

create table mastery.prerequisites (
  tenant_id text collate "C" not null,
  concept_id text collate "C" not null,
  prerequisite_id text collate "C" not null check (prerequisite_id <> concept_id),
  primary key (tenant_id, concept_id, prerequisite_id),
  foreign key (tenant_id, concept_id) references mastery.concepts,
  foreign key (tenant_id, prerequisite_id) references mastery.concepts
);
comment on table mastery.prerequisites is
  'Prerequisites of each concept; the import refuses cycles.';
create index prerequisites_of_others
  on mastery.prerequisites (tenant_id, prerequisite_id);

create table mastery.items (
  tenant_id text collate "C" not null references mastery.concept_maps,
  item_id text collate "C" not null,
  concept_ids text[] not null check (cardinality(concept_ids) between 1 and 16),
  scale text not null,
  primary key (tenant_id, item_id)
);
comment on table mastery.items is 'Registered items, and the concepts that they test.';

alter table mastery.concept_maps enable row level security;
alter table mastery.concepts enable row level security;
alter table mastery.prerequisites enable row level security;
alter table mastery.items enable row level security;
revoke all on mastery.concept_maps, mastery.concepts, mastery.prerequisites, mastery.items
  from public, anon, authenticated;
grant all on mastery.concept_maps, mastery.concepts, mastery.prerequisites, mastery.items
  to service_role;

-- Returns the map of a tenant.
--
-- In:  tenant
--      items      ids of the items to return; null: none
-- Out: version    0: there is no map
--      concepts   [[concept_id, name, scale, [prerequisite_id, ...]], ...] in the order of their ids
--      items      [[item_id, [concept_id, ...], scale], ...] likewise
create function public.mastery_concept_map(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select json_build_object(
    'version', coalesce((select m.version from mastery.concept_maps m
                          where m.tenant_id = $1 ->> 'tenant'), 0),
    'concepts', coalesce((
      select json_agg(json_build_array(
               c.concept_id, c.name, c.scale,
               array(select p.prerequisite_id from mastery.prerequisites p
                      where p.tenant_id = c.tenant_id and p.concept_id = c.concept_id
                      order by p.prerequisite_id)) order by c.concept_id)
        from mastery.concepts c where c.tenant_id = $1 ->> 'tenant'), '[]'),
    'items', coalesce((
      select json_agg(json_build_array(i.item_id, i.concept_ids, i.scale) order by i.item_id)
        from mastery.items i
       where i.tenant_id = $1 ->> 'tenant'
         and i.item_id = any (($1 ->> 'items')::text[])), '[]'))
$$;

-- Lists a page of the items of a tenant, in the order of their ids.
--
-- In:  tenant
--      after: only those behind it; limit
-- Out: [[item_id, [concept_id, ...], scale], ...]
create function public.mastery_items(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select coalesce(json_agg(json_build_array(i.item_id, i.concept_ids, i.scale)
                           order by i.item_id), '[]')
    from (select n.item_id, n.concept_ids, n.scale from mastery.items n
           where n.tenant_id = $1 ->> 'tenant' and n.item_id > ($1 ->> 'after') collate "C"
           order by n.item_id limit ($1 ->> 'limit')::int) as i
$$;

-- Writes a part of a tenant's map, in one transaction, if nobody has changed the map meanwhile.
--
-- In:  tenant
--      version             of the map that the part was checked against
--      c_id, c_name, c_scale   concepts, each with exactly the prerequisites named here
--      p_of, p_id          prerequisites: the concept, and what it requires
--      i_id, i_scale, i_concepts   items, with their concepts as the text of an array
-- Out: {"version": the new one, or null if the map was changed meanwhile}
create function public.mastery_import_concepts(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  seen bigint;
begin
  insert into mastery.concept_maps (tenant_id, version) values (tenant, 0) on conflict do nothing;
  select m.version into seen from mastery.concept_maps m where m.tenant_id = tenant for update;
  if seen <> (request ->> 'version')::bigint then
    return json_build_object('version', null);
  end if;
  update mastery.concept_maps m set version = seen + 1 where m.tenant_id = tenant;

  insert into mastery.concepts as c (tenant_id, concept_id, name, scale)
  select tenant, n.id, n.name, n.scale
    from unnest((request ->> 'c_id')::text[], (request ->> 'c_name')::text[],
                (request ->> 'c_scale')::text[]) as n(id, name, scale)
      on conflict (tenant_id, concept_id) do update
     set name = excluded.name, scale = excluded.scale;

  delete from mastery.prerequisites p
   where p.tenant_id = tenant and p.concept_id = any ((request ->> 'c_id')::text[]);
  insert into mastery.prerequisites (tenant_id, concept_id, prerequisite_id)
  select tenant, n.of_id, n.id
    from unnest((request ->> 'p_of')::text[], (request ->> 'p_id')::text[]) as n(of_id, id);

  insert into mastery.items as i (tenant_id, item_id, concept_ids, scale)
  select tenant, n.id, n.concepts::text[], n.scale
    from unnest((request ->> 'i_id')::text[], (request ->> 'i_concepts')::text[],
                (request ->> 'i_scale')::text[]) as n(id, concepts, scale)
      on conflict (tenant_id, item_id) do update
     set concept_ids = excluded.concept_ids, scale = excluded.scale;
  return json_build_object('version', seen + 1);
end $$;

-- Says which names are registered.
--
-- In:  c_tenant, c_id   concepts; i_tenant, i_id   items
-- Out: concepts   [n, ...] places in c_id of those that are, from 1 on
--      items      likewise
create function public.mastery_registered(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
begin
  return json_build_object(
    'concepts', array(
      select n.place
        from unnest((request ->> 'c_tenant')::text[], (request ->> 'c_id')::text[])
               with ordinality as n(tenant_id, id, place),
             lateral (select from mastery.concepts c
                       where c.tenant_id = n.tenant_id and c.concept_id = n.id offset 0) as known),
    'items', array(
      select n.place
        from unnest((request ->> 'i_tenant')::text[], (request ->> 'i_id')::text[])
               with ordinality as n(tenant_id, id, place),
             lateral (select from mastery.items i
                       where i.tenant_id = n.tenant_id and i.item_id = n.id offset 0) as known));
end $$;

-- Lists the tenants that have a map, in the order of their ids.
--
-- In:  after: only those behind it; limit
-- Out: [tenant_id, ...]
create function public.mastery_mapped_tenants(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select coalesce(json_agg(t.tenant_id), '[]')
    from (select m.tenant_id from mastery.concept_maps m
           where m.tenant_id > ($1 ->> 'after') collate "C" and m.version > 0
           order by m.tenant_id limit ($1 ->> 'limit')::int) as t
$$;

revoke execute on function
  public.mastery_concept_map(jsonb), public.mastery_import_concepts(jsonb),
  public.mastery_registered(jsonb), public.mastery_mapped_tenants(jsonb),
  public.mastery_items(jsonb)
  from public, anon, authenticated;
grant execute on function
  public.mastery_concept_map(jsonb), public.mastery_import_concepts(jsonb),
  public.mastery_registered(jsonb), public.mastery_mapped_tenants(jsonb),
  public.mastery_items(jsonb)
  to service_role;

-- Calibration: the log of all learners in pages, and the finished stages of a run.

create table mastery.calibration_stages (
  run uuid not null,
  stage text collate "C" not null,
  document text not null,
  written_at timestamptz not null,
  checksum bigint not null,
  primary key (run, stage)
);
comment on table mastery.calibration_stages is
  'Finished stages of calibration runs, from which a stopped run resumes. Sums over all learners, '
  'no single answer; deleted when the run ends.';
alter table mastery.calibration_stages enable row level security;
revoke all on mastery.calibration_stages from public, anon, authenticated;
grant all on mastery.calibration_stages to service_role;

create function mastery.stage_checksum(
  run uuid, stage text, document text, written_at timestamptz) returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(row(run, stage, document, written_at), 0);

-- Returns a page of the effective log, of whole learners in the order of their keys.
--
-- In:  limit         at most so many learners
--      responses     stop before a learner (but the first) with whom the page would exceed so many
--      after_tenant, after_student: the last learner of the page before
--      until_us      only what was recorded and corrected up to then, microseconds since 1970
-- Out: learners      [[tenant, student], ...]; none: there are no more
--      log           [[n, item_id, concept_ids, scale, score, answered_at], ...] in their order
create function public.mastery_logs(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  until_us constant bigint := coalesce((request ->> 'until_us')::bigint, 9223372036854775807);
  tenants text[];
  students text[];
  learners json;
  log json;
begin
  select array_agg(p.tenant_id order by p.n), array_agg(p.student_id order by p.n),
         json_agg(json_build_array(p.tenant_id, p.student_id) order by p.n)
    into tenants, students, learners
    from (select l.tenant_id, l.student_id, row_number() over in_order as n,
                 -- 50 is usual; a learner without a count is rare.
                 sum(coalesce(l.responses, 50)) over in_order as responses
            from (select k.tenant_id, k.student_id, k.responses
                    from mastery.learners k
                   where (k.tenant_id, k.student_id)
                         > (coalesce(request ->> 'after_tenant', ''),
                            coalesce(request ->> 'after_student', ''))
                   order by k.tenant_id, k.student_id
                   limit (request ->> 'limit')::int) as l
          window in_order as (order by l.tenant_id, l.student_id)) as p
   where p.n = 1 or p.responses <= (request ->> 'responses')::bigint;

  select json_agg(json_build_array(
           w.n, s.item_id, s.concept_ids, s.scale, coalesce(k.score, s.score),
           mastery.microseconds(s.answered_at)) order by w.n, s.answered_at, s.response_id)
    into log
    from generate_series(1, cardinality(tenants)) as w(n)
         cross join lateral (
           select * from public.student_responses s
            where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
              and mastery.microseconds(s.recorded_at) <= until_us offset 0) as s
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenants[w.n] and k.student_id = students[w.n]
              and k.response_id = s.response_id
              and mastery.microseconds(k.corrected_at) <= until_us
            order by k.version desc limit 1) as k on true
   where k.kind is distinct from 'void';

  return json_build_object('learners', coalesce(learners, '[]'), 'log', coalesce(log, '[]'));
end $$;

-- Returns the stages of a run, or all of one name, the newest first; without those that were
-- altered.
--
-- In:  run or stage
-- Out: [[run, stage, document], ...]
create function public.mastery_stages(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select coalesce(json_agg(json_build_array(s.run, s.stage, s.document)
                           order by s.written_at desc, s.run), '[]')
    from mastery.calibration_stages s
   where (not $1 ? 'run' or s.run = ($1 ->> 'run')::uuid)
     and (not $1 ? 'stage' or s.stage = $1 ->> 'stage')
     and s.checksum = mastery.stage_checksum(s.run, s.stage, s.document, s.written_at)
$$;

-- Stores the result of a stage, in place of an earlier one.
--
-- In:  run, stage, document
-- Out: [1]
create function public.mastery_keep_stage(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with kept as (
    insert into mastery.calibration_stages as s (run, stage, document, written_at, checksum)
    select g.*, mastery.stage_checksum(g.run, g.stage, g.document, g.written_at)
      from (select ($1 ->> 'run')::uuid as run, $1 ->> 'stage' as stage,
                   $1 ->> 'document' as document, now() as written_at) as g
        on conflict (run, stage) do update
       set document = excluded.document, written_at = excluded.written_at,
           checksum = excluded.checksum
    returning s.run)
  select json_build_array(count(*)) from kept
$$;

-- Deletes the stages of a run, or those of abandoned runs.
--
-- In:  run; or idle_s: all of runs whose newest stage is older, seconds
-- Out: [number of stages]
create function public.mastery_forget_stages(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with gone as (
    delete from mastery.calibration_stages s
     where case when $1 ? 'run' then s.run = ($1 ->> 'run')::uuid
                else not exists (
                  select from mastery.calibration_stages t
                   where t.run = s.run
                     and t.written_at >= now() - make_interval(secs => ($1 ->> 'idle_s')::float8))
           end
    returning s.run)
  select json_build_array(count(*)) from gone
$$;

revoke execute on function
  public.mastery_logs(jsonb), public.mastery_stages(jsonb), public.mastery_keep_stage(jsonb),
  public.mastery_forget_stages(jsonb), mastery.stage_checksum(uuid, text, text, timestamptz)
  from public, anon, authenticated;
grant execute on function
  public.mastery_logs(jsonb), public.mastery_stages(jsonb), public.mastery_keep_stage(jsonb),
  public.mastery_forget_stages(jsonb), mastery.stage_checksum(uuid, text, text, timestamptz)
  to service_role;

-- Predictions: what was predicted of each response before it was seen, and what then happened.
--
-- In:  limit          responses looked at, including those that are left out
--      tenant         only its learners; absent: all
--      since          only what was recorded at or after it; absent: all
--      after_tenant, after_student, after_response: the last one looked at in the page before
-- Out: last           [tenant, student, response_id] of the last one looked at, null: no more
--      and, in the same order, one value per response in each of:
--      learners       [[tenant, student], ...]
--      concepts       [concept_ids, ...]
--      masteries      [[mastery of each concept after the response, ...], ...]
--      attempts       on the concept named first, including this one
--      scores         as they count now
--      probabilities  expected scores before the response, as they were stored
--      versions       of the learner: the order in which responses were recorded
--      parameters     version that they were predicted under
--      recorded       microseconds since 1970
-- A response that a correction voids is left out. Without a stored prediction of the response
-- itself, the mean of its concepts' predictions stands for it.
create function public.mastery_predictions(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
-- One tenant and all tenants need different plans.
set plan_cache_mode = force_custom_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  since constant timestamptz := coalesce((request ->> 'since')::timestamptz, '-infinity');
  size constant int := (request ->> 'limit')::int;
  after_tenant constant text := coalesce(request ->> 'after_tenant', tenant, '');
  after_student constant text := coalesce(request ->> 'after_student', '');
  after_response constant uuid := coalesce(
    (request ->> 'after_response')::uuid, '00000000-0000-0000-0000-000000000000');
begin
  return (
    with page as materialized (
      select s.*
        from public.student_responses s
       where (tenant is null or s.tenant_id = tenant)
         and (s.tenant_id, s.student_id, s.response_id)
             > (after_tenant, after_student, after_response)
       order by s.tenant_id, s.student_id, s.response_id
       limit size),
    told as (
      select json_build_array(p.tenant_id, p.student_id) as learner, p.concept_ids,
             (select json_agg((c.of ->> 'mastery')::float8 order by c.n)
                from jsonb_array_elements(p.outcome -> 'concepts') with ordinality as c(of, n)
               where c.n <= cardinality(p.concept_ids)) as masteries,
             (p.outcome #>> '{concepts,0,attempts}')::int as attempts,
             coalesce(k.score, p.score) as score,
             coalesce(
               (p.outcome ->> 'probability_correct')::float8,
               (select avg((c.of ->> 'probability_correct')::float8)
                  from jsonb_array_elements(p.outcome -> 'concepts') with ordinality as c(of, n)
                 where c.n <= cardinality(p.concept_ids))) as probability,
             p.version, (p.outcome ->> 'parameters_version')::int as parameters,
             mastery.microseconds(p.recorded_at) as recorded
        from page as p
             left join lateral (
               select k.kind, k.score from public.response_corrections k
                where k.tenant_id = p.tenant_id and k.student_id = p.student_id
                  and k.response_id = p.response_id
                order by k.version desc limit 1) as k on true
       where k.kind is distinct from 'void' and p.recorded_at >= since)
    select json_build_object(
      'last', (select json_build_array(p.tenant_id, p.student_id, p.response_id)
                 from page as p
                where (select count(*) from page) = size
                order by p.tenant_id desc, p.student_id desc, p.response_id desc limit 1),
      'learners', coalesce(json_agg(t.learner), '[]'),
      'concepts', coalesce(json_agg(t.concept_ids), '[]'),
      'masteries', coalesce(json_agg(t.masteries), '[]'),
      'attempts', coalesce(json_agg(t.attempts), '[]'),
      'scores', coalesce(json_agg(t.score), '[]'),
      'probabilities', coalesce(json_agg(t.probability), '[]'),
      'versions', coalesce(json_agg(t.version), '[]'),
      'parameters', coalesce(json_agg(t.parameters), '[]'),
      'recorded', coalesce(json_agg(t.recorded), '[]'))
      from told as t);
end $$;

revoke execute on function public.mastery_predictions(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_predictions(jsonb) to service_role;

notify pgrst, 'reload schema';
