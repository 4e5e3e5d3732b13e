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
