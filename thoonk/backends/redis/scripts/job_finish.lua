-- Contract: job finish
-- KEYS: 1 config, 2 items, 3 published, 4 claimed, 5 cancelled, 6 finishes, 7 holders, 8 tokens,
--       9 results, then for each job the key of its result, last answers
-- ARGV: 1 finish channel, 2 default of result_timeout in ms, then for each job:
--       id, token, kind of result ('' none, 'some', 'none' for the value None), result,
--       ms to keep it ('' as configured, 0 for ever); last slot and call
-- Returns the count of jobs. One that is not claimed is an error, and nothing is done.
-- Notices: job.finish for each with a result.
--@ once
--@ include feed
--@ include clock
--@ include claim
local config = redis.call('HMGET', KEYS[1], 'type', 'result_timeout')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[4], holders = KEYS[7], tokens = KEYS[8]}
for index = 3, #ARGV, 5 do
  if not holds(keys, ARGV[index], ARGV[index + 1]) then
    return redis.error_reply('NOTCLAIMED ' .. (index + 2) / 5)
  end
end
local time = now()
local configured = tonumber(config[2] or '')
configured = configured and configured * 1000 or tonumber(ARGV[2])
for index = 3, #ARGV, 5 do
  local id, kind, result = ARGV[index], ARGV[index + 2], ARGV[index + 3]
  let_go(keys, id)
  redis.call('HDEL', KEYS[5], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('INCR', KEYS[6])
  if kind ~= '' then
    local key = KEYS[9 + (index + 2) / 5]
    local query = redis.call('HGET', KEYS[2], id) or ''
    redis.call('DEL', key)
    -- A peer's BRPOP gets the result. Three elements tell what it left from a peer's own.
    redis.call('RPUSH', key, kind, query, result)
    -- A peer may have configured more than the server can count.
    local keep = math.min(tonumber(ARGV[index + 4]) or configured, 1e14)
    if keep > 0 then
      redis.call('PEXPIRE', key, string.format('%.0f', math.max(1, keep)))
      redis.call('ZADD', KEYS[9], text_of(time + keep), id)
    else
      redis.call('ZADD', KEYS[9], '+inf', id)
    end
    redis.call('PUBLISH', ARGV[1], id .. '\0' .. result)
  end
  redis.call('HDEL', KEYS[2], id)
end
-- The index of results keeps no entry longer than the result.
redis.call('ZREMRANGEBYSCORE', KEYS[9], '-inf', text_of(time - 1))
return (#ARGV - 2) / 5
