-- Contract: create (the configuration)
-- KEYS: 1 config, 2 answers
-- ARGV: field, value, field, value ..., then slot and call
-- Returns 1 when created, {field, value ...} of what is there otherwise.
-- Notices: none (register_feed announces).
--@ once
if redis.call('HEXISTS', KEYS[1], 'type') == 1 then
  return redis.call('HGETALL', KEYS[1]), 'nothing done'
end
for index = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
end
return 1
