-- The roles that Supabase has and a plain Postgres lacks; run once, when the database is made.
-- `migrate` needs them to grant on its tables, PostgREST to log in and to change into them.

\getenv password AUTHENTICATOR_PASSWORD

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password :'password';
grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;
