-- Says that a worker is alive, and lists those that are. One that comes back soon keeps its age.
--
-- KEYS: 1 a hash: name of a worker to "joined beat shards"; times are Redis's, milliseconds since 1970
-- ARGV: 1 the worker's name
--       2 its number of shards (`STREAM_SHARDS`)
--       3 milliseconds after which a silent worker is dead
-- Returns: for each live worker its name, when it joined, its number of shards

local key, own, shards, silence_ms = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local FORGOTTEN = 10 -- times the silence

local answer, joined = {}, now
local rows = redis.call('HGETALL', key)
for i = 1, #rows, 2 do
  local name = rows[i]
  local since, beat, count = string.match(rows[i + 1], '^(%d+) (%d+) (%d+)$')
  -- A time ahead of ours is of a clock that was set back.
  local silent_ms = beat and math.abs(now - tonumber(beat))
  if not beat or silent_ms > FORGOTTEN * silence_ms then
    redis.call('HDEL', key, name)
  elseif name == own then
    joined = tonumber(since)
  elseif silent_ms < silence_ms then
    table.insert(answer, {name, since, count})
  end
end
table.insert(answer, {own, string.format('%.0f', joined), shards})
redis.call('HSET', key, own, string.format('%.0f %.0f %s', joined, now, shards))
-- The hash goes with the last worker.
redis.call('PEXPIRE', key, FORGOTTEN * silence_ms)
return answer
