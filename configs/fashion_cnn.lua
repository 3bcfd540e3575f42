-- A convolutional network for Fashion-MNIST: 32c3-P-64c3-P-128c3-10, each convolution followed by batch-norm and ReLU;
-- Adam under a one-cycle learning rate, an average of the weights, pictures shifted and partly erased.
--
-- Its accuracy on Fashion-MNIST has not been measured: the data could not be downloaded where it was written, and
-- nothing of it was tuned on them. Fetch them with `data/fetch fashion_mnist`. What was run is this same file on MNIST:
-- `data=mnist epochs=1 --seed 1` reaches 99.27% on the test images (final weights, f32).
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  data   = { "fashion_mnist", "data set", choices = { "fashion_mnist", "mnist", "kmnist", "emnist_digits", "digits" } },
  lr     = { 0.005, "peak learning rate", min = 0 },
  epochs = { 15, "passes over the training set", min = 1 },
  batch  = { 128, "images per step", min = 1 },
  widths = { { 32, 64, 128 }, "channels of the three convolutions" },
  shift  = { 2, "pixels that a picture is shifted by, at most", min = 0 },
  erase  = { 0.25, "share of the pictures that lose a rectangle", min = 0, max = 1 },
  val    = { 0, "training images held out for validation", min = 0 },
}

local model = nn.Sequential {}
for i, width in ipairs(p.widths) do
  model:add(nn.Conv2d(width, 3, { padding = "same", bias = false }))
  if i < #p.widths then model:add(nn.MaxPool2d(2)) end
  model:add(nn.BatchNorm2d()):add(nn.ReLU())
end
model:add(nn.Flatten()):add(nn.Dropout(0.3)):add(nn.Linear(10))

return ml.experiment {
  name      = "fashion_cnn",
  data      = ml.data[p.data] { val = p.val },
  model     = model,
  loss      = nn.CrossEntropyLoss { label_smoothing = 0.05 },
  optimizer = optim.Adam { lr = p.lr, betas = { 0.9, 0.99 } },
  schedule  = sched.OneCycleLR { max_lr = p.lr },
  average   = optim.EMA { decay = 0.999 },
  augment   = ml.augment { shift = p.shift, erase = { p = p.erase, size = { 3, 9 } } },
  epochs    = p.epochs,
  batch     = p.batch,
}
