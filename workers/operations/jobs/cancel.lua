-- Ends a job that nobody wants any more, unless it has ended or its record is gone.
--
-- KEYS: 1 the record
-- ARGV: 1 the time to live in seconds, 2 the channel, 3 the message, 4 the state
-- Returns 1, or 0 if it has ended or is gone.

local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'queued' and status ~= 'running' then
  return 0
end
-- Whoever is at it finds that it is no longer theirs.
redis.call('HSET', KEYS[1], 'status', 'cancelled', 'run', '', 'state', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
