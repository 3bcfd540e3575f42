-- What was typed at the prompt as something that can be run: whether it is whole yet, whether it is an expression, and
-- local variables that outlive their line.
local m = {}

-- A chunk is called with the function that keeps its locals. At its end it calls that function itself, unless it ends
-- with return; this costs nothing while it runs, as a hook on every return would.
local before, after = "local _keep = ... ", "\n;_keep()"

--- Compiles text in the environment env. Returns a function for m.run and whether it is an expression; nil and
--- "incomplete" where more lines are needed; nil and a message otherwise.
function m.compile(text, env, name)
  local source = "=" .. (name or "prompt")
  local chunk = load("return " .. text, source, "t", env)
  if chunk then return chunk, true end
  local problem
  chunk, problem = load(text, source, "t", env)
  if chunk then return load(before .. text .. after, source, "t", env) or chunk, false end
  if problem:find "<eof>$" or problem:find "near '?<eof>'?$" then return nil, "incomplete" end
  return nil, problem
end

-- The locals of the function that calls the one that calls this.
local function locals_into(env)
  local i = 1
  while true do
    local name, value = debug.getlocal(3, i)
    if not name then return end
    if name ~= "_keep" and not name:find "^%(" then env[name] = value end
    i = i + 1
  end
end

--- Runs a chunk so that its own local variables become variables of env: `local x = 1` at the prompt is of use in the
--- next line. `tick` is called every so many instructions; it may raise. Returns what the chunk returned, or what
--- `use` made of it, if that is given.
function m.run(chunk, env, tick, use)
  debug.sethook(function() return tick() end, "", 10000)
  local _ <close> = setmetatable({}, { __close = function() debug.sethook() end })
  local function keep() locals_into(env) end
  if use then return use(chunk(keep)) end
  return chunk(keep)
end

return m
