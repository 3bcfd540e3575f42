/* Whole ranges of memory under AddressSanitizer. A register kernel that touches every byte of a few long ranges spends
 * nine tenths of its time there on the checks of single loads. It is compiled without them, ML_WITHOUT_ADDRESS_CHECKS,
 * and states its ranges first, with ml_touch: a byte that is not ours is reported as ever. Nothing elsewhere. */
#ifndef ML_REGION_H
#define ML_REGION_H

#include <stddef.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ML_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ML_ADDRESS_SANITIZER 1
#endif

#ifdef ML_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define ML_WITHOUT_ADDRESS_CHECKS __attribute__((no_sanitize("address")))

/* Reads the first byte of the range that may not be touched, which ends the program with AddressSanitizer's report.
 * Not inlined: the checks are those of the function that it stands in. */
static __attribute__((noinline, unused)) void ml_touch(const void *at, size_t bytes) {
  const volatile char *bad = __asan_region_is_poisoned((void *)(size_t)at, bytes);
  if (bad) (void)*bad;
}
#else
#define ML_WITHOUT_ADDRESS_CHECKS
static inline void ml_touch(const void *at, size_t bytes) {
  (void)at;
  (void)bytes;
}
#endif

#endif
