-- Contract: sorted move
--@ keys config ids
-- ARGV: 1 position channel, 2 id, 3 where (begin, end, before, after), 4 neighbour,
--       5 position as text, 6 session, 7 call
-- Returns 1 when moved, 0 when the neighbour is the item itself (nothing happens then).
-- An unknown id or neighbour is an error.
-- Notices: position when moved.
--@ include once
--@ include feed
--@ include notify
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'sorted_feed') or muted(ARGV[1])
if refusal then
  return refusal
end
local relative = ARGV[3] == 'before' or ARGV[3] == 'after'
if not call('LPOS', keys.ids, ARGV[2]) then
  return redis.error_reply('NOITEM 1 (the item)')
end
if relative then
  if ARGV[4] == ARGV[2] then
    return remember(0)
  end
  if not call('LPOS', keys.ids, ARGV[4]) then
    return redis.error_reply('NOITEM 2 (the neighbour)')
  end
end
call('LREM', keys.ids, 1, ARGV[2])
if relative then
  call('LINSERT', keys.ids, ARGV[3], ARGV[4], ARGV[2])
elseif ARGV[3] == 'begin' then
  call('LPUSH', keys.ids, ARGV[2])
else
  call('RPUSH', keys.ids, ARGV[2])
end
call('PUBLISH', ARGV[1], ARGV[2] .. '\0' .. ARGV[5])
return remember(1)
