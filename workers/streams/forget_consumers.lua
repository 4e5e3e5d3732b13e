-- Removes the names of consumers that are gone from a group.
--
-- Only a name to which nothing is pending: with it, its pending entries would be lost. A reader
-- that is alive after all loses nothing, for its next read makes its name again.
--
-- KEYS: 1 the stream
-- ARGV: 1 the group, 2 milliseconds of silence after which a consumer counts as gone, 3 our own name
-- Returns the names removed.

local removed = {}
if redis.call('EXISTS', KEYS[1]) == 0 then
  return removed
end

local function fields(flat)
  local found = {}
  for at = 1, #flat, 2 do
    found[flat[at]] = flat[at + 1]
  end
  return found
end

local there = false
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  there = there or fields(flat)['name'] == ARGV[1]
end
if not there then
  return removed
end

for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = fields(flat)
  if consumer['pending'] == 0 and consumer['idle'] > tonumber(ARGV[2]) and consumer['name'] ~= ARGV[3] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    removed[#removed + 1] = consumer['name']
  end
end
return removed
