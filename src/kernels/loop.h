/* What the vectorised loops of map_loops.h and reduce_loops.h share. Internal to src/kernels. */
#ifndef ML_LOOP_H
#define ML_LOOP_H

/* Before a loop: element i of the output depends on element i of the inputs only. True when an output is one of the
 * inputs, too, so that no run-time overlap test is needed. */
#ifdef __clang__
#define ML_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define ML_INDEPENDENT _Pragma("GCC ivdep")
#endif

#endif
