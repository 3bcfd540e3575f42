-- Figures of the benchmark as short text: rates in the unit of their row, shares, ratios; and sentences cut to lines.
local m = {}

-- Three significant digits at least, none after the point from 100 on.
local function short(x)
  if x >= 99.95 then return ("%.0f"):format(x) end
  return (x >= 9.995 and "%.1f" or "%.2f"):format(x)
end

local units = {
  images = function(rate) return short(rate / 1e3) .. " k/s" end,
  us = function(rate) return short(1e6 / rate) .. " us" end,
  ms = function(rate) return short(1e3 / rate) .. " ms" end,
}

--- A rate a second in a row's unit: "38.3 k/s" (thousand images a second), "16.3 us", "21.4 ms".
function m.rate(show, rate) return units[show](rate) end

--- 0.763 -> "76%", 0.0123 -> "1.2%"; "-" for nil.
function m.share(x) return x and (x < 0.0995 and "%.1f%%" or "%.0f%%"):format(100 * x) or "-" end

--- 2.34 -> "2.3x", 12.3 -> "12x", 0.87 -> "0.87x"; "-" for nil.
function m.ratio(x)
  if not x then return "-" end
  return (x >= 9.95 and "%.0fx" or x >= 0.995 and "%.1fx" or "%.2fx"):format(x)
end

--- 1.234 -> "1.23x": where a few hundredths matter.
function m.change(x) return x and ("%.2fx"):format(x) or "-" end

--- FLOP/s -> "91 GFLOP/s", "2.41 TFLOP/s".
function m.flops(x)
  if x >= 1e12 then return ("%.2f TFLOP/s"):format(x * 1e-12) end
  return ("%.0f GFLOP/s"):format(x * 1e-9)
end

--- What a row computes with: "f32", "bf16", "bf16 (emulated)", "" where nothing is computed.
function m.precision(row)
  if not row.flops then return "" end
  return row.precision .. (row.emulated and " (emulated)" or "")
end

--- Appends text to lines, cut at its spaces where a line would be longer than the table's 100 columns.
function m.wrap(lines, text)
  local line = ""
  for word in text:gmatch "%S+" do
    if line ~= "" and #line + 1 + #word > 100 then
      lines[#lines + 1] = line
      line = ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = line
end

return m
