-- Contract: times
--@ keys config ids scheduled results unique
-- ARGV: 1 the feed's kind, 2 which times: published, scheduled, results or taken, 3 cursor or '',
--       4 how many at most
-- Returns {cursor or '', id, score, id ...}.
-- Notices: none.
--@ include feed
--@ include page
local refusal = refuse(call('HGET', keys.config, 'type'), ARGV[1])
if refusal then
  return refusal
end
local places = {
  published = keys.ids, scheduled = keys.scheduled, results = keys.results, taken = keys.unique,
}
local count = tonumber(ARGV[4])
local ids, scores, cursor_of = page_of_zset(places[ARGV[2]], ARGV[3], 0, count, false)
local answer = {#ids == count and cursor_of(#ids) or ''}
for index, id in ipairs(ids) do
  answer[2 * index], answer[2 * index + 1] = id, scores[index]
end
return answer
