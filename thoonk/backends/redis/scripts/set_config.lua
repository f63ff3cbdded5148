-- Contract: set config
-- KEYS: 1 config, 2 ids, 3 items, 4 answers
-- ARGV: 1 payload of the notice, 2 conffeed channel, 3 retract channel,
--       then '+', field, value to set or '-', field, '' to remove ..., then session and call
-- A type that is not the feed's own is an error, and nothing is set.
-- Returns the ids that a lower max_length pushed out.
-- Notices: retract for each of these, then conffeed.
--@ include once
--@ include feed
--@ include notify
--@ include trim
if answered then
  return answered
end
local kind = call('HGET', KEYS[1], 'type')
if not kind then
  return refuse(kind, '')
end
for index = 4, #ARGV, 3 do
  if ARGV[index + 1] == 'type' and kind ~= ARGV[index + 2] then
    return refuse(kind, ARGV[index + 2]) or redis.error_reply('FEEDTYPE ' .. kind)
  end
end
-- What a lower max_length pushes out.
local trimmed = {}
if refuse(kind, 'feed') == nil and call('TYPE', KEYS[2]).ok == 'zset' then
  local limit = call('HGET', KEYS[1], 'max_length')
  for index = 4, #ARGV, 3 do
    if ARGV[index + 1] == 'max_length' then
      limit = ARGV[index] == '+' and ARGV[index + 2]
    end
  end
  limit = count_in(limit)
  local excess = call('ZCARD', KEYS[2]) - limit
  if limit > 0 and excess > 0 then
    call('HLEN', KEYS[3])  -- refused here when it is no hash
    trimmed = call('ZRANGE', KEYS[2], 0, excess - 1)
  end
end
local refusal = muted(ARGV[2], trimmed[1] and ARGV[3])
if refusal then
  return refusal
end
for index = 4, #ARGV, 3 do
  if ARGV[index] == '+' then
    call('HSET', KEYS[1], ARGV[index + 1], ARGV[index + 2])
  else
    call('HDEL', KEYS[1], ARGV[index + 1])
  end
end
trim(KEYS[2], KEYS[3], trimmed, ARGV[3])
call('PUBLISH', ARGV[2], ARGV[1])
return remember(trimmed)
