-- Which path is answered by what. Every handler here only reads; POST sends pixels.
--
--   GET  /, /NAME                     the page and its files
--   GET  /api/runs?filter=..&sort=..  the list of runs
--   GET  /api/runs/RUN                everything about one, without its curves
--   GET  /api/runs/RUN/curves?width=..&from=..
--   GET  /api/runs/RUN/report         its report.html
--   POST /api/runs/RUN/classify       28x28 bytes -> probabilities
--   POST /api/prepare?width=..&height=..   grey bytes -> 28x28
--   GET  /api/compare?run=..&run=..   what differs
local answer = require "mnistlua.serve.answer"
local guard = require "mnistlua.serve.guard"
local model = require "mnistlua.serve.model"
local pixels = require "mnistlua.serve.pixels"
local runs = require "mnistlua.serve.runs"
local target = require "mnistlua.serve.target"

local m = {}

local most_compared = 12

-- ---- queries ----

local function words(query, key)
  local list = {}
  for _, text in ipairs(query[key] or {}) do
    for word in text:gmatch "%S+" do list[#list + 1] = word end
  end
  return list
end

local function whole(query, key)
  local text = query[key] and query[key][1]
  if not text then return nil end
  if not text:find "^%d+$" or #text > 12 then answer.fail(400, ("%s: expected a number"):format(key)) end
  return math.tointeger(tonumber(text))
end

-- ---- handlers: of the server, the run's name (where the path has one), the query and the request ----

local function list(server, _, query)
  return answer.json(runs.list(server.out, words(query, "filter"), query.sort and query.sort[1]))
end

local function one(server, name) return answer.json(runs.one(server.out, name)) end

local function report(server, name)
  return answer.bytes("text/html; charset=utf-8", runs.report(server.out, name), guard.report_policy)
end

local function curves(server, name, query)
  return answer.json(runs.curves(server.out, name, whole(query, "width"), whole(query, "from")))
end

local function classify(server, name, _, request)
  local record = runs.with_run(server.out, name, function(r) return r end)
  return answer.json(model.classify(server.out, record, request.body))
end

local function prepare(_, _, query, request)
  return answer.json(pixels.prepare(whole(query, "width"), whole(query, "height"), request.body))
end

local function compare(server, _, query)
  local names = query.run or {}
  if #names < 1 or #names > most_compared then
    answer.fail(400, ("expected run=NAME, once to %d times"):format(most_compared))
  end
  return answer.json(runs.compare(server.out, names))
end

-- By the segments of the path with "*" for a run's name.
local handlers = {
  ["api/runs"] = { GET = list },
  ["api/runs/*"] = { GET = one },
  ["api/runs/*/curves"] = { GET = curves },
  ["api/runs/*/report"] = { GET = report },
  ["api/runs/*/classify"] = { POST = classify },
  ["api/prepare"] = { POST = prepare },
  ["api/compare"] = { GET = compare },
}

-- ---- finding one ----

local function pattern_of(segments)
  local parts = table.move(segments, 1, #segments, 1, {})
  if parts[1] == "api" and parts[3] then parts[3] = "*" end
  return table.concat(parts, "/"), segments[3]
end

--- The answer to a request.
function m.answer(server, request)
  local segments, query = target.read(request.target)
  if not segments then return answer.error(400, "this is no path of the server") end
  local method = request.method == "HEAD" and "GET" or request.method
  if #segments < 2 and server.files[segments[1] or ""] then
    if method ~= "GET" then return answer.error(405, "expected GET") end
    return server.files[segments[1] or ""]
  end
  local pattern, name = pattern_of(segments)
  local methods = handlers[pattern]
  if not methods then return answer.error(404, "there is nothing here") end
  if not methods[method] then return answer.error(405, "expected " .. next(methods)) end
  return methods[method](server, name, query, request)
end

return m
