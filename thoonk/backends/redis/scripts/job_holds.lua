-- Contract: job holds
--@ keys config claimed holders
-- ARGV: id, token, id, token ...
-- Returns 1 for each that is claimed (under its token), else 0.
-- Notices: none.
--@ include feed
--@ include claim
local refusal = refuse(call('HGET', keys.config, 'type'), 'job')
if refusal then
  return refusal
end
local ids, holds = {}, {}
for index = 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[index]
end
local since, holders = claims_on(ids)
for index in ipairs(ids) do
  holds[index] = is_owner(since[index], holders[index], ARGV[2 * index]) and 1 or 0
end
return holds
