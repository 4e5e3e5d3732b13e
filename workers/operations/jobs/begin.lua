-- Gives a job to a run, unless it has ended or its record is gone.
--
-- KEYS: 1 the record
-- ARGV: 1 the run, 2 the time to live in seconds
-- Returns how often it was begun, this time included; 0 if it has ended or is gone.

local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'queued' and status ~= 'running' then
  return 0
end
redis.call('HSET', KEYS[1], 'status', 'running', 'run', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HINCRBY', KEYS[1], 'attempts', 1)
