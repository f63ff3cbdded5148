-- Contract: job extend
--@ keys config claimed holders running
-- ARGV: id, token, id, token ..., then session and call
-- Returns 1 for each that is claimed (under its token), else 0.
-- Notices: none.
--@ include once
--@ include feed
--@ include running
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
local extended, added = {}, 0
for index = 1, #ARGV, 2 do
  local id, token = ARGV[index], ARGV[index + 1]
  local since, holders = claims_on({id})
  local held = is_owner(since[1], holders[1], token)
  if held then
    local member = member_of(id, since[1], holders[1])
    if member then
      local first = math.min(now(), in_milliseconds(number_of(since[1])))
      added = added + call('ZADD', keys.running, 'NX', text_of(first), member)
    end
    date(id, since[1], holders[1], time)
  end
  extended[#extended + 1] = held and 1 or 0
end
-- More of what is left over goes than comes. The first ones are those that others look at.
local places = math.max(1, call('ZCARD', keys.running))
local from = now() % places
forget_running(from, from + 3 + 2 * added)
forget_running(0, 3)
return remember(extended)
