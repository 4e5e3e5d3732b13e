-- Notes which server has a shard's streams and how far they have come, and tells of servers lost.
--
-- A failover loses the last writes of the old server, in order: a note that survives proves that
-- all before it survives too. So what is lost lies behind the last note of the old server. A server
-- that starts again is another one, since it may have lost its last second.
--
-- KEYS: 1 the notes (a hash), 2 the stream of responses, 3 the stream of mastery events
-- ARGV: 1 how far an entry that was lost may lie ahead of this server's clock, milliseconds
--       2 how long a loss is remembered, milliseconds
-- Returns for each loss: the newest response and the newest event that surely survived, and the
--         time up to which entries may be lost, milliseconds since 1970.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local margin, kept = tonumber(ARGV[1]), tonumber(ARGV[2])

local function newest(stream)
  if redis.call('EXISTS', stream) == 0 then
    return '0-0'
  end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1]
    end
  end
end

local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local before = redis.call('HMGET', KEYS[1], 'server', 'response', 'event')
if before[1] and before[1] ~= server then
  local lost = string.format('%s %s %.0f', before[2], before[3], now + margin)
  redis.call('HSET', KEYS[1], string.format('lost %.0f', now), lost)
end
redis.call('HSET', KEYS[1], 'server', server, 'response', newest(KEYS[2]), 'event', newest(KEYS[3]))

local answer = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local at = string.match(fields[i], '^lost (%d+)$')
  if at and now - tonumber(at) > kept then
    redis.call('HDEL', KEYS[1], fields[i])
  elseif at then
    local response, event, until_ms = string.match(fields[i + 1], '^(%S+) (%S+) (%d+)$')
    table.insert(answer, {response, event, until_ms})
  end
end
return answer
