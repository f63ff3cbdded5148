-- An error reply when one of the items ARGV[from], ARGV[from + step] ... is longer than `limit`
-- bytes (as configured: text, false for none), else nil. `step` is 2 unless given.
local function oversized(limit, from, step)
  limit = count_in(limit)
  if limit > 0 then
    for index = from, #ARGV, step or 2 do
      if #ARGV[index] > limit then
        return redis.error_reply('TOOLARGE ' .. #ARGV[index] .. ' ' .. limit)
      end
    end
  end
  return nil
end
