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
