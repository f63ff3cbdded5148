-- Contract: job progress
--@ keys config claimed holders info
-- ARGV: 1 id, 2 token, then name, value, name, value ... of what to note of it, then session and call
-- Returns 1. A job that is not claimed is an error.
-- Notices: none.
--@ include once
--@ include feed
--@ include claim
--@ include info
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[2])
if refusal then
  return refusal
end
local since, holders = claims_on({ARGV[1]})
if not is_owner(since[1], holders[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
local facts = {'progressed', text_of(now())}
for index = 3, #ARGV do
  facts[#facts + 1] = ARGV[index]
end
note(ARGV[1], facts)
tell('progressed', {ARGV[1]}, (ARGV[4] or '') .. '\0' .. (ARGV[6] or ''))
return remember(1)
