-- Ids of the caller's choice: of a put under one that is taken something else becomes.
--@ include clock
--@ include numbers

-- What becomes of each put of `ids`: 1 added, 2 replaced, 0 kept; or nil and an error reply, with
-- `refuse`, of the first that is taken. An id is taken that `is_there`, or that was put with the wish
-- that it stays taken for a time (`unique`: id -> until, ms). Who has claimed it (`claimed`) keeps it.
local function outcomes_of(ids, if_exists, is_there, claimed)
  local unique, outcomes = call('ZMSCORE', keys.unique, unpack(ids)), {}
  for index in ipairs(ids) do
    outcomes[index] = 1
    if is_there[index] or unique[index] and number_of(unique[index]) > now() then
      if if_exists == 'refuse' then
        return nil, redis.error_reply('EXISTS ' .. index)
      end
      local is_replaced = if_exists == 'replace' and is_there[index] and not claimed[index]
      outcomes[index] = is_replaced and 2 or 0
    end
  end
  return outcomes, nil
end

-- Let those of `ids` that were added or replaced stay taken for so many ms.
local function keep_taken(ids, outcomes, ms)
  local untils = {}
  for index, id in ipairs(ids) do
    if ms > 0 and outcomes[index] > 0 then
      untils[#untils + 1], untils[#untils + 2] = text_of(now() + ms), id
    end
  end
  if #untils > 0 then
    call('ZADD', keys.unique, unpack(untils))
    -- More go than come.
    local past = call(
      'ZRANGEBYSCORE', keys.unique, '-inf', text_of(now()), 'LIMIT', 0, 100 + #untils)
    if #past > 0 then
      call('ZREM', keys.unique, unpack(past))
    end
  end
end
