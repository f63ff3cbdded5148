-- Contract: queue return
-- KEYS: 1 config, 2 ids, 3 items, 4 claimed, 5 holders, 6 tokens, 7 answers
-- ARGV: 1 token, then id, item, id, item ... in the order in which they were taken,
--       then slot and call
-- Returns the count of those that wait again because of this.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[4], holders = KEYS[5], tokens = KEYS[6]}
local returned = 0
for index = #ARGV - 1, 2, -2 do
  local id, item = ARGV[index], ARGV[index + 1]
  local since, holders = claims_on(keys, {id})
  -- Not held, but there: it has come back by itself.
  if holds(since[1], holders[1], ARGV[1]) or call('HEXISTS', KEYS[3], id) == 0 then
    let_go(keys, {id}, holders)
    call('HSET', KEYS[3], id, item)
    call('RPUSH', KEYS[2], id)
    returned = returned + 1
  end
end
return remember(returned)
