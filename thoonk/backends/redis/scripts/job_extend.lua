-- Contract: job extend
--@ keys config claimed holders
-- ARGV: id, token, id, token ..., then session and call
-- Returns 1 for each that is claimed (under its token), else 0.
-- Notices: none.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'job')
if refusal then
  return refusal
end
local time = text_of(now())
-- A server that is full refuses a first write that takes memory: this takes none.
call('HDEL', keys.holders, '')
local extended = {}
for index = 1, #ARGV, 2 do
  local id, token = ARGV[index], ARGV[index + 1]
  local since, holders = claims_on({id})
  local held = is_owner(since[1], holders[1], token)
  if held then
    date(id, since[1], holders[1], time)
  end
  extended[#extended + 1] = held and 1 or 0
end
return remember(extended)
