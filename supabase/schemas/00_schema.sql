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
