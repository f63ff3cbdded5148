-- Contract: queue get (the second step)
-- KEYS: 1 config, 2 items, 3 claimed, 4 holders, 5 tokens, 6 answers
-- ARGV: 1 token, then ids, then slot and call
-- Returns the count. An id that is not taken under the token is an error, and nothing is done.
-- Notices: none.
--@ once
--@ include feed
--@ include clock
--@ include claim
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[3], holders = KEYS[4], tokens = KEYS[5]}
for index = 2, #ARGV do
  if not holds(keys, ARGV[index], ARGV[1]) then
    return redis.error_reply('NOTCLAIMED ' .. index - 1)
  end
end
for index = 2, #ARGV do
  let_go(keys, ARGV[index])
  redis.call('HDEL', KEYS[2], ARGV[index])
end
return #ARGV - 1
