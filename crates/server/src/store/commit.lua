-- The one atomic step of a room. The loader puts `local RUN_ID = '…'` in front,
-- so a script belongs to one Redis process: after a restart it is unknown
-- (NOSCRIPT), and the node has to learn the new run id before it can write.
-- It also puts `local PUBLISH = '…'` there: SPUBLISH on a cluster.
--
-- KEYS  1 meta hash, 2 stream, 3 idempotency key (only write, only with a key)
-- ARGV  1 operation, 2 epoch for a room that does not exist yet
--
-- read    3 since epoch or '', 4 since offset, 5 most events, 6 most bytes,
--         7 '1' if a part of the missing events will do, 8 '1' if the document is always wanted,
--         9 kind for a room that does not exist yet
--         → {epoch, offset, version, kind, doc or false, recovered, {payload…}}
-- recent  3 most events, 4 most bytes
--         → {epoch, offset, {newest payload, …, oldest payload}}
-- write   3 'state' or 'msg', 4 wanted version or '', 5 document, 6 head, 7 tail, 8 history length, 9 channel,
--         10 wanted kind or '', 11 history time in ms, 12 time of the write in µs since 1970
--         → {'ok' or 'dup', epoch, offset}, {'conflict', version, doc or false} or {'kind', kind}
-- writes  any number of writes, each atomic by itself: three keys (the third is the first where there is no
--         idempotency key) and the arguments 2 to 12 of each
--         → {what each would have answered, or {'error', text}…}
local META_TTL_MS = 86400000
local IDEMPOTENCY_TTL_MS = 300000
-- Offsets that a crashed Redis has forgotten must not come again as versions or
-- positions of the new epoch, so a new epoch starts far above them.
local EPOCH_GAP = 1048576

local meta, stream = KEYS[1], KEYS[2]
local operation = ARGV[1]

local function text(number) return string.format('%.0f', number) end

-- The room as it stands, made or begun anew where that is due.
local function enter(meta, stream, fresh, wanted)
  local fields = redis.call('HMGET', meta, 'e', 'o', 'v', 'k', 'rid')
  local epoch, offset, version, kind = fields[1], tonumber(fields[2]), tonumber(fields[3]), fields[4]
  if not epoch then
    epoch, offset, version, kind = fresh, 0, 0, 'doc'
    if wanted ~= '' then kind = wanted end
    redis.call('DEL', stream)
    redis.call('HSET', meta, 'e', epoch, 'o', 0, 'v', 0, 'k', kind, 'rid', RUN_ID, 'c', redis.call('TIME')[1])
  elseif fields[5] ~= RUN_ID then
    epoch = string.sub(redis.sha1hex(epoch .. RUN_ID), 1, 16)
    offset = offset + EPOCH_GAP
    if version > 0 then version = offset end
    redis.call('DEL', stream)
    redis.call('HSET', meta, 'e', epoch, 'o', text(offset), 'v', text(version), 'rid', RUN_ID)
  end
  redis.call('PEXPIRE', meta, META_TTL_MS)
  return epoch, offset, version, kind
end

-- One write, whose arguments begin after `a`.
local function write(meta, stream, key, a)
  if key then
    local done = redis.call('GET', key)
    if done then
      local epoch, offset = string.match(done, '^(%x+) (%d+)$')
      return {'dup', epoch, tonumber(offset)}
    end
  end
  local change, wanted_version, doc, head, tail = ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5], ARGV[a + 6]
  local length, channel, wanted_kind, time, now = ARGV[a + 7], ARGV[a + 8], ARGV[a + 9], ARGV[a + 10], ARGV[a + 11]
  local epoch, offset, version, kind = enter(meta, stream, ARGV[a + 1], wanted_kind)
  if wanted_kind ~= '' and wanted_kind ~= kind then return {'kind', kind} end
  if wanted_version ~= '' and tonumber(wanted_version) ~= version then
    return {'conflict', version, redis.call('HGET', meta, 'd')}
  end
  offset = offset + 1
  local o = text(offset)
  local payload = head .. epoch .. '","offset":' .. o
  if change == 'state' then
    payload = payload .. ',"version":' .. o .. tail
    redis.call('HSET', meta, 'o', o, 'v', o, 'd', doc)
  else
    payload = payload .. tail
    redis.call('HSET', meta, 'o', o)
  end
  redis.call('XADD', stream, 'MAXLEN', '~', length, o .. '-0', 'd', payload)
  redis.call('PEXPIRE', stream, time)
  redis.call(PUBLISH, channel, epoch .. ':' .. o .. ':' .. now .. ':' .. payload)
  if key then redis.call('SET', key, epoch .. ' ' .. o, 'PX', IDEMPOTENCY_TTL_MS) end
  return {'ok', epoch, offset}
end

if operation == 'write' then return write(meta, stream, KEYS[3], 1) end

if operation == 'writes' then
  local answers = {}
  for number = 0, #KEYS / 3 - 1 do
    local first = KEYS[number * 3 + 1]
    local key = KEYS[number * 3 + 3]
    if key == first then key = nil end
    -- What Redis refuses to one is not the others' affair.
    local done, answer = pcall(write, first, KEYS[number * 3 + 2], key, 1 + number * 11)
    if not done then answer = {'error', type(answer) == 'table' and answer.err or tostring(answer)} end
    answers[number + 1] = answer
  end
  return answers
end

local wanted = ''
if operation == 'read' then wanted = ARGV[9] end
local epoch, offset, version, kind = enter(meta, stream, ARGV[2], wanted)

if operation == 'read' then
  local since, most, bytes_left = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local events, recovered = {}, 0
  if ARGV[3] == epoch and since <= offset then
    local next, whole, full = since + 1, true, false
    while next <= offset and whole and not full do
      local rows = redis.call('XRANGE', stream, text(next) .. '-0', '+', 'COUNT', 64)
      if #rows == 0 then whole = false end
      for _, row in ipairs(rows) do
        local payload = row[2][2]
        if row[1] ~= text(next) .. '-0' then
          whole = false
          break
        end
        bytes_left = bytes_left - #payload
        if #events >= most or (bytes_left < 0 and #events > 0) then
          full = true
          break
        end
        events[#events + 1] = payload
        next = next + 1
      end
    end
    if whole and (next > offset or ARGV[7] == '1') then recovered = 1 end
  end
  if recovered == 0 then events = {} end
  local doc = false
  if recovered == 0 or ARGV[8] == '1' then doc = redis.call('HGET', meta, 'd') end
  return {epoch, offset, version, kind, doc, recovered, events}
end

if operation == 'recent' then
  local bytes_left = tonumber(ARGV[4])
  local events = {}
  for _, row in ipairs(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', ARGV[3])) do
    bytes_left = bytes_left - #row[2][2]
    if bytes_left < 0 and #events > 0 then break end
    events[#events + 1] = row[2][2]
  end
  return {epoch, offset, events}
end
