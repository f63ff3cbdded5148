-- Contract: get_ids
-- Of a job feed, and the items.
--@ keys items scheduleditems
-- ARGV: 1 with items (0, 1), then ids; none: all
-- Returns {id ...} or {id, item, id, item ...} of those that there are, also of scheduled ones.
-- Notices: none.
local answer, with_items = {}, ARGV[1] == '1'
for _, key in ipairs({keys.items, keys.scheduleditems}) do
  if #ARGV == 1 then
    for _, word in ipairs(call(with_items and 'HGETALL' or 'HKEYS', key)) do
      answer[#answer + 1] = word
    end
  else
    for index = 2, #ARGV do
      local item = with_items and call('HGET', key, ARGV[index])
      if item or not with_items and call('HEXISTS', key, ARGV[index]) == 1 then
        answer[#answer + 1] = ARGV[index]
        answer[#answer + 1] = item or nil
      end
    end
  end
end
return answer
