-- Opens a job's record, and publishes its request, once; again only if the entry was lost.
--
-- KEYS: 1 the record, 2 the tenant's index, 3 the stream of requests, then other records of the
--       tenant, the oldest first, of which those that have ended may make room
-- ARGV: 1 the digest of what is asked for, 2 the request, 3 its time to live in seconds,
--       4 how many records a tenant may have, 5 the id, 6 the field of an entry, 7 the event or
--       nothing, 8 the entry that asks or nothing, then the ids of the other records
-- Returns 1 and the record's fields; 0 if the id is another job's; -1 if there are too many.

local function entry()
  if ARGV[7] ~= '' then
    return redis.call('XADD', KEYS[3], '*', ARGV[6], ARGV[7])
  end
  return ARGV[8]
end

if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('HGET', KEYS[1], 'digest') ~= ARGV[1] then
    return {0}
  end
  if redis.call('HGET', KEYS[1], 'status') == 'queued' then
    local known = redis.call('HGET', KEYS[1], 'entry') or ''
    if known == '' or #redis.call('XRANGE', KEYS[3], known, known) == 0 then
      redis.call('HSET', KEYS[1], 'entry', entry())
    end
  end
  return {1, redis.call('HGETALL', KEYS[1])}
end

-- The oldest that have ended make room.
local excess = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4]) + 1
local other = 4
while excess > 0 do
  if other > #KEYS then
    return {-1}
  end
  local status = redis.call('HGET', KEYS[other], 'status')
  if status ~= 'queued' and status ~= 'running' then
    redis.call('DEL', KEYS[other])
    excess = excess - redis.call('ZREM', KEYS[2], ARGV[other + 5])
  end
  other = other + 1
end

local time = redis.call('TIME')
local now_us = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'request', ARGV[2], 'requested_us', now_us,
  'status', 'queued', 'attempts', '0', 'entry', entry())
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now_us, ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return {1, redis.call('HGETALL', KEYS[1])}
