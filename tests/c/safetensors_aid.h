/* What the safetensors tests share: a folder of their own, and files made of a header and counted bytes. */
#ifndef ML_TESTS_SAFETENSORS_AID_H
#define ML_TESTS_SAFETENSORS_AID_H

#include <stddef.h>

#include "io/safetensors.h"

extern char st_folder[];
extern char st_path[128]; /* the one file that tests write and read: st_folder/t.safetensors */

/* Group set-up and tear-down. The latter fails if a temporary file was left behind. */
int st_make_folder(void **state);
int st_remove_folder(void **state);

void st_put_file(const void *bytes, size_t size);
/* A file of this header, its true length in front, and data_size bytes 1, 2, 3 .. behind. */
void st_put_header(const char *header, size_t data_size);

/* A good header of two tensors, w F32 [2, 1] and i I32 [], in front of ST_SAMPLE_DATA bytes. */
#define ST_SAMPLE                                                                                                      \
  "{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"            \
  "\"i\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[8,12]}}   "
#define ST_SAMPLE_DATA 12

#endif
