-- The shape of data that a built-in type means, nil for any other.
local function kind_of(type_name)
  local kinds = {
    feed = 'feed', sorted_feed = 'sorted_feed', list = 'sorted_feed',
    ['sorted feed'] = 'sorted_feed', queue = 'queue', pyqueue = 'queue', job = 'job',
  }
  return kinds[type_name]
end

-- A whole number as configured or counted (false for none); 0 for what is none.
local function count_in(text)
  local digits = string.match(text or '', '^%s*%+?(%d+)%s*$')
  return digits and #digits <= 15 and tonumber(digits) or 0
end

-- A configured number of seconds (false for none), nil for what makes no sense.
local function seconds_in(text)
  local seconds = string.match(text or '', '^[%s%d.eE+-]+$') and tonumber(text)
  if seconds and (seconds == 0 or seconds >= 0.001 and seconds <= 1e11) then
    return seconds
  end
  return nil
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
