-- Contract: release
-- KEYS: 1 config, 2 ids, 3 claimed, 4 holders, 5 tokens
-- ARGV: 1 token
-- Returns the ids that were taken under the token and wait again, as the next ones.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include feed
--@ include clock
--@ include claim
local kind = redis.call('HGET', KEYS[1], 'type')
local refusal = refuse(kind, 'job') and refuse(kind, 'queue')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[3], holders = KEYS[4], tokens = KEYS[5]}
local ids, released = {}, {}
for id in string.gmatch((redis.call('HGET', keys.tokens, ARGV[1]) or '') .. '\0', '(.-)%z') do
  ids[#ids + 1] = id
end
for index = #ids, 1, -1 do
  if holds(keys, ids[index], ARGV[1]) then
    let_go(keys, ids[index])
    redis.call('RPUSH', KEYS[2], ids[index])
    released[#released + 1] = ids[index]
  end
end
redis.call('HDEL', keys.tokens, ARGV[1])
return released
