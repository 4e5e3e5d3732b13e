-- Takes dead letters away, with what is noted about their being sent again.
--
-- A letter whose redriven entry is not settled yet is kept: the first acceptance of that entry is
-- noted with the letter, and without it a token would be judged by the wrong time.
--
-- KEYS: 1 the rejected stream, 2 the hash of redriven letters, 3 the stream of responses,
--       4 the hash of first acceptances
-- ARGV: 1 the group that settles entries, 2 "1" to delete or "0" to tell only; then the entry ids
--       of the letters
-- Returns for each letter "purged", "waiting" or "gone", and the id of its redriven entry.

local function parts(id)
  return string.match(id, '^(%d+)-(%d+)$')
end

-- Numbers of 64 bits: longer is greater, and digits of one length compare as text.
local function less(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local function before(one, other)
  local a, b = parts(one)
  local c, d = parts(other)
  return less(a, c) or (a == c and less(b, d))
end

local function unsettled(id)
  if #redis.call('XRANGE', KEYS[3], id, id) == 0 then
    return false
  end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[3])) do
    local info = {}
    for i = 1, #group, 2 do
      info[group[i]] = group[i + 1]
    end
    if info['name'] == ARGV[1] then
      if before(info['last-delivered-id'], id) then
        return true
      end
      return #redis.call('XPENDING', KEYS[3], ARGV[1], id, id, 1) > 0
    end
  end
  return true -- the group will be made anew, at the stream's beginning
end

local answers = {}
for at = 3, #ARGV do
  local letter = ARGV[at]
  local sent = redis.call('HGET', KEYS[2], letter)
  if #redis.call('XRANGE', KEYS[1], letter, letter) == 0 then
    answers[#answers + 1] = {'gone', ''}
  elseif sent and unsettled(sent) then
    answers[#answers + 1] = {'waiting', sent}
  else
    if ARGV[2] == '1' then
      redis.call('XDEL', KEYS[1], letter)
      if sent then
        redis.call('HDEL', KEYS[2], letter)
        redis.call('HDEL', KEYS[4], sent)
      end
    end
    answers[#answers + 1] = {'purged', sent or ''}
  end
end
return answers
