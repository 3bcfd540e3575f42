-- What standard output can show: how wide it is, whether colours are wanted and how many there are, which way of
-- drawing is best. It comes from the environment, from color.lua and, of sixel graphics, from the terminal itself.
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

-- ---- graphics ----

-- Terminals that say by their name that they have kitty's graphics. tmux and screen do not hand them on.
local function has_kitty()
  local term = os.getenv "TERM" or ""
  return term == "xterm-kitty" or term == "xterm-ghostty" or os.getenv "TERM_PROGRAM" == "ghostty"
end

local answer_time = 1    -- seconds that a terminal has to answer

-- Every terminal answers this question; 4 among the numbers of the answer is sixel.
local function has_sixel()
  local answer = core.terminal_ask("\27[c", "c", answer_time)
  local numbers = answer and answer:match "\27%[%?([%d;]*)c$"
  return numbers ~= nil and (";" .. numbers .. ";"):find(";4;", 1, true) ~= nil
end

local found    -- what was found out; the terminal is asked once

--- "kitty" or "sixel" where the terminal has such graphics and colours are not forbidden; nil elsewhere.
function m.graphics()
  if not color.on_stdout or not core.isatty(1) or (os.getenv "NO_COLOR" or "") ~= "" then return nil end
  if os.getenv "TMUX" or os.getenv "STY" or poor[os.getenv "TERM" or "dumb"] then return nil end
  if found == nil then found = has_kitty() and "kitty" or has_sixel() and "sixel" or false end
  return found or nil
end

--- Whether graphics that are asked for by name may be written: to a terminal, or where colours are.
function m.may_draw(wanted) return wanted == true or wanted == "auto" and (color.on_stdout or core.isatty(1)) end

local most_cell = 12    -- a character's width in pixels; finer pixels are of no use here

--- A character's width and height in pixels: what the terminal says, or what most have; a part of it where that is
--- much, if `exact` is not needed.
function m.cell(exact)
  local _, _, width, height = core.terminal_size()
  if not width or width == 0 then return 8, 16 end
  if exact or width <= most_cell then return width, height end
  local part = math.ceil(width / most_cell)
  return math.max(1, width // part), math.max(1, height // part)
end

return m
