-- Contract: job finish
--@ keys config items published claimed cancelled holders tokens finishes info results result[]
-- ARGV: 1 finish channel, 2 default of result_timeout in ms, then five words for each job, see
--       lib/finish.lua; last session and call
-- Returns the count of jobs. One that is not claimed is an error, and nothing is done.
-- Notices: job.finish for each with a result.
--@ include once
--@ include feed
--@ include claim
--@ include finish
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'result_timeout', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[3])
if refusal then
  return refusal
end
local completions, lost = completions_in(3, #ARGV), nil
refusal, lost = finish(completions, {
  channel = ARGV[1], configured = config[2], default = ARGV[2], together = true,
})
if refusal then
  return refusal
end
if lost[1] then
  return redis.error_reply('NOTCLAIMED ' .. lost[1])
end
return remember(#completions)
