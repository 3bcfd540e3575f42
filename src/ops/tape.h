/* The tape: runs operations, remembers them when gradients are wanted, and walks them backwards.
 *
 * A computed tensor owns its node, and a node holds references to its inputs, so a graph lives exactly as long as its
 * results. Inside a run the trainer marks the steps (ml_step_begin): everything that was recorded in a step expires
 * when the next begins, which gives its memory back without waiting for a collector. Outside a run nothing expires. */
#ifndef ML_OPS_TAPE_H
#define ML_OPS_TAPE_H

#include "ops/op.h"

/* Runs op on inputs and returns the result with one reference, or NULL with err filled. It is recorded if recording is
 * on, the operation has a backward, and an input requires a gradient. */
ml_tensor *ml_apply(const ml_op *op, ml_tensor *const *inputs, int count, const ml_attrs *attrs, ml_error *err);

/* Fills .grad of every leaf that loss was computed from, adding to what is there. loss has one element. Each graph goes
 * backward once: its saved values are given back on the way. ML_MISUSE if loss is not scalar, was not recorded, or was
 * used before. `seed` is the gradient of loss with respect to itself, 1 normally. */
ml_status ml_backward(ml_tensor *loss, float seed, ml_error *err);

/* Recording is on at start. Both return what it was. */
bool ml_recording(void);
bool ml_set_recording(bool on);

/* Begins a step: what the last one recorded (and what ml_step_adopt was given) expires. */
void ml_step_begin(void);
/* After the last step: expires what it recorded and goes back to no stepping. */
void ml_step_end(void);
/* Lets t expire with this step, if one is under way. */
ml_status ml_step_adopt(ml_tensor *t, ml_error *err);

#endif
