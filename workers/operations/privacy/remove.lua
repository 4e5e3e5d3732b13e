-- Takes entries out of a stream and out of all that is noted about them, in one step.
--
-- An entry that somebody holds is acknowledged in their place: whoever holds it then publishes
-- nothing. Without "force" such an entry stays, for who holds it may be writing what follows from it.
--
-- KEYS: 1 the stream, then hashes with the entry's id as their field
-- ARGV: 1 the group that works on the stream, 2 "force" or "", then the entry ids
-- Returns how many went, and the ids of those that stay.

local function pending(id)
  local rows = redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  return rows.err == nil and #rows > 0
end

local gone, held = 0, {}
for at = 3, #ARGV do
  local id = ARGV[at]
  if ARGV[2] ~= 'force' and pending(id) then
    held[#held + 1] = id
  else
    gone = gone + redis.call('XDEL', KEYS[1], id)
    redis.pcall('XACK', KEYS[1], ARGV[1], id)
    for key = 2, #KEYS do
      redis.call('HDEL', KEYS[key], id)
    end
  end
end
return {gone, held}
