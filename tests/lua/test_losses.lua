-- Losses: values and gradients against PyTorch's (tests/golden), how they are printed, messages.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"
local numbers = require "numbers_aid"

TestLosses = {}

function TestLosses.testValuesArePyTorchs()
  for _, case in ipairs(numbers.golden "losses") do
    local x = core.tensor(case.x):requires_grad_()
    local target = core.tensor(case.target, type(case.target[1]) == "number" and "i32" or "f32")
    local value = nn[case.loss](case.options)(x, target, case.teacher and core.tensor(case.teacher))
    lu.assertAlmostEquals(value:item(), case.value, 2e-6)
    value:backward()
    local found, expected = x.grad:reshape(-1):totable(), core.tensor(case.dx):reshape(-1):totable()
    for i, slope in ipairs(expected) do lu.assertAlmostEquals(found[i], slope, 1e-6) end
  end
end

function TestLosses.testDistillationWithoutATeacherIsCrossEntropy()
  local x, labels = core.randn { 3, 4 }, core.tensor({ 0, 3, 1 }, "u8")
  lu.assertEquals(nn.DistillationLoss { label_smoothing = 0.1 }(x, labels):item(),
    nn.CrossEntropyLoss { label_smoothing = 0.1 }(x, labels):item())
end

-- A teacher is not trained, whatever it requires.
function TestLosses.testTheTeacherGetsNoGradient()
  local x, labels = core.randn({ 3, 4 }):requires_grad_(), core.tensor({ 0, 3, 1 }, "u8")
  local teacher = core.randn({ 3, 4 }):requires_grad_()
  nn.DistillationLoss()(x, labels, teacher * 2):backward()
  lu.assertNotNil(x.grad)
  lu.assertNil(teacher.grad)
end

function TestLosses.testPrinting()
  local cases = {
    ["nn.L1Loss()"] = nn.L1Loss(), ["nn.SmoothL1Loss(0.5)"] = nn.SmoothL1Loss(0.5), ["nn.HuberLoss()"] = nn.HuberLoss(),
    ["nn.HuberLoss(2)"] = nn.HuberLoss { delta = 2 },
    ["nn.DistillationLoss({ alpha = 0.9, temperature = 4 })"] = nn.DistillationLoss(),
  }
  for text, loss in pairs(cases) do lu.assertEquals(tostring(loss), text) end
end

function TestLosses.testComplaints()
  local x, labels = core.randn { 3, 4 }, core.tensor({ 0, 3, 1 }, "u8")
  local cases = {
    { "nn has no 'HuberLos'; did you mean 'HuberLoss'?", function() return nn.HuberLos end },
    { "nn.L1Loss: takes no values without a name", nn.L1Loss, 3 },
    { "nn.HuberLoss: delta is 0; expected a number > 0", nn.HuberLoss, 0 },
    { "nn.SmoothL1Loss: unknown option 'bta'; did you mean 'beta'?", nn.SmoothL1Loss, { bta = 1 } },
    { "nn.KLDivLoss: reduction is 'sum'; expected one of 'mean', 'batchmean'", nn.KLDivLoss, { reduction = "sum" } },
    { "nn.MultiMarginLoss: p is 3; expected a whole number >= 1 and <= 2", nn.MultiMarginLoss, { p = 3 } },
    { "nn.DistillationLoss: alpha is 2", nn.DistillationLoss, { alpha = 2 } },
    { "nn.DistillationLoss: the teacher's logits are 3; expected a tensor", nn.DistillationLoss(), x, labels, 3 },
    { "smooth_l1: expected two tensors of one shape, received 3x4 and 4", nn.L1Loss(), x, core.ones(4) },
    { "bce_with_logits: ", nn.BCEWithLogitsLoss(), x, labels },
    { "bce_with_logits: expected a weight for each of 4 places, received 3",
      nn.BCEWithLogitsLoss { pos_weight = { 1, 2, 3 } }, x, x },
    { "multi_margin: expected an f32 weight of 4", nn.MultiMarginLoss { weight = { 1, 2 } }, x, labels },
    { "kl_div: expected two tensors of one shape", nn.KLDivLoss(), x, core.ones(4) },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end
