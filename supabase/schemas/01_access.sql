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
