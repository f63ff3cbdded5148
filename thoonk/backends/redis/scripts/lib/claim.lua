-- Claims. A consumer comes with a token of its own making. Of each claim there are the time it
-- was made (`claimed`: id -> ms) and its holder (`holders`: id -> token and that time); of
-- each token the ids it took (`tokens`: token -> ids, joined by NUL), so that a consumer whose
-- answer was lost asks again and gets the same.
--@ include clock
--@ include numbers
--@ include events

-- Of each id the time of its claim and its holder, false where there is none.
local function claims_on(ids)
  return call('ZMSCORE', keys.claimed, unpack(ids)),
    call('HMGET', keys.holders, unpack(ids))
end

-- Whether a claim may be ended by whoever shows `token` ('' shows none: any holder).
-- A holder's entry counts only for the claim time it was written with: a peer that claimed
-- the job since then has left another time and no entry.
local function is_owner(since, holder, token)
  if not since then
    return false
  end
  -- As a rule the server writes the time as we do.
  return token == '' or holder == token .. ' ' .. since
    or holder == token .. ' ' .. text_of(number_of(since))
end

-- Date the claim on `id` anew; `since` and `holder` as from `claims_on`. A holder's entry that
-- counts goes on to count, one that does not must not come to life again.
local function date(id, since, holder, time)
  local token = string.match(holder or '', '^(.*) %S+$')
  call('ZADD', keys.claimed, time, id)
  if token and is_owner(since, holder, token) then
    call('HSET', keys.holders, id, token .. ' ' .. time)
  end
end

-- End the claims on `ids`, whoever holds them; `holders` as from `claims_on`.
local function end_claims(ids, holders)
  local first = holders[1] and string.match(holders[1], '^(.*) %S+$')
  -- All keys are read before the first write: one of another type is refused then.
  local under_first = call('HGET', keys.tokens, first or '')
  call('ZREM', keys.claimed, unpack(ids))
  if first and under_first == table.concat(ids, '\0') then
    -- All that was taken under one token: the usual case.
    call('HDEL', keys.holders, unpack(ids))
    call('HDEL', keys.tokens, first)
    return
  end
  local ended = {}
  for index, id in ipairs(ids) do
    local token = holders[index] and string.match(holders[index], '^(.*) %S+$')
    if token then
      ended[token] = ended[token] or {}
      ended[token][id] = true
    end
  end
  if next(ended) then
    call('HDEL', keys.holders, unpack(ids))
  end
  for token, gone in pairs(ended) do
    local others = {}
    for id in string.gmatch(call('HGET', keys.tokens, token) or '', '%Z+') do
      if not gone[id] then
        others[#others + 1] = id
      end
    end
    if #others == 0 then
      call('HDEL', keys.tokens, token)
    else
      call('HSET', keys.tokens, token, table.concat(others, '\0'))
    end
  end
end

-- Give claimed jobs back, or stall those to which that has happened `max_failures` times.
-- Answers the ids of those that wait again, and of those that are stalled. All claims are
-- ended at once: the ids of a token are read and written once, however many are given back.
-- `put_off`, where there is one, is given the ids that would wait, and keeps them for later.
local function requeue_or_stall(ids, max_failures, put_off)
  local waiting, stalled = {}, {}
  if #ids == 0 then
    return waiting, stalled
  end
  call('LLEN', keys.ids)
  call('ZCARD', keys.published)
  call('SCARD', keys.stalled)
  local before = call('HMGET', keys.cancelled, unpack(ids))
  end_claims(ids, call('HMGET', keys.holders, unpack(ids)))
  for index, id in ipairs(ids) do
    if before[index] and (#before[index] > 15 or not string.match(before[index], '^%-?%d+$')) then
      -- What a peer left there is no number.
      call('HDEL', keys.cancelled, id)
    end
    local failures = call('HINCRBY', keys.cancelled, id, 1)
    local list = max_failures > 0 and failures >= max_failures and stalled or waiting
    list[#list + 1] = id
  end
  if #stalled > 0 then
    call('ZREM', keys.published, unpack(stalled))
    call('SADD', keys.stalled, unpack(stalled))
    tell('stalled', stalled)
  end
  if #waiting > 0 then
    tell('cancelled', waiting)
    if put_off then
      put_off(waiting)
    else
      call('LPUSH', keys.ids, unpack(waiting))
    end
  end
  return waiting, stalled
end

-- Call `back(id)` for up to `limit` claims that are older than `timeout` ms. Claims whose time
-- has yet to come, for some clock was ahead, count as made now. Returns how many were looked at.
local function expire(time, timeout, limit, back)
  -- A peer that was woken by an empty id may have claimed it. And a server that is full refuses a
  -- first write that takes memory: this takes none.
  call('ZREM', keys.claimed, '')
  local seen = call(
    'ZRANGEBYSCORE', keys.claimed, '-inf', text_of(time - timeout), 'WITHSCORES', 'LIMIT', 0, limit)
  local ahead = call('ZREVRANGEBYSCORE', keys.claimed, '+inf', '(' .. text_of(time), 'WITHSCORES',
    'LIMIT', 0, limit - #seen / 2)
  for _, word in ipairs(ahead) do
    seen[#seen + 1] = word
  end
  for index = 1, #seen, 2 do
    local id = seen[index]
    local since = math.min(time, in_milliseconds(number_of(seen[index + 1])))
    if since > time - timeout then
      -- Also a peer's claim in seconds, still young: rewritten, so that it sorts by its time.
      date(id, seen[index + 1], call('HGET', keys.holders, id), text_of(since))
    else
      back(id)
    end
  end
  return #seen / 2
end

-- Of the ids that were just claimed at `since`, those that nobody had claimed before, and their
-- items. A peer may have put an id into the list a second time. `seen` are those of this step.
local function not_claimed_before(claimed, items, since, seen)
  local ids, rest = {}, {}
  local times, before = claims_on(claimed)
  for index, id in ipairs(claimed) do
    if not seen[id] and not before[index] and text_of(number_of(times[index])) == since then
      ids[#ids + 1], rest[#rest + 1] = id, items[index]
      seen[id] = true
    end
  end
  return ids, rest
end

-- Claim those of `ids` that have an item and are not claimed yet; add them to `taken` and `items`.
local function claim_free(ids, taken, items, since)
  local free, found, times = {}, {}, {}
  for index, item in ipairs(call('HMGET', keys.items, unpack(ids))) do
    local id = ids[index]
    -- An id without item was removed by a peer that left it in the list. Of what is no valid
    -- id nobody could end the claim.
    if item and not string.find(id, '%z') and id ~= '' then
      free[#free + 1], found[#found + 1] = id, item
      times[#times + 1], times[#times + 2] = since, id
    end
  end
  if #free > 0 and call('ZADD', keys.claimed, 'NX', unpack(times)) < #free then
    local seen = {}
    for _, id in ipairs(taken) do
      seen[id] = true
    end
    free, found = not_claimed_before(free, found, since, seen)
  end
  for index, id in ipairs(free) do
    taken[#taken + 1], items[#items + 1] = id, found[index]
  end
end

-- Up to `count` ids for `token`, and their items: what it has already, else the next ones.
-- What a waiting consumer has reserved, and perhaps died before it took, comes first with
-- `recover_expired`, else last.
local function take(token, count, time, recover_expired)
  local taken, items = {}, {}
  local before = call('HGET', keys.tokens, token)
  if before then
    local ids = {}
    for id in string.gmatch(before, '%Z+') do
      ids[#ids + 1] = id
    end
    local since, holders = claims_on(ids)
    for index, item in ipairs(call('HMGET', keys.items, unpack(ids))) do
      if item and is_owner(since[index], holders[index], token) then
        taken[#taken + 1] = ids[index]
        items[#items + 1] = item
      end
    end
    return taken, items
  end
  call('LLEN', keys.ids)
  call('LLEN', keys.reserved)
  call('HLEN', keys.items)
  call('ZCARD', keys.claimed)
  call('HLEN', keys.holders)
  if is_paused then
    return taken, items
  end
  local since = text_of(time)
  local list = recover_expired and keys.reserved or keys.ids
  for _ = 1, 2 do
    while #taken < count do
      local ids = call('RPOP', list, count - #taken)
      if not ids or #ids == 0 then
        break
      end
      claim_free(ids, taken, items, since)
    end
    list = recover_expired and keys.ids or keys.reserved
  end
  if #taken > 0 then
    local holders, holder = {}, token .. ' ' .. since
    for index, id in ipairs(taken) do
      holders[2 * index - 1], holders[2 * index] = id, holder
    end
    call('HSET', keys.holders, unpack(holders))
    call('HSET', keys.tokens, token, table.concat(taken, '\0'))
    tell('claimed', taken)
  end
  return taken, items
end

-- Milliseconds until a claim may run out: one made a moment from now does after `timeout`,
-- the oldest perhaps sooner.
local function time_left(time, timeout)
  local oldest = call('ZRANGE', keys.claimed, 0, 0, 'WITHSCORES')
  if oldest[2] then
    local left = in_milliseconds(number_of(oldest[2])) + timeout - time
    return math.ceil(math.min(timeout, math.max(0, left)))
  end
  return math.ceil(timeout)
end
