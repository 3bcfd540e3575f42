-- How tensors print: their forms, and that large ones stay short.
local lu = require "luaunit"
local core = require "mnistlua.core"

TestCoreTensorPrinting = {}

function TestCoreTensorPrinting:testForms()
  lu.assertEquals(tostring(core.tensor(0.1234)), "tensor(0.1234)")
  lu.assertEquals(tostring(core.tensor(3, "i32")), "tensor(3, i32)")
  lu.assertEquals(tostring(core.tensor { { 1, 2.5 }, { -3, 4 } }),
    "tensor 2x2 f32\n[[ 1.0000  2.5000]\n [-3.0000  4.0000]]")
  lu.assertEquals(tostring(core.tensor({ 1, 20 }, "u8")), "tensor 2 u8\n[ 1 20]")
  lu.assertEquals(tostring(core.tensor { 1e-9, 3 }), "tensor 2 f32\n[1.0000e-09 3.0000e+00]")
  lu.assertEquals(tostring(core.tensor { 1, 0 / 0, -1 / 0 }), "tensor 3 f32\n[   1  nan -inf]")
  lu.assertEquals(tostring(core.zeros(0, 3)), "tensor 0x3 f32\n[]")
end

function TestCoreTensorPrinting:testLargeOnesAreShort()
  for _, shape in ipairs { { 1000 }, { 500, 500 }, { 20, 20, 20 }, { 9, 9, 9, 9 }, { 7, 7, 7, 7, 7, 7 } } do
    for _, scale in ipairs { 1, 1e-30, -1e30 } do
      local text = tostring(core.full(shape, scale):add_(core.randn(shape), scale / 3))
      lu.assertStrContains(text, "...")
      local lines = 0
      for line in text:gmatch "[^\n]*" do
        lu.assertTrue(#line <= 100, line)
        lines = lines + 1
      end
      lu.assertTrue(lines < 250, "lines: " .. lines)
    end
  end
end
