-- The parts of `mnistlua serve` that need no socket: targets of requests, who is let in, the buckets of curves; and the
-- core's Http used wrongly. What a client sees is tests/cli/test_serve.sh.
local lu = require "luaunit"
local core = require "mnistlua.core"
local curves = require "mnistlua.serve.curves"
local database = require "mnistlua.store.database"
local guard = require "mnistlua.serve.guard"
local schema = require "mnistlua.store.schema"
local target = require "mnistlua.serve.target"

TestServe = {}

-- ---- targets ----

function TestServe:test_targets()
  for text, expected in pairs {
    ["/"] = {}, ["/a"] = { "a" }, ["/a/b%20c/%41"] = { "a", "b c", "A" }, ["/%C3%A4+b"] = { "\u{e4}+b" },
    ["/a?x=/../b"] = { "a" }, ["/a..b/..."] = { "a..b", "..." }, ["/?"] = {}, ["/%3Cscript%3E"] = { "<script>" },
  } do
    lu.assertEquals(target.read(text), expected, text)
  end
end

function TestServe:test_targets_that_are_refused()
  for _, text in ipairs {
    "", "a", "*", "http://127.0.0.1/", "//", "/a/", "/a//b", "/.", "/..", "/a/../b", "/%2e%2E", "/a%2fb", "/a%5cb",
    "/a\\b", "/a%00", "/a%0ab", "/%", "/%4", "/%zz", "/a%7f", "/a?x=%", "/a?x=%00", "/a?%0d=1", "/" .. ("a"):rep(5000),
  } do
    lu.assertNil(target.read(text), text)
  end
end

function TestServe:test_queries()
  local _, query = target.read "/a?x=1&y=a+b%2Bc&x=2&z&=3&&w=p=q"
  lu.assertEquals(query, { x = { "1", "2" }, y = { "a b+c" }, z = { "" }, [""] = { "3" }, w = { "p=q" } })
end

-- ---- who is let in ----

local function request(method, headers, path)
  return { method = method, target = path or "/api/runs", headers = headers, body = "" }
end

function TestServe:test_hosts()
  for host, port in pairs { ["127.0.0.1:80"] = 80, ["localhost"] = 80, ["127.0.0.1"] = 80, ["LOCALHOST:99"] = 99 } do
    lu.assertNil(guard.refuse(request("GET", { host = host }), port), host)
  end
  for _, host in ipairs {
    "", "evil", "127.0.0.1", "localhost", "127.0.0.1:98", "127.0.0.1:099", "127.0.0.2:99", "0.0.0.0:99", "[::1]:99",
    "127.0.0.1:99, evil", "evil, 127.0.0.1:99", "127.0.0.1:99@evil", "xlocalhost:99", "localhost:99.evil",
    "localhost.:99",
  } do
    lu.assertEquals(guard.refuse(request("GET", { host = host }), 99), 403, host)
  end
  lu.assertEquals(guard.refuse(request("GET", {}), 99), 403)
end

function TestServe:test_origins()
  local host = "127.0.0.1:99"
  for _, origin in ipairs { "http://127.0.0.1:99", "HTTP://127.0.0.1:99" } do
    lu.assertNil(guard.refuse(request("GET", { host = host, origin = origin }), 99), origin)
  end
  for _, origin in ipairs {
    "", "null", "http://localhost:99", "https://127.0.0.1:99", "http://127.0.0.1", "http://evil",
  } do
    lu.assertEquals(guard.refuse(request("GET", { host = host, origin = origin }), 99), 403, origin)
  end
end

function TestServe:test_visits()
  local function refuse(path, method, origin)
    return guard.refuse(request(method or "GET", {
      host = "127.0.0.1:99", origin = origin, ["sec-fetch-site"] = "cross-site", ["sec-fetch-mode"] = "navigate",
      ["sec-fetch-dest"] = "document",
    }, path), 99)
  end
  lu.assertNil(refuse "/")
  lu.assertNil(refuse "/?x=1")
  lu.assertEquals(refuse "/serve.js", 403)
  lu.assertEquals(refuse("/", "POST"), 403)
  lu.assertEquals(refuse("/", "GET", "http://evil"), 403)
end

function TestServe:test_methods()
  local h = { host = "127.0.0.1:99" }
  for _, method in ipairs { "PUT", "DELETE", "OPTIONS", "TRACE", "get", "GET, HEAD", "" } do
    lu.assertEquals(guard.refuse(request(method, h), 99), 405, method)
  end
  lu.assertEquals(guard.refuse(request("POST", h), 99), 415)
  h["content-type"] = "application/octet-stream"
  lu.assertNil(guard.refuse(request("POST", h), 99))
end

-- ---- curves ----

local path

function TestServe:setUp() path = os.tmpname() end

function TestServe:tearDown() os.remove(path) end

local function filled(steps)
  local db = database.open(path, "create", 0)
  schema.prepare(db)
  db:exec "BEGIN"
  for step = 1, steps do
    db:run("INSERT INTO steps (run, step, epoch, loss, acc, lr) VALUES (1, ?, 1, ?, NULL, 0.5)", step, step)
    if step % 10 == 0 then db:run("INSERT INTO step_values VALUES (1, 'user.a', ?, ?)", step, -step) end
  end
  db:run "INSERT INTO epochs VALUES (1, 'test.acc', 1, 100, 0.5)"
  db:run "INSERT INTO epochs VALUES (1, 'test.acc', 2, 200, 0.75)"
  db:exec "COMMIT"
  return db
end

function TestServe:test_widths()
  for steps, width in pairs { [0] = 1, [1] = 1, [400] = 1, [401] = 2, [800] = 2, [801] = 4, [1000000] = 4096 } do
    lu.assertEquals(curves.width(steps), width, steps)
  end
end

function TestServe:test_buckets()
  local db = filled(1001)
  local all = curves.of(db, 1)
  lu.assertEquals({ all.width, all.from, all.last, all.steps_per_epoch }, { 4, 0, 1001, 100 })
  local loss = all.steps["train.loss"]
  lu.assertEquals({ #loss.steps, loss.steps[1], loss.values[1], loss.steps[251] }, { 251, 2.5, 2.5, 1001 })
  lu.assertNil(all.steps["train.acc"])
  lu.assertEquals(all.steps["user.a"].values[2], -20)
  lu.assertEquals(all.epochs["test.acc"], { steps = { 100, 200 }, values = { 0.5, 0.75 } })
  local new = curves.of(db, 1, 4, 249)                   -- steps 997 to 1001
  lu.assertEquals({ new.from, new.steps["train.loss"].steps[1], #new.steps["train.loss"].steps }, { 249, 998.5, 2 })
  for _, at in ipairs { { 2, 249 }, { 4, 251 }, { 4 }, { nil, 3 } } do     -- another width, or steps taken back
    lu.assertEquals(curves.of(db, 1, at[1], at[2]).from, 0)
  end
  lu.assertEquals(curves.of(db, 2).steps, {})
  db:close()
end

-- ---- the core's Http ----

function TestServe:test_misuse()
  lu.assertErrorMsgContains("port: expected", core.http, 65536)
  lu.assertErrorMsgContains("unknown option", core.http, 0, { bodies = 1 })
  lu.assertErrorMsgContains("body: expected", core.http, 0, { body = 0 })
  local h = assert(core.http(0, { body = 10, connections = 2, seconds = 1 }))
  lu.assertEquals(math.type(h:port()), "integer")
  lu.assertNil(h:next())
  lu.assertTrue(h:poll(0))
  lu.assertErrorMsgContains("no request to answer", h.answer, h, 200, {}, "")
  lu.assertErrorMsgContains("expected", h.answer, h, 1000, {}, "")
  lu.assertErrorMsgContains("a header", h.answer, h, 200, { "x" }, "")
  local _, message, in_use = core.http(h:port())
  lu.assertStrContains(message, "Address already in use")
  lu.assertTrue(in_use)
  h:close()
  h:close()
  for _, name in ipairs { "port", "next" } do lu.assertErrorMsgContains("has been closed", h[name], h) end
end
