-- Sends the requests of a file: wrk ... -s wrk.lua URL -- FILE PROOF SEED
-- FILE holds raw HTTP/1.1 requests with a NUL between them; a run of 64 @ becomes 64 hexadecimal digits that no other
-- request has. Each answer must have status 2xx and PROOF in its body. The last line printed is JSON.
local MARK = string.rep("@", 64)
local threads, heads, tails = {}, {}, {}
local line, sent, proof = 0, 0, ""

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local text = file:read("*a")
  file:close()
  proof, wrong, example = arguments[2] or "", 0, ""
  math.randomseed(tonumber(arguments[3]) + number)
  for raw in text:gmatch("[^%z]+") do
    local from, to = raw:find(MARK, 1, true)
    table.insert(heads, from and raw:sub(1, from - 1) or raw)
    table.insert(tails, from and raw:sub(to + 1) or false)
  end
end

local function unique()
  local function random() return math.random(0, 0x7fffffff) end
  sent = sent + 1
  return string.format("%08x%08x%08x%08x%08x%08x%016x", random(), random(), random(), random(), random(), number, sent)
end

function request()
  line = line % #heads + 1
  local tail = tails[line]
  return tail and heads[line] .. unique() .. tail or heads[line]
end

function response(status, _, body)
  if status >= 200 and status < 300 and body:find(proof, 1, true) then return end
  wrong = wrong + 1
  example = status .. " " .. body:sub(1, 300):gsub('[^%w .,:;/()_-]', " ")
end

function done(summary, latency)
  local errors, total, shown = summary.errors, 0, ""
  for _, thread in ipairs(threads) do
    total = total + thread:get("wrong")
    shown = shown .. thread:get("example")
  end
  total = total + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "wrong": %d, "example": "%s"}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, total, shown))
end
