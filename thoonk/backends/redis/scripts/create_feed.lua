-- Contract: create (the configuration)
--@ keys config scheduled scheduleditems unique info schedules runs runtimes paused running
-- ARGV: field, value, field, value ..., then session and call
-- Returns 1 when created, {field, value ...} of what is there otherwise.
-- Notices: none (register_feed announces).
--@ include once
--@ include notify
if answered then
  return answered
end
if call('HEXISTS', keys.config, 'type') == 1 then
  return call('HGETALL', keys.config)
end
-- Who may not do the second step does not do the first.
local refusal = muted('newfeed', 'conffeed') or unlisted('SADD')
if refusal then
  return refusal
end
call('HSET', keys.config, unpack(ARGV))
-- Left over where a peer has deleted a feed of that name: its jobs are not for this one.
for index = 2, #KEYS do
  call('UNLINK', KEYS[index])
end
return remember(1)
