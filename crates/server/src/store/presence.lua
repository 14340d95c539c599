-- Who is in a room, as one atomic step. Redis's own clock decides whose lease
-- has ended, so that every instance comes to the same end and one announces it.
-- The loader puts `local PUBLISH = '…'` in front.
--
-- KEYS  1 hash of connection → fields, 2 sorted set of connection → end of lease, 3 revision
-- ARGV  1 enter, leave, keep or look, 2 lease in ms, 3 channel, 4 head of the push, 5 most listed,
--       6 connection and 7 fields (enter), 6 connection (leave), 6… connections (keep)
--       → {revision, count, {fields…}, {missing connection…}, swept}
local ROOM_TTL_MS = 86400000

local people, leases, revision = KEYS[1], KEYS[2], KEYS[3]
local operation, lease = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local till = string.format('%.0f', now + lease)

local function tell(event, fields)
  local rev = redis.call('INCR', revision)
  redis.call(PUBLISH, ARGV[3], '@' .. rev .. ':' .. ARGV[4] .. event .. '",' .. fields .. ',"rev":' .. rev .. '}')
end

local function leave(conn)
  local fields = redis.call('HGET', people, conn)
  redis.call('ZREM', leases, conn)
  if fields then
    redis.call('HDEL', people, conn)
    tell('leave', fields)
  end
end

local ended = redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1000)
for _, conn in ipairs(ended) do leave(conn) end

local missing = {}
if operation == 'enter' then
  local before = redis.call('HGET', people, ARGV[6])
  redis.call('ZADD', leases, till, ARGV[6])
  if before ~= ARGV[7] then
    redis.call('HSET', people, ARGV[6], ARGV[7])
    if before then tell('info', ARGV[7]) else tell('join', ARGV[7]) end
  end
elseif operation == 'leave' then
  leave(ARGV[6])
elseif operation == 'keep' then
  for index = 6, #ARGV do
    if redis.call('ZSCORE', leases, ARGV[index]) then
      redis.call('ZADD', leases, till, ARGV[index])
    else
      missing[#missing + 1] = ARGV[index]
    end
  end
end
-- Nobody may be left to sweep: then the keys end by themselves.
redis.call('PEXPIRE', people, 4 * lease)
redis.call('PEXPIRE', leases, 4 * lease)
redis.call('PEXPIRE', revision, ROOM_TTL_MS)

local listed = {}
local conns = redis.call('ZRANGE', leases, 0, tonumber(ARGV[5]) - 1)
if tonumber(ARGV[5]) > 0 and #conns > 0 then listed = redis.call('HMGET', people, unpack(conns)) end
return {tonumber(redis.call('GET', revision) or 0), redis.call('ZCARD', leases), listed, missing, #ended}
