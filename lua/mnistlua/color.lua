-- Colours on a terminal, where they are wanted: --color always, or auto on a terminal without NO_COLOR.
local core = require "mnistlua.core"

local m = { enabled = false }

local codes = { red = 31, green = 32, yellow = 33 }

--- Decides for stderr: mode is "auto", "always" or "never".
function m.choose(mode)
  local no_color, term = os.getenv "NO_COLOR", os.getenv "TERM"
  local wanted = core.isatty(2) and (no_color or "") == "" and term ~= "dumb"
  m.enabled = mode == "always" or mode == "auto" and wanted
end

--- text in a colour ("red", "green", "yellow"), or as it is where colours are off.
function m.paint(name, text)
  if not m.enabled then return text end
  return ("\27[%dm%s\27[0m"):format(codes[name], text)
end

return m
