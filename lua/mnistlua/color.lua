-- Colours on a terminal, where they are wanted: --color always, or auto on a terminal without NO_COLOR. Decided for
-- stderr and stdout apart, since one of them may be a file.
local core = require "mnistlua.core"

local m = { enabled = false, on_stdout = false }

local codes = { bold = 1, dim = 2, red = 31, green = 32, yellow = 33, blue = 34, magenta = 35, cyan = 36 }

--- Decides for both: mode is "auto", "always" or "never".
function m.choose(mode)
  local plain = (os.getenv "NO_COLOR" or "") ~= "" or os.getenv "TERM" == "dumb"
  local function wanted(fd) return mode == "always" or mode == "auto" and not plain and core.isatty(fd) end
  m.enabled, m.on_stdout = wanted(2), wanted(1)
end

local function painted(name, text) return ("\27[%dm%s\27[0m"):format(codes[name], text) end

--- text for stderr in a colour ("red", "green", "bold", ...), or as it is where colours are off or name is nil.
function m.paint(name, text)
  return m.enabled and name and painted(name, text) or text
end

--- The same for stdout.
function m.paint_stdout(name, text)
  return m.on_stdout and name and painted(name, text) or text
end

return m
