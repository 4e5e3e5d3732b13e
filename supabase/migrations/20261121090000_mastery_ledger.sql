-- The ledger: the log of responses, and the state that is its fold.
--
-- What others read stands in schema public, under row level security. What only the engine needs
-- stands in schema mastery, which no REST layer exposes.
--
-- Keys collate "C": by code point, as the engine itself sorts them, on every server alike and
-- through every upgrade of the system's locales, which would otherwise corrupt their indexes.

create schema mastery;

-- Supabase has these roles; a plain Postgres gets them here. Roles belong to the whole server:
-- another database may be migrated at this moment.
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

create table mastery.settings (
  name text primary key,
  value text not null
);
comment on table mastery.settings is
  'What the database itself must know of the settings; written by `mastery migrate`.';

create sequence mastery.learner_version as bigint cache 1;
comment on sequence mastery.learner_version is
  'Versions of learners. A sequence and no counter: nobody can guess the next one and so pass a '
  'comparison after somebody else''s write.';

create table mastery.learners (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  version bigint not null default 0,
  answered_at timestamptz,
  response_id uuid,
  parameters_version int not null default 1,
  primary key (tenant_id, student_id)
) with (fillfactor = 80);
comment on table mastery.learners is
  'One row per learner: its lock, its version, the position of its newest response.';

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
  primary key (tenant_id, student_id, response_id)
) partition by hash (tenant_id, student_id);
comment on table public.student_responses is
  'The log, append-only: what each learner answered. The order that counts is (answered_at, response_id).';
comment on column public.student_responses.version is 'The learner''s version that this response took.';
comment on column public.student_responses.entry is
  'Stream and id of the entry that owns the response: only its acknowledgement publishes.';
comment on column public.student_responses.outcome is
  'What was predicted before the response was seen and decided at its commit; never rewritten.';

-- Partitions live in the private schema, so that each is reached through its parent's policy only.
do $$
begin
  for k in 0..15 loop
    execute format(
      'create table mastery.student_responses_%s partition of public.student_responses '
      'for values with (modulus 16, remainder %s)', lpad(k::text, 2, '0'), k);
    execute format('alter table mastery.student_responses_%s enable row level security', lpad(k::text, 2, '0'));
  end loop;
end $$;

create index student_responses_in_order
  on public.student_responses (tenant_id, student_id, answered_at, response_id);

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
  primary key (tenant_id, student_id, concept_id)
) with (fillfactor = 80);
comment on column public.concept_mastery.odds_mantissa is
  'P(known) / P(unknown) = odds_mantissa * 2 ^ odds_exponent: mastery without any loss of precision.';

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
  primary key (tenant_id, student_id, scale)
) with (fillfactor = 80);
comment on column public.student_ability.score is 'Sum of the scores of those responses.';

create table public.practice_sessions (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  session_id text collate "C" not null,
  responses int not null check (responses > 0),
  correct int not null check (correct between 0 and responses),
  started_at timestamptz not null,
  ended_at timestamptz not null check (ended_at >= started_at),
  version bigint not null,
  primary key (tenant_id, student_id, session_id)
) with (fillfactor = 80);

-- Who may see what ----------------------------------------------------------------------------

create function mastery.claims() returns jsonb
language sql stable set search_path = ''
as $$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;

create function mastery.claimed_student() returns text
language sql stable set search_path = ''
as $$
  select case when jsonb_typeof(mastery.claims() -> 'sub') = 'string'
              then mastery.claims() ->> 'sub' end
$$;

-- The first of these claims that is there counts. One that is no string is nobody's tenant: null,
-- which equals no row's.
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

do $$
declare
  t regclass;
begin
  foreach t in array array['public.student_responses', 'public.concept_mastery',
                           'public.student_ability', 'public.practice_sessions']::regclass[] loop
    execute format('alter table %s enable row level security', t);
    execute format(
      'create policy own_rows on %s for select to authenticated using ('
      'student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()))', t);
    execute format('revoke all on %s from public, anon, authenticated', t);
    execute format('grant select on %s to authenticated', t);
    execute format('grant all on %s to service_role', t);
  end loop;
end $$;

alter table mastery.settings enable row level security;
create policy readable on mastery.settings for select to authenticated using (true);
alter table mastery.learners enable row level security;
revoke all on mastery.settings, mastery.learners from public, anon, authenticated;
grant select on mastery.settings to authenticated;
grant all on mastery.settings, mastery.learners to service_role;
grant usage on sequence mastery.learner_version to service_role;
grant usage on schema mastery to authenticated, service_role;
revoke execute on function mastery.claims(), mastery.claimed_student(), mastery.claimed_tenant()
  from public, anon;
grant execute on function mastery.claims(), mastery.claimed_student(), mastery.claimed_tenant()
  to authenticated, service_role;

-- Supabase's realtime sends changes of a student's mastery to the student.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.concept_mastery;
  end if;
end $$;
