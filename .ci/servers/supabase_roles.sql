-- The roles of a Supabase project and their limits, once per cluster.
-- Variable: authenticator_password.
select not exists (select from pg_roles where rolname = 'authenticator') as missing \gset
\if :missing
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
\endif
alter role authenticator password :'authenticator_password';
