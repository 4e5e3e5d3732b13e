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
