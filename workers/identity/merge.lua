-- Makes a fetched key set part of what is known of an issuer's keys.
--
-- KEYS[1] the hash: 'fetched', and of each key 'jwk <digest>' and, once retired, 'retired <digest>'
-- ARGV[1] when the fetch began, by this server's clock, milliseconds; 0: nothing was fetched
-- ARGV[2] how long a retired key is kept, milliseconds
-- ARGV[3] how long the hash is kept after its last change, milliseconds
-- ARGV[4], ARGV[5], … digest and JWK of each key of the set
-- Returns the hash as it is then.
local key, began, keep = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A fetch that began before one that is known already says nothing new.
if began > tonumber(redis.call('HGET', key, 'fetched') or 0) then
  local present = {}
  for i = 4, #ARGV, 2 do
    present[ARGV[i]] = true
    redis.call('HSET', key, 'jwk ' .. ARGV[i], ARGV[i + 1])
    redis.call('HDEL', key, 'retired ' .. ARGV[i])
  end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 4) == 'jwk ' then
      local digest = string.sub(field, 5)
      if not present[digest] then
        redis.call('HSETNX', key, 'retired ' .. digest, ARGV[1])
      end
    end
  end
  redis.call('HSET', key, 'fetched', ARGV[1])
  redis.call('PEXPIRE', key, ARGV[3])
end

for _, field in ipairs(redis.call('HKEYS', key)) do
  if string.sub(field, 1, 8) == 'retired ' then
    if now - tonumber(redis.call('HGET', key, field)) > keep then
      redis.call('HDEL', key, field, 'jwk ' .. string.sub(field, 9))
    end
  end
end
return redis.call('HGETALL', key)
