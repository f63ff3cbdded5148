-- Contract: sorted append / prepend / before / after
--@ keys config ids items publishes idincr
-- ARGV: 1 publish channel, 2 position channel, 3 where (begin, end, before, after),
--       4 neighbour, 5 position as text, then items, then session and call
-- Several are inserted so that they stand in their order: the first at the position, each
-- other after the one before it.
-- Returns the new ids. A missing neighbour is an error, writes nothing and uses up no id.
-- Notices: for each publish, then position.
--@ include once
--@ include feed
--@ include size
--@ include notify
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_item_size')
local refusal = refuse(config[1], 'sorted_feed') or oversized(config[2], 6, 1)
  or muted(ARGV[1], ARGV[2])
if refusal then
  return refusal
end
local where, neighbour, position = ARGV[3], ARGV[4], ARGV[5]
local count = #ARGV - 5
local given = call('GET', keys.idincr) or '0'
if #given > 15 or not string.match(given, '^%-?%d+$') then
  local shown = string.format('%q', given)
  return redis.error_reply('ERR feed.idincr of the feed holds no number: ' .. shown)
end
given = tonumber(given)
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
local ids, fields = {}, {}
for index = 1, count do
  ids[index] = string.format('%.0f', given + index)
  fields[2 * index - 1], fields[2 * index] = ids[index], ARGV[5 + index]
end
if where == 'end' then
  call('RPUSH', keys.ids, unpack(ids))
else
  -- Before X each goes right before it. Elsewhere the last one goes first.
  local from, to, step = count, 1, -1
  if where == 'before' then
    from, to, step = 1, count, 1
  end
  for index = from, to, step do
    if where == 'begin' then
      call('LPUSH', keys.ids, ids[index])
    elseif call('LINSERT', keys.ids, where, neighbour, ids[index]) < 1 then
      return redis.error_reply('NOITEM 2 (the neighbour)')
    end
  end
end
call('INCRBY', keys.idincr, count)
call('HSET', keys.items, unpack(fields))
redis.pcall('INCRBY', keys.publishes, count) -- what is no number is left
for index, id in ipairs(ids) do
  call('PUBLISH', ARGV[1], id .. '\0' .. ARGV[5 + index])
  call('PUBLISH', ARGV[2], id .. '\0' .. position)
  if where == 'begin' or where == 'after' then
    position = id .. ':'
  end
end
return remember(ids)
