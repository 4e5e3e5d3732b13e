-- Acknowledges entries and publishes their events, each entry in one step.
--
-- The script adds an entry's events only if this very call removed the entry from the group's
-- pending list: a worker that lost its entry to another adds nothing, and a repeat adds nothing.
--
-- KEYS: 1 the stream of the entries, 2 the stream of their events, 3 the stream of rejections
-- ARGV: 1 the group, 2 the field; then for each entry its id, 2 or 3 (the key for its events),
--       the number of events, and the events
-- Returns the number of entries it acknowledged.

-- Nothing may fail after the first XACK, or an acknowledged entry would lose its events.
for i = 1, 3 do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind .. ', not a stream')
  end
end

local acknowledged = 0
local at = 3
while at <= #ARGV do
  local id, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  if redis.call('XACK', KEYS[1], ARGV[1], id) == 1 then
    acknowledged = acknowledged + 1
    for event = at + 3, at + 2 + count do
      redis.call('XADD', key, '*', ARGV[2], ARGV[event])
    end
  end
  at = at + 3 + count
end
return acknowledged
