/* Stops one thread of a process, and with it that process' loop, until the process ends: stall TID.
 *
 * ptrace(2) stops single threads, where SIGSTOP stops all of them; all others go on. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>

int main(int count, char** words) {
  const pid_t thread = count == 2 ? (pid_t)atoi(words[1]) : 0;
  int status = 0;
  if (thread <= 0) return 2;
  if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0 ||
      waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) {
    fprintf(stderr, "stall: %s\n", strerror(errno));
    return 1;
  }
  printf("thread %d stands still\n", (int)thread);
  fflush(stdout);
  /* A signal for the process may reach the tracer first: it is handed on, so that the manager's SIGABRT takes effect. */
  while (waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status)) {
    const int number = WSTOPSIG(status);
    if (number == SIGTRAP) continue;
    ptrace(PTRACE_CONT, thread, NULL, (void*)(long)number);
  }
  return 0;
}
