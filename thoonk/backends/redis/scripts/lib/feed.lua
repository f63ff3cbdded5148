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
