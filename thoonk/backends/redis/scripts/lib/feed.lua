-- The shape of data that a built-in type means, nil for any other.
local function kind_of(type_name)
  local kinds = {
    feed = 'feed', sorted_feed = 'sorted_feed', list = 'sorted_feed',
    ['sorted feed'] = 'sorted_feed', queue = 'queue', pyqueue = 'queue', job = 'job',
  }
  return kinds[type_name]
end

-- An error reply when a feed of type `actual` (false: it has none) is not of `kind`, else nil.
-- Types that are not built in pass: the client that registered them knows their shape.
local function refuse(actual, kind)
  if not actual then
    return redis.error_reply('NOFEED the feed does not exist')
  end
  if actual == kind then
    return nil
  end
  local is = kind_of(actual)
  if is and is ~= kind then
    return redis.error_reply('FEEDTYPE ' .. is)
  end
  return nil
end

-- An error reply when one of the items ARGV[from], ARGV[from + step] ... is longer than `limit`
-- bytes (as configured: text, false for none), else nil. `step` is 2 unless given.
local function oversized(limit, from, step)
  limit = tonumber(limit or '') or 0
  if limit > 0 then
    for index = from, #ARGV, step or 2 do
      if #ARGV[index] > limit then
        return redis.error_reply('TOOLARGE ' .. #ARGV[index] .. ' ' .. limit)
      end
    end
  end
  return nil
end
