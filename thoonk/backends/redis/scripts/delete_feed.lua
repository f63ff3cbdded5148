-- Contract: delete (the feed's keys)
--@ keys config results ids items publishes idincr published claimed stalled cancelled finishes
--@ keys reserved holders tokens answers scheduled scheduleditems unique info
--@ keys schedules runs runtimes paused running result[]
-- ARGV: the ids whose results are named: the keys result[] are theirs
-- Returns ids whose results have to be named first (nothing else is deleted then), or {}.
-- Notices: none (unregister_feed announces).
--@ include notify
-- Who may not do the second step does not do the first.
local refusal = muted('delfeed') or unlisted('SREM')
if refusal then
  return refusal
end
-- What is there under that name may be no index of results: it goes all the same.
local indexed = call('TYPE', keys.results).ok == 'zset'
for index = 1, #ARGV do
  call('UNLINK', keys.result[index])
end
if indexed and #ARGV > 0 then
  call('ZREM', keys.results, unpack(ARGV))
end
local left = indexed and call('ZRANGE', keys.results, 0, 999) or {}
if #left > 0 then
  return left
end
local existed = call('EXISTS', keys.config)
for index = 1, #KEYS - #ARGV do
  -- What is in a large key goes while others are served.
  call('UNLINK', KEYS[index])
end
if existed == 0 then
  return redis.error_reply('NOFEED the feed does not exist')
end
return {}
