/* The smallest program: no libc, no loader, one or two pages.
 *
 * child            exits at once
 * child -          sleeps until a signal ends the program
 * child PATH       listens on PATH and accepts every client, until a signal ends the program
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static long call(long number, long a, long b, long c)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
#error "the benchmarks support x86_64 and aarch64 only"
#endif
}

static void end(int code)
{
    call(SYS_exit_group, code, 0, 0);
}

static void wait_for_signals(void)
{
    for (;;)
        call(SYS_rt_sigsuspend, (long)&(unsigned long){0}, sizeof(unsigned long), 0);
}

static void serve(const char *path)
{
    static struct sockaddr_un address = {.sun_family = AF_UNIX};
    for (size_t at = 0; path[at] && at + 1 < sizeof address.sun_path; at++)
        ((volatile char *)address.sun_path)[at] = path[at];
    long listener = call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || call(SYS_bind, listener, (long)&address, sizeof address) < 0 || call(SYS_listen, listener, 128, 0) < 0)
        end(1);
    for (;;) {
        long client = call(SYS_accept, listener, 0, 0);
        if (client >= 0)
            call(SYS_close, client, 0, 0);
    }
}

__attribute__((used, noreturn)) void run(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    if (argc > 1 && argv[1][0] == '-')
        wait_for_signals();
    else if (argc > 1)
        serve(argv[1]);
    end(0);
    __builtin_unreachable();
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
#else
__asm__(".globl _start\n_start: mov x0, sp\n b run\n");
#endif
