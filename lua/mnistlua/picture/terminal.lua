-- What standard output can show: how wide it is, whether colours are wanted and how many there are, which way of
-- drawing is best. Everything comes from the environment and color.lua.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local plot = require "mnistlua.plot"

local m = {}

--- The columns that a picture may take: the terminal's, 80 where there is none.
function m.width() return core.isatty(1) and core.terminal_width() or 80 end

-- Terminals with 8 colours or none.
local poor = { linux = true, ansi = true, dumb = true, cons25 = true, vt52 = true, vt100 = true, vt102 = true,
  vt220 = true, vt320 = true }

--- The bits of a colour: 24, 8 (256 colours), or nil where none are wanted or the terminal has too few. `wanted` is
--- true, false or "auto".
function m.color_bits(wanted)
  if wanted == false or wanted == "auto" and not color.on_stdout then return nil end
  local depth = os.getenv "COLORTERM"
  if depth == "truecolor" or depth == "24bit" then return 24 end
  if wanted == "auto" and poor[os.getenv "TERM" or ""] then return nil end
  return 8
end

--- The best way of drawing: with colours half blocks, without them braille; ASCII where the locale is not UTF-8.
function m.best_mode(bits)
  if not plot.utf8() then return "ascii" end
  return bits and "half" or "braille"
end

return m
