-- What was typed at the prompt as something that can be run: whether it is whole yet, whether it is an expression, and
-- local variables that outlive their line.
local m = {}

--- Compiles text in the environment env. Returns a function and whether it is an expression; nil and "incomplete" where
--- more lines are needed; nil and a message otherwise.
function m.compile(text, env, name)
  local source = "=" .. (name or "prompt")
  local chunk = load("return " .. text, source, "t", env)
  if chunk then return chunk, true end
  local problem
  chunk, problem = load(text, source, "t", env)
  if chunk then return chunk, false end
  if problem:find "<eof>$" or problem:find "near '?<eof>'?$" then return nil, "incomplete" end
  return nil, problem
end

-- The locals of the function that returns, at a level of the stack above this one.
local function locals_at(level, env)
  local i = 1
  while true do
    local name, value = debug.getlocal(level, i)
    if not name then return end
    if not name:find "^%(" then env[name] = value end
    i = i + 1
  end
end

--- Runs a chunk so that its own local variables become variables of env: `local x = 1` at the prompt is of use in the
--- next line. `tick` is called every so many instructions; it may raise. Returns what the chunk returned.
function m.run(chunk, env, tick)
  debug.sethook(function(event)
    if event == "count" then return tick() end
    if debug.getinfo(2, "f").func == chunk then locals_at(3, env) end
  end, "r", 10000)
  local _ <close> = setmetatable({}, { __close = function() debug.sethook() end })
  return chunk()
end

return m
