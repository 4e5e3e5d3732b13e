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
