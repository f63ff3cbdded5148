-- Repair one thing, if it still is as it was when it was looked at.
-- KEYS: all that are read and written
-- ARGV: 1 how many reads; for each: the reply that is expected, how many words, the words;
--       then for each write: how many words, the words
-- Returns 1; 0 when a read answered otherwise, or a key is of another type than its write wants.
-- Then, and when the user may not run one of the writes, nothing is written.
local position = 1

local TYPES = {
  HDEL = 'hash', HSET = 'hash',
  LPUSH = 'list', LREM = 'list', RPUSH = 'list',
  SADD = 'set', SREM = 'set',
  ZADD = 'zset', ZREM = 'zset',
}

local function next_words()
  local count = tonumber(ARGV[position])
  local words = {unpack(ARGV, position + 1, position + count)}
  position = position + count + 1
  return words
end

-- As `Probe` in probe.py writes replies: of a list only how many.
local function text_of_reply(reply)
  if type(reply) == 'number' then
    return string.format('%.0f', reply)
  elseif type(reply) == 'string' then
    return '=' .. reply
  elseif type(reply) == 'table' then
    return reply.ok and '=' .. reply.ok or '#' .. #reply
  end
  return '-'
end

local reads = tonumber(ARGV[1])
position = 2
for _ = 1, reads do
  local expected = ARGV[position]
  position = position + 1
  if text_of_reply(redis.call(unpack(next_words()))) ~= expected then
    return 0
  end
end

local writes = {}
while position <= #ARGV do
  local words = next_words()
  local wanted = TYPES[words[1]]
  local found = wanted and redis.call('TYPE', words[2]).ok
  if found ~= wanted and found ~= 'none' then
    return 0
  end
  -- Servers before 7 cannot be asked.
  if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(words)) then
    return redis.error_reply('NOPERM no permission to run the command ' .. words[1])
  end
  writes[#writes + 1] = words
end
for _, words in ipairs(writes) do
  redis.call(unpack(words))
end
return 1
