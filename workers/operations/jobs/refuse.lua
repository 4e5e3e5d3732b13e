-- Ends a job whose request was refused, if it is this entry that asked for it.
--
-- KEYS: 1 the record
-- ARGV: 1 the entry, 2 the time to live in seconds, 3 the channel, 4 the message, 5 the state
-- Returns 1, or 0 if another entry asked for it or it has ended.

local status = redis.call('HGET', KEYS[1], 'status')
if redis.call('HGET', KEYS[1], 'entry') ~= ARGV[1] or (status ~= 'queued' and status ~= 'running') then
  return 0
end
-- Whoever is at it finds that it is no longer theirs.
redis.call('HSET', KEYS[1], 'status', 'failed', 'run', '', 'state', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
