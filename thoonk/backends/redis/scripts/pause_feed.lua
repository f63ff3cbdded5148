-- Contract: pause
--@ keys config ids reserved paused
-- ARGV: 1 payload of the notice, 2 conffeed channel, 3 how many ids a step moves at most, then
--       session and call
-- Returns 1, 0 when it is paused already, or 2 to be asked again.
-- Notices: conffeed, at the end.
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
-- Left over where a peer has deleted the feed, or the field. What a blocked consumer has reserved comes
-- last, for it is next.
for _, list in ipairs({keys.paused, keys.reserved}) do
  for _ = 1, tonumber(ARGV[3]), 1000 do
    local ids = call('LPOP', list, 1000) or {}
    if #ids > 0 then
      call('RPUSH', keys.ids, unpack(ids))
    end
  end
  if call('EXISTS', list) == 1 then
    return remember(2)
  end
end
call('HSET', keys.config, 'paused', '1')
if call('EXISTS', keys.ids) == 1 then
  call('RENAME', keys.ids, keys.paused)
end
call('PUBLISH', ARGV[2], ARGV[1])
return remember(1)
