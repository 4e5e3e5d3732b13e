-- Sends dead letters again, each once and in one step with the note that says so.
--
-- KEYS: 1 the rejected stream, 2 the hash of redriven letters, 3 the stream of responses,
--       4 the hash of first acceptances
-- ARGV: 1 the field of the event, 2 the marker field; then for each letter its entry id, the id of
--       the event's first entry, and the event
-- Returns for each letter "sent", "known" or "gone", and the id of the entry it was sent as.

-- A wrong key must be found before anything is sent.
for i, wanted in ipairs({'stream', 'hash', 'stream', 'hash'}) do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= wanted and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind .. ', not a ' .. wanted)
  end
end

-- Whoever may send but not note would send again and again.
for _, key in ipairs({KEYS[2], KEYS[4]}) do
  redis.call('HSET', key, 'probe', '')
  redis.call('HDEL', key, 'probe')
end

local answers = {}
for at = 3, #ARGV, 3 do
  local letter, first, event = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = redis.call('HGET', KEYS[2], letter)
  if known then
    answers[#answers + 1] = {'known', known}
  elseif #redis.call('XRANGE', KEYS[1], letter, letter) == 0 then
    answers[#answers + 1] = {'gone', ''}
  else
    local sent = redis.call('XADD', KEYS[3], '*', ARGV[1], event, ARGV[2], '1')
    redis.call('HSET', KEYS[2], letter, sent)
    redis.call('HSET', KEYS[4], sent, first)
    answers[#answers + 1] = {'sent', sent}
  end
end
return answers
