-- Contract: job finish
--@ keys config ids items reserved published claimed stalled cancelled holders tokens finishes
--@ keys results result[]
-- ARGV: 1 finish channel, 2 default of result_timeout in ms, then for each job:
--       id, token, kind of result ('' none, 'some', 'none' for the value None), result,
--       ms to keep it ('' as configured, 0 for ever); last session and call
-- Returns the count of jobs. One that is not claimed is an error, and nothing is done.
-- Notices: job.finish for each with a result.
--@ include once
--@ include feed
--@ include claim
--@ include job
--@ include finish
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'result_timeout')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
local lost, refused = finish(3, #ARGV, 1, config[2], ARGV[2], ARGV[1], true)
if not lost then
  return refused
end
if lost[1] then
  return redis.error_reply('NOTCLAIMED ' .. lost[1])
end
return remember((#ARGV - 2) / 5)
