-- Several curves in one plot: letters, colours, scales. One curve alone is tested with lrfind.
local lu = require "luaunit"
local plot = require "mnistlua.plot"

TestPlot = {}

local function painter(name) return function(text) return ("<%s%s>"):format(name, text) end end

function TestPlot.testLettersTakeTurns()
  lu.assertEquals(plot.curves({
    { xs = { 0, 4, 8 }, ys = { 0, 2, 2 }, mark = "A" }, { xs = { 0, 8 }, ys = { 2, 2 }, mark = "B" },
  }, { width = 9, height = 3 }), {
    "       2 |BBBABABAB",
    "       1 | AA",
    "       0 |A",
    "         +---------",
    "          0 2 4 6 8",
  })
end

function TestPlot.testColoursAreOneSpanEach()
  lu.assertEquals(plot.curves({
    { xs = { 1, 4 }, ys = { 3, 3 }, mark = "A", paint = painter "a" },
    { xs = { 3, 6 }, ys = { 0, 0 }, mark = "B", paint = painter "b" },
  }, { width = 6, height = 2 }), {
    "       3 |<aAAAA>",
    "       0 |  <bBBBB>",
    "         +------",
    "          1 3 5",
  })
end

-- Braille can tell curves apart by colours only.
function TestPlot.testBrailleNeedsColours()
  local function curves(paint)
    return plot.curves({ { xs = { 1, 2 }, ys = { 1, 2 }, mark = "A", paint = paint },
      { xs = { 1, 2 }, ys = { 1, 1 }, mark = "B", paint = paint } }, { width = 4, height = 1, utf8 = true })[1]
  end
  lu.assertEquals(curves(nil), "       2 │BABA")
  lu.assertStrContains(curves(painter "x"), "<x⣀>")
end

function TestPlot.testScales()
  local lines = plot.curves({ { xs = { 1, 3 }, ys = { 0.01, 1 } }, { xs = { 1, 3 }, ys = { 0.1, 0.1 } } },
    { width = 21, height = 3, log_y = true, whole = true, caption = function(y) return ("%.2f"):format(y) end })
  lu.assertEquals(lines[1]:sub(1, 10), "    1.00 |")
  lu.assertEquals(lines[2]:sub(1, 10), "    0.10 |")
  lu.assertEquals(lines[3]:sub(1, 10), "    0.01 |")
  lu.assertEquals(lines[5], "          1         2         3")
  lines = plot.curves({ { xs = { 0, 4690 }, ys = { 1, 2 } } }, { width = 60, height = 2 })
  lu.assertStrMatches(lines[4], " +0 +1000 +2000 +3000 +4000")
end

-- What differs by rounding only is a straight line in the middle.
function TestPlot.testOneValue()
  for _, y in ipairs { 0.1, -300, 0 } do
    local lines = plot.curves({ { xs = { 1, 2, 3 }, ys = { y, y * (1 + 1e-15), y } } }, { width = 3, height = 3 })
    lu.assertStrMatches(lines[1], " +%S+ |")
    lu.assertStrMatches(lines[2], " +%S+ |%*%*%*")
    lu.assertStrMatches(lines[3], " +%S+ |")
  end
end

-- Shorter, longer, single points; nothing leaves the plot.
function TestPlot.testCurvesOfDifferentLengths()
  local lines = plot.curves({ { xs = { 5 }, ys = { 1 }, mark = "A" }, { xs = { 1, 2, 9 }, ys = { -3, 7, 7 },
    mark = "B" } },
    { width = 17, height = 5 })
  lu.assertEquals(#lines, 7)
  for i = 1, 5 do lu.assertTrue(utf8.len(lines[i]) <= 10 + 17, lines[i]) end
  lu.assertEquals(select(2, table.concat(lines):gsub("A", "")), 1)
end
