-- A strip of pictures as sixel graphics (DEC's VT340 and what follows it): bands of six rows, for each band and colour
-- a line of characters whose bits are pixels. What is not painted shows the terminal's background.
local m = {}

-- Registers of the colours in a strip, in the order in which they occur, and their definitions in per cent.
local function palette(strip)
  local numbers, definitions, count = {}, {}, 0
  local function percent(level) return (level * 100 + 127) // 255 end
  for _, row in ipairs(strip.rows) do
    for _, color in ipairs(row) do
      if color and not numbers[color] then
        numbers[color], count = count, count + 1
        definitions[count] = ("#%d;2;%d;%d;%d"):format(count - 1, percent(color >> 16), percent(color >> 8 & 255),
          percent(color & 255))
      end
    end
  end
  return numbers, table.concat(definitions)
end

local function repeated(bits, times)
  local text = string.char(63 + bits)
  return times > 3 and ("!%d%s"):format(times, text) or text:rep(times)
end

-- The pixels of one colour in a band: bits[column], runs of the same bits at once. The end that has none is left out.
local function line_of(bits, widths, last)
  local parts, run, times = {}, bits[1] or 0, widths[1]
  for column = 2, last do
    local here = bits[column] or 0
    if here == run then
      times = times + widths[column]
    else
      parts[#parts + 1] = repeated(run, times)
      run, times = here, widths[column]
    end
  end
  parts[#parts + 1] = repeated(run, times)
  return table.concat(parts)
end

-- The colours of six rows of pixels from `top` on: a list of { color, bits by column, last column }.
local function band_colors(strip, top)
  local list, by_color = {}, {}
  for bit = 0, 5 do
    local row = strip.rows[(top + bit) // strip.tall + 1]
    for column, color in ipairs(row or {}) do
      if color then
        local entry = by_color[color]
        if not entry then
          entry = { color = color, bits = {}, last = 0 }
          by_color[color], list[#list + 1] = entry, entry
        end
        entry.bits[column] = (entry.bits[column] or 0) | 1 << bit
        entry.last = math.max(entry.last, column)
      end
    end
  end
  return list
end

--- The escape sequence that draws a strip.
function m.encode(strip)
  local numbers, definitions = palette(strip)
  local height, bands = #strip.rows * strip.tall, {}
  for top = 0, height - 1, 6 do
    local lines = {}
    for i, entry in ipairs(band_colors(strip, top)) do
      lines[i] = ("#%d%s"):format(numbers[entry.color], line_of(entry.bits, strip.widths, entry.last))
    end
    bands[#bands + 1] = table.concat(lines, "$")
  end
  return ('\27P0;1;0q"1;1;%d;%d%s%s\27\\'):format(strip.width, height, definitions, table.concat(bands, "-"))
end

return m
