-- Contract: job get
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduled scheduleditems schedules runs runtimes publishes paused
-- ARGV: 1 how many at most, 2 token, 3 recover_expired (1) or not (0)
-- Returns {ms until a claim may run out or a job is due, or -1, {id ...}, {item ...}, {times cancelled ...}}.
-- With a token that has claimed before: the same again.
-- Notices: none.
--@ include feed
--@ include waiting
--@ include claim
--@ include job
local config = call('HMGET', keys.config, 'type', 'claim_timeout', 'max_failures', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[5])
if refusal then
  return refusal
end
heed_pause(config[4])
return claim(config[2], config[3], tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1')
