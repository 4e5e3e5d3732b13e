-- Times leave the database as microseconds since 1970.

create function mastery.microseconds(moment timestamptz) returns bigint
language sql immutable set search_path = ''
as $$ select (extract(epoch from moment) * 1000000)::bigint $$;

revoke execute on function mastery.microseconds(timestamptz) from public, anon, authenticated;
grant execute on function mastery.microseconds(timestamptz) to service_role;
