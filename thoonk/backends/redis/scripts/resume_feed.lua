-- Contract: resume
--@ keys config ids reserved claimed scheduled runs paused
-- ARGV: 1 payload of the notice, 2 conffeed channel, 3 how many ids a step moves at most, then
--       session and call
-- Returns 1, 0 when it is not paused, or 2 to be asked again.
-- Notices: conffeed, at the end.
--@ include once
--@ include feed
--@ include notify
--@ include waiting
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'job') and refuse(config[1], 'queue') or muted(ARGV[2])
if refusal then
  return refusal
end
if config[2] ~= '1' then
  return remember(0)
end
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
call('LLEN', keys.paused)
heed_pause('1')
for _ = 1, tonumber(ARGV[3]), 1000 do
  empty_inbox(1000)
end
if call('EXISTS', inbox) == 1 then
  return remember(2)
end
call('HDEL', keys.config, 'paused')
if call('EXISTS', keys.paused) == 1 then
  -- It wakes blocked consumers, as a push does.
  call('RENAME', keys.paused, inbox)
elseif kind_of(config[1]) == 'job'
    and call('EXISTS', keys.scheduled, keys.runs, keys.claimed) > 0 then
  -- Nor could who has waited all the time know when to look: one of them is woken.
  call('RPUSH', inbox, '')
end
call('PUBLISH', ARGV[2], ARGV[1])
return remember(1)
