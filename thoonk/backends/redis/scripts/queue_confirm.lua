-- Contract: queue get (the second step)
-- KEYS: 1 config, 2 items, 3 claimed, 4 holders, 5 tokens, 6 answers
-- ARGV: 1 token, then ids, then session and call
-- Returns the count. An id that is not taken under the token is an error, and nothing is done.
-- Notices: none.
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
local keys = {claimed = KEYS[3], holders = KEYS[4], tokens = KEYS[5]}
local ids = {unpack(ARGV, 2)}
local since, holders = claims_on(keys, ids)
for index in ipairs(ids) do
  if not is_owner(since[index], holders[index], ARGV[1]) then
    return redis.error_reply('NOTCLAIMED ' .. index)
  end
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', KEYS[2])
end_claims(keys, ids, holders)
call('HDEL', KEYS[2], unpack(ids))
return remember(#ids)
