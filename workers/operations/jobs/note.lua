-- Notes how far a job is, and tells those who listen, if the job is still this run's.
--
-- KEYS: 1 the record
-- ARGV: 1 the run, 2 the time to live in seconds, 3 the channel, 4 the message,
--       then names and values of fields
-- Returns 1, or 0 if another run has it.

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
