-- Contract: feed retract
-- KEYS: 1 config, 2 ids, 3 items, 4 answers
-- ARGV: 1 retract channel, then ids, then session and call
-- Returns 1 for each id that was there, else 0.
-- Notices: retract for each that was there.
--@ include once
--@ include feed
--@ include notify
if answered then
  return answered
end
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'feed') or muted(ARGV[1])
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', KEYS[3])
local removed = {}
for index = 2, #ARGV do
  removed[index - 1] = call('ZREM', KEYS[2], ARGV[index])
end
call('HDEL', KEYS[3], unpack(ARGV, 2))
for index, was_there in ipairs(removed) do
  if was_there == 1 then
    call('PUBLISH', ARGV[1], ARGV[index + 1])
  end
end
return remember(removed)
