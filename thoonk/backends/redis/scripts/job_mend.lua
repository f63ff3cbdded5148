-- Contract: job maintenance
-- One short step of it.
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduleditems info paused running
-- ARGV: 1 where to go on ('' at the beginning), or 'suspects' and then ids
-- Returns {where to go on or '', ids of expired claims, ids stalled for their failures, ids
-- recovered, ids discarded, ids neither claimed nor stalled, ids that wait}. The last two are
-- in the answers of the steps that look for lost jobs: an id that no step found waiting is a
-- suspect. Asked about suspects, it returns how many of them it has looked at in the place
-- of where to go on.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include feed
--@ include waiting
--@ include running
local config = call('HMGET', keys.config, 'type', 'claim_timeout', 'max_failures', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[5])
if refusal then
  return refusal
end
heed_pause(config[4])
empty_inbox(1000)
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('HLEN', keys.items)
call('LLEN', keys.reserved)
call('ZCARD', keys.published)
call('ZCARD', keys.claimed)
call('SCARD', keys.stalled)
call('HLEN', keys.cancelled)
call('HLEN', keys.holders)
call('HLEN', keys.tokens)
call('HLEN', keys.scheduleditems)
call('HLEN', keys.info)
call('ZCARD', keys.running)
-- How many ids a step looks at, how many of a list it reads, how many elements of a list it
-- compares (a single search may take more), and after how many bytes of items it ends.
local MOST, LISTED, COMPARED, BYTES = 500, 5000, 250000, 1000000
local expired, stalled, recovered, discarded = {}, {}, {}, {}

if ARGV[1] == 'suspects' then
  local each = call('LLEN', keys.ids) + call('LLEN', keys.reserved)
  local looked_at, compared = 0, 0
  for index = 2, #ARGV do
    local id = ARGV[index]
    if call('HEXISTS', keys.items, id) == 1 and not call('ZSCORE', keys.claimed, id)
        and call('SISMEMBER', keys.stalled, id) == 0 then
      if compared > 0 and compared + each > COMPARED then
        break
      end
      compared = compared + each
      if not call('LPOS', keys.ids, id) and not call('LPOS', keys.reserved, id) then
        -- While a job waits or is claimed it has a time of publication. Without one it was
        -- retracted by a peer that forgot the item: it must not run.
        if call('ZSCORE', keys.published, id) then
          -- The first write takes no memory, so that a server that is full does it.
          call('HDEL', keys.cancelled, '')
          call('LPUSH', keys.ids, id)
          recovered[#recovered + 1] = id
          tell('put', {id})
          each = each + 1
        else
          call('HDEL', keys.items, id)
          call('HDEL', keys.cancelled, id)
          call('HDEL', keys.holders, id)
          call('HDEL', keys.info, id)
          discarded[#discarded + 1] = id
          tell('retracted', {id})
        end
      end
    end
    looked_at = looked_at + 1
  end
  return {tostring(looked_at), expired, stalled, recovered, discarded, {}, {}}
end

local phase, at = string.match(ARGV[1], '^(%l+) ?(.*)$')
phase = phase or 'claims'
local left, others, waiting = MOST, {}, {}
local function go_on(where)
  return {where, expired, stalled, recovered, discarded, others, waiting}
end

if phase == 'claims' then
  -- A peer that was woken by an empty id may have claimed it.
  call('ZREM', keys.claimed, '')
  local timeout = (seconds_in(config[2]) or 0) * 1000
  if timeout > 0 then
    local old = {}
    left = left - expire(now(), timeout, left, function(id)
      old[#old + 1] = id
    end)
    expired, stalled = requeue_or_stall(old, count_in(config[3]))
    if left <= 0 then
      return go_on('claims')
    end
  end
  phase = 'reserved'
end

-- A consumer that died while it waited has left its id on the list of reservations.
if phase == 'reserved' then
  local reserved = call('LPOP', keys.reserved, left)
  if reserved and #reserved > 0 then
    call('RPUSH', keys.ids, unpack(reserved))
    left = left - #reserved
    if left <= 0 then
      return go_on('reserved')
    end
  end
  phase, at = 'holders', '0'
end

-- Peers end claims without knowing of holders and tokens.
if phase == 'holders' then
  local step = call('HSCAN', keys.holders, at, 'COUNT', left)
  local ids, void, holders = {}, {}, {}
  for index = 1, #step[2], 2 do
    ids[#ids + 1] = step[2][index]
  end
  if #ids > 0 then
    for index, since in ipairs(call('ZMSCORE', keys.claimed, unpack(ids))) do
      if not since then
        void[#void + 1] = ids[index]
        holders[#holders + 1] = step[2][2 * index]
      end
    end
    if #void > 0 then
      end_claims(void, holders)
    end
  end
  left = left - #ids
  if step[1] ~= '0' then
    return go_on('holders ' .. step[1])
  end
  phase, at = 'running', '0'
end

-- Nobody removes these when a claim ends.
if phase == 'running' then
  local some = math.max(1, left)
  at = at + some - forget_running(at, at + some - 1)
  if at < call('ZCARD', keys.running) then
    return go_on(string.format('running %.0f', at))
  end
  phase, at = 'info', '0'
end

-- Nor do they know what else was noted of the jobs that they end.
if phase == 'info' then
  local looked_at, size = 0, 0
  repeat
    local step = call('HSCAN', keys.info, at, 'COUNT', 10)
    for index = 1, #step[2], 2 do
      local id = step[2][index]
      if call('HEXISTS', keys.items, id) + call('HEXISTS', keys.scheduleditems, id) == 0 then
        call('HDEL', keys.info, id)
      end
      looked_at, size = looked_at + 1, size + #step[2][index + 1]
    end
    at = step[1]
  until at == '0' or looked_at >= left or size >= BYTES
  left = left - looked_at
  if at ~= '0' then
    return go_on('info ' .. at)
  end
  -- Looking at every item costs as much as there are: only when the numbers do not add up.
  local known = call('LLEN', keys.ids) + call('LLEN', keys.reserved) + call('ZCARD', keys.claimed)
    + call('SCARD', keys.stalled) - bells()
  if known == call('HLEN', keys.items) then
    return go_on('')
  end
  if left <= 0 then
    return go_on('items 0')
  end
  phase, at = 'items', '0'
end

if phase == 'items' then
  local ids, size = {}, 0
  if at == '0' and call('HLEN', keys.items) <= left then
    ids = call('HKEYS', keys.items)
  else
    repeat
      -- It reads the items, too, and these may be large.
      local step = call('HSCAN', keys.items, at, 'COUNT', 10)
      for index = 1, #step[2], 2 do
        ids[#ids + 1] = step[2][index]
        size = size + #step[2][index + 1]
      end
      at = step[1]
    until at == '0' or #ids >= left or size >= BYTES
  end
  if #ids > 0 then
    for index, since in ipairs(call('ZMSCORE', keys.claimed, unpack(ids))) do
      if not since and call('SISMEMBER', keys.stalled, ids[index]) == 0 then
        others[#others + 1] = ids[index]
      end
    end
  end
  if at ~= '0' then
    return go_on('items ' .. at)
  end
  left = left - #ids
  if left <= 0 then
    return go_on('waiting 0')
  end
  phase = 'waiting'
end

-- From the left: what consumers take from the right, and what is put on the left, lets no id go
-- by unseen.
waiting = call('LRANGE', keys.ids, at, at + LISTED - 1)
return go_on(#waiting < LISTED and '' or string.format('waiting %.0f', at + LISTED))
