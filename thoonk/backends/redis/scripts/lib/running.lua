-- Since when claims that were extended are claimed (`running`: "TOKEN ID" -> ms). A member counts
-- while ID is held under TOKEN. Who ends a claim leaves it: that would cost every job something.
--@ include claim

local function member_of(id, since, holder)
  local token = string.match(holder or '', '^(.*) %S+$')
  return token and is_owner(since, holder, token) and token .. ' ' .. id
end

-- Since when each of `ids` is claimed, in ms, false for one that is not; `since` and `holders` as from
-- `claims_on`.
local function first_claimed(ids, since, holders)
  local found = {}
  for index, id in ipairs(ids) do
    local time = since[index] and in_milliseconds(number_of(since[index]))
    local member = time and member_of(id, since[index], holders[index])
    local first = member and call('ZSCORE', keys.running, member)
    found[index] = time and math.min(time, first and number_of(first) or time)
  end
  return found
end

-- Of the `members` those that count, and those that are left over.
local function sorted_out(members)
  local live, void, ids = {}, {}, {}
  for index, member in ipairs(members) do
    -- What a peer left there may have no id.
    ids[index] = string.match(member, '^%S+ (.*)$') or ''
  end
  if #ids > 0 then
    local since, holders = claims_on(ids)
    for index, member in ipairs(members) do
      local list = member_of(ids[index], since[index], holders[index]) == member and live or void
      list[#list + 1] = member
    end
  end
  return live, void
end

-- Remove members that are left over, among those from `first` to `last`. Returns how many.
local function forget_running(first, last)
  local _, void = sorted_out(call('ZRANGE', keys.running, first, last))
  if #void > 0 then
    call('ZREM', keys.running, unpack(void))
  end
  return #void
end
