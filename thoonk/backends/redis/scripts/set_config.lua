-- Contract: set config
--@ keys config ids items
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
local kind = call('HGET', keys.config, 'type')
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
if refuse(kind, 'feed') == nil and call('TYPE', keys.ids).ok == 'zset' then
  local limit = call('HGET', keys.config, 'max_length')
  for index = 4, #ARGV, 3 do
    if ARGV[index + 1] == 'max_length' then
      limit = ARGV[index] == '+' and ARGV[index + 2]
    end
  end
  limit = count_in(limit)
  local excess = call('ZCARD', keys.ids) - limit
  if limit > 0 and excess > 0 then
    call('HLEN', keys.items)  -- refused here when it is no hash
    trimmed = call('ZRANGE', keys.ids, 0, excess - 1)
  end
end
local refusal = muted(ARGV[2], trimmed[1] and ARGV[3])
if refusal then
  return refusal
end
for index = 4, #ARGV, 3 do
  if ARGV[index] == '+' then
    call('HSET', keys.config, ARGV[index + 1], ARGV[index + 2])
  else
    call('HDEL', keys.config, ARGV[index + 1])
  end
end
trim(trimmed, ARGV[3])
call('PUBLISH', ARGV[2], ARGV[1])
return remember(trimmed)
