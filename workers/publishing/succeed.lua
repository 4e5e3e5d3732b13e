-- Lets an entry publish in the place of an owner that was lost; the first one that is there does.
--
-- An entry that was lost as well must not: a worker may still hold what it read from the old server.
--
-- KEYS: 1 the stream of responses, 2 the hash from lost owner to successor
-- ARGV: 1 the owner, 2 the entry, 3 how long successors are remembered, milliseconds
-- Returns 1 if the entry publishes, else 0.

local successor = redis.call('HGET', KEYS[2], ARGV[1])
if successor then
  return successor == ARGV[2] and 1 or 0
end
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
