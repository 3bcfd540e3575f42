-- The server of `mnistlua serve`: takes requests from the core's Http one after the other until it is interrupted.
-- What goes wrong with one of them is its answer, and a line on stderr where it is the server's fault; nothing of it
-- ends the server.
local answer = require "mnistlua.serve.answer"
local core = require "mnistlua.core"
local database = require "mnistlua.store.database"
local failure = require "mnistlua.failure"
local guard = require "mnistlua.serve.guard"
local page = require "mnistlua.serve.page"
local routes = require "mnistlua.serve.routes"

local m = {}

local limits = { body = 1 << 20, connections = 64, seconds = 20 }
local longest_wait = 0.25     -- seconds: so long a signal may go unnoticed that comes just before the wait
local ports_tried = 50

-- ---- starting ----

-- The next port that is free, or nil.
local function free_port(port)
  for other = port + 1, math.min(port + ports_tried, 65535) do
    local http <close> = core.http(other, limits)
    if http then return other end
  end
end

local function listen(port)
  local http, problem, in_use = core.http(port, limits)
  if http then return http end
  if not in_use then error(failure.new("runtime", problem), 0) end
  local free = free_port(port)
  error(failure.new("runtime", ("port %d of 127.0.0.1 is in use; %s--port 0 takes any that is free"):format(port,
    free and ("%d is free: --port %d; "):format(free, free) or "")), 0)
end

--- Begins to listen on a port (0: any) for the page of the runs in `out`.
function m.start(out, port)
  local http = listen(port)
  return { http = http, port = http:port(), out = out, files = page.read() }
end

-- ---- answering ----

-- The answer where a handler has raised something: the request's mistake, a fault of the outside world, or ours.
local function of_problem(problem, trace)
  local refusal = answer.of_failure(problem)
  if refusal then return refusal end
  local text = core.escape(tostring(problem))
  if failure.is(problem) or database.fault_kind(problem) then return answer.error(503, text) end
  io.stderr:write("mnistlua: error: " .. text .. "\n" .. trace .. "\n")
  return answer.error(500, text)
end

local function reply(server, request)
  local status, message, headers = guard.refuse(request, server.port)
  if status then return answer.error(status, message), headers end
  local trace
  local ok, result = xpcall(routes.answer, function(problem)
    trace = core.escape(debug.traceback(nil, 2))
    return problem
  end, server, request)
  return ok and result or of_problem(result, trace), {}
end

--- Answers a request: { method, target, headers, body }. Returns the status, the list of headers and the body.
function m.answer(server, request)
  local result, headers = reply(server, request)
  local all = guard.headers(result.policy)
  all[#all + 1] = { "Content-Type", result.type }
  return result.status, table.move(headers, 1, #headers, #all + 1, all), result.body
end

-- ---- the loop ----

--- Answers requests until a signal comes.
function m.run(server)
  local http <close> = server.http
  while core.interrupts() == 0 do
    local ok, problem = http:poll(longest_wait)
    if not ok then error(failure.new("runtime", problem), 0) end
    local request = http:next()
    while request do
      http:answer(m.answer(server, request))
      request = http:next()
    end
  end
end

return m
