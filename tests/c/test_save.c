/* Saving in the background: the file is the one that a plain write makes, but for its seal; what fails is told when
 * it is waited for and leaves nothing; a seal finds every changed byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/writer.h"
#include "io/save.h"
#include "io/seal.h"

static char folder[64], path[96];
static ml_tensor *tensor;

static int make_folder(void **state) {
  (void)state;
  ml_shape shape = {.ndim = 2, .size = {300, 100}};
  strcpy(folder, "/tmp/mnistlua-test-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  snprintf(path, sizeof path, "%s/step-1", folder);
  tensor = ml_tensor_new(ML_F32, &shape, NULL);
  for (int64_t i = 0; i < ml_tensor_count(tensor); i++) tensor->f32[i] = (float)i * 0.37f;
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  ml_tensor_unref(tensor);
  unlink(path);
  return rmdir(folder);
}

static int entries(void) {
  DIR *dir = opendir(folder);
  int count = -2;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

/* The archive of one tensor; borrowed texts. */
static ml_archive one_tensor(ml_named_tensor *named, ml_text_pair *seal) {
  *named = (ml_named_tensor){"model.weight", tensor};
  *seal = (ml_text_pair){ML_SEAL_KEY, ML_SEAL_BLANK};
  return (ml_archive){.tensors = named, .tensor_count = 1, .metadata = seal, .metadata_count = 1};
}

static ml_save *begin(void) {
  ml_named_tensor named;
  ml_text_pair seal;
  ml_error err;
  ml_archive archive = one_tensor(&named, &seal);
  ml_save *save = ml_save_begin(path, &archive, &err);
  if (!save) fail_msg("%s", err.message);
  return save;
}

static void test_a_save_is_what_was_there_when_it_began(void **state) {
  (void)state;
  ml_error err;
  for (int round = 0; round < 20; round++) {
    float before = tensor->f32[29999] = (float)round;
    ml_save *save = begin();
    for (int64_t i = 0; i < ml_tensor_count(tensor); i++) tensor->f32[i] += 1;
    assert_int_equal(ml_save_end(save, &err), ML_OK);
    ml_archive read;
    assert_int_equal(ml_safetensors_read(&read, path, &err), ML_OK);
    assert_true(read.tensors[0].tensor->f32[29999] == before);
    ml_archive_clear(&read);
    assert_int_equal(ml_seal_check_file(path, &err), ML_OK);
    assert_int_equal(entries(), 1);
  }
}

static void test_it_says_when_it_is_done(void **state) {
  (void)state;
  ml_save *save = begin();
  while (!ml_save_done(save)) usleep(100);
  assert_int_equal(access(path, F_OK), 0);
  assert_int_equal(ml_save_end(save, NULL), ML_OK);
}

static void test_the_same_state_is_the_same_bytes(void **state) {
  (void)state;
  uint8_t *a, *b;
  size_t a_size, b_size;
  assert_int_equal(ml_save_end(begin(), NULL), ML_OK);
  assert_int_equal(ml_file_read(&a, &a_size, path, 1 << 20, NULL), ML_OK);
  assert_int_equal(ml_save_end(begin(), NULL), ML_OK);
  assert_int_equal(ml_file_read(&b, &b_size, path, 1 << 20, NULL), ML_OK);
  assert_int_equal(a_size, b_size);
  assert_memory_equal(a, b, a_size);
  ml_free(a);
  ml_free(b);
}

static void test_what_fails(void **state) {
  (void)state;
  ml_error err;
  ml_named_tensor named;
  ml_text_pair seal;
  ml_archive archive = one_tensor(&named, &seal);
  ml_save *save = ml_save_begin("/nowhere/at/all", &archive, &err);
  assert_non_null(save);
  assert_int_equal(ml_save_end(save, &err), ML_IO);
  assert_non_null(strstr(err.message, "/nowhere/at/all: cannot create a file beside it: No such file"));
  archive.metadata_count = 0;
  save = ml_save_begin(path, &archive, &err);
  assert_int_equal(ml_save_end(save, &err), ML_MISUSE);
  assert_non_null(strstr(err.message, "no place for a checksum"));
  archive.tensor_count = 0;
  assert_null(ml_save_begin(path, &archive, &err));
  assert_non_null(strstr(err.message, "no tensor to write"));
  assert_int_equal(entries(), 0);
}

static void test_every_failed_allocation(void **state) {
  (void)state;
  ml_named_tensor named;
  ml_text_pair seal;
  ml_archive archive = one_tensor(&named, &seal);
  ml_status status = ML_NOMEM;
  for (uint64_t n = 1; status == ML_NOMEM; n++) {
    ml_error err = {0};
    ml_memory_fail_from(n);
    ml_save *save = ml_save_begin(path, &archive, &err);
    status = save ? ml_save_end(save, &err) : err.status;
    ml_memory_fail_from(0);
    if (status != ML_OK) assert_int_equal(status, ML_NOMEM);
    if (status != ML_OK) assert_int_equal(entries(), 0);
  }
  assert_int_equal(status, ML_OK);
}

static void test_a_seal_finds_every_change(void **state) {
  (void)state;
  char text[] = "........{\"__metadata__\":{\"" ML_SEAL_KEY "\":\"" ML_SEAL_BLANK "\",\"x\":\"y\"}} and what follows";
  uint8_t *image = (uint8_t *)text;
  const size_t size = sizeof text - 1;
  ml_error err;
  assert_int_equal(ml_seal(image, size, &err), ML_OK);
  assert_int_equal(ml_seal_check(image, size, &err), ML_OK);
  for (size_t i = 0; i < size; i++) {
    for (int bit = 0; bit < 8; bit++) {
      image[i] ^= (uint8_t)(1 << bit);
      assert_int_equal(ml_seal_check(image, size, &err), ML_FORMAT);
      image[i] ^= (uint8_t)(1 << bit);
    }
  }
  for (size_t cut = 0; cut < size; cut++) assert_int_equal(ml_seal_check(image, cut, &err), ML_FORMAT);
  assert_int_equal(ml_seal(image, size, &err), ML_MISUSE);
  assert_int_equal(ml_seal_check((const uint8_t *)"none", 4, &err), ML_FORMAT);
  assert_non_null(strstr(err.message, "has no checksum"));
  assert_int_equal(ml_seal_check_file("/nowhere", &err), ML_IO);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_A_FOLDER(test_a_save_is_what_was_there_when_it_began),
      IN_A_FOLDER(test_it_says_when_it_is_done),
      IN_A_FOLDER(test_the_same_state_is_the_same_bytes),
      IN_A_FOLDER(test_what_fails),
      IN_A_FOLDER(test_every_failed_allocation),
      cmocka_unit_test(test_a_seal_finds_every_change),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
