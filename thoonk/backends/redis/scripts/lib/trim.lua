-- Remove the items `old` of a feed, with their notices.
local function trim(old, channel)
  for from = 1, #old, 1000 do
    local to = math.min(from + 999, #old)
    call('ZREM', keys.ids, unpack(old, from, to))
    call('HDEL', keys.items, unpack(old, from, to))
  end
  for _, id in ipairs(old) do
    call('PUBLISH', channel, id)
  end
end
