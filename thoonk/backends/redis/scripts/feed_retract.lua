-- Contract: feed retract
--@ keys config ids items
-- ARGV: 1 retract channel, then ids, then session and call
-- Returns 1 for each id that was there, else 0.
-- Notices: retract for each that was there.
--@ include once
--@ include feed
--@ include notify
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'feed') or muted(ARGV[1])
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
local removed = {}
for index = 2, #ARGV do
  removed[index - 1] = call('ZREM', keys.ids, ARGV[index])
end
call('HDEL', keys.items, unpack(ARGV, 2))
for index, was_there in ipairs(removed) do
  if was_there == 1 then
    call('PUBLISH', ARGV[1], ARGV[index + 1])
  end
end
return remember(removed)
