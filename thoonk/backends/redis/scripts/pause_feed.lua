-- Contract: pause
--@ keys config ids reserved paused
-- ARGV: 1 payload of the notice, 2 conffeed channel, then session and call
-- Returns 1, or 0 when it is paused already.
-- Notices: conffeed.
--@ include once
--@ include feed
--@ include notify
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'job') and refuse(config[1], 'queue') or muted(ARGV[2])
if refusal then
  return refusal
end
if config[2] == '1' then
  return remember(0)
end
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
call('LLEN', keys.paused)
call('HSET', keys.config, 'paused', '1')
-- Left over where a peer has deleted the feed, or the field.
local left = call('LPOP', keys.paused, 1000)
while left and #left > 0 do
  call('RPUSH', keys.ids, unpack(left))
  left = call('LPOP', keys.paused, 1000)
end
-- What a blocked taker has reserved is next.
local reserved = call('LPOP', keys.reserved, 1000)
while reserved and #reserved > 0 do
  call('RPUSH', keys.ids, unpack(reserved))
  reserved = call('LPOP', keys.reserved, 1000)
end
if call('EXISTS', keys.ids) == 1 then
  call('RENAME', keys.ids, keys.paused)
end
call('PUBLISH', ARGV[2], ARGV[1])
return remember(1)
