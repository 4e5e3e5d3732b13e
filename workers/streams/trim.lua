-- Removes one portion of what no group needs any more from the head of a stream.
--
-- An entry goes if each group has read and acknowledged it, or if it is older than the retention,
-- and never if it is among the newest that are kept. Whole nodes go first, which costs little for
-- each; then the rest of one node, exactly. One atomic step: nobody reads or adds in between.
--
-- KEYS: 1 the stream
-- ARGV: 1 a group that has read nothing as long as it does not exist; '': there need be none
--       2 how many of the newest stay whatever happens
--       3 milliseconds after which an entry is not kept for a group any longer; -1: for ever
--       4 how many entries go at most
-- Returns: how many went, 1 if more may go at once, Redis's time in ms, the id below which nothing
--          is left, and for each group its name and the oldest entry it needed before ('' if none)

local stream = KEYS[1]
local EDGE_ENTRIES = 128 -- a node has at most 100 by default

local function parts(id)
  return string.match(id, '^(%d+)-(%d+)$')
end

-- As text: a sequence number may be larger than what a number of Lua holds exactly.
local function less(a, b)
  local a_ms, a_seq = parts(a)
  local b_ms, b_seq = parts(b)
  if a_ms ~= b_ms then
    return #a_ms < #b_ms or (#a_ms == #b_ms and a_ms < b_ms)
  end
  return #a_seq < #b_seq or (#a_seq == #b_seq and a_seq < b_seq)
end

-- An id behind the newest one of the stream.
local function behind(id)
  local ms, seq = parts(id)
  if #seq < 16 then
    return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
  elseif #ms < 16 then
    return string.format('%.0f', tonumber(ms) + 1) .. '-0'
  end
  return id
end

local function fields(flat)
  local found = {}
  for at = 1, #flat, 2 do
    found[flat[at]] = flat[at + 1]
  end
  return found
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('EXISTS', stream) == 0 then
  return {0, 0, now, '0-0'}
end

local info = fields(redis.call('XINFO', 'STREAM', stream))
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
first = first and first[1]
local floor, expected, needs = behind(info['last-generated-id']), ARGV[1] == '', {}
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = fields(flat)
  local oldest
  -- From the first entry on: what was deleted may still be pending, and nobody can need it.
  if group['pending'] > 0 and first then
    local row = redis.call('XPENDING', stream, group['name'], first, '+', 1)[1]
    oldest = row and row[1]
  end
  local unread = redis.call('XRANGE', stream, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  if unread and (not oldest or less(unread[1], oldest)) then
    oldest = unread[1]
  end
  if oldest and less(oldest, floor) then
    floor = oldest
  end
  expected = expected or group['name'] == ARGV[1]
  needs[#needs + 1] = group['name']
  needs[#needs + 1] = oldest or ''
end
if not expected then
  floor = '0-0'
end
local retention = tonumber(ARGV[3])
if retention >= 0 then
  local horizon = string.format('%.0f', math.max(now - retention, 0)) .. '-0'
  if less(floor, horizon) then
    floor = horizon
  end
end

local keep = tonumber(ARGV[2])
local excess = info['length'] - keep
local removed, more = 0, 0
if excess > 0 and first and less(first, floor) then
  local most = tonumber(ARGV[4])
  removed = redis.call('XTRIM', stream, 'MINID', '~', floor, 'LIMIT', math.min(most, excess))
  if removed * 2 > most then
    more = 1
  else
    local edge = floor
    if keep > 0 then
      local count = math.min(excess - removed, EDGE_ENTRIES)
      local stays = redis.call('XRANGE', stream, '-', '+', 'COUNT', count + 1)[count + 1]
      if less(stays[1], edge) then
        edge = stays[1]
        more = count < excess - removed and 1 or 0
      end
    end
    removed = removed + redis.call('XTRIM', stream, 'MINID', '=', edge)
  end
  first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  first = first and first[1]
end
return {removed, more, now, first or behind(info['last-generated-id']), unpack(needs)}
