-- Contract: delete (the feed's keys)
-- KEYS: 1 config, 2 results, 3 to ARGV[1] the feed's other keys, then the result keys of the ids
-- ARGV: 1 count of the keys that are not result keys, then those ids
-- Returns ids whose results have to be named first (nothing else is deleted then), or {}.
-- Notices: none (unregister_feed announces).
--@ include notify
-- Who may not do the second step does not do the first.
local refusal = muted('delfeed') or unlisted('SREM')
if refusal then
  return refusal
end
local own = tonumber(ARGV[1])
-- What is there under that name may be no index of results: it goes all the same.
local indexed = call('TYPE', KEYS[2]).ok == 'zset'
for index = own + 1, #KEYS do
  call('UNLINK', KEYS[index])
end
if indexed and #ARGV > 1 then
  call('ZREM', KEYS[2], unpack(ARGV, 2))
end
local left = indexed and call('ZRANGE', KEYS[2], 0, 999) or {}
if #left > 0 then
  return left
end
local existed = call('EXISTS', KEYS[1])
for index = 1, own do
  -- What is in a large key goes while others are served.
  call('UNLINK', KEYS[index])
end
if existed == 0 then
  return redis.error_reply('NOFEED the feed does not exist')
end
return {}
