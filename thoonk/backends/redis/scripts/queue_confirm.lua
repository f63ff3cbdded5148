-- Contract: queue get (the second step)
--@ keys config items claimed holders tokens
-- ARGV: 1 token, then ids, then session and call
-- Returns the count. An id that is not taken under the token is an error, and nothing is done.
-- Notices: none.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'queue')
if refusal then
  return refusal
end
local ids = {unpack(ARGV, 2)}
local since, holders = claims_on(ids)
for index in ipairs(ids) do
  if not is_owner(since[index], holders[index], ARGV[1]) then
    return redis.error_reply('NOTCLAIMED ' .. index)
  end
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
end_claims(ids, holders)
call('HDEL', keys.items, unpack(ids))
return remember(#ids)
