/* Preloaded into perjouled by kill.py: stops the writer's thread at a chosen system call inside a transaction, so that
 * kill -9 happens there.
 *
 * SOAK_STRIKE=N: stop at the N-th write or sync, counted since the start, of transactions that write a row of the
 * history's tail. SOAK_PIPE: descriptor to which one byte is written when the thread has stopped; it then waits to be
 * killed. SQLite is a shared library, so its calls to libc, and the daemon's calls to it, go through this file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef int (*step_function)(void*);
typedef const char* (*sql_function)(void*);
typedef ssize_t (*pwrite_function)(int, const void*, size_t, off64_t);
typedef int (*sync_function)(int);

static __thread bool storing;

static bool begins(const char* text, const char* head) {
  return text != NULL && strncmp(text, head, strlen(head)) == 0;
}

static void stand_still_if_due(void) {
  static long left = -1;
  static int pipe_end = -1;
  if (left < 0) {
    const char* strike = getenv("SOAK_STRIKE");
    const char* number = getenv("SOAK_PIPE");
    left = 0;
    if (strike != NULL && number != NULL) {
      left = atol(strike);
      pipe_end = atoi(number);
    }
  }
  if (!storing || left == 0 || --left > 0) return;
  if (write(pipe_end, "!", 1) == 1) {
    for (;;) pause();
  }
}

int sqlite3_step(void* statement) {
  static step_function next;
  static sql_function text_of;
  if (next == NULL) {
    text_of = (sql_function)dlsym(RTLD_NEXT, "sqlite3_sql");
    next = (step_function)dlsym(RTLD_NEXT, "sqlite3_step");
  }
  const char* sql = text_of(statement);
  if (begins(sql, "BEGIN")) storing = false;
  if (begins(sql, "INSERT INTO tail") || begins(sql, "UPDATE tail")) storing = true;
  const int code = next(statement);
  if (begins(sql, "COMMIT")) storing = false;
  return code;
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
  static pwrite_function next;
  if (next == NULL) next = (pwrite_function)dlsym(RTLD_NEXT, "pwrite64");
  stand_still_if_due();
  return next(file, bytes, size, at);
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) { return pwrite64(file, bytes, size, at); }

int fdatasync(int file) {
  static sync_function next;
  if (next == NULL) next = (sync_function)dlsym(RTLD_NEXT, "fdatasync");
  stand_still_if_due();
  return next(file);
}

int fsync(int file) {
  static sync_function next;
  if (next == NULL) next = (sync_function)dlsym(RTLD_NEXT, "fsync");
  stand_still_if_due();
  return next(file);
}
