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
local kinds = {}
for i = 1, 3 do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind .. ', not a stream')
  end
  kinds[i] = kind
end

-- Why a stream takes no event; nil if it takes them.
local function obstacle(i)
  -- The id 0-0 is never added, but whoever may not add, or can't now, is told so first.
  local answer = tostring(redis.pcall('XADD', KEYS[i], '0-0', ARGV[2], '')['err'])
  if not string.find(answer, 'must be greater than 0-0', 1, true) then
    return answer
  end
  if kinds[i] == 'stream' then
    local info = redis.call('XINFO', 'STREAM', KEYS[i])
    for name = 1, #info, 2 do
      if info[name] == 'last-generated-id' and string.find(info[name + 1], '^18446744073709551615%-') then
        return 'ERR ' .. KEYS[i] .. ' has reached the last time that an entry id can hold'
      end
    end
  end
end

local checked = {}
local at = 3
while at <= #ARGV do
  local i, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if count > 0 and not checked[i] then
    checked[i] = true
    local reason = obstacle(i)
    if reason then
      return redis.error_reply(reason)
    end
  end
  at = at + 3 + count
end

local acknowledged = 0
at = 3
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
