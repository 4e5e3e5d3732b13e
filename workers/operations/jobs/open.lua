-- Opens a job's record, and publishes its request, once; again only if the entry was lost.
--
-- KEYS: 1 the record, 2 the tenant's index, 3 the stream of requests
-- ARGV: 1 the digest of what is asked for, 2 the request, 3 its time to live in seconds,
--       4 how many records a tenant may have, 5 the prefix and 6 the suffix of the keys of records
--       around their id, 7 the id, 8 the field of an entry, 9 the event or nothing, 10 the entry
--       that asks or nothing
-- Returns 1 and the record's fields; 0 if the id is another job's; -1 if there are too many.

local function entry()
  if ARGV[9] ~= '' then
    return redis.call('XADD', KEYS[3], '*', ARGV[8], ARGV[9])
  end
  return ARGV[10]
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
while redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) do
  local room = false
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local key = ARGV[5] .. id .. ARGV[6]
    local status = redis.call('HGET', key, 'status')
    if status ~= 'queued' and status ~= 'running' then
      redis.call('DEL', key)
      redis.call('ZREM', KEYS[2], id)
      room = true
      break
    end
  end
  if not room then
    return {-1}
  end
end

local time = redis.call('TIME')
local now_us = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'request', ARGV[2], 'requested_us', now_us,
  'status', 'queued', 'attempts', '0', 'entry', entry())
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now_us, ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return {1, redis.call('HGETALL', KEYS[1])}
