-- Contract: set config
-- What a lower max_length pushes out, some of it.
--@ keys config ids items
-- ARGV: 1 retract channel, 2 how many items are to stay, 3 how many go at most, then session and
--       call
-- Returns the ids that went, the oldest first.
-- Notices: retract for each of these.
--@ include once
--@ include feed
--@ include notify
--@ include trim
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'feed') or muted(ARGV[1])
if refusal then
  return refusal
end
local old = {}
local excess = math.min(call('ZCARD', keys.ids) - ARGV[2], tonumber(ARGV[3]))
if excess > 0 then
  call('HLEN', keys.items)  -- refused here when it is no hash
  old = call('ZRANGE', keys.ids, 0, excess - 1)
  trim(old, ARGV[1])
end
return remember(old)
