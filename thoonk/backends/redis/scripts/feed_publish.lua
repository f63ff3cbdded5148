-- Contract: feed publish
--@ keys config ids items publishes
-- ARGV: 1 publish channel, 2 edit channel, 3 retract channel, then id, item, id, item ...,
--       then session and call
-- Returns 1 for each id that was new, 0 for each that was edited.
-- Notices: for each entry retract (of what max_length pushed out), then publish or edit.
--@ include once
--@ include numbers
--@ include feed
--@ include size
--@ include notify
--@ include order
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_length', 'max_item_size')
local refusal = refuse(config[1], 'feed') or oversized(config[3], 5)
if refusal then
  return refusal
end
local limit = count_in(config[2])
refusal = muted(ARGV[1], ARGV[2], limit > 0 and ARGV[3] or nil)
if refusal then
  return refusal
end

-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)

-- Scores in seconds, as some peers write them, would sort before all others: rewrite them. Of
-- very many the last ones first, so that the order holds until the next publish goes on. What is
-- below 1e8 is no time: nothing would come of it.
if call('ZCOUNT', keys.ids, '1e8', '(1e11') > 0 then
  local seconds = call(
    'ZREVRANGEBYSCORE', keys.ids, '(1e11', '1e8', 'WITHSCORES', 'LIMIT', 0, 1000)
  for index = 1, #seconds, 2 do
    call('ZADD', keys.ids, text_of(seconds[index + 1] * 1000), seconds[index])
  end
end

-- Strictly after the last item, whatever the clocks say.
local time = now()
local last = call('ZRANGE', keys.ids, -1, -1, 'WITHSCORES')
local score = last[2] and number_of(last[2]) or 0

local fresh = {}
local function announce(index, is_new)
  local channel = is_new and ARGV[1] or ARGV[2]
  call('PUBLISH', channel, ARGV[index] .. '\0' .. ARGV[index + 1])
  fresh[#fresh + 1] = is_new and 1 or 0
end

-- The first write is before the first notice: a server that is full refuses it, and no other.
-- In a bounded feed it removes an item, which a full server does.
if limit > 0 then
  -- More than one at a time is too much only where a peer has lowered max_length.
  local surplus = 1000
  for index = 4, #ARGV, 2 do
    local id = ARGV[index]
    local is_new = not call('ZSCORE', keys.ids, id)
    local excess = is_new and call('ZCARD', keys.ids) + 1 - limit or 0
    if excess > 1 then
      local more = math.min(excess - 1, surplus)
      excess, surplus = 1 + more, surplus - more
    end
    if excess > 0 then
      for _, old in ipairs(call('ZRANGE', keys.ids, 0, excess - 1)) do
        call('ZREM', keys.ids, old)
        call('HDEL', keys.items, old)
        call('PUBLISH', ARGV[3], old)
      end
    end
    score = score < time and time or after(score)
    call('ZADD', keys.ids, text_of(score), id)
    call('HSET', keys.items, id, ARGV[index + 1])
    announce(index, is_new)
  end
else
  local ids, scores = {}, {}
  for index = 4, #ARGV, 2 do
    score = score < time and time or after(score)
    ids[#ids + 1] = ARGV[index]
    scores[#scores + 1] = text_of(score)
    scores[#scores + 1] = ARGV[index]
  end
  call('HSET', keys.items, unpack(ARGV, 4))
  if #ids == 1 then
    announce(4, call('ZADD', keys.ids, unpack(scores)) == 1)
  else
    local known = {}
    for index, there in ipairs(call('ZMSCORE', keys.ids, unpack(ids))) do
      known[ids[index]] = there
    end
    call('ZADD', keys.ids, unpack(scores))
    for index, id in ipairs(ids) do
      announce(2 * index + 2, not known[id])
      known[id] = true
    end
  end
end
redis.pcall('INCRBY', keys.publishes, #fresh) -- what is no number is left
return remember(fresh)
