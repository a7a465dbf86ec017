/* The physical limit: the bare act, with nothing around it. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Starts a program by vfork, with `output` as its standard output unless that is negative; its pid, or a negative errno. */
pid_t floor_start(const char *program, char *const argv[], char *const envp[], int output)
{
    volatile int failed = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        if (output >= 0)
            dup2(output, 1);
        execve(program, argv, envp);
        failed = errno;
        _exit(127);
    }
    if (pid < 0)
        return -errno;
    if (failed) {
        waitpid(pid, NULL, 0);
        return -failed;
    }
    return pid;
}

/* Waits for the end of a child and reaps it; 0, or a negative errno. */
int floor_reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}
