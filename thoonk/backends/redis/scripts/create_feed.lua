-- Contract: create (the configuration)
-- KEYS: 1 config
-- ARGV: field, value, field, value ...
-- Returns {1, {}} when created, {0, {field, value ...}} of what is there otherwise.
-- Notices: none (register_feed announces).
if redis.call('HEXISTS', KEYS[1], 'type') == 1 then
  return {0, redis.call('HGETALL', KEYS[1])}
end
for index = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
end
return {1, {}}
