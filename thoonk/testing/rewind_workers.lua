-- Let time go by for workers: what they have reported is so much older.
-- KEYS: feed.workers. ARGV: by how many ms; what the names of their feeds begin with.
local by = tonumber(ARGV[1])
local rows = redis.call('HGETALL', KEYS[1])
for index = 1, #rows, 2 do
  local record = '\0' .. rows[index + 1]
  if string.find(record, '\0feed=' .. ARGV[2], 1, true) then
    local function earlier(name, time)
      return name .. string.format('%.0f', tonumber(time) - by)
    end
    record = string.gsub(record, '(%zreported=)(%d+)', earlier)
    record = string.gsub(record, '(%zstarted=)(%d+)', earlier)
    record = string.gsub(record, '(%zjob=%d+ )(%d+)', earlier)
    redis.call('HSET', KEYS[1], rows[index], string.sub(record, 2))
  end
end
return 1
