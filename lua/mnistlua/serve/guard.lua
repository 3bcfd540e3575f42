-- Which requests are let in. The server listens on 127.0.0.1 only, but every page that a browser shows can send
-- requests there. So a request must be for this server by its name (a page of a stranger whose name was made to resolve
-- to 127.0.0.1 asks for the stranger's name), and must not come from another page. No header here allows another origin
-- anything. A function of the request alone.
local m = {}

local methods = { GET = true, HEAD = true, POST = true }
local allowed = "GET, HEAD, POST"

local everywhere = "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

--- What the page may do: load its own files, ask its own server.
m.page_policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
  .. "connect-src 'self'" .. everywhere

--- What a report may do, which is one file with its scripts inside: run them as a page from nowhere, which can ask this
--- server nothing.
m.report_policy = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
  .. "style-src 'unsafe-inline'; img-src data:" .. everywhere

--- The headers of an answer with a policy: pages of others may neither read, nor frame, nor embed it.
function m.headers(policy)
  return {
    { "Content-Security-Policy", policy or m.page_policy }, { "X-Content-Type-Options", "nosniff" },
    { "X-Frame-Options", "DENY" }, { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Cross-Origin-Opener-Policy", "same-origin" }, { "Referrer-Policy", "no-referrer" },
    { "Cache-Control", "no-store" },
  }
end

local function is_own_host(host, port)
  for _, name in ipairs { "127.0.0.1", "localhost" } do
    if host == ("%s:%d"):format(name, port) or (port == 80 and host == name) then return true end
  end
  return false
end

-- Whether it is somebody following a link to the page, which is all that another page may cause.
local function is_visit(request)
  local h = request.headers
  return request.method == "GET" and request.target:match "^[^?]*" == "/" and h["sec-fetch-mode"] == "navigate"
    and h["sec-fetch-dest"] == "document" and not h["origin"]
end

local function is_from_elsewhere(request, host)
  local origin, site = request.headers["origin"], request.headers["sec-fetch-site"]
  if origin and origin:lower() ~= "http://" .. host then return true end
  return site ~= nil and site ~= "same-origin" and site ~= "none" and not is_visit(request)
end

--- nil if a request to the server on `port` may be answered; else the status, a message and a list of headers.
function m.refuse(request, port)
  local host = (request.headers["host"] or ""):lower()
  if not is_own_host(host, port) then
    return 403, ("this server is http://127.0.0.1:%d/ and answers under no other name"):format(port), {}
  elseif is_from_elsewhere(request, host) then
    return 403, "this server answers no other page", {}
  elseif not methods[request.method] then
    return 405, "expected one of " .. allowed, { { "Allow", allowed } }
  elseif request.method == "POST" and request.headers["content-type"] ~= "application/octet-stream" then
    return 415, "expected a body of type application/octet-stream", {}
  end
end

return m
